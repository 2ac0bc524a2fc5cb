"""Views get what is an organisation's from functions that take who asks (S8): none asks a model or the database itself."""

import re
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "src" / "visionality" / "web"
ROOMS = ("seats", "control", "first_run", "api/operations", "accounts/settings")
"""Where views are. Signing in, which finds out whom an organisation is asked for, is in accounts itself."""
ASKS = re.compile(r"\.objects\b|_default_manager|get_object_or_404")
VIEWS = sorted(path for room in ROOMS for path in (WEB / room).glob("*.py"))


def test_there_are_views_in_each_room():
    assert {path.parent for path in VIEWS} == {WEB / room for room in ROOMS}


@pytest.mark.parametrize("path", VIEWS, ids=lambda path: str(path.relative_to(WEB)))
def test_a_view_asks_no_model(path):
    assert not ASKS.findall(path.read_text()), "ask for it in an access_ function of the room that keeps it"
