"""`vis connector`: a service is connected, tried, read, watched and removed, and each act is in the audit log (S5)."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from secrets import token_bytes
from typing import Any
from urllib.parse import quote

import pytest
from psycopg.conninfo import conninfo_to_dict

from conftest import PASSWORDS, Database
from connectors.bench import bench
from connectors.stand_ins.server import Reply
from jobs.connecting import Scripted, issue, page
from product import PATIENCE, VIS, Product, running
from visionality.connectors.model import CredentialRefused, Paused
from visionality.jobs.sync import Syncs
from visionality.runtime.clock import utc_now
from visionality.runtime.settings import Settings
from visionality.vault.installation import open_keys
from visionality.vault.keyproviders._core import KeyProvider

TOKEN = "ATATT3x-nobody-ever-sees-this-again"


@dataclass
class Desk:
    """The commands on a database without a running product, so that a test can play the jobs with a scripted service."""

    database: Database
    data_dir: Path
    service: Scripted

    def __post_init__(self) -> None:
        (self.data_dir / "secrets").mkdir(parents=True)
        for role, password in PASSWORDS.items():
            (self.data_dir / "secrets" / f"{role}.password").write_text(password)
        given = conninfo_to_dict(self.database.dsn("vis_super"))
        host = quote(str(given.get("host") or "localhost"), safe="")
        self.url = f"postgresql://{given['user']}@{host}:{given['port']}/{self.database.name}"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("VIS_")}
        self.keys()

    def start(self, *words: str) -> subprocess.Popen[str]:
        places = ["--data-dir", str(self.data_dir), "--database-url", self.url]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [*VIS, "connector", *words, *places], text=True, env=self.environment, **pipes
        )

    def try_run(self, *words: str, stdin: str = "") -> tuple[int, str, str]:
        with self.start(*words) as process:
            out, errors = process.communicate(stdin, PATIENCE)
            return process.returncode, out, errors

    def run(self, *words: str, stdin: str = "") -> str:
        code, out, errors = self.try_run(*words, stdin=stdin)
        assert code == 0, errors
        return out

    def listed(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in map(json.loads, self.run("list", "--json").splitlines())}

    def keys(self) -> KeyProvider:
        return open_keys(Settings(data_dir=self.data_dir), self.database.dsn("vis_web"), lambda words: None)

    @contextmanager
    def jobs(self) -> Iterator[Scripted]:
        syncs = Syncs(self.database.dsn("vis_jobs"), self.keys(), utc_now, self.service.connect)
        syncs.start()
        try:
            yield self.service
        finally:
            syncs.stop()

    def audit(self) -> list[tuple[str, dict[str, str]]]:
        with self.database.as_role("vis_super") as connection:
            query = "select kind, detail from vis.admin_events order by seq"
            return connection.execute(query).fetchall()


@pytest.fixture
def desk(database, tmp_path) -> Desk:
    return Desk(database, tmp_path / "data", Scripted())


JIRA = (
    "add",
    "jira_cloud",
    "--name",
    "jira",
    "--base-url",
    "https://arctrade.atlassian.net",
    "--account",
    "ops@arctrade.example",
)


def test_a_tracker_is_connected_read_and_shown(desk):
    said = desk.run(*JIRA, "--scope", "HPC", "--expires", "2027-01-31", stdin=f"{TOKEN}\n")
    assert (
        said
        == "Jira Cloud is connected as jira: jobs read it at once, `vis connector list` shows how it goes\n"
    )
    assert "waits for its first reading; its credential ends 2027-01-31" in desk.run("list")
    epic, story = issue("HPC-1100", level=1), issue("HPC-1234", parent_key="HPC-1100")
    desk.service.runs = [[page(epic, doing="epics of HPC"), page(story, doing="issues of HPC")]] * 3
    with desk.jobs():
        out = desk.run("sync", "jira", "--full")
    assert out == "jira was read: 2 issues said, holds 2 issues\n"
    (target, secret) = desk.service.given[0]
    assert (target.kind, target.scope, target.account, secret) == (
        "jira_cloud",
        ("HPC",),
        "ops@arctrade.example",
        TOKEN,
    )
    assert desk.run("list").startswith(
        "jira             Jira Cloud        read less than a minute ago; holds 2 issues"
    )
    one = desk.listed()["jira"]
    assert (one["state"], one["held"]["issues"], one["error"]) == ("read less than a minute ago", 2, "")


def test_progress_is_shown_while_everything_is_read_for_the_first_time(desk):
    desk.run(*JIRA, stdin=TOKEN)

    def shown() -> None:
        Product.until(None, lambda: "HPC-1100s of HPC" not in desk.run("list"))
        seen.append(desk.run("list"))

    seen: list[str] = []
    desk.service.runs = [[page(issue("HPC-1100"), doing="issues of HPC"), shown]]
    with desk.jobs():
        Product.until(None, lambda: desk.listed()["jira"]["held"])
    assert "is being read for the first time; reading everything: issues of HPC (1 issues so far)" in seen[0]


def test_a_refused_credential_is_said_and_another_one_is_tried_at_once(desk):
    desk.run(*JIRA, stdin="expired")
    words = "Jira Cloud does not take the token of ops@arctrade.example any more: make a new one."
    desk.service.runs = [[CredentialRefused(words)], [CredentialRefused(words)], [page(issue("HPC-1"))]]
    with desk.jobs():
        Product.until(None, lambda: desk.listed()["jira"]["error"])
        assert desk.try_run("sync", "jira") == (1, "", f"vis: {words}\n")
        assert words in desk.run("list")
        assert "cannot be read since" in desk.run("list")
        assert (
            desk.run("set-secret", "jira", stdin=TOKEN)
            == "jira is read with the new credential from now on\n"
        )
        Product.until(None, lambda: desk.listed()["jira"]["error"] == "")
    assert desk.service.given[-1][1] == TOKEN


def test_a_wait_that_the_service_asks_for_is_said(desk):
    desk.run(*JIRA, stdin=TOKEN)
    desk.service.runs = [[Paused("the hour's quota is used up", utc_now() + timedelta(minutes=40))]] * 2
    with desk.jobs():
        Product.until(None, lambda: desk.listed()["jira"]["doing"])
        code, _, errors = desk.try_run("sync", "jira")
    assert code == 1
    assert errors.startswith("vis: waits until ")
    assert errors.endswith(" UTC: the hour's quota is used up\n")


def test_a_try_by_hand_does_not_sit_out_what_only_the_jobs_have_time_for(desk):
    with bench("github") as github:
        where = ("--base-url", github.service.url, "--scope", "arctrade")
        desk.run("add", "github", *where, stdin=github.service.secret)
        github.service.planned = [Reply({}, 429, {"Retry-After": "600"})]
        said = "vis: The service wants to be asked again in 600 s: try it then.\n"
        assert desk.try_run("test", "github") == (1, "", said)


def test_the_secret_of_webhooks_is_shown_once(desk):
    desk.run(*JIRA, stdin=TOKEN)
    words = desk.run("add", "bitbucket", "--scope", "arctrade", "--webhook-secret", stdin=TOKEN)
    _, address, secret = words.splitlines()
    assert (
        address
        == f"webhook address: http://127.0.0.1:8701/hooks/{desk.listed()['bitbucket']['connector_id']}"
    )
    secret = secret.removeprefix("webhook secret:  ")
    assert len(secret) >= 32
    renewed = desk.run("webhook", "bitbucket").splitlines()
    assert renewed[0] == address
    assert secret not in renewed[1]
    assert secret not in desk.run("list", "--json") + json.dumps(desk.audit())


def test_each_act_is_in_the_audit_log_and_no_token_is_anywhere(desk):
    desk.run(*JIRA, "--scope", "HPC", stdin=TOKEN)
    desk.run("set-secret", "jira", stdin=TOKEN)
    desk.run("webhook", "jira")
    code, _, errors = desk.try_run("sync", "no-such")
    assert (code, errors) == (
        1,
        "vis: there is no connector no-such: `vis connector list` shows those that there are\n",
    )
    assert desk.run("remove", "jira") == "jira is not read any more; what was read stays\n"
    assert desk.run("list") == ""
    kinds = ["connector_added", "connector_secret_set", "connector_webhook_set", "connector_removed"]
    assert [kind for kind, _ in desk.audit()] == kinds
    added = desk.audit()[0][1]
    assert (added["kind"], added["base_url"], added["scope"]) == (
        "jira_cloud",
        "https://arctrade.atlassian.net",
        "HPC",
    )
    assert TOKEN not in json.dumps(desk.audit())
    with desk.database.as_role("vis_super") as connection:
        for table in ("connector", "connector_secret", "connector_run"):
            for (row,) in connection.execute(f"select t::text from vis_control.{table} t"):
                assert TOKEN not in row
                assert TOKEN.encode().hex() not in row
    desk.run(*JIRA, stdin=TOKEN)  # the name is free again


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("jira_cloud",), "Jira Cloud stands at no fixed address: say it with --base-url"),
        (("jira_dc", "--base-url", "jira.arctrade"), "'jira.arctrade' is no address: expected https://host"),
        (("gitlab", "--base-url", "https://u:p@git"), "'https://u:p@git' is no address: expected https://host"),
        (("gitlab", "--base-url", "http://169.254.169.254"), "nothing may be read from http://169.254.169.254, a machine's"),
        (("gitlab", "--base-url", "http://2852039166/x"), "nothing may be read from http://2852039166/x, a machine's"),
        (("github", "--scope", "a b"), "'a b' cannot be a scope: expected at most 255 characters without spaces"),
        (("github", "--name", "a/b"), "'a/b' cannot be a key"),
    ],
)  # fmt: skip
def test_what_could_or_may_not_be_read_is_refused(desk, words, wrong):
    code, _, errors = desk.try_run("add", *words, stdin=TOKEN)
    assert code == 1
    assert errors.startswith(f"vis: {wrong}")
    assert desk.run("list") == ""


def test_a_bundle_without_certificates_and_a_missing_token_are_refused(desk, tmp_path):
    (tmp_path / "ca.pem").write_bytes(token_bytes(40))
    code, _, errors = desk.try_run("add", "github", "--ca-bundle", str(tmp_path / "ca.pem"), stdin=TOKEN)
    assert (code, "the CA bundle cannot be used" in errors) == (1, True)
    code, _, errors = desk.try_run("add", "github")
    assert (code, "no key came" in errors) == (2, True)


def test_a_name_is_given_once(desk):
    desk.run(*JIRA, stdin=TOKEN)
    assert desk.try_run(*JIRA, stdin=TOKEN) == (1, "", "vis: connector jira is there already\n")


def test_in_a_running_product_an_address_that_is_no_jira_is_an_alert_and_a_sentence():
    with running() as product:
        product.run(
            "connector", "add", "jira_dc", "--name", "jira", "--base-url", product.sandbox, stdin=TOKEN
        )
        product.until(lambda: "cannot be read since" in product.run("connector", "list"))
        for command in ("test", "sync"):
            done = product.try_run("connector", command, "jira")
            assert (done.returncode, done.stdout) == (1, "")
            *progress, fault = done.stderr.splitlines()
            assert fault.startswith("vis: The answer of Jira Data Center to GET /")
            assert all(line.startswith("reading everything: ") for line in progress)
        product.until(lambda: "Jira Data Center jira cannot be read" in product.run("alert", "list"))
        (alert,) = map(json.loads, product.run("alert", "list", "--json").splitlines())
        assert (alert["kind"], alert["scope"]) == ("connector_failed", "connector:jira")
        product.run("connector", "remove", "jira")
