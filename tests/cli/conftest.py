"""One running product for all commands."""

import pytest

from product import Product, running, set_up


@pytest.fixture(scope="session")
def product() -> Product:
    with running() as product:
        set_up(product)
        yield product
