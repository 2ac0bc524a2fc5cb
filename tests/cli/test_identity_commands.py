"""`vis identity`: whose an agent is, since when; rows keep what was true when they were written (A4). And `--claims`."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import anthropic
import pytest

from product import Product, running, set_up
from visionality.core.identity_table import COLUMNS
from visionality.runtime.clock import utc_now

HEADER = ",".join(COLUMNS)
ALICE = "alice@arctrade,Alice K.,00u-alice,desk,,\n"
TOMORROW = f"{utc_now() + timedelta(days=1):%Y-%m-%d}"
YESTERDAY = f"{utc_now() - timedelta(days=1):%Y-%m-%d}"


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """One of its own: these tests move people and teams."""
    with running() as product:
        set_up(product)
        product.run("project", "add", "BARE")
        yield product


@pytest.fixture
def agent(product) -> str:
    """An agent of Alice's and of her team."""
    sub = f"bot-{uuid4().hex[:8]}"
    product.run("agent", "add", sub, "--owner", "Alice K.", "--team", "desk", "--person", "00u-alice")
    return sub


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "people.csv"


def call(product: Product, key: str) -> dict:
    """The row of a call with this key."""
    call_id = str(uuid4())
    with anthropic.Anthropic(base_url=product.gateway, api_key=key, max_retries=0) as client:
        client.messages.create(
            model="claude-sonnet-4-6",
            max_tokens=20,
            messages=[{"role": "user", "content": "hello"}],
            extra_headers={"x-client-request-id": call_id},
        )
    (row,) = product.rows_of(call_id)
    return row


def listed(product: Product, sub: str, *words: str) -> dict:
    found = map(json.loads, product.run("identity", "list", "--json", *words).splitlines())
    (one,) = [one for one in found if one["agent_sub"] == sub]
    return one


def revision(product: Product) -> int:
    return product.query("select revision from vis.org_revisions")[0]["revision"]


def test_a_file_with_mistakes_is_refused_whole_with_every_line(product, file):
    file.write_text(f"{HEADER}\nnew@arctrade,New,,desk,,\nbad one,,,,,\n")
    told = product.try_run("identity", "import", str(file), "--yes")
    assert told.returncode == 1
    assert "the identity table has 2 mistakes, and nothing of it was applied" in told.stderr
    assert "line 3: agent_sub 'bad one'" in told.stderr
    assert "new@arctrade" not in product.run("identity", "list")


def test_unknown_teams_and_people_are_created_only_with_yes(product, file):
    file.write_text(f"{HEADER}\n{ALICE}derek@arctrade,Derek M.,00u-derek,origination,CC-411,6150\n")
    added = [
        "+ team origination",
        "+ person 00u-derek",
        "+ agent derek@arctrade: owner Derek M., person 00u-derek, team origination, cost center CC-411, GL code 6150",
    ]
    told = product.try_run("identity", "import", str(file), stdin="y\n")
    assert told.returncode == 1
    assert told.stdout.splitlines() == added
    assert "teams or people are not there: origination, 00u-derek" in told.stderr
    done = product.run("identity", "import", str(file), "--yes").splitlines()
    assert done[:-1] == added
    assert done[-1].startswith("1 agents changed")
    expected = ("derek@arctrade", "Derek M.", "00u-derek", "origination", "CC-411", "6150")
    assert tuple(listed(product, "derek@arctrade").values()) == expected
    before = revision(product)
    assert (
        product.run("identity", "import", str(file))
        == "the identity table says this already: nothing changes\n"
    )
    assert revision(product) == before


def test_a_row_keeps_the_team_that_was_true_when_it_was_written(product, agent):
    """And the next one has the new owner, team, cost center, and the GL code where its project has none."""
    product.run("team", "add", "trading", "--cost-center", "CC-500")
    key = product.issue(agent=agent, project="BARE")
    columns = ("agent_owner", "team_id", "cost_center", "gl_code", "sso_sub")
    early = call(product, key)
    assert [early[name] for name in columns] == ["Alice K.", "desk", "CC-410", None, "00u-alice"]
    product.run("identity", "set", agent, "--team", "trading", "--owner", "A. Kay", "--gl-code", "6300")
    product.until(lambda: call(product, key)["team_id"] == "trading")
    late = call(product, key)
    assert [late[name] for name in columns] == ["A. Kay", "trading", "CC-500", "6300", "00u-alice"]
    assert (
        product.query("select team_id from vis.request_logs where id = %s", early["id"])[0]["team_id"]
        == "desk"
    )
    product.run("identity", "set", agent, "--cost-center", "CC-501")
    product.until(lambda: call(product, key)["cost_center"] == "CC-501")


def test_a_change_holds_from_its_day_on(product, agent):
    told = product.run("identity", "set", agent, "--team", "", "--from", TOMORROW)
    assert told == f"~ agent {agent}: team desk → none, from {TOMORROW} 00:00 UTC on\n"
    assert listed(product, agent)["team"] == "desk"
    assert listed(product, agent, "--at", TOMORROW)["team"] == ""
    again = product.run("identity", "set", agent, "--team", "", "--from", TOMORROW)
    assert again == f"agent {agent} is so already: nothing changes\n"
    (event,) = product.query(
        "select detail from vis.admin_events where kind = 'identity_set' and detail->>'agent_sub' = %s", agent
    )
    assert event["detail"].items() >= {"team": "", "owner": "Alice K.", "gl_code": ""}.items()
    assert event["detail"]["from"].startswith(TOMORROW)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--team", "nobody"), "there is no team nobody"),
        (("--person", "nobody"), "there is no person nobody"),
        (("--owner", ""), "owner ''"),
        (("--owner", "X", "--from", YESTERDAY), "a change begins today at the earliest"),
        (("--person", "", "--from", TOMORROW), "can only change at once"),
    ],
)
def test_what_cannot_be_is_refused(product, agent, words, told):
    before = revision(product)
    done = product.try_run("identity", "set", agent, *words)
    assert done.returncode == 1
    assert told in done.stderr
    assert revision(product) == before


def test_an_agent_that_is_not_there_is_named(product):
    assert (
        "there is no agent nobody@x" in product.try_run("identity", "set", "nobody@x", "--owner", "X").stderr
    )


def test_an_agent_changes_hands_only_when_no_key_of_it_lives(product, agent, file):
    """A key that ended with its person does not live again under another one (K7)."""
    leaver, heir = (f"00u-{uuid4().hex[:8]}" for _ in range(2))
    for person in (leaver, heir):
        product.run("person", "add", person)
    product.run("identity", "set", agent, "--person", leaver)
    key = product.issue(agent=agent)
    file.write_text(f"{HEADER}\n{ALICE}{agent},Heir,{heir},desk,,\n")
    refused = product.try_run("identity", "import", str(file), "--yes")
    assert refused.returncode == 1
    assert f"line 3: {agent} has keys that were issued to {leaver}" in refused.stderr
    product.run("person", "revoke", leaver, "--reason", "left")
    product.until(lambda: product.status(key) == 401)
    product.run("identity", "import", str(file), "--yes")
    assert listed(product, agent)["sso_sub"] == heir
    (states,) = product.query(
        "select person_epoch >= person_epoch_now as lives, revoked_at from vis.keys_v1 where agent_sub = %s",
        agent,
    )
    assert states["lives"]  # by its person alone it would
    assert states["revoked_at"] is not None
    fresh = product.issue(agent=agent)
    assert call(product, fresh)["sso_sub"] == heir
    assert product.status(key) == 401


def test_an_agent_of_nobody_gets_a_person_and_keeps_its_keys(product):
    product.run("agent", "add", sub := f"bot-{uuid4().hex[:8]}", "--owner", "Team")
    key = product.issue(agent=sub)
    product.run("identity", "set", sub, "--person", "00u-alice")
    product.until(lambda: call(product, key)["sso_sub"] == "00u-alice")


def test_a_wide_key_lists_the_projects_that_its_calls_may_claim(product, agent):
    made = json.loads(
        product.run("key", "issue", "--agent", agent, "--claims", "HPC", "--claims", "BARE", "--json")
    )
    (row,) = product.query("select projects, project_id from vis.keys_v1 where key_id = %s::uuid", made["id"])
    assert row == {"projects": ["HPC", "BARE"], "project_id": None}
    unknown = product.try_run("key", "issue", "--agent", agent, "--claims", "NOPE")
    assert "there is no project NOPE" in unknown.stderr
    both = product.try_run("key", "issue", "--agent", agent, "--claims", "HPC", "--project", "BARE")
    assert "--claims is for a key of no one project" in both.stderr
