"""Where JavaScript's clients and aimock come from, and the product that the clients call."""

from collections.abc import Iterator

import pytest

from gateway.calls import Caller
from npm.modules import Missing, Modules, installed
from product import Product, running, set_up


@pytest.fixture(scope="session")
def modules() -> Modules:
    try:
        return installed()
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def product(modules) -> Iterator[Product]:
    """A product of the module's own; nothing is started where its clients are missing."""
    with running() as product:
        set_up(product)
        yield product


@pytest.fixture(scope="module")
def caller(product) -> Caller:
    return Caller(product, product.issue())
