"""The real Claude Code and Codex in a real clone (A3, A4, G3): nobody types what the call is for, and the row says it.

`make test-assistants` runs them against the whole product with its sandbox provider, so no model reads anything. They are
set up as an engineer's are, by `vis ide setup`, once with a key in a variable and once with the credential helper. It
needs npm's registry once, and is no part of `make test`.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vis_credential
from gateway.calls import CLAUDE
from npm.modules import Missing, Modules, installed
from product import Product, running, set_up

pytestmark = pytest.mark.skipif(
    "VIS_ASSISTANTS" not in os.environ, reason="`make test-assistants` runs the real assistants"
)
BRANCH = "HPC-1234-add-pjm-rebill-rules"
REPO = "bitbucket.org/arctrade/hpc-billing"
MAP = f"version: 1\nprojects:\n  HPC: {{customer: houston-power}}\nrepos:\n  {REPO}: HPC\n"
GPT = "gpt-5.1"
PATIENCE = 120
QUIET = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
"""Claude Code asks nobody but the gateway."""


@pytest.fixture(scope="session")
def modules() -> Modules:
    """npm's packages. Claude Code's own installer runs: it puts the program of this machine in its place."""
    way = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
    try:
        return installed((Path(__file__).parent / "package.json",), way)
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def product(modules, tmp_path_factory) -> Iterator[Product]:
    with running() as product:
        set_up(product)
        mapping = tmp_path_factory.mktemp("map") / "map.yaml"
        mapping.write_text(MAP)
        product.run("map", "apply", str(mapping), "--yes")
        yield product


class Desk:
    """Alice's machine: her home, her clone, and the programs on her path."""

    def __init__(self, product: Product, modules: Modules, root: Path) -> None:
        self.product = product
        self.home, self.clone, programs = root / "home", root / "hpc-billing", root / "bin"
        for folder in (self.home, self.clone, programs):
            folder.mkdir()
        (programs / "vis-credential").symlink_to(vis_credential.__file__)
        paths = [str(programs), str(modules.folder / "node_modules" / ".bin"), os.environ["PATH"]]
        who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        self.environment = {"PATH": os.pathsep.join(paths), "HOME": str(self.home), **who, **QUIET}
        self.run("git", "init", "--quiet", "--initial-branch", BRANCH)
        self.run("git", "remote", "add", "origin", f"git@{REPO.replace('/', ':', 1)}.git")
        self.run("git", "commit", "--quiet", "--allow-empty", "--message", "first")
        self.commit = self.run("git", "rev-parse", "HEAD")

    def run(self, *command: str, stdin: str = "") -> str:
        done = subprocess.run(
            command,
            cwd=self.clone,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{command[0]}: {done.stderr}{done.stdout}"
        return done.stdout.strip()

    def set_up(self, tool: str, *words: str) -> None:
        self.product.run("ide", "setup", tool, "--write", "--dir", str(self.home), *words)

    def row_of(self, client: str, key: str) -> dict[str, Any]:
        """The one call of a model that this client made with a key."""
        rows = self.product.query(
            "select r.* from vis.request_logs r where r.key_id = %s and r.task_class <> 'catalogue'"
            " and r.decision = 'allowed' and r.tags->>'client' like %s order by created_at",
            key,
            f"{client} %",
        )
        assert rows, f"no row of {client}"
        return rows[-1]


def issued(product: Product, *words: str, answered: int) -> tuple[str, str]:
    """A key of Alice's and its id, once the gateway knows it."""
    words = ("--agent", "alice@arctrade", "--claims", "HPC", "--json", *words)
    key = json.loads(product.run("key", "issue", *words))
    product.until(lambda: product.status(key["handle"]) == answered)
    return key["handle"], key["id"]


def check_person(row: dict[str, Any]) -> None:
    assert (row["agent_sub"], row["agent_owner"], row["project_id"]) == ("alice@arctrade", "Alice K.", "HPC")
    assert (row["repo"], row["status_code"]) == (REPO, 200)


@pytest.fixture
def desk(product, modules, tmp_path) -> Desk:
    return Desk(product, modules, tmp_path)


def ask_claude(desk: Desk) -> str:
    return desk.run("claude", "--print", "--model", CLAUDE, "say one word")


def ask_codex(desk: Desk) -> str:
    return desk.run("codex", "exec", "--model", GPT, "say one word")


def test_claude_code_with_a_key_in_a_variable_says_its_branch(desk):
    handle, key = issued(desk.product, answered=200)
    desk.environment["VIS_KEY"] = handle
    desk.set_up("claude")
    assert ask_claude(desk)
    row = desk.row_of("claude-code", key)
    check_person(row)
    assert (row["branch"], row["task_id"], row["attribution_level"]) == (BRANCH, "HPC-1234", 4)


def test_codex_with_a_key_in_a_variable_says_its_repository_and_commit(desk):
    handle, key = issued(desk.product, answered=200)
    desk.environment["VIS_KEY"] = handle
    desk.set_up("codex")
    assert ask_codex(desk)
    row = desk.row_of("codex", key)
    check_person(row)
    assert (row["commit_sha"], row["attribution_level"]) == (desk.commit, 3)


@pytest.mark.parametrize(
    ("tool", "client", "ask"), [("claude", "claude-code", ask_claude), ("codex", "codex", ask_codex)]
)
def test_with_the_credential_helper_each_row_has_branch_issue_and_commit(desk, tool, client, ask):
    credential, key = issued(desk.product, "--scope", "exchange", answered=403)
    desk.run("vis-credential", "login", "--gateway", desk.product.gateway, stdin=credential)
    desk.set_up(tool, "--helper")
    assert ask(desk)
    row = desk.row_of(client, key)
    check_person(row)
    assert (row["branch"], row["task_id"], row["commit_sha"]) == (BRANCH, "HPC-1234", desk.commit)
    assert "exchanged_key" in row["tags"]
