"""Promise A6, coverage: which share of calls and of spend is attributed, on what evidence, and by which client."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from conftest import Database, clone_of
from ledger.rows import insert, smallest
from visionality.chargeback.coverage import Flagged, Share, Sum, coverage, percent
from visionality.ledger.reader import reading
from visionality.runtime.ids import uuid7

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
CLAUDE = {"tags": Jsonb({"client": "claude-code 2.1.197"})}
NEWER = {"tags": Jsonb({"client": "claude-code 2.2.0"})}
AIDER = {"tags": Jsonb({"client": "aider"})}
BY_KEY = {"project_id": "HPC", "attribution_level": 1}
BY_ENVIRONMENT = {"project_id": "HPC", "attribution_level": 4}
NOBODY = {"project_id": None, "attribution_level": 8}


@pytest.fixture(scope="module")
def ledger(cluster, template) -> Iterator[Database]:
    with clone_of(cluster, template) as database:
        database.run("set role vis_owner; select vis.add_months('2026-11-01', 2)")
        yield database


@pytest.fixture(scope="module")
def covered(ledger) -> Callable[..., tuple[list[Share], Flagged]]:
    """The coverage of an organisation of its own that has these rows."""

    def made(*rows: dict[str, Any], **which: bool) -> tuple[list[Share], Flagged]:
        org_id = uuid7()
        with ledger.as_role("vis_writer") as connection:
            for row in rows:
                insert(connection, "request_logs", smallest("request_logs", org_id, NOVEMBER) | row)
        with reading(ledger.dsn("vis_reader"), org_id, snapshot=True) as connection:
            return coverage(connection, org_id, NOVEMBER, DECEMBER, **which)

    return made


def test_shares_are_told_by_level_and_by_client_whatever_its_version(covered):
    shares, _ = covered(
        CLAUDE | BY_ENVIRONMENT | {"cost_nusd": 30},
        NEWER | BY_ENVIRONMENT | {"cost_nusd": 20},
        CLAUDE | NOBODY | {"cost_nusd": 10},
        AIDER | NOBODY | {"cost_nusd": 5},
        BY_KEY | {"cost_nusd": 35},
    )
    whole, claude, aider, nameless = Sum(5, 100), Sum(3, 60), Sum(1, 5), Sum(1, 35)
    assert shares == [
        Share("total", "USD", None, None, whole, whole),
        Share("unattributed", "USD", None, None, Sum(2, 15), whole),
        Share("level", "USD", None, 1, Sum(1, 35), whole),
        Share("level", "USD", None, 4, Sum(2, 50), whole),
        Share("level", "USD", None, 8, Sum(2, 15), whole),
        Share("client", "USD", "aider", None, aider, whole),
        Share("client_level", "USD", "aider", 8, aider, aider),
        Share("client", "USD", "claude-code", None, claude, whole),
        Share("client_level", "USD", "claude-code", 4, Sum(2, 50), claude),
        Share("client_level", "USD", "claude-code", 8, Sum(1, 10), claude),
        Share("client", "USD", None, None, nameless, whole),
        Share("client_level", "USD", None, 1, nameless, nameless),
    ]


def test_a_correction_moves_money_and_no_call(covered):
    moved = {"entry": "correction", "corrects": uuid7()}
    shares, _ = covered(
        NOBODY | {"cost_nusd": 10},
        NOBODY | moved | {"cost_nusd": -10},
        BY_KEY | moved | {"cost_nusd": 10},
    )
    assert {share.level: share.sum for share in shares if share.part == "level"} == {
        1: Sum(0, 10),
        8: Sum(1, 0),
    }
    assert next(share.sum for share in shares if share.part == "unattributed") == Sum(1, 0)


def test_conflicts_and_denied_projects_are_counted_also_where_the_call_was_refused(covered):
    conflict, denied = {"attribution_conflict": "branch: …"}, {"project_denied": "SOCE"}
    refused = {"decision": "refused", "cost_nusd": 0}
    _, flagged = covered(
        BY_KEY | {"tags": Jsonb(conflict)},
        NOBODY | {"tags": Jsonb(conflict | denied)},
        NOBODY | refused | {"tags": Jsonb(denied)},
        NOBODY | {"entry": "correction", "tags": Jsonb(denied)},
        NOBODY,
    )
    assert flagged == Flagged(conflicts=2, denied=2)


def test_a_conflict_that_was_corrected_is_no_longer_to_be_looked_at(covered):
    flagged = {"id": uuid7(), "tags": Jsonb({"attribution_conflict": "x", "project_denied": "SOCE"})}
    corrected = {"entry": "correction", "corrects": flagged["id"], "cost_nusd": 0}
    assert covered(NOBODY | flagged, BY_KEY | corrected)[1] == Flagged(0, 0)
    assert covered(NOBODY | flagged, BY_KEY | corrected, original=True)[1] == Flagged(1, 1)


def test_what_was_not_served_and_what_was_simulated_is_no_spend(covered):
    rows = [
        BY_KEY | {"cost_nusd": 3},
        NOBODY | {"decision": "refused", "cost_nusd": 0},
        NOBODY | {"provider": "sandbox", "cost_nusd": 4},
    ]
    assert covered(*rows)[0][0].sum == Sum(1, 3)
    assert covered(*rows, include_sandbox=True)[0][0].sum == Sum(2, 7)


def test_currencies_are_not_added_up(covered):
    shares, _ = covered(BY_KEY | {"cost_nusd": 1}, BY_KEY | {"cost_nusd": 2, "currency": "EUR"})
    assert [(share.currency, share.sum) for share in shares if share.part == "total"] == [
        ("EUR", Sum(1, 2)),
        ("USD", Sum(1, 1)),
    ]


def test_nothing_has_no_shares(covered):
    assert covered() == ([], Flagged(0, 0))


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (1, 3, "33.3"),
        (2, 3, "66.7"),
        (0, 7, "0.0"),
        (7, 7, "100.0"),
        (1, 2000, "0.0"),
        (3, 2000, "0.2"),
        (-1, 8, "-12.5"),
        (1, 0, None),
    ],
)
def test_a_share_has_one_decimal(part, whole, said):
    assert percent(part, whole) == said


@given(st.integers(-(10**18), 10**18), st.integers(1, 10**18))
def test_a_share_is_within_half_a_tenth_of_the_fraction(part, whole):
    said = percent(part, whole)
    assert said is not None
    tenths = int(said.replace(".", ""))
    assert abs(2 * (tenths * whole - part * 1000)) <= whole
