"""What each judge says of one member of a population: well, why not, or nothing (S3)."""

from datetime import UTC, datetime, timedelta

import pytest

from visionality.core.control import Judged
from visionality.core.period import month
from visionality.evidence.controls import COLLECTORS
from visionality.evidence.controls._core import Asked
from visionality.evidence.controls.change import KINDS
from visionality.web.seats.audit_kinds import ADMIN_KINDS

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ASKED = Asked(month("2026-11"), NOW)
AFTERWARDS = Asked(month("2026-11"), NOW + timedelta(days=60))
UNJUDGED = None

KEY = {"has_person": True, "is_capped": True, "level": 0, "floor": 0, "is_live": True, "lives_days": 90}
SECRET = {"is_sealed": True, "age_days": 90, "lives_days": None}
LEAVER = {"calls_after": 0, "actor_is_said": True}
ACCESS = {"kind": "member_roles_set", "actor_is_said": True, "is_own": False}
CHECK = {"checked_at": "2026-11-22T11:50:00.000000Z", "since": "2026-10-01T00:00:00.000000Z", "findings": 0}
ALERT = {"made_at": "2026-11-22T10:00:00.000000Z", "seen_at": None, "given_up": 0}
CHANGE = {"author_is_said": True, "is_approved": False, "is_self_approved": False}

CASES = [
    ("CC6.1", "key", KEY, ""),
    ("CC6.1", "key", KEY | {"has_person": False}, "bound to no person"),
    ("CC6.1", "key", KEY | {"lives_days": 91}, "lives 91 days, expected 90"),
    ("CC6.1", "key", KEY | {"floor": 3}, "made at level 0, the floor is 3"),
    ("CC6.1", "key", KEY | {"floor": 3, "is_live": False}, ""),
    (
        "CC6.1",
        "member",
        {"is_operator": True, "has_second_factor": False, "has_subject": False},
        "neither a second",
    ),
    ("CC6.1", "member", {"is_operator": True, "has_second_factor": True, "has_subject": False}, ""),
    ("CC6.1", "member", {"is_operator": True, "has_second_factor": False, "has_subject": True}, ""),
    ("CC6.1", "member", {"is_operator": False, "has_second_factor": False, "has_subject": False}, ""),
    ("CC6.1", "service token", SECRET | {"lives_days": 366}, ""),
    ("CC6.1", "service token", SECRET, "never ends"),
    ("CC6.1", "signing key", SECRET, ""),
    ("CC6.1", "signing key", SECRET | {"age_days": 91}, "91 days old, expected 90"),
    ("CC6.1", "binding key", SECRET | {"is_sealed": False}, "not sealed"),
    ("CC6.1", "provider key", SECRET | {"age_days": 4000}, ""),
    ("CC6.1", "provider key", SECRET | {"is_sealed": False}, "not sealed"),
    ("CC6.1", "organisation key", SECRET, UNJUDGED),
    ("CC6.1", "organisation key", SECRET | {"is_sealed": False}, "not wrapped"),
    ("CC6.2/6.3", "leaver", LEAVER, ""),
    ("CC6.2/6.3", "leaver", LEAVER | {"calls_after": 2}, "ended: 2"),
    ("CC6.2/6.3", "leaver", LEAVER | {"actor_is_said": False}, "names nobody"),
    ("CC6.2/6.3", "change of access", ACCESS, UNJUDGED),
    ("CC6.2/6.3", "change of access", ACCESS | {"is_own": True}, "changed their own roles"),
    ("CC6.2/6.3", "change of access", ACCESS | {"is_own": True, "kind": "member_joined"}, UNJUDGED),
    ("CC6.2/6.3", "change of access", ACCESS | {"actor_is_said": False}, "names nobody"),
    ("CC6.6/6.7", "provider", {"host": "api.anthropic.com", "is_encrypted": True}, ""),
    ("CC6.6/6.7", "provider", {"host": "models.example:8443", "is_encrypted": False}, "not encrypted"),
    ("CC6.6/6.7", "provider", {"host": "localhost.example.com", "is_encrypted": False}, "not encrypted"),
    ("CC6.6/6.7", "provider", {"host": "127.0.0.1:9000", "is_encrypted": False}, ""),
    ("CC6.6/6.7", "connector", {"host": "[::1]:9000", "is_encrypted": False}, ""),
    ("CC6.6/6.7", "connector", {"host": "localhost", "is_encrypted": False}, ""),
    ("CC6.6/6.7", "alert webhook", {"host": "169.254.169.254", "is_encrypted": True}, "metadata service"),
    ("CC6.6/6.7", "alert webhook", {"host": None, "is_encrypted": True}, "names no server"),
    ("CC6.6/6.7", "sign-on", {"host": "login.example.com", "is_encrypted": True}, ""),
    ("CC7.1/7.2", "append-only check", CHECK, ""),
    ("CC7.1/7.2", "append-only check", CHECK | {"findings": 1}, "ways to change history at"),
    ("CC7.1/7.2", "append-only check", CHECK | {"checked_at": "2026-11-22T11:40:00.000000Z"}, "silent since"),
    (
        "CC7.1/7.2",
        "way to change history",
        {"found_at": "2026-11-03T00:00:00.000000Z"},
        "could change history",
    ),
    ("CC7.3/7.4", "alert", ALERT, UNJUDGED),
    ("CC7.3/7.4", "alert", ALERT | {"seen_at": "2026-11-22T11:00:00.000000Z"}, ""),
    (
        "CC7.3/7.4",
        "alert",
        ALERT | {"made_at": "2026-11-19T11:00:00.000000Z"},
        "waits for 73 hours, expected 72",
    ),
    (
        "CC7.3/7.4",
        "alert",
        ALERT | {"made_at": "2026-11-01T00:00:00.000000Z", "seen_at": "2026-11-05T00:00:00.000000Z"},
        "seen to after 96 hours",
    ),
    ("CC7.3/7.4", "alert", ALERT | {"given_up": 1}, "deliveries given up: 1"),
    ("CC7.3/7.4", "shut off", {"actor_is_said": True, "reason_is_said": True}, ""),
    ("CC7.3/7.4", "shut off", {"actor_is_said": True, "reason_is_said": False}, "no reason was given"),
    ("CC8.1", "change", CHANGE, UNJUDGED),
    ("CC8.1", "change", CHANGE | {"is_approved": True}, ""),
    ("CC8.1", "change", CHANGE | {"is_approved": True, "is_self_approved": True}, "approved it"),
    ("CC8.1", "change", CHANGE | {"author_is_said": False}, "no author"),
    ("CC8.1", "decision", {"is_recorded": True, "made_at": "x"}, ""),
    ("CC8.1", "decision", {"is_recorded": False, "made_at": "x"}, "the audit log has nothing of it"),
    ("CC8.1", "migration", {"applied_at": "x"}, UNJUDGED),
]


def judged(control: str, rows: list, asked: Asked = ASKED) -> Judged:
    (collector,) = (one for one in COLLECTORS if one.control == control)
    return collector.judge(rows, asked)


@pytest.mark.parametrize(("control", "kind", "facts", "said"), CASES)
def test_one_member_is_judged(control, kind, facts, said):
    found = judged(control, [{"kind": kind, "id": "1", "facts": facts}])
    assert found.population == 1
    assert found.passed == (said == "")
    if said:
        ((subject, detail),) = ((one.subject, one.detail) for one in found.exceptions)
        assert subject == f"{kind} 1"
        assert said in detail
    else:
        assert found.exceptions == []


HEADS = {"kind": "switched on", "id": "x", "facts": {"has_soft_cap": True, "has_heads": True}}


@pytest.mark.parametrize(
    ("newest_row_at", "is_sealed", "passed", "failed"),
    [
        ("2026-11-22T10:00:00.000000Z", True, 1, 0),
        ("2026-11-22T11:59:00.000000Z", False, 0, 0),
        ("2026-11-22T10:00:02.000000Z", False, 0, 1),
    ],
)
def test_a_log_must_be_sealed_up_to_its_newest_row(newest_row_at, is_sealed, passed, failed):
    log = {"newest_row_at": newest_row_at, "is_sealed": is_sealed}
    found = judged("CC7.1/7.2", [{"kind": "log", "id": "request_logs", "facts": log}, HEADS])
    assert (found.population, found.passed, len(found.exceptions)) == (1, passed, failed)


def test_logs_without_any_head_are_judged_by_nothing():
    log = {"newest_row_at": "2026-11-01T00:00:00Z", "is_sealed": False}
    found = judged("CC7.1/7.2", [{"kind": "log", "id": "x", "facts": log}])
    assert (found.population, found.passed, found.exceptions) == (1, 0, [])
    assert {"Sealing of the logs"} <= {one.name for one in found.mechanisms if not one.operating}


def test_a_result_that_began_after_the_period_says_nothing_of_it():
    row = {"kind": "append-only check", "id": "x", "facts": CHECK | {"since": "2026-12-02T00:00:00.000000Z"}}
    assert judged("CC7.1/7.2", [row], AFTERWARDS).passed == 0
    assert judged("CC7.1/7.2", [row], AFTERWARDS).exceptions == []


@pytest.mark.parametrize("collector", COLLECTORS, ids=lambda one: one.control)
def test_no_control_can_be_satisfied_while_something_it_asks_for_is_not_built(collector):
    everything = dict.fromkeys(("has_sign_on", "has_soft_cap", "has_channel", "has_heads"), True)
    found = collector.judge([{"kind": "switched on", "id": "x", "facts": everything}], ASKED)
    assert any(one.reason.startswith("not built: ") for one in found.mechanisms)
    assert all(
        one.reason.startswith(("not built", "not switched on")) for one in found.mechanisms if one.reason
    )


NO_CHANGE = {
    *("access_revoked", "alert_acknowledged", "connector_sync_asked", "correction_ordered", "demo_loaded"),
    *("figure_signed", "evidence_pack_made", "evidence_pack_taken", "signed_in", "password_link_made"),
    *("member_invited", "member_joined", "member_removed", "member_roles_set", "member_session_ended"),
    *("member_sessions_ended", "invitation_withdrawn", "organisation_added"),
    *("agent_added", "customer_added", "person_added", "project_added", "team_added"),
}
"""Acts that CC8.1 does not ask about: what people do day by day, names, and who may enter, which is CC6.2's."""


def test_every_kind_of_act_is_a_change_or_is_said_to_be_none():
    exports = {kind for kind in ADMIN_KINDS if kind.endswith("_exported")}
    assert set(KINDS) <= set(ADMIN_KINDS)
    assert set(ADMIN_KINDS) - exports - set(KINDS) == NO_CHANGE
