"""Story 1, day one: Alice opens her assistant on a branch, types nothing, and the row says what it was for (A1 to A5)."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.backend import Backend
from gateway.calls import CHAT, Caller, Reply, ask, body_of, new_id
from visionality.jobs.afterwards import look
from visionality.postgres import read_endpoint
from visionality.runtime.clock import utc_now

FIXTURES = Path(__file__).parent / "evidence" / "fixtures"
MAP = """\
version: 1
projects:
  HPC: {customer: houston-power, aliases: [HPCX]}
  CAISO-Q3: {aliases: [CAISOQ3]}
  SCED: {}
repos:
  bitbucket.org/arctrade/hpc-billing: {project: HPC, default_epic: HPC-100}
  bitbucket.org/arctrade/socedison-ingest: SCED
"""


@pytest.fixture(scope="module")
def wide(product, tmp_path_factory) -> Caller:
    """Alice's key is of no project."""
    path = tmp_path_factory.mktemp("map") / "map.yaml"
    path.write_text(MAP)
    product.run("map", "apply", str(path), "--yes")
    return Caller(product, issued(product))


def issued(product, *words: str) -> str:
    key = product.run("key", "issue", "--agent", "alice@arctrade", *words).strip()
    product.until(lambda: product.status(key) != 401)
    return key


def fixture(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / f"{name}.json").read_text())


def sent(caller: Caller, said: dict[str, Any], prefix: str = "", **other: str) -> dict[str, Any]:
    """The row of a call like the fixture's, with a session of its own unless it is given one."""
    call_id, body = new_id(), copy.deepcopy(said["body"])
    body["stream"] = False
    headers = [
        (name, other.pop("session", new_id()) if name == "x-claude-code-session-id" else value)
        for name, value in said["headers"]
        if name not in {"authorization", "x-api-key", "content-type"}
    ]
    headers += [("authorization", f"Bearer {caller.key}"), ("content-type", "application/json")]
    headers += [("anthropic-version", "2023-06-01")] if "messages" in said["path"] else []
    headers += [("x-client-request-id", call_id), *other.items()]
    content = json.dumps(body).encode()
    reply = ask(caller.product.gateway, "POST", prefix + said["path"], headers, content)
    assert reply.status == 200, reply.body
    return caller.row(call_id)


def chat(caller: Caller, prefix: str = "", **headers: str) -> tuple[Reply, dict[str, Any]]:
    call_id = new_id()
    given = [*caller.headers(CHAT, call_id), *headers.items()]
    reply = ask(caller.product.gateway, "POST", prefix + CHAT, given, body_of(CHAT))
    return reply, caller.row(call_id)


def purpose(row: dict[str, Any]) -> tuple:
    return row["project_id"], row["task_id"], row["repo"], row["branch"]


HPC_1234 = ("HPC", "HPC-1234", "bitbucket.org/arctrade/hpc-billing", "HPC-1234-add-pjm-rebill-rules")


def test_alice_types_nothing_and_the_row_has_project_task_customer_repo_and_branch(wide):
    row = sent(wide, fixture("claude_code_2_1_197"))
    assert purpose(row) == HPC_1234
    assert (row["customer_id"], row["gl_code"], row["epic_id"]) == ("houston-power", "6100", "HPC-100")
    assert row["attribution_level"] == 4
    assert 0 < row["confidence"] < 100
    assert row["tags"]["client"] == "claude-code 2.1.197"
    assert len(row["tags"]["evidence"]) == 64


def test_a_title_call_goes_by_what_its_session_said(wide):
    session = new_id()
    sent(wide, fixture("claude_code_2_1_197"), session=session)
    row = sent(wide, fixture("claude_code_2_1_197_title"), session=session)
    assert purpose(row) == HPC_1234
    assert row["attribution_level"] == 5


def test_a_title_call_of_another_session_is_attributed_to_nobody(wide):
    row = sent(wide, fixture("claude_code_2_1_197_title"))
    assert (row["project_id"], row["attribution_level"]) == (None, 8)


def test_a_title_call_that_came_before_its_session_said_anything_gets_an_appended_record(wide, product):
    """A6: the row stays, and what was learned later stands in rows of its own."""
    session = new_id()
    title = sent(wide, fixture("claude_code_2_1_197_title"), session=session)
    main = sent(wide, fixture("claude_code_2_1_197"), session=session)
    mark = title["tags"]["session"]
    assert (title["project_id"], len(mark), main["tags"]["session"]) == (None, 16, mark)
    assert session not in str(title)
    look(read_endpoint(product.data_dir).dsn("vis"), utc_now())
    query = "select * from vis.request_logs where corrects = %s order by wseq"
    product.until(lambda: len(product.query(query, title["id"])) == 2)
    reversal, rebooking = product.query(query, title["id"])
    assert purpose(reversal) == (None, None, None, None)
    assert purpose(rebooking) == HPC_1234
    assert (rebooking["attribution_level"], rebooking["confidence"]) == (5, main["confidence"] - 10)
    assert rebooking["cost_nusd"] == title["cost_nusd"] == -reversal["cost_nusd"]


def test_the_address_says_it_for_tools_that_say_nothing(wide):
    for scope, project in (("HPC", "HPC"), ("CAISOQ3", "CAISO-Q3"), ("socedison-ingest", "SCED")):
        reply, row = chat(wide, f"/at/{scope}")
        assert (reply.status, row["project_id"], row["attribution_level"]) == (200, project, 2)
    assert chat(wide, "/at/nobody-knows-it")[1]["project_id"] is None


def test_headers_say_it_and_go_no_further(wide):
    named = {"x-vis-project": "SCED", "x-vis-branch": "SCED-7-tariffs", "x-portkey-metadata": '{"a": "b"}'}
    row = chat(wide, **named)[1]
    assert (row["project_id"], row["task_id"], row["branch"]) == ("SCED", "SCED-7", "SCED-7-tariffs")
    went_on = {name.lower() for name, _ in wide.seen()["headers"]}
    assert not went_on & {"x-vis-project", "x-vis-branch", "x-portkey-metadata"}


def test_what_a_person_types_says_nothing(wide):
    lie = "Current branch: HPC-9-mine\n# Environment\n - Primary working directory: /home/a/hpc-billing"
    call_id = new_id()
    body = body_of(CHAT, messages=[{"role": "user", "content": lie}])
    assert wide.post(CHAT, call_id, body).status == 200
    assert purpose(wide.row(call_id)) == (None, None, None, None)


def test_a_narrow_key_cannot_be_talked_into_another_project(wide, product):
    narrow = Caller(product, issued(product, "--project", "SCED"))
    row = sent(narrow, fixture("claude_code_2_1_197"))
    assert (row["project_id"], row["attribution_level"]) == ("SCED", 1)
    assert "project" in row["tags"]["attribution_conflict"]


def test_a_key_claims_none_but_the_projects_that_it_lists(wide, product):
    some = Caller(product, issued(product, "--claims", "SCED", "--claims", "CAISO-Q3"))
    row = sent(some, fixture("claude_code_2_1_197"))
    assert (row["project_id"], row["attribution_level"], row["tags"]["project_denied"]) == (None, 8, "HPC")
    assert chat(some, "/at/SCED")[1]["project_id"] == "SCED"


def test_evidence_leads_into_no_project_below_its_floor(wide, product):
    product.run("project", "add", "GUARDED")
    product.run("floor", "set", "project:GUARDED", "3")
    product.until(lambda: chat(wide, "/at/GUARDED")[0].status == 401)
    reply, row = chat(wide, "/at/GUARDED")
    assert reply.error["code"] == "binding_required"
    assert (row["decision"], row["project_id"], row["cost_nusd"]) == ("refused", "GUARDED", 0)


def test_the_budget_and_the_markup_are_those_of_the_project_that_was_found(wide, product):
    product.run("project", "add", "FOUND")
    product.run("allocation", "set", "project:FOUND", "--markup", "2")

    def is_marked_up() -> bool:
        row = chat(wide, "/at/FOUND")[1]
        return row["project_id"] == "FOUND" and row["billed_nusd"] == 2 * row["cost_nusd"] > 0

    product.until(is_marked_up)
    product.run("budget", "set", "project:FOUND", "--cap", "0/month", "--hard")
    product.until(lambda: chat(wide, "/at/FOUND")[0].status == 402)


def test_a_signed_call_is_signed_over_the_address_as_it_was_sent(wide, product):
    backend = Backend.registered(product, "scoped-service")
    handle = backend.issue("--level", "3", project=None)["handle"]
    call_id = new_id()
    assert backend.post(handle, "/at/SCED" + CHAT, call_id=call_id).status == 200
    assert backend.row_of(call_id)["project_id"] == "SCED"
    moved = backend.post(handle, "/at/HPC" + CHAT, target="/at/SCED" + CHAT)
    assert moved.header("x-acc-error") == "binding_invalid"


def test_the_class_of_a_task_is_told_by_the_shape_of_the_request(wide, product):
    for name in ("claude_code_2_1_197", "claude_code_2_1_197_title", "claude_code_2_1_197_sub_agent"):
        assert sent(wide, fixture(name))["task_class"] == fixture(name)["expects"]["task_class"]
    row = chat(wide, **{"x-vis-task-class": "review"})[1]
    assert (row["task_class"], row["tags"]["task_class_reason"]) == ("review", "declared in x-vis-task-class")
    bound = Caller(product, issued(product, "--task-class", "docs"))
    assert chat(bound, **{"x-vis-task-class": "review"})[1]["task_class"] == "docs"


AT = {"/chat/completions": "/v1/chat/completions"}
"""Where a client's own address is not one of ours, that of the same dialect."""
NOT_SERVED = {"/v1/fim/completions", "/v1/completions"}


@pytest.mark.parametrize("name", sorted(path.stem for path in FIXTURES.glob("*.json")))
def test_every_clients_request_leaves_a_row_that_names_it_and_where_it_works(wide, name):
    """A3 over the wire: what each fixture expects of its reader stands in the row of a real call."""
    said, expected = fixture(name), fixture(name)["expects"]
    if said["path"] in NOT_SERVED:
        assert expected["evidence"] == []
        return
    said["path"] = AT.get(said["path"], said["path"])
    row = sent(wide, said)
    assert row["tags"].get("client", "") == f"{expected['client']} {expected['version']}".strip()
    if row["attribution_level"] == 5:  # another of these was of the same session
        assert (expected["evidence"], bool(expected["session"])) == ([], True)
        return
    branches = {one["branch"] for one in expected["evidence"] if one.get("branch")}
    assert row["branch"] in (branches or {None})
    remotes = {one["repo"] for one in expected["evidence"] if "/" in (one.get("repo") or "")}
    named = remotes or {"bitbucket.org/arctrade/hpc-billing"}
    if any(one.get("repo") for one in expected["evidence"]):
        assert row["repo"] in named
        assert row["attribution_level"] < 8 or "github.com/arctrade/hpc-billing" in remotes
    elif not any(one.get("project") for one in expected["evidence"]):
        assert (row["project_id"], row["attribution_level"]) == (None, 8)
