"""One stand-in a test."""

from collections.abc import Iterator

import pytest

from connectors.bench import STAND_INS, Bench, bench


@pytest.fixture(params=STAND_INS)
def any_service(request) -> Iterator[Bench]:
    with bench(request.param) as one:
        yield one


@pytest.fixture
def cloud() -> Iterator[Bench]:
    with bench("jira_cloud") as one:
        yield one


@pytest.fixture
def data_center() -> Iterator[Bench]:
    with bench("jira_dc") as one:
        yield one


@pytest.fixture
def bitbucket() -> Iterator[Bench]:
    with bench("bitbucket") as one:
        yield one


@pytest.fixture
def github() -> Iterator[Bench]:
    with bench("github") as one:
        yield one


@pytest.fixture
def gitlab() -> Iterator[Bench]:
    with bench("gitlab") as one:
        yield one
