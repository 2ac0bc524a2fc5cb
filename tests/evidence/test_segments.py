"""Scopes and their segments (L3, S4): numbers without a gap, days that close where the organisation is, headers a stranger recomputes."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise

import pytest
import rfc8785
from psycopg.errors import InsufficientPrivilege

from evidence.sealed import NOON, ids_of
from visionality.core.merkle import root
from visionality.evidence import heads
from visionality.evidence.segments import ask_to_close, headers, is_closed_until
from visionality.runtime.ids import uuid7

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIDNIGHT = NOON.replace(hour=0, microsecond=0)


def segments(installation, project="HPC", org=None) -> list[dict]:
    with installation.auditor() as connection:
        return [json.loads(one) for one in headers(connection, org or installation.org, project)]


def ask(installation, *projects, now=NOON, org=None):
    org = org or installation.org
    with installation.database.as_role("vis_web", org) as connection:
        ask_to_close(connection, org, projects, now)


def is_closed(installation, *projects, at=NOON) -> bool:
    with installation.database.as_role("vis_reader", installation.org) as connection:
        return is_closed_until(connection, installation.org, projects, at)


def test_each_project_is_numbered_from_one_and_rows_without_one_are_a_scope_too(installation):
    rows = {name: [] for name in ("HPC", "ML", None)}
    for n in range(9):
        name = ("HPC", "ML", None)[n % 3]
        rows[name].append(installation.write(project_id=name))
        if n % 4 == 0:
            installation.seal()
    installation.seal()
    for name, written in rows.items():
        assert installation.numbered(name or "-") == list(zip((1, 2, 3), ids_of(written), strict=True))


def test_the_bytes_of_a_segment_are_what_a_stranger_makes_of_its_rows(installation):
    rows = [
        installation.write(created_at=NOON + 2 * HOUR, cost_nusd=5, billed_nusd=6),
        installation.write(created_at=NOON + HOUR, cost_nusd=-7, billed_nusd=-8, entry="correction"),
        installation.write(created_at=NOON + HOUR, currency="EUR", cost_nusd=2**62, billed_nusd=0),
    ]
    installation.seal(NOON + 2 * HOUR)
    ask(installation, "HPC")
    installation.seal(NOON + 3 * HOUR)
    (stored,) = installation.query("select * from vis.scope_segments")
    assert bytes(stored["header"]) == rfc8785.dumps(
        {
            "v": 1,
            "type": "segment",
            "org_id": str(installation.org),
            "project_id": "HPC",
            "segment_no": 1,
            "first_seq": 1,
            "last_seq": 3,
            "count": 3,
            "first_at": "2026-11-10T13:00:00.000001Z",
            "last_at": "2026-11-10T14:00:00.000001Z",
            "closed_at": "2026-11-10T15:00:00.000001Z",
            "root": root(leaves_of(installation, rows)).hex(),
            "prev": "0" * 64,
            "totals": {
                "EUR": {"billed_nusd": "0", "cost_nusd": str(2**62)},
                "USD": {"billed_nusd": "-2", "cost_nusd": "-2"},
            },
        }
    )
    leaf = sha256(b"\x00" + bytes(stored["header"])).digest()
    assert bytes(stored["leaf_hash"]) == leaf
    assert installation.sealed_leaves("segments") == [leaf]
    assert installation.sealed_ids("segments") == [stored["id"]]
    assert stored["leaf_index"] == 0


def leaves_of(installation, rows) -> list[bytes]:
    stored = {
        row["id"]: bytes(row["leaf_hash"]) for row in installation.query("select * from vis.request_logs")
    }
    return [stored[row.id] for row in rows]


def test_segments_follow_one_another_and_stand_in_the_log_in_the_order_of_closing(installation):
    for n in range(4):
        installation.write(project_id="HPC")
        installation.write(project_id="ML")
        installation.seal(NOON + n * HOUR)
        ask(installation, "HPC", *(["ML"] if n % 2 else []), now=NOON + n * HOUR)
        installation.seal(NOON + n * HOUR)
    hpc, ml = segments(installation), segments(installation, "ML")
    assert [(one["first_seq"], one["last_seq"], one["count"]) for one in hpc] == [
        (n, n, 1) for n in (1, 2, 3, 4)
    ]
    assert [(one["first_seq"], one["last_seq"], one["count"]) for one in ml] == [(1, 2, 2), (3, 4, 2)]
    for chain in (hpc, ml):
        for before, after in pairwise(chain):
            assert after["prev"] == sha256(b"\x00" + rfc8785.dumps(before)).hexdigest()
            assert after["segment_no"] == before["segment_no"] + 1
    stored = installation.query("select leaf_index, leaf_hash from vis.scope_segments order by leaf_index")
    assert [one["leaf_index"] for one in stored] == list(range(6))
    assert [bytes(one["leaf_hash"]) for one in stored] == installation.sealed_leaves("segments")
    with installation.auditor() as connection:
        path = heads.inclusion_of(connection, installation.org, "segments", 4, 6)
    assert len(path) == 2


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("UTC", datetime(2026, 11, 11, tzinfo=UTC)),
        ("Pacific/Auckland", datetime(2026, 11, 10, 11, tzinfo=UTC)),
        ("America/Los_Angeles", datetime(2026, 11, 11, 8, tzinfo=UTC)),
    ],
)
def test_a_day_closes_where_the_organisation_is(installation, zone, midnight):
    org = installation.organisation("elsewhere", zone)
    last = midnight - timedelta(seconds=1)
    installation.write(org_id=org, created_at=last)
    installation.seal(last)
    installation.seal(midnight - timedelta(microseconds=1))
    assert segments(installation, org=org) == []
    installation.seal(midnight)
    (closed,) = segments(installation, org=org)
    assert (closed["count"], closed["first_at"]) == (1, closed["last_at"])
    installation.seal(midnight + 5 * HOUR)
    assert len(segments(installation, org=org)) == 1


def test_a_day_of_25_hours_closes_at_its_end(installation):
    org = installation.organisation("berlin", "Europe/Berlin")
    installation.write(org_id=org, created_at=datetime(2026, 10, 24, 22, 30, tzinfo=UTC))
    installation.seal(datetime(2026, 10, 24, 22, 30, tzinfo=UTC))
    installation.seal(datetime(2026, 10, 25, 22, 59, tzinfo=UTC))
    assert segments(installation, org=org) == []
    installation.seal(datetime(2026, 10, 25, 23, 0, tzinfo=UTC))
    assert len(segments(installation, org=org)) == 1


def test_the_first_row_of_a_day_closes_the_day_before_and_a_late_one_stands_in_a_later_segment(installation):
    installation.write(created_at=NOON)
    installation.seal(NOON)
    installation.write(created_at=MIDNIGHT + DAY)
    installation.seal(MIDNIGHT + DAY)
    assert [one["count"] for one in segments(installation)] == [1]
    late = installation.write(created_at=NOON + HOUR)
    installation.seal(MIDNIGHT + DAY + HOUR)
    installation.seal(MIDNIGHT + 2 * DAY)
    first, second = segments(installation)
    assert (first["last_at"], second["count"]) == (first["first_at"], 2)
    assert second["first_at"] == "2026-11-10T13:00:00.000001Z"
    assert installation.numbered()[2] == (3, late.id)


def test_what_piled_up_over_days_and_writers_closes_day_by_day(installation):
    for day in range(4):
        for writer_no in (101, 102):
            for n in range(5):
                installation.write(writer_no, created_at=NOON - 4 * DAY + day * DAY + n * HOUR)
    installation.seal_all(NOON, at_once=6)
    closed = segments(installation)
    assert [one["count"] for one in closed] == [10, 10, 10]
    assert [one["last_at"][:10] for one in closed] == ["2026-11-06", "2026-11-07", "2026-11-08"]


def test_a_segment_that_is_asked_for_is_closed_with_rows_or_without(installation):
    installation.write()
    installation.seal()
    assert is_closed(installation, "HPC") is False
    for closed in (1, 2):
        ask(installation, "HPC", "never had a row")
        assert is_closed(installation, "HPC") is False or closed == 2
        installation.seal()
        assert is_closed(installation, "HPC") is True
        assert len(segments(installation)) == closed
    empty = segments(installation)[1]
    assert (empty["count"], empty["first_seq"], empty["last_seq"]) == (0, 2, 1)
    assert (empty["totals"], empty["first_at"], empty["last_at"]) == ({}, None, None)
    assert empty["root"] == sha256().hexdigest()
    assert [one["count"] for one in segments(installation, "never had a row")] == [0, 0]
    assert is_closed(installation, "never had a row") is True
    assert is_closed(installation, "HPC", at=NOON + HOUR) is False


def test_what_is_asked_for_waits_until_every_row_that_stands_is_in(installation):
    rows = [installation.write(created_at=NOON) for _ in range(5)]
    ask(installation, "HPC")
    assert installation.seal(at_once=2).is_all is False
    assert segments(installation) == []
    assert is_closed(installation, "HPC") is False
    installation.seal_all(at_once=2)
    (closed,) = segments(installation)
    assert closed["count"] == len(rows)


def test_a_segment_is_closed_no_earlier_than_it_was_asked_for(installation):
    installation.write()
    ask(installation, "HPC", now=NOON + HOUR)
    installation.seal(NOON)
    assert is_closed(installation, "HPC", at=NOON + HOUR) is True


def test_one_organisation_asks_for_its_own_scopes_only(installation):
    other = installation.organisation("other")
    installation.write()
    installation.seal()
    ask(installation, "HPC", org=other)
    installation.seal()
    assert segments(installation) == []
    with (
        pytest.raises(InsufficientPrivilege),
        installation.database.as_role("vis_web", other) as connection,
    ):
        ask_to_close(connection, installation.org, ["HPC"], NOON)


@pytest.mark.parametrize(
    "name", ["-", "", 'a"b\\c', "Brücke \U0001f30a \x01\t\u2028", "{}", "a/b", "é" * 300]
)
def test_a_scope_of_any_name_closes(installation, name):
    installation.write(project_id=name)
    installation.write(project_id=None)
    installation.seal()
    ask(installation, name)
    installation.seal()
    (stored,) = installation.query("select header from vis.scope_segments")
    header = json.loads(bytes(stored["header"]))
    assert bytes(stored["header"]) == rfc8785.dumps(header)
    assert header["project_id"] == name
    assert header["count"] == (2 if name == "-" else 1)


def test_the_state_of_open_segments_survives_each_step_as_it_is(installation):
    at = NOON
    rows = []
    for n in range(12):
        rows.append(installation.write(created_at=at - n * timedelta(minutes=1), cost_nusd=n))
        installation.seal(at)
    ask(installation, "HPC")
    installation.seal(at)
    (closed,) = segments(installation)
    assert closed["root"] == root(leaves_of(installation, rows)).hex()
    assert closed["totals"]["USD"]["cost_nusd"] == str(sum(range(12)))
    assert (closed["first_at"], closed["last_at"]) == (
        "2026-11-10T11:49:00.000001Z",
        "2026-11-10T12:00:00.000001Z",
    )
    assert uuid7().version == installation.sealed_ids("segments")[0].version
