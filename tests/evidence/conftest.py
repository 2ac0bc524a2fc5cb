"""One fresh installation a test, or a module."""

from collections.abc import Iterator

import pytest

from conftest import clone_of, default_org
from evidence.sealed import Installation


@pytest.fixture
def installation(database, org, tmp_path) -> Installation:
    return Installation(database, org, tmp_path)


@pytest.fixture(scope="module")
def first_installation(cluster, template, tmp_path_factory) -> Iterator[Installation]:
    """One for the tests of a module, which copy it with what they put into it together."""
    with clone_of(cluster, template) as database:
        yield Installation(database, default_org(database), tmp_path_factory.mktemp("data"))
