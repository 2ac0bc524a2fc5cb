"""What a user may meet is described: every setting, error code and column."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from visionality.core.row import COLUMNS
from visionality.runtime.settings import Settings
from visionality.web.seats.audit_kinds import ADMIN_KINDS, KEY_KINDS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
SOURCE = ROOT / "src" / "visionality"


def backticked(name: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", (REFERENCE / name).read_text()))


def test_every_setting_is_described_with_its_default():
    text = (REFERENCE / "settings.md").read_text()
    for field in fields(Settings):
        line = re.search(rf"^\| `VIS_{field.name.upper()}` \| (.*?) \|", text, re.MULTILINE)
        assert line is not None, field.name
        if field.name == "gateway_workers":  # its default is of the machine
            assert line[1] == "one for each core, at most 8"
            continue
        default = field.default
        shown = "–" if default is None else str(default).removesuffix(".0")
        assert line[1].strip("`").removeprefix("./") == shown, field.name


def test_every_error_code_is_described():
    codes = set()
    for path in (SOURCE / "gateway").rglob("*.py"):
        codes |= set(re.findall(r"\b[45]\d\d, \"([a-z_]+)\"", path.read_text()))
    assert "ledger_unavailable" in codes
    assert codes - backticked("errors.md") == set()


@pytest.mark.parametrize("column", [*COLUMNS, "leaf_hash"])
def test_every_column_is_described(column):
    assert column in backticked("columns.md")


def test_every_kind_of_audit_event_is_described_and_can_be_filtered_by():
    """Kinds as the source records them: by an act, by a step in the life of a key, by a gateway."""
    recorded = set()
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        recorded |= set(re.findall(r'\brecord\(\s*(?:act,\s*)?"([a-z_]+)"', text))
        recorded |= set(re.findall(r'\bEVENT = "([a-z_]+)"', text))
        recorded |= {kind for pair in re.findall(r'\bWay\(.*?"([a-z]+)", "([a-z_]+)"', text) for kind in pair}
    assert {
        "budget_set",
        "issued",
        "all_revoked",
        "minted",
        "mint_refused",
        "audit_exported",
        "figure_signed",
    } <= recorded
    recorded |= {"signed_in"} | {
        f"{name}_added" for name in ("project", "customer", "team", "person", "agent")
    }
    assert recorded - {*ADMIN_KINDS, *KEY_KINDS} == set()
    assert {*ADMIN_KINDS, *KEY_KINDS} - backticked("audit.md") == set()


def test_no_float_touches_money():
    for path in SOURCE.rglob("*.py"):
        assert not re.search(r"_n?usd\w*\s*[:=]+\s*float", path.read_text()), path


def test_every_decision_record_says_what_it_must():
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert len(records) >= 11
    for number, path in enumerate(records, 1):
        text = path.read_text()
        assert path.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number}. ")
        for part in ("Context.", "Choice.", "What we gave up.", "What would change our mind."):
            assert f"**{part}**" in text, path


def test_no_address_of_a_package_index_is_locked():
    assert "://" not in (ROOT / "requirements.lock").read_text()


def test_the_readme_leads_to_every_guide():
    told = (ROOT / "README.md").read_text()
    guides = {f"docs/guide/{path.name}" for path in (ROOT / "docs" / "guide").glob("*.md")}
    assert {one for one in guides if f"]({one})" not in told} == set()
