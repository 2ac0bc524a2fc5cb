"""A plane that has forgotten the attempts of the test before: limits are kept per address, and all tests have one."""

import pytest

from browser import chromium, new_page  # noqa: F401


@pytest.fixture(autouse=True)
def forgotten_attempts(plane):
    plane.tell("forget-attempts")


@pytest.fixture
def at(plane):
    """The address of a path as browsers take it for a place that may have passkeys: a name, not a number."""
    return lambda path: f"http://localhost:{plane.port}{path}"
