"""The sealer (promises L3 and S4): every row once and in order, whoever writes and whenever it dies; heads that anybody checks."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.errors import InsufficientPrivilege, UniqueViolation

from evidence.sealed import NOON, ids_of
from visionality.core.checkpoint import read_note
from visionality.core.merkle import (
    EMPTY_ROOT,
    check_consistency,
    check_inclusion,
    consistency,
    inclusion,
    root,
)
from visionality.evidence import heads
from visionality.evidence.due import Break
from visionality.evidence.keys import active
from visionality.evidence.sealing import Altered, leave
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7

SECOND = timedelta(seconds=1)
LATER = NOON + SECOND


def log_key(installation) -> bytes:
    with installation.database.as_role("vis_sealer") as connection:
        return active(connection, installation.keys, installation.org, "log")[0].public


def test_rows_of_every_log_are_sealed_once_in_the_order_of_their_writers(installation):
    rows = [installation.write(101 + n % 2) for n in range(10)]
    events = [installation.hold() for _ in range(3)]
    for _ in range(2):
        installation.act()
    installation.key_step()
    done = installation.seal()
    assert (done.leaves, done.is_all, done.breaks, done.altered) == (16, True, [], [])
    sealed = installation.sealed_ids("request_logs")
    assert len(sealed) == len(set(sealed)) == 10
    for writer_no in (101, 102):
        of_one = ids_of([row for row in rows if row.writer_no == writer_no])
        assert [one for one in sealed if one in of_one] == of_one
    assert installation.sealed_ids("budget_events") == ids_of(events)
    for log in ("key_events", "admin_events"):
        stored = installation.query(
            f"select id from vis.{log} where org_id = %s order by seq", installation.org
        )
        assert installation.sealed_ids(log) == [row["id"] for row in stored]
    assert installation.seal(LATER).leaves == 0
    assert len(installation.seals("request_logs")) == 1


def test_a_head_is_a_note_of_the_log_that_follows_the_one_before(installation):
    before = EMPTY_ROOT
    for step in range(3):
        installation.write()
        installation.seal(NOON + step * SECOND)
        seal = installation.seals("request_logs")[-1]
        note = read_note(seal["note"])
        assert note.is_by(log_key(installation))
        head = note.checkpoint
        leaves = installation.sealed_leaves("request_logs")
        assert (head.size, head.root, head.prev) == (step + 1, root(leaves), before)
        assert head.time_ms == int((NOON + step * SECOND).timestamp() * 1000)
        assert head.origin.endswith(f"/{installation.org}/request_logs")
        before = head.root


@pytest.mark.parametrize(("back", "stands"), [(timedelta(minutes=1), True), (timedelta(days=900), False)])
def test_a_head_is_not_older_than_the_one_before_but_where_that_was_from_the_future(
    installation, back, stands
):
    for at in (NOON, NOON - back):
        installation.write()
        installation.seal(at)
    first, second = installation.seals("request_logs")
    assert second["sealed_at"] == (first["sealed_at"] if stands else NOON - back)


def test_each_organisation_has_trees_and_keys_of_its_own(installation):
    other = installation.organisation("other")
    ours, theirs = installation.write(), installation.write(org_id=other)
    installation.act(org=other)
    installation.seal()
    assert installation.sealed_ids("request_logs") == [ours.id]
    assert installation.sealed_ids("request_logs", other) == [theirs.id]
    (seal,) = installation.seals("request_logs", other)
    assert not read_note(seal["note"]).is_by(log_key(installation))
    assert installation.seals("admin_events", other)[0]["tree_size"] == 1


# ---------------------------------------------------------------- streams that break


def test_a_missing_number_stops_its_writer_by_name_and_no_other(installation):
    first = installation.write()
    installation.write(skip=1)
    others = [installation.write(102) for _ in range(2)]
    done = installation.seal()
    assert done.breaks == [Break("request_logs", installation.org, 101, 2, "missing")]
    assert sorted(installation.sealed_ids("request_logs")) == sorted(ids_of([first, *others]))
    again = installation.seal(LATER)
    assert (again.leaves, again.breaks) == (0, done.breaks)
    installation.insert(installation.row(2))
    assert (installation.seal(LATER).leaves, installation.seal(LATER).breaks) == (2, [])


def test_a_stream_of_events_breaks_apart_from_that_of_the_rows(installation):
    installation.hold(skip=3)
    row = installation.write()
    done = installation.seal()
    assert done.breaks == [Break("budget_events", installation.org, 101, 1, "missing")]
    assert installation.sealed_ids("request_logs") == [row.id]


def test_a_number_that_stands_twice_stops_its_writer_before_either_row(installation):
    rows = [installation.write() for _ in range(3)]
    installation.insert(installation.row(2))
    done = installation.seal()
    assert done.breaks == [Break("request_logs", installation.org, 101, 2, "doubled")]
    assert installation.sealed_ids("request_logs") == [rows[0].id]


@pytest.mark.parametrize("doubled", range(1, 7))
def test_a_doubled_number_is_seen_wherever_a_step_ends(installation, doubled):
    for _ in range(6):
        installation.write()
    installation.insert(installation.row(doubled))
    for _ in range(8):
        done = installation.seal(at_once=2)
    assert done.breaks == [Break("request_logs", installation.org, 101, doubled, "doubled")]
    assert len(installation.sealed_ids("request_logs")) == doubled - 1


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_an_act_that_is_gone_is_named_by_its_number_even_the_last(installation, gone):
    for _ in range(3):
        installation.act()
    offset = installation.query(
        "select min(seq) - 1 as n from vis.admin_events where org_id = %s", installation.org
    )
    number = offset[0]["n"] + gone
    installation.database.run(
        "set session_replication_role = replica; alter table vis.admin_events disable trigger all;"
        f"delete from only vis.admin_events where org_id = '{installation.org}' and seq = {number}",
        *deletions(installation, "admin_events", f"seq = {number}"),
    )
    done = installation.seal()
    assert done.breaks == [Break("admin_events", installation.org, None, number, "missing")]
    assert len(installation.sealed_ids("admin_events")) == number - 1


def deletions(installation, log: str, where: str) -> list[str]:
    """What a superuser does to each month of a log, its guards taken down first."""
    months = installation.query(
        "select inhrelid::regclass::text as month from pg_inherits where inhparent = %s::regclass",
        f"vis.{log}",
    )
    return [
        f"alter table {one['month']} disable trigger all; delete from {one['month']} where {where}"
        for one in months
    ]


def test_a_row_that_was_changed_before_it_was_sealed_is_named(installation):
    row = installation.row(1)
    installation.insert(row, leaf=bytes(32))
    assert installation.seal().altered == [Altered("request_logs", installation.org, row.id)]
    event = installation.hold(amount_nusd=5)
    for statement in deletions(installation, "budget_events", "false"):
        month = statement.split("delete from ")[1].split(" where")[0]
        installation.database.run(statement, f"update {month} set amount_nusd = 6")
    assert installation.seal(LATER).altered == [Altered("budget_events", installation.org, event.id)]


# ---------------------------------------------------------------- who seals


def test_a_second_sealer_waits_for_the_end_of_the_lease_and_the_first_one_does_not_come_back(installation):
    first, second = uuid7(), uuid7()
    installation.write()
    assert installation.seal(holder=first).leads
    installation.write()
    assert not installation.seal(holder=second).leads
    assert len(installation.seals("request_logs")) == 1
    installation.database.run(EXPIRE)
    assert installation.seal(holder=second).leads
    assert not installation.seal(holder=first).leads
    (lease,) = installation.query("select holder, fence from vis.seal_lease")
    assert (lease["holder"], lease["fence"]) == (second, 2)
    with psycopg.connect(installation.database.dsn("vis_sealer"), autocommit=True) as connection:
        leave(connection, first)
        assert not installation.seal(holder=first).leads
        leave(connection, second)
    assert installation.seal(holder=first).leads


def test_the_keys_of_the_seals_take_one_of_each_number_only(installation):
    installation.write()
    installation.seal()
    (seal,) = installation.seals("request_logs")
    forged = {**seal, "cursors": "{}", "note": "another"}
    for change in ({}, {"seal_no": 9}):
        columns = forged | change
        names, marks = ", ".join(columns), ", ".join(f"%({name})s" for name in columns)
        with (
            pytest.raises(UniqueViolation),
            installation.database.as_role("vis_sealer") as connection,
        ):
            connection.execute(f"insert into vis.seals ({names}) values ({marks})", columns)


EXPIRE = "update vis.seal_lease set expires_at = now() - interval '1 second'"


def test_sealers_that_race_while_writers_write_seal_every_row_once(installation):
    over = threading.Event()

    def write(writer_no):
        return [installation.write(writer_no, project_id=f"P{n % 3}").id for n in range(60)]

    def seal(holder):
        while not over.is_set():
            installation.seal(holder=holder, at_once=7)
            installation.database.run(EXPIRE)

    with ThreadPoolExecutor(5) as pool:
        sealers = [pool.submit(seal, uuid7()) for _ in range(2)]
        writers = [pool.submit(write, number) for number in (101, 102, 103)]
        written = [writer.result() for writer in writers]
        over.set()
        assert [sealer.result() for sealer in sealers] == [None, None]
    installation.database.run(EXPIRE)
    installation.seal_all()
    sealed = installation.sealed_ids("request_logs")
    assert len(sealed) == 180
    assert [[one for one in sealed if one in set(rows)] for rows in written] == written
    for project in ("P0", "P1", "P2"):
        assert [number for number, _ in installation.numbered(project)] == list(range(1, 61))


DYING = """
import sys
from pathlib import Path
from uuid import UUID
import psycopg
from visionality.evidence.sealing import step
from visionality.runtime.clock import utc_now
from visionality.runtime.settings import Settings
from visionality.vault.installation import open_keys
dsn, web, data_dir, holder = sys.argv[1:]
keys = open_keys(Settings(data_dir=Path(data_dir)), web, print)
with psycopg.connect(dsn, autocommit=True) as connection, connection.transaction():
    print(step(connection, keys, UUID(holder), utc_now()).leaves, flush=True)
    sys.stdin.read()
"""


def test_a_sealer_that_is_killed_in_its_transaction_has_sealed_nothing_and_another_one_does(
    installation, tmp_path
):
    rows = [installation.write() for _ in range(5)]
    dsns = [installation.database.dsn(role) for role in ("vis_sealer", "vis_web")]
    command = [sys.executable, "-c", DYING, *dsns, str(tmp_path), str(uuid7())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() != "0\n"
        os.kill(process.pid, signal.SIGKILL)
    assert installation.seals("request_logs") == []
    done = installation.seal()
    assert (done.leads, done.breaks) == (True, [])
    assert installation.sealed_ids("request_logs") == ids_of(rows)
    assert [number for number, _ in installation.numbered()] == [1, 2, 3, 4, 5]


def test_what_stands_from_before_is_sealed_in_steps_of_a_bounded_size(installation):
    rows = [installation.write(101 + n % 3, created_at=NOON + n * SECOND) for n in range(40)]
    assert installation.seal(at_once=6).leaves <= 8
    steps = installation.seal_all(at_once=6)
    assert steps > 4
    assert installation.sealed_ids("request_logs") == ids_of(rows)
    assert max(one["tree_size"] - one["first_index"] for one in installation.seals("request_logs")) <= 6


@pytest.mark.parametrize(
    "attempt",
    [
        "insert into vis.key_events select * from vis.key_events",
        "insert into vis.request_logs select * from vis.request_logs",
        "update vis.evidence_keys set public = sha256('')",
        "update vis.evidence_keys set active_from = now()",
        "delete from vis.evidence_keys",
        "update vis.evidence_key_secrets set sealed = ''",
        "delete from vis.seals",
        "update vis.scope_runs set last_seq = 9",
        "select from vis_control.organisation",
        "select wrapped_root from vis.installation",
    ],
)
def test_the_sealer_can_do_nothing_else(installation, attempt):
    installation.seal()
    with (
        psycopg.connect(installation.database.dsn("vis_sealer")) as connection,
        pytest.raises(InsufficientPrivilege),
    ):
        connection.execute(attempt)


# ---------------------------------------------------------------- proofs


@pytest.fixture
def grown(installation):
    """A log of 23 leaves in seals of several sizes."""
    for size in (1, 4, 2, 9, 7):
        for _ in range(size):
            installation.write()
        installation.seal(utc_now())
    return installation


def test_proofs_out_of_seals_are_those_over_all_leaves(grown):
    leaves = grown.sealed_leaves("request_logs")
    with grown.auditor() as connection:
        for size in range(1, 24):
            for index in range(size):
                path = heads.inclusion_of(connection, grown.org, "request_logs", index, size)
                assert path == inclusion(leaves[:size], index)
                assert check_inclusion(leaves[index], index, size, path, root(leaves[:size]))
            for first in range(size + 1):
                path = heads.consistency_of(connection, grown.org, "request_logs", first, size)
                assert path == consistency(leaves[:size], first)
                assert check_consistency(first, root(leaves[:first]), size, root(leaves[:size]), path)
        with pytest.raises(ValueError, match="not all sealed"):
            heads.inclusion_of(connection, grown.org, "request_logs", 23, 40)


def test_heads_are_found_by_size_and_rows_by_id(grown):
    with grown.auditor() as connection:
        newest = heads.newest(connection, grown.org, "request_logs")
        assert (newest.size, newest.seal_no) == (23, 5)
        assert heads.at_size(connection, grown.org, "request_logs", 7).seal_no == 3
        assert heads.at_size(connection, grown.org, "request_logs", 8) is None
        assert heads.newest(connection, grown.org, "segments") is None
        assert heads.newest(connection, uuid7(), "request_logs") is None
        for place, row_id in enumerate(grown.sealed_ids("request_logs")):
            assert find(connection, grown, row_id) == place
        assert find(connection, grown, uuid7()) is None
        assert find(connection, grown, grown.org.__class__(int=7)) is None


def find(connection, grown, row_id):
    return heads.index_of_row(connection, grown.org, "request_logs", row_id)


def test_a_reader_sees_the_heads_of_its_organisation_only(grown):
    for org_id, size in ((grown.org, 23), (uuid7(), None)):
        with grown.database.as_role("vis_reader", org_id) as connection:
            found = heads.newest(connection, grown.org, "request_logs")
        assert (found and found.size) == size


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from([101, 102, 103]), st.sampled_from(["A", "B", None]), st.booleans()),
        max_size=20,
    )
)
def test_whoever_writes_when_numbers_are_without_a_gap_and_leaves_are_the_rows(installation, calls):
    for writer_no, project, seals_now in calls:
        installation.write(writer_no, project_id=project)
        if seals_now:
            installation.seal(at_once=3)
    installation.seal_all(at_once=3)
    stored = {row["id"]: row for row in installation.query("select * from vis.request_logs")}
    assert sorted(installation.sealed_ids("request_logs")) == sorted(stored)
    leaves = installation.sealed_leaves("request_logs")
    assert leaves == [bytes(stored[one]["leaf_hash"]) for one in installation.sealed_ids("request_logs")]
    for project in ("A", "B", "-"):
        numbered = installation.numbered(project)
        assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1))
        assert {stored[row_id]["project_id"] or "-" for _, row_id in numbered} <= {project}
    assert sum(len(installation.numbered(project)) for project in ("A", "B", "-")) == len(stored)
