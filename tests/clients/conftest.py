"""A gateway that checks proofs, and a signer whose key it knows."""

from collections.abc import Iterator

import pytest

from clients.gateway import Gateway, running
from clients.vectors import AUD, CALLER, KEY, KEY_ID
from visionality_client import BindingKey, Signer


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with running() as gateway:
        yield gateway


@pytest.fixture
def signer() -> Signer:
    return Signer(BindingKey(KEY_ID, KEY, AUD), CALLER)
