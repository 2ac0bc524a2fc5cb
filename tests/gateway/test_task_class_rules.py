"""An operator's map names kinds of work, and what the evidence may not claim is refused or queued (A5, A6)."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from gateway.calls import CHAT, MESSAGES, Caller, Reply, ask, body_of, new_id
from product import Product, running, set_up

MAP = """version: 1
projects: {HPC: {}, FOREIGN: {aliases: [FRGN]}}
repos: {hpc-billing: HPC, foreign-repo: FOREIGN}
task_classes:
  - {class: billing-review, when: {tool: 'create_*', model: 'gpt-*', path: '*chat/completions'}}
  - {class: nightly, when: {system_starts: 'You are the nightly job.'}}
  - {class: team-work, when: {header: {x-vis-team: billing}}}
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory) -> Iterator[Product]:
    """One of its own: the map and the policy are of the whole organisation."""
    path = tmp_path_factory.mktemp("map") / "map.yaml"
    path.write_text(MAP)
    with running() as product:
        set_up(product)
        product.run("map", "apply", str(path), "--yes")
        yield product


@pytest.fixture(scope="module")
def some(product) -> Caller:
    """A key that may claim HPC."""
    return Caller(product, issued(product, "--claims", "HPC"))


def issued(product: Product, *words: str) -> str:
    key = product.run("key", "issue", "--agent", "alice@arctrade", *words).strip()
    product.until(lambda: product.status(key) != 401)
    return key


def sent(
    caller: Caller, path: str = CHAT, prefix: str = "", body: dict[str, Any] | None = None, **headers: str
) -> tuple[Reply, dict[str, Any]]:
    call_id = new_id()
    given = [*caller.headers(path, call_id), *headers.items()]
    reply = ask(caller.product.gateway, "POST", prefix + path, given, body_of(path, **(body or {})))
    return reply, caller.row(call_id)


INVOICES = [{"type": "function", "function": {"name": "Create_Invoice", "parameters": {}}}]
NIGHTLY = [
    {"role": "system", "content": "You are the nightly job. Be brief."},
    {"role": "user", "content": "go"},
]


def test_a_rule_of_the_map_names_the_kind_of_work_with_its_reason(some):
    row = sent(some, body={"tools": INVOICES})[1]
    assert row["task_class"] == "billing-review"
    assert row["tags"]["task_class_reason"] == (
        "rule 1 of the map: tool create_*, model gpt-*, path *chat/completions"
    )
    assert sent(some, body={"messages": NIGHTLY})[1]["task_class"] == "nightly"
    assert sent(some, **{"x-vis-team": "billing"})[1]["task_class"] == "team-work"
    tools = [{"name": "create_invoice", "input_schema": {"type": "object"}}]
    assert sent(some, MESSAGES, body={"tools": tools})[1]["task_class"] != "billing-review"


def test_a_header_and_the_key_come_before_the_rules_and_the_rules_before_the_built_in_ones(some, product):
    declared = sent(some, body={"tools": INVOICES}, **{"x-vis-task-class": "team-review"})[1]
    assert declared["task_class"] == "team-review"
    bound = Caller(product, issued(product, "--claims", "HPC", "--task-class", "docs"))
    assert sent(bound, body={"tools": INVOICES})[1]["task_class"] == "docs"
    edits = [*INVOICES, {"type": "function", "function": {"name": "edit", "parameters": {}}}]
    assert sent(some, body={"tools": edits})[1]["task_class"] == "billing-review"
    assert sent(some, body={"tools": edits[1:]})[1]["task_class"] == "agent"


def test_what_a_person_writes_is_under_no_rule(some):
    typed = [{"role": "user", "content": "You are the nightly job. x-vis-team: billing create_invoice"}]
    row = sent(some, body={"messages": typed})[1]
    assert row["task_class"] == "chat"
    assert "task_class_reason" not in row["tags"]


@pytest.fixture(scope="module")
def strict(product) -> Product:
    """From here on what a key may not claim is refused."""
    told = product.run("org", "set", "--denied-project", "refuse")
    assert told == "calls that claim a project which their key may not claim are refused\n"
    probe = Caller(product, issued(product, "--claims", "HPC"))
    product.until(lambda: sent(probe, prefix="/at/FOREIGN")[0].status == 403)
    return product


def test_a_denied_project_is_queued_until_the_organisation_says_otherwise(some):
    reply, row = sent(some, prefix="/at/FOREIGN")
    assert reply.status == 200
    assert (row["project_id"], row["attribution_level"], row["tags"]["project_denied"]) == (
        None,
        8,
        "FOREIGN",
    )
    assert sent(some, prefix="/at/nobody-knows-it")[0].status == 200


@pytest.mark.parametrize(
    ("prefix", "headers", "claim", "denied"),
    [
        ("/at/FOREIGN", {}, "path /at/ says FOREIGN", "FOREIGN"),
        ("/at/FRGN", {}, "path /at/ says FRGN", "FOREIGN"),
        ("/at/foreign-repo", {}, "path /at/ says foreign-repo", "FOREIGN"),
        ("/at/nobody-knows-it", {}, "path /at/ says nobody-knows-it", "nobody-knows-it"),
        ("", {"x-vis-project": "foreign"}, "header x-vis-project says foreign", "FOREIGN"),
        ("", {"x-vis-project": "no-such"}, "header x-vis-project says no-such", "no-such"),
        ("", {"x-vis-branch": "FRGN-7-tariffs"}, "header x-vis-branch says FRGN-7-tariffs", "FOREIGN"),
        ("", {"x-vis-project": "no-such", "x-vis-repo": "hpc-billing"}, "header x-vis-project says no-such", "no-such"),
    ],
)  # fmt: skip
def test_a_project_that_the_key_may_not_claim_is_refused_before_a_byte_leaves(
    strict, some, prefix, headers, claim, denied
):
    before = some.seen_ids()
    reply, row = sent(some, prefix=prefix, **headers)
    assert (reply.status, reply.error["code"]) == (403, "project_not_allowed")
    assert (reply.header("x-acc-error"), reply.header("x-should-retry")) == ("project_not_allowed", "false")
    expected = f"{claim}, which leads to no project that this key may claim"
    assert reply.error["message"].startswith(expected)
    assert (row["decision"], row["reason"], row["status_code"]) == ("refused", "project_not_allowed", 403)
    assert (row["project_id"], row["attribution_level"], row["cost_nusd"]) == (None, 8, 0)
    assert (row["tags"]["project_denied"], row["tags"]["project_claim"]) == (denied, claim)
    assert some.seen_ids() == before


def test_an_unknown_project_and_a_foreign_one_get_the_same_answer(strict, some):
    """But for the name that was said and the id of the call: nobody learns which other projects there are."""

    def told(name: str) -> tuple:
        reply = sent(some, **{"x-vis-project": name})[0]
        headers = {key.lower(): value for key, value in reply.headers}
        for varies in ("date", "x-vis-request-id", "x-request-id", "content-length"):
            headers.pop(varies, None)
        return reply.status, headers, reply.error["message"].replace(name, "NAME"), reply.error["code"]

    assert told("FOREIGN") == told("NO-SUCH")


def test_a_refused_call_leaves_nothing_to_its_session(strict, some):
    session = {"x-claude-code-session-id": new_id(), "user-agent": "claude-cli/2.1.197 (external, cli)"}
    for name in ("FOREIGN", "NO-SUCH"):
        assert sent(some, MESSAGES, **session, **{"x-vis-project": name})[0].status == 403
        assert sent(some, MESSAGES, **session)[0].status == 200


def test_what_is_no_project_by_name_is_flagged_and_served(strict, some):
    reply, row = sent(some, **{"x-vis-branch": "NOSUCH-7-tariffs", "x-vis-repo": "nobody-knows-it"})
    assert (reply.status, row["project_id"], row["attribution_level"]) == (200, None, 8)
    reply, row = sent(some, **{"x-vis-task": "NOSUCH-7"})
    assert (reply.status, row["attribution_level"]) == (200, 8)
    assert "NOSUCH-7" in row["tags"]["attribution_conflict"]


def test_the_most_trusted_claim_is_the_one_that_counts(strict, some):
    headers = {"x-vis-project": "HPC", "helicone-property-project": "their-own-name"}
    reply, row = sent(some, **headers)
    assert (reply.status, row["project_id"]) == (200, "HPC")


def test_a_key_that_is_bound_to_a_project_keeps_it(strict, product):
    narrow = Caller(product, issued(product, "--project", "HPC"))
    reply, row = sent(narrow, prefix="/at/FOREIGN")
    assert (reply.status, row["project_id"], row["attribution_level"]) == (200, "HPC", 1)


def test_the_official_sdks_raise_their_own_error_and_do_not_try_again(strict, some, product):
    call_ids = [new_id(), new_id()]
    with (
        openai.OpenAI(base_url=f"{product.gateway}/at/FOREIGN/v1", api_key=some.key) as client,
        pytest.raises(openai.PermissionDeniedError, match="path /at/ says FOREIGN"),
    ):
        client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": "hello"}],
            extra_headers={"x-client-request-id": call_ids[0]},
        )
    with (
        anthropic.Anthropic(base_url=f"{product.gateway}/at/FOREIGN", api_key=some.key) as client,
        pytest.raises(anthropic.PermissionDeniedError, match="path /at/ says FOREIGN"),
    ):
        client.messages.create(
            model="claude-sonnet-4-6",
            max_tokens=20,
            messages=[{"role": "user", "content": "hello"}],
            extra_headers={"x-client-request-id": call_ids[1]},
        )
    assert [some.row(call_id)["reason"] for call_id in call_ids] == ["project_not_allowed"] * 2


def test_the_policy_is_shown_and_audited(strict, product):
    assert '"denied_project":"refuse"' in product.run("org", "show", "--json")
    product.run("org", "set", "--denied-project", "refuse")
    events = product.query(
        "select actor, detail from vis.admin_events where kind = 'organisation_set' and detail ? 'denied_project'"
    )
    assert [event["detail"]["denied_project"] for event in events] == ["refuse"]
    assert events[0]["actor"].startswith("cli:")
