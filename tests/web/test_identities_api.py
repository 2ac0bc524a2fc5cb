"""Programs read and replace the identity table under a service token, all or nothing, and only their own (A4, S8)."""

from datetime import timedelta

import pytest

from visionality.core.handle import checksum
from visionality.core.identity_table import COLUMNS
from visionality.core.service_token import from_entropy, organisation_of
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from web.programs import PATH, Program, is_problem, program_of

ALICE = {"agent_sub": "alice@arctrade", "owner": "Alice K."}
TOMORROW = f"{utc_now() + timedelta(days=1):%Y-%m-%d}"
YESTERDAY = f"{utc_now() - timedelta(days=1):%Y-%m-%d}"


@pytest.fixture
def program(office) -> Program:
    return program_of(office)


def test_what_is_put_is_what_is_read(program):
    wanted = ALICE | {"sso_sub": "00u-alice", "team": "desk", "cost_center": "CC-1", "gl_code": "6100"}
    reply = program.put([wanted])
    assert reply.status == 200
    assert (reply.content["dry_run"], reply.content["agents"]) == (False, 1)
    assert [one["words"] for one in reply.content["changes"]] == [
        "team desk",
        "person 00u-alice",
        "agent alice@arctrade: owner Alice K., person 00u-alice, team desk, cost center CC-1, GL code 6100",
    ]
    assert program.get().content == {"items": [wanted], "next": None}
    again = program.put([wanted])
    assert (again.content["agents"], again.content["changes"]) == (0, [])
    found = program.get(f"{PATH}/alice@arctrade")
    assert "set-cookie" not in found.headers
    (period,) = found.content.pop("periods")
    assert found.content == wanted
    assert (period["owner"], period["team"], period["gl_code"]) == ("Alice K.", "desk", "6100")


def test_a_csv_says_the_same_as_the_command(program):
    reply = program.put_csv(",".join(COLUMNS) + "\nderek@arctrade,Derek M.,,desk,,\n")
    assert reply.status == 200
    assert program.get().content["items"][0]["team"] == "desk"


def test_a_dry_run_shows_the_changes_and_makes_none(program):
    reply = program.put([ALICE], "?dry_run=1")
    assert (reply.status, reply.content["dry_run"]) == (200, True)
    assert reply.content["changes"] == [{"kind": "added", "words": "agent alice@arctrade: owner Alice K."}]
    assert program.get().content["items"] == []


def test_a_change_holds_from_its_day_on_and_never_from_a_past_one(program):
    program.put([ALICE])
    program.put([ALICE | {"owner": "A. Kay"}], f"?from={TOMORROW}")
    assert program.get().content["items"][0]["owner"] == "Alice K."
    assert program.get(f"{PATH}?at={TOMORROW}").content["items"][0]["owner"] == "A. Kay"
    periods = program.get(f"{PATH}/alice@arctrade").content["periods"]
    assert [one["owner"] for one in periods] == ["Alice K.", "A. Kay"]
    assert periods[1]["valid_from"].startswith(TOMORROW)
    problem = is_problem(program.put([ALICE | {"owner": "B"}], f"?from={YESTERDAY}"), 422)
    assert problem["errors"][0]["field"] == "from"


def test_a_list_with_mistakes_is_refused_whole_with_every_item_and_field(program):
    items = [
        ALICE,
        {"agent_sub": "bad one", "owner": ""},
        {**ALICE, "owner": "Again"},
        "x",
        {"agent_sub": "b@x", "owner": "B", "colour": "red"},
        {"agent_sub": "c@x", "owner": 7},
        {},
    ]
    problem = is_problem(program.put(items), 422)
    assert [(one["item"], one.get("field")) for one in problem["errors"]] == [
        (2, "agent_sub"),
        (2, "owner"),
        (3, "agent_sub"),
        (4, None),
        (5, "colour"),
        (6, "owner"),
        (7, "agent_sub"),
        (7, "owner"),
    ]
    assert problem["errors"][2]["detail"] == "alice@arctrade stands twice: first in item 1"
    assert program.get().content["items"] == []


def test_a_csv_with_mistakes_is_refused_whole_with_every_line_and_field(program):
    text = ",".join(COLUMNS) + "\nalice@arctrade,Alice K.,,,,\nbad one,X,,,,\nshort\n"
    problem = is_problem(program.put_csv(text), 422)
    assert [(one["line"], one.get("field")) for one in problem["errors"]] == [(3, "agent_sub"), (4, None)]
    assert program.get().content["items"] == []


def test_so_many_mistakes_that_nobody_reads_them_are_counted_and_not_all_listed(program):
    body = b"[" + b"1," * 1000 + b"1]"
    problem = is_problem(program.ask("PUT", PATH, body, content_type="application/json"), 422)
    assert "1001 mistakes" in problem["detail"]
    assert "the first 1000 are listed" in problem["detail"]
    assert len(problem["errors"]) == 1000


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"7", b"\xff", b'"\xff"', b"[" * 100_000])
def test_what_is_no_list_is_refused(program, body):
    is_problem(program.ask("PUT", PATH, body, content_type="application/json"), 422)


def test_teams_and_people_are_made_only_where_that_is_asked_for(program):
    wanted = [ALICE | {"team": "desk", "sso_sub": "00u-alice"}]
    problem = is_problem(program.put(wanted, ""), 422)
    assert problem["errors"] == [
        {"field": "team", "detail": "there is no team desk"},
        {"field": "sso_sub", "detail": "there is no person 00u-alice"},
    ]
    assert program.get().content["items"] == []
    assert program.put(wanted).status == 200
    assert program.put(wanted, "").status == 200


def test_pages_follow_each_other_without_gap_or_repeat(program):
    subs = [f"bot-{number:02}@x" for number in range(7)]
    program.put([{"agent_sub": sub, "owner": "Bot"} for sub in reversed(subs)])
    seen, path = [], f"{PATH}?limit=3"
    while path:
        reply = program.get(path)
        seen.append([one["agent_sub"] for one in reply.content["items"]])
        path = reply.content["next"]
    assert seen == [subs[:3], subs[3:6], subs[6:]]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "limit=9999999", "at=today", "after=%00"]
)
def test_a_query_that_cannot_be_is_refused_by_its_field(program, query):
    problem = is_problem(program.get(f"{PATH}?{query}"), 422)
    assert problem["errors"][0]["field"] == query.partition("=")[0]


def test_an_agent_that_is_not_there_is_not_there(program):
    for sub in ("nobody@x", "no%00body@x", "%FF"):
        is_problem(program.get(f"{PATH}/{sub}"), 404)


def test_without_a_live_token_nothing_is_told(office, program):
    other = uuid7()
    unknown = from_entropy(office.org_id, bytes(32))
    expired = program_of(office, days=5)
    for token in (
        "",
        "visa_",
        "x" * 65,
        unknown,
        from_entropy(other, bytes(32)),
        program.token[:-1] + "!",
        expired.token,
    ):
        problem = Program(office, "", token).get()
        is_problem(problem, 401)
        assert problem.headers["www-authenticate"] == 'Bearer realm="visionality"'
    assert "expired" in expired.get().content["detail"]
    assert program.ask("GET", authorization="Basic eDp5").status == 401
    assert office.browser.get(PATH).status == 401  # a session of the pages is no token


def test_a_token_that_was_revoked_ends_at_once(office, program):
    assert program.get().status == 200
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        connection.execute(
            "update vis_control.service_token set revoked_at = now() where id = %s", [program.token_id]
        )
    assert "revoked" in is_problem(program.get(), 401)["detail"]


def test_a_token_does_no_more_than_its_scope(office):
    reader = program_of(office, "identities:read")
    assert reader.get().status == 200
    assert "identities:write" in is_problem(reader.put([ALICE]), 403)["detail"]
    assert reader.get().content["items"] == []


def test_another_organisations_token_sees_and_changes_nothing_of_ours(new_office):
    ours, theirs = program_of(new_office()), program_of(new_office())
    ours.put([ALICE])
    assert theirs.get().content["items"] == []
    is_problem(theirs.get(f"{PATH}/alice@arctrade"), 404)
    theirs.put([ALICE | {"owner": "Mallory"}])
    assert ours.get().content["items"][0]["owner"] == "Alice K."
    secret = theirs.token[5 + 22 : -6]
    forged = ours.token[: 5 + 22] + secret
    is_problem(Program(ours.office, "", forged + checksum(forged)).get(), 401)


def test_each_act_names_the_token_that_did_it(office, program):
    program.put([ALICE])
    with office.plane.database.as_role("vis_auditor") as connection:
        acts = connection.execute(
            "select actor from vis.admin_events where org_id = %s and kind in ('agent_added', 'identity_set')",
            [office.org_id],
        ).fetchall()
        keys = connection.execute(
            "select kind, key_id::text from vis.key_events where org_id = %s", [office.org_id]
        ).fetchall()
    assert set(acts) == {(f"service-token:{program.token_id}",)}
    assert keys == [("service_token_issued", program.token_id)]


def test_only_a_keyed_hash_of_a_token_is_kept(office, program):
    assert organisation_of(program.token) == office.org_id
    secret = program.token[5 + 22 + 4 : -6]
    with office.plane.database.as_role("vis_super") as connection:
        (row,) = connection.execute(
            "select to_jsonb(t)::text from vis_control.service_token t where id = %s", [program.token_id]
        ).fetchone()
    assert secret not in row
    assert program.token[:31] in row


def test_methods_formats_and_sizes_that_are_not_taken_are_named(program):
    reply = program.ask("DELETE")
    is_problem(reply, 405)
    assert reply.headers["allow"] == "GET, HEAD, PUT"
    is_problem(program.ask("PUT", f"{PATH}/alice@arctrade", b"{}", content_type="application/json"), 405)
    is_problem(program.ask("PUT", PATH, b"x", content_type="application/yaml"), 415)
    is_problem(program.ask("PUT", PATH, b" " * (2**20 + 1), content_type="application/json"), 413)
