"""The five connectors in a running product, from `vis connector add` to the epic and the pull request of a task (A1 to A3, A7).

The services are simulated: tests/connectors/stand_ins.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from connectors.bench import STAND_INS, TRACKERS, Bench, bench
from connectors.stand_ins.jira_dc import CONTEXT
from connectors.world import Item, Pull, sha
from gateway.calls import CHAT, Caller, ask, body_of, new_id
from product import Product, running, set_up
from visionality.runtime.clock import utc_now

MAP = """\
version: 1
projects: {HPC: {customer: houston-power}}
repos:
  bitbucket.org/arctrade/hpc-billing: {project: HPC}
"""
BRANCH = "HPC-1235-rules-for-ercot"
PULL = Pull(44, "HPC-1235 rules for ERCOT", "open", BRANCH, utc_now(), [sha("8")])


@dataclass(frozen=True)
class Office:
    product: Product
    services: dict[str, Bench]

    def each(self, act: Callable[[str], str]) -> dict[str, str]:
        """What an act says of each connector, all at the same time."""
        with ThreadPoolExecutor(len(self.services)) as at_once:
            return dict(zip(self.services, at_once.map(act, self.services), strict=True))

    def add(self, kind: str) -> str:
        service = self.services[kind].service
        base_url = service.url + (CONTEXT if kind == "jira_dc" else "")
        words = ["connector", "add", kind, "--base-url", base_url, "--account", service.account]
        scope = ["--scope", "HPC", "--scope", "SOCE"] if kind in TRACKERS else ["--scope", "arctrade"]
        return self.product.run(*words, *scope, stdin=service.secret)

    def run(self, kind: str, *words: str) -> str:
        return self.product.run("connector", words[0], kind, *words[1:])

    def listed(self) -> dict[str, dict[str, Any]]:
        lines = self.product.run("connector", "list", "--json").splitlines()
        return {one["name"]: one for one in map(json.loads, lines)}


@pytest.fixture(scope="module")
def office(tmp_path_factory) -> Iterator[Office]:
    """One company whose five services are connected and were read whole."""
    with ExitStack() as stack:
        services = {kind: stack.enter_context(bench(kind)) for kind in STAND_INS}
        services["bitbucket"].service.repos[0].pulls.append(PULL)
        product = stack.enter_context(running())
        set_up(product)
        path = tmp_path_factory.mktemp("map") / "map.yaml"
        path.write_text(MAP)
        product.run("map", "apply", str(path), "--yes")
        office = Office(product, services)
        office.each(office.add)
        yield office


@pytest.fixture(scope="module")
def read(office) -> dict[str, str]:
    """What `vis connector sync --full` said of each."""
    return office.each(lambda kind: office.run(kind, "sync", "--full"))


@pytest.fixture(scope="module")
def caller(office, read) -> Caller:
    key = office.product.run("key", "issue", "--agent", "alice@arctrade").strip()
    office.product.until(lambda: office.product.status(key) != 401)
    return Caller(office.product, key)


def sent(caller: Caller, branch: str) -> dict[str, Any]:
    call_id = new_id()
    named = [("x-vis-repo", "git@bitbucket.org:arctrade/hpc-billing.git"), ("x-vis-branch", branch)]
    headers = [*caller.headers(CHAT, call_id), *named]
    assert ask(caller.product.gateway, "POST", CHAT, headers, body_of(CHAT)).status == 200
    return caller.row(call_id)


def test_each_service_says_whom_it_takes_us_for(office):
    said = office.each(lambda kind: office.run(kind, "test"))
    assert all("takes us for" in sentence and "shows us" in sentence for sentence in said.values()), said


def test_each_service_is_read_whole_and_what_is_held_is_shown(office, read):
    assert read["jira_cloud"].endswith("said, holds 5 issues, 2 projects\n")
    assert read["jira_dc"].endswith("said, holds 5 issues, 2 projects\n")
    assert read["bitbucket"].endswith("said, holds 4 branches, 3 repositories, 5 pull requests\n")
    for kind in ("github", "gitlab"):
        assert read[kind].endswith("said, holds 4 branches, 3 repositories, 4 pull requests\n")
    listed = office.listed()
    assert {kind: one["error"] for kind, one in listed.items()} == dict.fromkeys(STAND_INS, "")
    shown = json.dumps(listed) + office.product.run("connector", "list")
    assert not [one.service.secret for one in office.services.values() if one.service.secret in shown]
    assert office.product.run("alert", "list", "--json") == ""


def test_a_branch_gives_a_call_its_task_and_epic_and_the_task_leads_to_its_pull_request(office, caller):
    office.product.until(lambda: sent(caller, BRANCH)["epic_id"] == "HPC-1100")
    row = sent(caller, BRANCH)
    assert (row["project_id"], row["task_id"], row["customer_id"]) == ("HPC", "HPC-1235", "houston-power")
    assert "attribution_conflict" not in row["tags"]
    report = office.product.run("report", "task", "HPC-1235", "--include-sandbox")
    assert "https://bitbucket.org/arctrade/hpc-billing/pull-requests/44" in report


def test_a_signed_webhook_has_an_issue_known_that_was_just_made(office, caller):
    jira = office.services["jira_cloud"].service
    row = sent(caller, "HPC-1240-made-a-minute-ago")
    assert (row["task_id"], row["epic_id"]) == ("HPC-1240", None)
    jira.issues.append(Item("10400", "HPC-1240", "Story", 0, "New", utc_now(), parent="HPC-1100"))
    _, address, secret = ("", *office.run("jira_cloud", "webhook").splitlines())
    path = address.removeprefix("webhook address: ").removeprefix(office.product.summary["web"])
    body = b'{"webhookEvent": "jira:issue_created"}'
    digest = hmac.digest(secret.removeprefix("webhook secret:  ").encode(), body, hashlib.sha256).hex()
    signed = [("x-hub-signature", f"sha256={digest}")]
    assert ask(office.product.summary["web"], "POST", path, signed, body).status == 200
    office.product.until(lambda: sent(caller, "HPC-1240-made-a-minute-ago")["epic_id"] == "HPC-1100")
    forged = [("x-hub-signature", "sha256=" + "0" * 64)]
    assert ask(office.product.summary["web"], "POST", path, forged, body).status == 401
