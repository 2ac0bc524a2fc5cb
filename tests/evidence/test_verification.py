"""The ledger checked against its seals (promise L3), after a superuser has been at it: what is named, and how exactly."""

from datetime import timedelta

import psycopg
import pytest

from evidence.sealed import NOON
from evidence.superuser import cheating
from visionality.evidence.verification import Check

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture(scope="module")
def three_days(first_installation):
    """Three days of two projects, two writers, events and acts, sealed in many steps."""
    installation = first_installation
    for day in range(3):
        for hour in range(4):
            at = NOON + day * DAY + hour * MINUTE
            for writer_no in (101, 102):
                installation.write(writer_no, created_at=at, project_id="HPC" if hour % 2 else None)
                installation.write(writer_no, created_at=at, project_id="LNG", cost_nusd=hour)
                installation.hold(writer_no, created_at=at)
            installation.act()
            installation.key_step()
            installation.seal(at)
    installation.seal(NOON + 3 * DAY)
    return installation


@pytest.fixture
def ledger(three_days):
    with three_days.copied() as ledger:
        yield ledger


def checked(installation, extent="full", **options):
    with psycopg.connect(installation.database.dsn("vis_auditor"), autocommit=True) as connection:
        check = Check(connection, {installation.org: "default"})
        if extent == "sample":
            return check.sample(1000)[0]
        if extent == "since":
            return check.since(NOON + DAY + 2 * MINUTE)[0]
        return check.full(**options)[0]


def only(found, kind):
    """The one finding of a kind."""
    of_kind = [one for one in found.findings if one.kind == kind]
    assert len(of_kind) == 1, [one.sentence for one in found.findings]
    return of_kind[0]


def kinds(found):
    return sorted((one.kind, one.log) for one in found.findings)


@pytest.mark.parametrize("extent", ["full", "since", "sample"])
def test_a_ledger_that_nobody_touched_is_whole(ledger, extent):
    found = checked(ledger, extent)
    assert found.findings == []
    if extent != "since":
        assert found.rows == 48 + 24 + 12 + 12


def test_rows_that_wait_for_a_seal_are_hashed_too(ledger):
    row = ledger.write(101)
    assert checked(ledger).waiting == 1
    assert checked(ledger).findings == []
    with cheating(ledger.database) as cheat:
        cheat.execute("update vis.request_logs set cost_nusd = 1 where id = %s", [row.id])
    one = only(checked(ledger), "edited")
    assert (one.log, one.writer_no, one.number, one.row_id) == ("request_logs", 101, row.wseq, row.id)
    assert "before it was sealed" in one.sentence


@pytest.mark.parametrize("extent", ["full", "since", "sample"])
@pytest.mark.parametrize("with_hash", [False, True], ids=["columns alone", "with the hash beside them"])
def test_an_edited_row_is_named_with_its_organisation_log_writer_and_number(ledger, extent, with_hash):
    place = 30
    row_id = ledger.sealed_ids("request_logs")[place]
    with cheating(ledger.database) as cheat:
        cheat.execute("update vis.request_logs set cost_nusd = cost_nusd + 1 where id = %s", [row_id])
        if with_hash:
            cheat.execute("update vis.request_logs set leaf_hash = %s where id = %s", [bytes(32), row_id])
    found = checked(ledger, extent)
    assert kinds(found) == [("edited", "request_logs")]
    one = only(found, "edited")
    ((writer_no, wseq),) = (
        tuple(row.values())
        for row in ledger.query("select writer_no, wseq from vis.request_logs where id = %s", row_id)
    )
    assert (one.writer_no, one.number, one.row_id, one.place) == (writer_no, wseq, row_id, place)
    named = (
        f"organisation default, log request_logs, writer {writer_no}, number {wseq}: row {row_id} was edited"
    )
    assert named in one.sentence
    assert ("changed too" in one.sentence) == with_hash


def test_the_first_of_many_edited_rows_is_named_and_the_others_are_counted(ledger):
    first, *others = sorted([5, 12, 40])
    ids = ledger.sealed_ids("request_logs")
    with cheating(ledger.database) as cheat:
        cheat.execute(
            "update vis.request_logs set memo = 'x' where id = any(%s)",
            [[ids[one] for one in (first, *others)]],
        )
    one = only(checked(ledger), "edited")
    assert (one.row_id, one.place) == (ids[first], first)
    assert one.sentence.endswith("(2 more like this)")


@pytest.mark.parametrize(
    ("log", "change"),
    [
        ("budget_events", "amount_nusd = 1"),
        ("key_events", "actor = 'mallory'"),
        ("admin_events", "source_ip = '10.0.0.1'"),
    ],
)
def test_an_edited_event_is_named_in_each_log(ledger, log, change):
    row_id = ledger.sealed_ids(log)[7]
    with cheating(ledger.database) as cheat:
        cheat.execute(f"update vis.{log} set {change} where id = %s", [row_id])
    found = checked(ledger)
    assert kinds(found) == [("edited", log)]
    one = only(found, "edited")
    assert (one.row_id, one.place) == (row_id, 7)
    if log != "budget_events":
        assert (one.writer_no, one.number) == (None, 8)


@pytest.mark.parametrize("log", ["request_logs", "budget_events", "key_events", "admin_events"])
def test_the_last_ten_rows_deleted_are_missing_by_the_first_of_them(ledger, log):
    ids = ledger.sealed_ids(log)
    at = {one["id"]: one for one in ledger.query(f"select * from vis.{log}")}
    gone = ids[-10:]
    with cheating(ledger.database) as cheat:
        assert cheat.execute(f"delete from vis.{log} where id = any(%s)", [gone]).rowcount == 10
    found = checked(ledger)
    one = only(found, "missing")
    assert (one.log, one.row_id, one.place) == (log, gone[0], len(ids) - 10)
    assert one.sentence.endswith("(9 more like this)")
    row = at[gone[0]]
    number = row["wseq"] if "wseq" in row else row["seq"]
    if log == "budget_events":  # of that seal all rows are gone: their numbers are known, not which was whose
        assert f"number {number} of writer {row['writer_no']}" in one.sentence
    else:
        assert (one.writer_no, one.number) == (row.get("writer_no"), number)
    assert {kind for kind, _ in kinds(found)} <= {"missing", "gap"}


@pytest.mark.parametrize("log", ["request_logs", "budget_events", "key_events", "admin_events"])
def test_one_row_deleted_in_the_middle_is_named_by_its_number(ledger, log):
    row_id = ledger.sealed_ids(log)[6]
    (row,) = ledger.query(f"select * from vis.{log} where id = %s", row_id)
    with cheating(ledger.database) as cheat:
        cheat.execute(f"delete from vis.{log} where id = %s", [row_id])
    found = checked(ledger)
    assert kinds(found) == [("gap", log), ("missing", log)]
    number = row["wseq"] if "wseq" in row else row["seq"]
    for kind in ("gap", "missing"):
        one = only(found, kind)
        assert (one.writer_no, one.number) == (row.get("writer_no"), number)


def test_a_row_deleted_before_it_was_sealed_leaves_a_gap(ledger):
    gone, _ = ledger.write(101), ledger.write(101)
    with cheating(ledger.database) as cheat:
        cheat.execute("delete from vis.request_logs where id = %s", [gone.id])
    found = checked(ledger)
    assert kinds(found) == [("gap", "request_logs")]
    one = only(found, "gap")
    assert (one.writer_no, one.number) == (101, gone.wseq)


def test_a_row_put_between_others_is_named_as_in_no_seal_and_as_doubled(ledger):
    forged = ledger.row(3, 102, created_at=NOON + MINUTE, cost_nusd=7)
    ledger.insert(forged)
    found = checked(ledger)
    assert kinds(found) == [("doubled", "request_logs"), ("inserted", "request_logs")]
    one = only(found, "inserted")
    assert (one.writer_no, one.number, one.row_id) == (102, 3, forged.id)
    assert (only(found, "doubled").writer_no, only(found, "doubled").number) == (102, 3)


def test_rows_of_a_writer_that_never_was_are_named(ledger):
    forged = ledger.row(1, 999)
    ledger.insert(forged)
    found = checked(ledger)
    assert kinds(found) == [("stranger", "request_logs")]
    assert (only(found, "stranger").writer_no, only(found, "stranger").row_id) == (999, forged.id)


def test_two_rows_that_changed_places_are_both_edited(ledger):
    ids = [
        one["id"]
        for one in ledger.query(
            "select id from vis.request_logs where writer_no = 101 order by wseq offset 3 limit 2"
        )
    ]
    with cheating(ledger.database) as cheat:
        cheat.execute(
            "update vis.request_logs set wseq = case id when %s then 5 else 4 end where id = any(%s)",
            [ids[0], ids],
        )
    found = checked(ledger)
    assert kinds(found) == [("edited", "request_logs")]
    assert only(found, "edited").sentence.endswith("(1 more like this)")


def test_a_row_whose_number_was_moved_out_of_sight_is_edited(ledger):
    row_id = ledger.sealed_ids("request_logs")[9]
    with cheating(ledger.database) as cheat:
        cheat.execute("update vis.request_logs set wseq = 4000000000 where id = %s", [row_id])
    assert only(checked(ledger), "edited").row_id == row_id


@pytest.mark.parametrize(
    "change",
    [
        "leaf_hashes = overlay(leaf_hashes placing '\\x00' from 1)",
        "root = sha256(root)",
        "note = replace(note, E'\\nprev ', E'\\nprev A')",
        "note = (select note from vis.seals where seal_no = 2 and log = 'request_logs')",
        "frontier = sha256(frontier)",
        "tree_size = tree_size + 1, leaf_hashes = leaf_hashes || sha256(''), row_ids = row_ids || substr(row_ids, 1, 16)",
    ],
)
def test_a_seal_that_was_changed_is_named(ledger, change):
    with cheating(ledger.database) as cheat:
        cheat.execute(f"update vis.seals set {change} where log = 'request_logs' and seal_no = 4")
    found = checked(ledger)
    one = next(one for one in found.findings if one.kind == "seal")
    assert one.log == "request_logs"
    assert "seal 4" in one.sentence


def test_a_seal_that_was_removed_is_named(ledger):
    with cheating(ledger.database) as cheat:
        cheat.execute("delete from vis.seals where log = 'budget_events' and seal_no = 4")
    found = checked(ledger)
    assert "seal 4 is missing" in only(found, "seal").sentence
    assert only(found, "inserted").log == "budget_events"


def test_the_last_seals_removed_leave_rows_in_no_seal(ledger):
    with cheating(ledger.database) as cheat:
        cheat.execute("delete from vis.seals where log = 'request_logs' and seal_no > 9")
    found = checked(ledger)
    assert ("inserted", "request_logs") in kinds(found)


def test_a_seal_under_another_key_is_named(ledger):
    with cheating(ledger.database) as cheat:
        cheat.execute("update vis.evidence_keys set public = sha256(public) where role = 'log'")
    assert "no key of this organisation" in only_first(checked(ledger), "seal", "request_logs").sentence


def only_first(found, kind, log):
    return next(one for one in found.findings if (one.kind, one.log) == (kind, log))


def test_a_numbering_that_was_changed_is_named(ledger):
    with cheating(ledger.database) as cheat:
        cheat.execute(
            "update vis.scope_runs set row_ids = (select row_ids from vis.scope_runs where project_id = '-' and first_seq = 1)"
            " where project_id = 'LNG' and first_seq = 1"
        )
    found = checked(ledger)
    assert only(found, "numbering").log == "request_logs"


def test_a_run_that_was_removed_is_named(ledger):
    with cheating(ledger.database) as cheat:
        cheat.execute("delete from vis.scope_runs where project_id = 'LNG' and seal_no = 3")
    assert ("numbering", "request_logs") in kinds(checked(ledger))


def test_a_segment_that_says_another_total_is_named(ledger):
    with cheating(ledger.database) as cheat:
        cheat.execute(
            "update vis.scope_segments set header = convert_to(replace(convert_from(header, 'utf8'), '\"count\":8', '\"count\":9'), 'utf8')"
            " where project_id = 'LNG' and segment_no = 2"
        )
    one = only(checked(ledger), "segment")
    assert "project LNG: segment 2" in one.sentence


def test_a_segment_that_was_removed_is_named(ledger):
    with cheating(ledger.database) as cheat:
        cheat.execute("delete from vis.scope_segments where project_id = 'LNG' and segment_no = 2")
    assert "segment" in {kind for kind, _ in kinds(checked(ledger))}


def test_another_organisations_rows_are_neither_read_nor_missed(ledger):
    other = ledger.organisation("other")
    for _ in range(3):
        ledger.write(101, org_id=other)
        ledger.write(101)
        ledger.seal(NOON + 3 * DAY)
    assert checked(ledger).findings == []
    with psycopg.connect(ledger.database.dsn("vis_auditor"), autocommit=True) as connection:
        both = Check(connection, {ledger.org: "default", other: "other"}).full()
        assert [(one.name, one.rows > 0, one.findings) for one in both] == [
            ("default", True, []),
            ("other", True, []),
        ]
    with cheating(ledger.database) as cheat:
        cheat.execute("update vis.request_logs set cost_nusd = 5 where org_id = %s", [other])
    assert checked(ledger).findings == []


def test_rows_sealed_in_small_steps_by_many_writers_are_whole(ledger):
    for n in range(60):
        ledger.write(101 + n % 3, created_at=NOON + 3 * DAY + n % 7 * MINUTE, project_id=f"P{n % 4}")
    assert ledger.seal_all(NOON + 4 * DAY, at_once=7) > 3
    ledger.seal(NOON + 5 * DAY)
    assert checked(ledger).findings == []
    assert checked(ledger, "sample").findings == []
    assert checked(ledger, "since").findings == []
