"""What holds for the whole API: exact money, pages without gap or repeat, ETags, writes that are done once, and refusals."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from uuid import UUID

import pytest
from psycopg.errors import InsufficientPrivilege

from visionality.runtime.ids import uuid7
from web.programs import ROOT, Program, full_program, is_problem, program_of, told_of_itself
from web.rows import call, refused

WHY = {"reason": "a test"}


@pytest.fixture
def program(office) -> Program:
    return full_program(office)


@pytest.fixture
def with_names(program) -> Program:
    program.send("POST", "customers", {"key": "acme"})
    assert program.send("POST", "projects", {"key": "HPC", "customer": "acme"}).status == 201
    assert (
        program.ask("PUT", f"{ROOT}identities?create=1", ALICE, content_type="application/json").status == 200
    )
    return program


ALICE = json.dumps([{"agent_sub": "alice@arctrade", "owner": "Alice K.", "sso_sub": "00u-alice"}]).encode()


def kinds_of_acts(office) -> list[str]:
    with office.plane.database.as_role("vis_auditor") as connection:
        return [
            kind
            for (kind,) in connection.execute(
                "select kind from vis.admin_events where org_id = %s and kind <> 'signed_in' order by seq",
                [office.org_id],
            )
        ]


def test_the_openapi_file_needs_no_token_and_no_other_host(office):
    answer = office.plane.browser().get(f"{ROOT}openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.text)["openapi"].startswith("3.1")
    for path in ("docs", "redoc", ""):
        assert office.plane.browser().get(f"{ROOT}{path}").status in {401, 404}


def test_what_a_row_cost_is_an_exact_decimal_text(office, program):
    office.write(call(), refused())
    second, first = program.send("GET", "rows").content["items"]
    assert (first["cost_usd"], first["billed_usd"], first["project_id"]) == ("0.003405", "0.003405", "HPC")
    assert (second["cost_usd"], second["decision"]) == ("0", "refused")
    assert first["created_at"].endswith("+00:00")
    assert len(first["leaf_hash"]) == 64


def test_a_row_shows_its_evidence(office, program):
    (row,) = office.write(call())
    (found,) = program.send("GET", f"rows/{row.id}").content["items"]
    assert (found["row"]["id"], found["leaf_hash_agrees"], found["corrections"]) == (str(row.id), True, [])
    assert program.send("GET", f"rows/{row.request_id}").content["items"] == [found]


def test_rows_are_found_by_any_of_their_columns(office, program):
    office.write(call(task_id="HPC-1"), call(task_id=None, project_id=None), refused(agent_sub="bot@x"))
    count = {
        query: len(program.send("GET", f"rows?{query}").content["items"])
        for query in (
            "task=HPC-1",
            "task=-",
            "project=-",
            "agent=bot@x",
            "decision=refused",
            "until=2020-01-01T00:00:00Z",
        )
    }
    assert count == {
        "task=HPC-1": 1,
        "task=-": 1,
        "project=-": 1,
        "agent=bot@x": 1,
        "decision=refused": 1,
        "until=2020-01-01T00:00:00Z": 0,
    }


def test_pages_of_rows_repeat_and_skip_nothing_while_new_ones_come(office, program):
    there = [str(row.id) for row in office.write(*(call() for _ in range(11)))]
    seen, path = [], "rows?limit=4&agent=alice@arctrade"
    while path:
        reply = program.send("GET", path)
        assert reply.status == 200
        seen += [row["id"] for row in reply.content["items"]]
        path = (reply.content["next"] or "").removeprefix(ROOT)
        office.write(call(), call())
    assert seen == there[::-1]


@pytest.mark.parametrize(
    ("lists", "made", "name"),
    [
        ("customers", [{"key": f"c{number}"} for number in range(5)], "key"),
        ("people", [{"sso_sub": f"00u{number}"} for number in range(5)], "sso_sub"),
        (
            "prices",
            [
                {"provider": "vllm", "model": f"m{number}", "rates_usd": {"in_text": "1"}}
                for number in range(5)
            ],
            "model",
        ),
    ],
)
def test_pages_of_a_list_follow_each_other_without_gap_or_repeat(program, lists, made, name):
    for one in made:
        assert program.send("POST", lists, one).status == 201
    seen, path = [], f"{lists}?limit=2"
    while path:
        content = program.send("GET", path).content
        seen.append([one[name] for one in content["items"]])
        path = (content["next"] or "").removeprefix(ROOT)
    names = [one[name] for one in made]
    assert seen == [names[:2], names[2:4], names[4:]]


@pytest.mark.parametrize("after", ["x", "W10", "WyJhIl0", "eyJhIjoxfQ", "%00", "WzFd"])
@pytest.mark.parametrize("lists", ["rows", "admin-events", "key-events"])
def test_a_place_that_no_page_named_is_refused(program, lists, after):
    assert is_problem(program.send("GET", f"{lists}?after={after}"), 422)["errors"][0]["field"] == "after"


def test_a_filter_that_is_misspelt_does_not_answer_with_everything(program):
    problem = is_problem(program.send("GET", "rows?projekt=HPC"), 422)
    assert problem["errors"][0]["field"] == "projekt"


def test_nothing_is_set_that_a_body_may_not_say(program):
    body = {"key": "HPC", "level_floor": 0, "org_id": str(uuid7())}
    problem = is_problem(program.send("POST", "projects", body), 422)
    assert {one["field"] for one in problem["errors"]} == {"level_floor", "org_id"}
    assert program.send("GET", "projects").content["items"] == []


@pytest.mark.parametrize("cap", ["-1", "1e3", "NaN", "0.0000000001", "12345678901", 5, 5.0, None, "", "１"])  # noqa: RUF001
def test_an_amount_that_is_no_exact_decimal_text_is_refused(with_names, cap):
    is_problem(with_names.send("PUT", "budgets/project:HPC/month", {"cap_usd": cap}), 422)


def test_a_budget_is_set_read_and_removed_to_the_nano_dollar(office, with_names):
    terms = {"cap_usd": "2500.000000001", "hard": True, "soft": [80, 60], "reason": "the contract"}
    made = with_names.send("PUT", "budgets/project:HPC/month", terms)
    assert made.status == 200, made
    assert made.content["budget"]["balances"][0]["left_usd"] == "2500.000000001"
    office.write(call())
    found = with_names.send("GET", "budgets/project:HPC/month")
    assert found.content == {
        "scope": "project:HPC",
        "period": "month",
        "cap_usd": "2500.000000001",
        "hard": True,
        "soft": [60, 80],
        "near_cap": "refuse",
        "unknown_price_ceiling_usd": None,
    }
    assert with_names.send("DELETE", "budgets/project:HPC/month").status == 200
    is_problem(with_names.send("GET", "budgets/project:HPC/month"), 404)
    is_problem(with_names.send("DELETE", "budgets/project:HPC/month"), 404)


def test_what_did_not_change_is_not_sent_again(with_names):
    first = with_names.send("GET", "projects/HPC")
    again = with_names.send("GET", "projects/HPC", if_none_match=first.headers["etag"])
    assert (again.status, again.content, again.headers["etag"]) == (304, None, first.headers["etag"])
    with_names.send("PATCH", "projects/HPC", {"business_unit": "power"})
    third = with_names.send("GET", "projects/HPC", if_none_match=first.headers["etag"])
    assert (third.status, third.content["business_unit"]) == (200, "power")


def test_of_two_who_change_the_same_thing_the_second_is_told(with_names):
    tag = with_names.send("GET", "projects/HPC").headers["etag"]
    assert with_names.send("PATCH", "projects/HPC", {"business_unit": "a"}, if_match=tag).status == 200
    is_problem(with_names.send("PATCH", "projects/HPC", {"business_unit": "b"}, if_match=tag), 412)
    assert with_names.send("GET", "projects/HPC").content["business_unit"] == "a"
    is_problem(
        with_names.send("PUT", "limits/agent:alice@arctrade", {"requests_per_minute": 1}, if_match="*"), 412
    )


def test_two_changes_at_once_of_the_same_state_are_one(with_names):
    tag = with_names.send("GET", "projects/HPC").headers["etag"]

    def change(unit: str) -> int:
        return with_names.send("PATCH", "projects/HPC", {"business_unit": unit}, if_match=tag).status

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(change, "abcd")) == [200, 412, 412, 412]


def test_the_map_is_replaced_only_by_somebody_who_has_read_it(with_names):
    wanted = {"content": "version: 1\nrepos:\n  bitbucket.org/arctrade/hpc: HPC\n"}
    is_problem(with_names.send("PUT", "mapping", wanted), 428)
    tag = with_names.send("GET", "mapping").headers["etag"]
    planned = with_names.send("POST", "mapping/plan", wanted).content
    assert [one["kind"] for one in planned["changes"]] == ["added"]
    made = with_names.send("PUT", "mapping", wanted, if_match=tag)
    assert (made.status, made.content["version"]) == (200, 1)
    is_problem(with_names.send("PUT", "mapping", wanted, if_match=tag), 412)
    assert with_names.send("GET", "mapping/versions/1").content["content"] == wanted["content"]
    problem = is_problem(with_names.send("POST", "mapping/plan", {"content": "version: 1\nx: y\n"}), 422)
    assert problem["errors"][0]["line"] == 2


def test_a_write_that_is_asked_for_twice_is_done_once(office, with_names):
    body = {"agent": "alice@arctrade", "project": "HPC", "reason": "a laptop"}
    first = with_names.send("POST", "keys", body, idempotency_key="one")
    again = with_names.send("POST", "keys", body, idempotency_key="one")
    assert (first.status, again.status) == (201, 201)
    assert first.content == again.content
    assert again.headers["idempotent-replay"] == "true"
    assert len(with_names.send("GET", "keys").content["items"]) == 1
    is_problem(with_names.send("POST", "keys", body | {"task": "HPC-1"}, idempotency_key="one"), 422)
    is_problem(with_names.send("POST", "customers", {"key": "x"}, idempotency_key="one"), 422)
    assert with_names.send("POST", "keys", body, idempotency_key="two").content != first.content
    other = full_program(office)  # another program's key of the same name is another one
    assert other.send("POST", "customers", {"key": "other"}, idempotency_key="one").status == 201


def test_of_many_that_ask_at_once_for_one_write_one_does_it_and_all_are_told(with_names):
    body = {"agent": "alice@arctrade", "reason": "a race"}
    with ThreadPoolExecutor(6) as pool:
        replies = list(
            pool.map(lambda _: with_names.send("POST", "keys", body, idempotency_key="race"), range(6))
        )
    assert {reply.status for reply in replies} == {201}
    assert len({reply.content["handle"] for reply in replies}) == 1
    assert len(with_names.send("GET", "keys").content["items"]) == 1


def test_what_was_refused_may_be_asked_again_under_its_key(program):
    body = {"key": "HPC", "customer": "acme"}
    is_problem(program.send("POST", "projects", body, idempotency_key="k"), 422)
    program.send("POST", "customers", {"key": "acme"})
    assert program.send("POST", "projects", body, idempotency_key="k").status == 201


def test_a_kept_answer_holds_no_handle_in_the_clear_and_goes_after_a_day(office, with_names):
    body = {"agent": "alice@arctrade", "reason": "a laptop"}
    handle = with_names.send("POST", "keys", body, idempotency_key="one").content["handle"]
    with office.plane.database.as_role("vis_super") as connection:
        (kept,) = connection.execute(
            "select answer from vis_control.idempotency_key where org_id = %s and key = 'one'",
            [office.org_id],
        ).fetchone()
        assert handle.encode() not in bytes(kept)
        connection.execute(
            "update vis_control.idempotency_key set made_at = made_at - interval '25 hours' where org_id = %s",
            [office.org_id],
        )
    assert with_names.send("POST", "keys", body, idempotency_key="one").content["handle"] != handle


def test_a_key_is_issued_rotated_and_revoked_and_its_handle_shown_once(with_names):
    made = with_names.send(
        "POST",
        "keys",
        {"agent": "alice@arctrade", "project": "HPC", "cap": {"cap_usd": "50", "period": "month"}, **WHY},
    )
    key_id, handle = made.content["key"]["id"], made.content["handle"]
    assert made.content["key"]["person"] == "00u-alice"
    listed = with_names.send("GET", "keys")
    assert [one["id"] for one in listed.content["items"]] == [key_id]
    assert handle not in json.dumps(listed.content)
    assert with_names.send("GET", "budgets").content["items"][0]["scope"] == f"key:{key_id}"
    rotated = with_names.send("POST", f"keys/{key_id}/rotate", {"overlap_s": 0, **WHY})
    assert rotated.content["handle"] != handle
    ended = with_names.send("POST", f"keys/{key_id}/revoke", WHY)
    assert ended.content["state"] == "revoked"
    is_problem(with_names.send("POST", f"keys/{key_id}/rotate", WHY), 422)
    events = with_names.send("GET", f"key-events?key={key_id}").content["items"]
    assert [one["kind"] for one in events] == ["revoked", "rotated", "issued"]
    assert events[0]["detail"]["reason"] == "a test"


def test_each_act_is_in_the_audit_with_its_actor_reason_and_address(office, with_names):
    with_names.send("PUT", "budgets/org/month", {"cap_usd": "1", "reason": "because"})
    (newest, *_) = with_names.send("GET", "admin-events?kind=budget_set").content["items"]
    assert newest["actor"] == f"service-token:{with_names.token_id}"
    assert (newest["source_ip"], newest["detail"]["reason"]) == ("127.0.0.1", "because")
    seqs = [one["seq"] for one in with_names.send("GET", "admin-events").content["items"]]
    assert seqs == sorted(seqs, reverse=True)


def test_what_is_refused_leaves_nothing_behind(office, program):
    before = kinds_of_acts(office)
    is_problem(program.send("POST", "projects", {"key": "HPC", "customer": "nobody"}), 422)
    is_problem(program.send("POST", "allocations/splits", {"scope": "org", "parts": []}), 422)
    assert kinds_of_acts(office) == before


def test_what_is_there_already_is_a_conflict(program):
    assert program.send("POST", "teams", {"key": "desk"}).status == 201
    is_problem(program.send("POST", "teams", {"key": "desk"}), 409)


def test_a_token_does_no_more_than_its_scopes(office):
    told_of_itself(office.plane)
    reader = program_of(office, "read:ledger")
    assert reader.send("GET", "rows").status == 200
    for method, path in (
        ("GET", "projects"),
        ("GET", "admin-events"),
        ("POST", "customers"),
        ("GET", "keys"),
    ):
        is_problem(reader.send(method, path), 403)
    auditor = program_of(office, "read:audit")
    assert auditor.send("GET", "key-events").status == 200
    is_problem(auditor.send("GET", "rows"), 403)


def test_no_secret_of_a_provider_or_a_connector_comes_out(program):
    secret = "sk-do-not-show-0123456789"
    put = program.send(
        "PUT", "providers/anthropic", {"base_url": "https://api.anthropic.com", "secret": secret}
    )
    assert put.status == 200, put
    made = program.send(
        "POST", "connectors", {"name": "gh", "kind": "github", "scope": ["arctrade"], "secret": secret}
    )
    assert made.status == 201, made
    for path in ("providers", "providers/anthropic", "connectors", "connectors/gh", "admin-events"):
        assert secret not in json.dumps(program.send("GET", path).content)
    is_problem(
        program.send("PUT", "providers/metadata", {"base_url": "http://169.254.169.254/", "secret": secret}),
        422,
    )


def test_the_chargeback_equals_the_rows_and_is_whole(office, program):
    office.write(call(), call(), refused())
    reply = program.send("GET", "chargeback.csv?first=2020-01-01&last=2099-12-31&project=HPC")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    lines = reply.content.decode().splitlines()
    assert len(lines) == 4
    assert lines[-1].endswith(",USD,0.00681")
    by_center = program.send("GET", "chargeback-by-cost-center.csv?first=2020-01-01&last=2099-12-31")
    assert by_center.content.decode().splitlines()[-1].startswith("TOTAL,,,USD,0.00681")
    coverage = program.send("GET", "coverage?first=2020-01-01&last=2099-12-31").content
    assert coverage["shares"][0]["cost_usd"] == "0.00681"
    is_problem(program.send("GET", "chargeback.csv?first=2020-01-02&last=2020-01-01"), 422)


def test_waiting_rows_are_booked_by_an_order(office, with_names):
    office.write(call(project_id=None, task_id=None, repo="bitbucket.org/arctrade/hpc", attribution_level=8))
    (cause,) = with_names.send("GET", "queue").content["items"]
    assert (cause["cost_usd"], cause["calls"]) == ("0.003405", 1)
    ordered = with_names.send("POST", "queue/assign", {"cause": cause["cause"], "project": "HPC", **WHY})
    assert (ordered.status, ordered.content["rows"], ordered.content["cost_usd"]) == (
        202,
        1,
        {"USD": "0.003405"},
    )
    (order,) = ordered.content["orders"]
    assert with_names.send("GET", f"corrections/{order}").content["done"] is False


def test_a_lower_floor_waits_for_a_person_and_no_token_approves_it(with_names):
    assert with_names.send("PUT", "floors/project:HPC", {"level": 2}).content == {"waits": None}
    waits = with_names.send("PUT", "floors/project:HPC", {"level": 1}).content["waits"]
    assert with_names.send("GET", "floors").content["waiting"] == [waits]
    is_problem(with_names.send("POST", f"floor-requests/{waits['id']}/approve"), 404)
    assert with_names.send("POST", f"floor-requests/{waits['id']}/decline").content["approved"] is False


@pytest.mark.parametrize("tag", ["", "{}", "x", '"short"', 'W/"00000000000000000000000000000000"'])
def test_a_precondition_that_cannot_be_read_is_refused_and_not_passed_over(with_names, tag):
    is_problem(with_names.send("PATCH", "projects/HPC", {"business_unit": "a"}, if_match=tag), 422)


def test_totals_equal_the_rows_to_the_nano_dollar(office, program):
    office.write(call(), call(project_id="SOCE"), call(project_id="SOCE"), refused())
    query = "totals?by=project&first=2020-01-01&last=2099-12-31"
    items = program.send("GET", query).content["items"]
    assert [(one["key"], one["cost_usd"], one["calls"]) for one in items] == [
        ("SOCE", "0.00681", 2),
        ("HPC", "0.003405", 1),
    ]
    (first, rest) = program.send("GET", f"{query}&top=1").content["items"]
    assert (first["key"], rest["key"], rest["cost_usd"]) == ("SOCE", None, "0.003405")
    (only,) = program.send("GET", f"{query}&key=HPC&daily=true").content["items"]
    assert (only["key"], only["estimated_usd"], only["refused"]) == ("HPC", "0", 1)
    is_problem(program.send("GET", f"{query}&by=nothing"), 422)


def test_a_key_says_when_it_was_last_used(office, with_names):
    made = with_names.send("POST", "keys", {"agent": "alice@arctrade", **WHY}).content["key"]
    assert made["last_used_at"] is None
    (row,) = office.write(call(key_id=UUID(made["id"])))
    (listed,) = with_names.send("GET", "keys").content["items"]
    assert datetime.fromisoformat(listed["last_used_at"]) == row.created_at


def test_a_kept_answer_is_its_organisations_alone(new_office):
    ours, theirs = full_program(new_office()), full_program(new_office())
    assert ours.send("POST", "customers", {"key": "x"}, idempotency_key="one").status == 201
    seen = {}
    for name, org_id in (("ours", ours.office.org_id), ("theirs", theirs.office.org_id), ("nobody's", None)):
        with ours.office.plane.database.as_role("vis_web", org_id) as connection:
            found = connection.execute("select org_id from vis_control.idempotency_key").fetchall()
        seen[name] = len(found)
    assert seen == {"ours": 1, "theirs": 0, "nobody's": 0}
    for role in ("vis_writer", "vis_reader", "vis_jobs"):
        with ours.office.plane.database.as_role(role) as connection, pytest.raises(InsufficientPrivilege):
            connection.execute("select from vis_control.idempotency_key")
