"""What a platform of evidence pulls with a token that may do nothing else (S6)."""

import json
from datetime import timedelta
from hashlib import sha256

import pytest

from ledger.rows import insert, smallest
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from web.packs import ENVELOPE, handed_out
from web.programs import is_problem, program_of, told_of_itself

NOW = utc_now()


@pytest.fixture
def platform(office):
    told_of_itself(office.plane)
    return program_of(office, "read:evidence")


def self_approved(office, count):
    """Floors that whoever asked for them lowered: exceptions of CC8.1."""
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        for seq in range(1, count + 1):
            row = smallest("admin_events", office.org_id, NOW) | {"seq": seq, "kind": "floor_lowered"}
            insert(connection, "admin_events", row | {"detail": '{"requested_by": "somebody"}'})


def test_six_controls_with_stable_names_and_none_passing_that_does_not_operate(platform):
    found = platform.send("GET", "evidence/controls").content["items"]
    assert {one["id"] for one in found} == {
        "CC6.1",
        "CC6.2-6.3",
        "CC6.6-6.7",
        "CC7.1-7.2",
        "CC7.3-7.4",
        "CC8.1",
    }
    for one in found:
        assert one["passing"] is False
        assert [each["reason"] for each in one["mechanisms"] if not each["operating"]]
        assert one["supports"]["NIST CSF 2.0"]


def test_the_pages_of_exceptions_have_each_once(office, platform):
    self_approved(office, 5)
    (one,) = [
        one for one in platform.send("GET", "evidence/controls").content["items"] if one["id"] == "CC8.1"
    ]
    assert (one["status"], one["fail_count"], one["passed"]) == ("not_satisfied", 5, 0)
    path, seen = "evidence/controls/CC8.1/exceptions?limit=2", []
    while path:
        reply = platform.send("GET", path)
        seen += [each["subject"] for each in reply.content["items"]]
        path = (reply.content["next"] or "").removeprefix("/api/v1/")
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen)


def test_what_did_not_change_is_answered_without_a_body(office, platform):
    path = "evidence/controls?first=2026-01-01&last=2026-01-31"
    first = platform.send("GET", path)
    again = platform.send("GET", path, if_none_match=first.headers["etag"])
    assert (again.status, again.content) == (304, None)
    assert again.headers["etag"] == first.headers["etag"]


def test_packs_are_listed_newest_first_and_had_byte_for_byte(office, platform):
    ids = [handed_out(office, made_at=NOW - timedelta(minutes=number)) for number in range(3)]
    large = handed_out(office, made_at=NOW - timedelta(days=1), envelope=None)
    path, seen = "evidence/packs?limit=2", []
    while path:
        reply = platform.send("GET", path)
        seen += reply.content["items"]
        path = (reply.content["next"] or "").removeprefix("/api/v1/")
    assert [one["pack_id"] for one in seen] == [str(one) for one in (*ids, large)]
    assert seen[0]["fingerprint"] == sha256(b"{}").hexdigest()
    assert platform.send("GET", f"evidence/packs/{ids[0]}").content == seen[0]
    envelope = platform.send("GET", f"evidence/packs/{ids[0]}/envelope")
    assert envelope.content == json.loads(ENVELOPE)
    assert int(envelope.headers["content-length"]) == len(ENVELOPE)
    assert seen[3]["is_kept"] is False
    assert (
        "too large to be kept"
        in is_problem(platform.send("GET", f"evidence/packs/{large}/envelope"), 404)["detail"]
    )


def test_another_organisation_sees_no_pack_and_no_exception(office, new_office, platform):
    pack_id = handed_out(office)
    self_approved(office, 1)
    other = program_of(new_office(), "read:evidence")
    assert other.send("GET", "evidence/packs").content["items"] == []
    assert other.send("GET", "evidence/controls/CC8.1/exceptions").content["items"] == []
    assert is_problem(other.send("GET", f"evidence/packs/{pack_id}"), 404)
    assert is_problem(other.send("GET", f"evidence/packs/{pack_id}/envelope"), 404)


def test_a_token_for_evidence_reads_nothing_else_and_no_other_token_reads_evidence(office, platform):
    for path in ("rows", "admin-events", "keys", "alerts"):
        is_problem(platform.send("GET", path), 403)
    others = program_of(office, "read:audit", "read:ledger", "write:policy")
    for path in (
        "controls",
        "controls/CC6.1/exceptions",
        "packs",
        f"packs/{uuid7()}/envelope",
        "heads",
        "keys",
    ):
        is_problem(others.send("GET", f"evidence/{path}"), 403)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("evidence/controls/CC9.9/exceptions", 404),
        ("evidence/controls/CC6.2%2F6.3/exceptions", 404),
        ("evidence/controls?first=2026-11-01", 422),
        ("evidence/controls?first=2026-11-02&last=2026-11-01", 422),
        ("evidence/controls?first=2020-01-01&last=2026-11-01", 422),
        ("evidence/packs?after=nonsense", 422),
        ("evidence/packs/nonsense", 404),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(platform, path, status):
    assert is_problem(platform.send("GET", path), status)["detail"]


def test_heads_and_keys_are_there_for_who_verifies(office, platform):
    assert platform.send("GET", "evidence/heads").content == {"items": []}
    keys = platform.send("GET", "evidence/keys").content
    assert keys["type"] == "visionality verification keys"
    assert keys["org"]["id"] == str(office.org_id)
