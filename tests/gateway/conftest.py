"""One running product for all tests at the gateway's edge, with limits small enough to reach."""

import pytest

from gateway.calls import Caller
from product import Product, running, set_up

BODY_LIMIT = 4_000_000


@pytest.fixture(scope="session")
def product() -> Product:
    limits = {"idle_timeout": "3", "body_timeout": "1", "drain_seconds": "10", "batch_poll": "3600"}
    limits["card_origins"] = "https://app.clinic.example"
    with running(max_body_bytes=str(BODY_LIMIT), **limits) as product:
        set_up(product)
        yield product


@pytest.fixture(scope="session")
def caller(product) -> Caller:
    """Somebody with a key that has every binding."""
    bindings = ("--task", "HPC-1234", "--task-class", "refactor", "--memo", "PJM rebill")
    return Caller(product, product.issue(*bindings, "--url", "https://jira.example/HPC-1234"))
