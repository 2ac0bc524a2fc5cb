"""The six controls over a real database (S3): whole populations, nobody else's, and never passed for what is not there."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from conftest import Database
from contracts.control import insert_all
from evidence.sealed import NOON
from ledger.rows import insert, smallest
from visionality.core.control import Control
from visionality.core.period import Period, month
from visionality.evidence.controls import NotScoped, collect
from visionality.runtime.ids import uuid7

NOVEMBER = month("2026-11")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
THEN = NOW - timedelta(days=3)


def controls_of(
    database: Database, org_id: UUID, period: Period = NOVEMBER, role: str = "vis_reader"
) -> dict[str, Control]:
    with database.as_role(role, org_id) as connection:
        return {one.control: one for one in collect(connection, org_id, period, NOW)}


def an_event(database: Database, org_id: UUID, table: str, **columns: object) -> UUID:
    row = smallest(table, org_id, THEN) | columns
    with database.as_role("vis_web", org_id) as connection:
        insert(connection, table, row)
    assert isinstance(row["id"], UUID)
    return row["id"]


def test_an_empty_organisation_has_six_controls_and_none_that_passes(database, org):
    found = controls_of(database, org)
    assert list(found) == ["CC6.1", "CC6.2/6.3", "CC6.6/6.7", "CC7.1/7.2", "CC7.3/7.4", "CC8.1"]
    assert {one.status for one in found.values()} == {"not_operating"}
    for one in found.values():
        assert not one.exceptions
        assert [each.reason for each in one.mechanisms if not each.operating]


def test_whole_populations_are_judged_and_nobody_elses(database, org):
    ours, theirs = uuid7(), uuid7()
    with database.as_role("vis_jobs") as connection:
        for org_id, slug in ((ours, "arctrade"), (theirs, "rival")):
            insert_all(connection, org_id, slug)
    database.run(
        f"update vis_control.agent_identity set person_id = null where org_id = '{theirs}'",
        f"update vis_control.provider_credential set base_url = 'http://models.example' where org_id = '{theirs}'",
    )
    mine, other = controls_of(database, ours), controls_of(database, theirs)
    assert len(mine["CC6.1"].exceptions) == len(other["CC6.1"].exceptions)
    assert "its agent is bound to no person" not in str(mine["CC6.1"].exceptions)
    assert "its agent is bound to no person" in str(other["CC6.1"].exceptions)
    assert mine["CC6.6/6.7"].exceptions == []
    assert [one.detail for one in other["CC6.6/6.7"].exceptions] == ["what is sent there is not encrypted"]
    assert not {one.subject for one in mine["CC6.1"].exceptions} & {
        one.subject for one in other["CC6.1"].exceptions
    }
    assert mine["CC6.1"].population == 6  # a key and five kinds of secrets
    assert controls_of(database, ours, role="vis_auditor") == mine


def test_the_same_question_gives_the_same_digest_until_something_changes(database):
    ours = uuid7()
    with database.as_role("vis_jobs") as connection:
        insert_all(connection, ours, "arctrade")
    first, second = controls_of(database, ours), controls_of(database, ours)
    assert first == second
    database.run(f"update vis_control.virtual_key set level = 1 where org_id = '{ours}'")
    changed = controls_of(database, ours)
    assert changed["CC6.1"].rows_sha256 != first["CC6.1"].rows_sha256
    assert changed["CC8.1"] == first["CC8.1"]


def test_a_call_that_was_served_after_its_persons_end_is_an_exception(database):
    ours = uuid7()
    with database.as_role("vis_jobs") as connection:
        rows = insert_all(connection, ours, "arctrade")
    person, key = rows["person"]["id"], rows["virtual_key"]["id"]
    event = an_event(
        database, ours, "key_events", kind="person_revoked", key_id=person, subject="alice@arctrade"
    )
    with database.as_role("vis_writer") as connection:
        for minutes, latency_ms in ((-5, 10), (4, 10), (6, 120_000), (7, 10)):
            call = smallest("request_logs", ours, THEN + timedelta(minutes=minutes))
            insert(
                connection,
                "request_logs",
                call | {"agent_sub": "agent@arctrade", "key_id": key, "latency_ms": latency_ms},
            )
    (found,) = controls_of(database, ours)["CC6.2/6.3"].exceptions
    assert found.subject == f"leaver {event}"
    assert found.detail == "calls served more than five minutes after access had ended: 1"


def test_a_member_who_raises_themselves_is_an_exception(database, org):
    detail = '{"member": "eve@arctrade.example", "roles": "operator"}'
    event = an_event(
        database, org, "admin_events", kind="member_roles_set", actor="eve@arctrade.example", detail=detail
    )
    an_event(
        database,
        org,
        "admin_events",
        seq=2,
        kind="member_roles_set",
        actor="olga@arctrade.example",
        detail=detail,
    )
    found = controls_of(database, org)["CC6.2/6.3"]
    assert [one.subject for one in found.exceptions] == [f"change of access {event}"]
    assert (found.population, found.passed, found.not_judged) == (2, 0, 1)
    assert found.status == "not_satisfied"


def test_an_alert_that_nobody_saw_to_is_an_exception_after_three_days(database, org):
    said = "org_id, alert_id, created_at, kind, subject_id, mark, scope, title, body, detail"
    for number, made in enumerate((NOW - timedelta(hours=71), NOW - timedelta(hours=73))):
        database.run(
            f"insert into vis.alerts ({said}) values ('{org}', gen_random_uuid(), '{made.isoformat()}', 'burn', "
            f"gen_random_uuid(), {number}, 'org', 't', 'b', '{{}}')"
        )
    found = controls_of(database, org)["CC7.3/7.4"]
    assert (found.population, found.passed, len(found.exceptions)) == (2, 0, 1)
    assert "waits for 73 hours" in found.exceptions[0].detail


def test_a_price_that_was_put_in_behind_the_audit_log_is_an_exception(database):
    ours = uuid7()
    with database.as_role("vis_jobs") as connection:
        insert_all(connection, ours, "arctrade")
    in_january = controls_of(database, ours, month("2026-01"))["CC8.1"]
    assert "decision price_set 1" in {one.subject for one in in_january.exceptions}
    assert "the audit log has nothing of it" in in_january.exceptions[0].detail
    an_event(database, ours, "admin_events", kind="price_set", actor="cli:olga", detail='{"version": "1"}')
    after = controls_of(database, ours, month("2026-01"))["CC8.1"]
    assert "decision price_set 1" not in {one.subject for one in after.exceptions}


def test_whoever_approves_their_own_lower_floor_is_an_exception(database, org):
    asked = '{"requested_by": "cli:olga", "request_id": "1"}'
    event = an_event(database, org, "admin_events", kind="floor_lowered", actor="cli:olga", detail=asked)
    an_event(database, org, "admin_events", seq=2, kind="floor_lowered", actor="cli:derek", detail=asked)
    an_event(database, org, "admin_events", seq=3, kind="markup_set", actor="cli:olga", detail="{}")
    found = controls_of(database, org)["CC8.1"]
    assert (found.population, found.passed) == (3, 1)
    assert [(one.subject, one.detail) for one in found.exceptions] == [
        (f"change {event}", "whoever asked for it approved it")
    ]


def test_a_transaction_that_named_no_organisation_judges_nothing(database, org):
    with (
        database.as_role("vis_auditor") as connection,
        pytest.raises(NotScoped, match="must name the organisation"),
    ):
        collect(connection, org, NOVEMBER, NOW)
    with database.as_role("vis_reader", uuid7()) as connection, pytest.raises(NotScoped):
        collect(connection, org, NOVEMBER, NOW)


@pytest.mark.parametrize(
    "view", ["access_keys_v1", "access_members_v1", "kept_secrets_v1", "destinations_v1", "decided_v1"]
)
def test_a_reader_sees_no_organisation_but_the_named_one(database, view):
    ours, theirs = uuid7(), uuid7()
    with database.as_role("vis_jobs") as connection:
        for org_id, slug in ((ours, "arctrade"), (theirs, "rival")):
            insert_all(connection, org_id, slug)
    with database.as_role("vis_reader", ours) as connection:
        assert {row[0] for row in connection.execute(f"select org_id from vis.{view}")} <= {ours}
    with database.as_role("vis_reader") as connection:
        assert connection.execute(f"select 1 from vis.{view}").fetchall() == []


def test_a_reader_sees_neither_the_words_of_an_alert_nor_where_it_went(database, org):
    for column in ("title", "body", "detail"):
        with (
            database.as_role("vis_reader", org) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            connection.execute(f"select {column} from vis.alerts")


def test_a_row_that_nobody_sealed_is_an_exception_and_one_that_was_sealed_is_well(installation):
    def monitoring(now: datetime) -> Control:
        with installation.database.as_role("vis_reader", installation.org) as connection:
            return {one.control: one for one in collect(connection, installation.org, NOVEMBER, now)}[
                "CC7.1/7.2"
            ]

    def sealing(found: Control) -> bool:
        return next(one.operating for one in found.mechanisms if one.name == "Sealing of the logs")

    installation.write()
    hour = timedelta(hours=1)
    before = monitoring(NOON + hour)
    assert (sealing(before), before.passed, before.exceptions) == (False, 0, [])
    installation.seal_all()
    after = monitoring(NOON + hour)
    assert (sealing(after), after.passed, after.exceptions) == (True, 1, [])
    installation.write(created_at=NOON + hour)
    (found,) = monitoring(NOON + 2 * hour).exceptions
    assert found.subject == "log request_logs"
    assert "is not sealed" in found.detail
    assert monitoring(NOON + hour + timedelta(minutes=1)).exceptions == []


def test_a_live_key_under_no_hard_cap_switches_the_caps_off(database):
    ours = uuid7()
    with database.as_role("vis_jobs") as connection:
        insert_all(connection, ours, "arctrade")

    def why_not() -> str:
        return next(
            one.reason for one in controls_of(database, ours)["CC6.1"].mechanisms if "caps" in one.name
        )

    assert why_not() == ""
    for change in ("hard = false", "hard = true, retired_at = now()"):
        database.run(f"update vis_control.budget set {change} where org_id = '{ours}'")
        assert why_not() == "not switched on for all: live keys under no hard cap: 1"
    database.run(
        f"update vis_control.budget set retired_at = null, scope_kind = 'agent', scope_value = '*' where org_id = '{ours}'"
    )
    assert why_not() == ""


def test_a_key_of_somebody_who_left_is_over(database):
    ours = uuid7()
    with database.as_role("vis_jobs") as connection:
        insert_all(connection, ours, "arctrade")
    database.run(f"update vis_control.organisation set level_floor = 3 where id = '{ours}'")
    assert "the floor is 3" in str(controls_of(database, ours)["CC6.1"].exceptions)
    database.run(f"update vis_control.person set epoch = 2 where org_id = '{ours}'")
    assert "the floor is 3" not in str(controls_of(database, ours)["CC6.1"].exceptions)
