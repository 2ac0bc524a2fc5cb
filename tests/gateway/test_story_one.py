"""Story 1, day one: from an empty installation to Alice's row, who types nothing (A1, A3, A4, G3, K2).

The operator's commands, `vis-credential` in a real clone, and Anthropic's own SDK, which is given the key and nothing else.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anthropic
import pytest

import vis_credential
from gateway.calls import CLAUDE
from product import PATIENCE, Product, running

BRANCH = "HPC-1234-add-pjm-rebill-rules"
REMOTE = "https://alice:app-password@bitbucket.org/arctrade/hpc-billing.git"
MAP = """\
version: 1
projects:
  HPC: {customer: houston-power}
  SOCE: {}
repos:
  bitbucket.org/arctrade/hpc-billing: {project: HPC, default_epic: HPC-1200}
  bitbucket.org/arctrade/socedison-ingest: SOCE
"""
PEOPLE = """\
agent_sub,owner,sso_sub,team,cost_center,gl_code
alice@arctrade,Alice K.,00u1alice,desk-tools,CC-410,6150
derek@arctrade,Derek M.,00u2derek,desk-tools,CC-411,6150
"""


class Laptop:
    """Alice's machine: her home, and her clone of hpc-billing."""

    def __init__(self, root: Path) -> None:
        self.home, self.clone = root / "home", root / "hpc-billing"
        for folder in (self.home, self.clone):
            folder.mkdir()

    def run(self, *command: str, stdin: str = "") -> str:
        who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        done = subprocess.run(
            command,
            cwd=self.clone,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1"} | who,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def helper(self, *words: str, stdin: str = "") -> str:
        return self.run(sys.executable, vis_credential.__file__, *words, stdin=stdin)


@pytest.fixture(scope="module")
def fresh() -> Iterator[Product]:
    """An installation in which nobody has said anything yet."""
    with running() as product:
        yield product


@pytest.fixture(scope="module")
def laptop(tmp_path_factory) -> Laptop:
    laptop = Laptop(tmp_path_factory.mktemp("alice"))
    laptop.run("git", "init", "--quiet", "--initial-branch", BRANCH)
    laptop.run("git", "remote", "add", "origin", REMOTE)
    laptop.run("git", "commit", "--quiet", "--allow-empty", "--message", "PJM rebill rules")
    return laptop


def test_alice_asks_her_assistant_and_the_row_knows_everything_that_finance_asks_for(fresh, laptop, tmp_path):
    map_file, people = tmp_path / "map.yaml", tmp_path / "people.csv"
    map_file.write_text(MAP)
    people.write_text(PEOPLE)
    fresh.run("customer", "add", "houston-power", "--name", "Houston Power")
    fresh.run("project", "add", "HPC", "--name", "Houston Power Contract", "--gl-code", "6100")
    fresh.run("map", "apply", str(map_file), "--yes")
    fresh.run("identity", "import", str(people), "--yes")
    credential = fresh.run(
        "key", "issue", "--agent", "alice@arctrade", "--claims", "HPC", "--claims", "SOCE", "--scope", "exchange", "--cap", "50/month",
    ).strip()  # fmt: skip
    fresh.until(lambda: fresh.status(credential) == 403)

    assert "for alice@arctrade" in laptop.helper("login", "--gateway", fresh.gateway, stdin=credential)
    key = laptop.helper("key")
    assert key.startswith("vis2_live_")
    client = anthropic.Anthropic(base_url=fresh.gateway, api_key=key, max_retries=0)
    with client:
        said = client.messages.create(
            model=CLAUDE, max_tokens=64, messages=[{"role": "user", "content": "one two three"}]
        )
    assert said.content

    (row,) = fresh.query("select * from vis.request_logs where decision <> 'refused'")
    assert (row["agent_sub"], row["agent_owner"], row["sso_sub"]) == (
        "alice@arctrade",
        "Alice K.",
        "00u1alice",
    )
    assert (row["team_id"], row["cost_center"]) == ("desk-tools", "CC-410")
    assert (row["project_id"], row["task_id"], row["customer_id"]) == ("HPC", "HPC-1234", "houston-power")
    assert row["epic_id"] == "HPC-1200"
    assert row["repo"] == "bitbucket.org/arctrade/hpc-billing"
    assert (row["branch"], row["commit_sha"]) == (BRANCH, laptop.run("git", "rev-parse", "HEAD"))
    assert (row["attribution_level"], row["confidence"]) == (6, 95)
    assert (row["model_used"], row["decision"]) == (CLAUDE, "allowed")
    assert row["cost_nusd"] > 0
    assert "app-password" not in str(row)
    assert laptop.helper("key") == key


def test_what_the_device_keeps_is_no_key_that_spends(fresh, laptop):
    assert "alice@arctrade" in laptop.helper("status")
    kept = (laptop.home / ".config/visionality/device.json").read_text()
    credential = next(word for word in kept.split('"') if word.startswith("visk_live_"))
    with (
        anthropic.Anthropic(base_url=fresh.gateway, api_key=credential, max_retries=0) as client,
        pytest.raises(anthropic.PermissionDeniedError, match="vis-credential key"),
    ):
        client.messages.create(model=CLAUDE, max_tokens=64, messages=[{"role": "user", "content": "one"}])
