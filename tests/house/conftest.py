"""The house with a month of work in it, and a browser in front of it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from browser import chromium  # noqa: F401 -- a fixture
from house.furnished import furnished, signed_in
from house.looking import axe_source
from house.pages import House, explored
from npm.modules import Missing, installed
from product import Product

ROWS = 1_500


@pytest.fixture(scope="module")
def axe() -> str:
    try:
        return axe_source(installed())
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    with furnished(ROWS) as product:
        yield product


@pytest.fixture(scope="module")
def base(product) -> str:
    return str(product.summary["web"])


@pytest.fixture(scope="module")
def state(product, chromium: Browser):  # noqa: F811
    """Cookies of somebody with every role."""
    return signed_in(product, chromium)


@pytest.fixture(scope="module")
def house(base, state, chromium: Browser) -> House:  # noqa: F811
    member, stranger = chromium.new_context(storage_state=state), chromium.new_context()
    try:
        return explored(base, member.request, stranger.request)
    finally:
        member.close()
        stranger.close()
