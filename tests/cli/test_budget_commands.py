"""Budgets, limits, hints, allocation rules and the time zone by commands alone (B1, B2, B3, B4).

What is said is what the gateway will read, what is printed is what holds, and every act is on record.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from click.testing import CliRunner

from ledger.rows import insert, smallest
from product import Product, running, set_up
from visionality.cli.main import vis
from visionality.core.money import NANO
from visionality.postgres import read_endpoint
from visionality.runtime.clock import utc_now

ONE_PROCESS = """
import contextlib, io, json, sys
from visionality.cli.main import main
for line in sys.stdin:
    said, told, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["vis", *json.loads(line)]
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    print(json.dumps([code, said.getvalue(), told.getvalue()]), flush=True)
"""


@dataclass
class Prompt(Product):
    """The product, with one process for all commands: each would load Django for itself."""

    shell: subprocess.Popen[str] = field(kw_only=True)

    def try_run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        assert not stdin
        self.shell.stdin.write(json.dumps([*words, "--data-dir", str(self.data_dir)]) + "\n")
        self.shell.stdin.flush()
        code, said, told = json.loads(self.shell.stdout.readline())
        return subprocess.CompletedProcess(words, code, said, told)


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """One of its own: a budget of the organisation would be in the way of others."""
    with (
        running() as up,
        subprocess.Popen(
            [sys.executable, "-c", ONE_PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=up.environment,
        ) as shell,
    ):
        product = Prompt(up.data_dir, up.process, up.summary, up.environment, shell=shell)
        set_up(product)
        yield product


@pytest.fixture
def project(product) -> str:
    """The key of a fresh project."""
    return named(product, "project")


@pytest.fixture
def customer(product) -> str:
    return named(product, "end_customer")


def named(product: Product, table: str) -> str:
    """The key of a fresh object, which needs no command of its own."""
    key = f"{table[0]}{uuid4().hex[:8]}"
    optional = {"project": {"gl_code": ""}, "team": {"cost_center": ""}}.get(table, {})
    row = {
        "id": uuid4(),
        "org_id": org_of(product),
        "key": key,
        "name": key,
        "created_at": utc_now(),
        **optional,
    }
    with superuser(product) as connection:
        connection.execute(
            f"insert into vis_control.{table} ({', '.join(row)}) values ({', '.join(f'%({name})s' for name in row)})",
            row,
        )
    return key


def superuser(product: Product) -> psycopg.Connection:
    return psycopg.connect(read_endpoint(product.data_dir).dsn("vis"))


def each(product: Product, commands: Iterable[tuple[str, ...]]) -> list[subprocess.CompletedProcess[str]]:
    return [product.try_run(*words) for words in commands]


def org_of(product: Product) -> UUID:
    (org,) = product.query("select org_id from vis.orgs_v1 where slug = 'default'")
    return org["org_id"]


def spend(product: Product, usd: str, at: datetime | None = None, **columns: Any) -> None:
    """A row of the ledger that cost so much."""
    row = smallest("request_logs", org_of(product), at or utc_now())
    with superuser(product) as connection:
        insert(connection, "request_logs", row | columns | {"cost_nusd": int(Decimal(usd) * NANO)})


def set_budget(product: Product, scope: str, cap: str, *words: str) -> dict[str, Any]:
    return json.loads(product.run("budget", "set", scope, "--cap", cap, *words, "--json"))


def budgets_of(product: Product, scope: str) -> list[dict[str, Any]]:
    listed = [json.loads(line) for line in product.run("budget", "list", "--json").splitlines()]
    return [one for one in listed if one["scope"] == scope]


def read_by_gateway(product: Product, budget_id: str) -> dict[str, Any]:
    (one,) = product.query("select * from vis.budgets_v1 where budget_id = %s", budget_id)
    return one


def windows_of(product: Product, budget_id: str) -> dict[str, dict[str, Any]]:
    """By the value that each is for; the anchor is left out."""
    query = "select * from vis.budget_windows where budget_id = %s and window_id <> budget_id"
    return {one["scope_value"]: one for one in product.query(query, budget_id)}


def anchor_of(product: Product, budget_id: str) -> dict[str, Any]:
    (one,) = product.query("select * from vis.budget_windows where window_id = %s", budget_id)
    return one


def acts_of(product: Product, kind: str, **detail: str) -> list[dict[str, str]]:
    query = "select actor, detail from vis.admin_events where kind = %s and detail @> %s::jsonb order by seq"
    found = product.query(query, kind, json.dumps(detail))
    assert all(one["actor"].startswith("cli:") for one in found)
    return [one["detail"] for one in found]


# what is said is what holds


CAPS = [
    ("2500/month", 2_500_000_000_000, "month"),
    ("0.50/day", 500_000_000, "day"),
    ("100", 100_000_000_000, "total"),
    ("1.10/quarter", 1_100_000_000, "quarter"),
    ("0.000000001/week", 1, "week"),
    ("9223372036.854775807/total", 2**63 - 1, "total"),
    ("0/day", 0, "day"),
]


def test_a_cap_reaches_the_gateway_to_the_last_nano_dollar(product):
    scopes = [f"project:{named(product, 'project')}" for _ in CAPS]
    words = [
        ("budget", "set", scope, "--cap", cap, "--hard", "--json")
        for scope, (cap, *_) in zip(scopes, CAPS, strict=True)
    ]
    for (cap, nusd, period), done in zip(CAPS, each(product, words), strict=True):
        made = json.loads(done.stdout)
        found = read_by_gateway(product, made["budget_id"])
        assert (found["cap_nusd"], found["period"], found["hard"]) == (nusd, period, True), cap
        anchor = anchor_of(product, made["budget_id"])
        assert (anchor["cap_nusd"], anchor["hard"]) == (nusd, True)
        assert Decimal(made["cap_usd"]) * NANO == nusd


def test_a_budget_says_what_it_is_and_what_is_left(product, project):
    said = product.run(
        "budget",
        "set",
        f"project:{project}",
        "--cap",
        "2500/month",
        "--soft",
        "80%",
        "--soft",
        "60%",
        "--hard",
    )
    assert said.startswith(
        f"project:{project} may spend 2500 USD a month (what does not fit is refused; told at 60%, 80%): "
        "0 spent, 0 held, 2500 left until "
    )
    (one,) = budgets_of(product, f"project:{project}")
    assert (one["soft_percent"], one["near_cap"], one["unknown_price_ceiling_usd"]) == (
        [60, 80],
        "refuse",
        None,
    )
    found = read_by_gateway(product, one["budget_id"])
    assert (found["soft"], found["near_cap"], found["ceiling_nusd"]) == ([60, 80], "refuse", None)


def test_a_budget_that_is_not_hard_only_counts(product, project):
    said = product.run("budget", "set", f"project:{project}", "--cap", "10/week")
    assert said.startswith(
        f"project:{project} is counted against 10 USD a week (nothing is refused): 0 spent"
    )
    (one,) = budgets_of(product, f"project:{project}")
    assert one["hard"] is read_by_gateway(product, one["budget_id"])["hard"] is False


def test_an_edit_is_in_force_at_once_in_the_same_window(product, project):
    spend(product, "30", project_id=project)
    made = set_budget(product, f"project:{project}", "100/month", "--hard")
    before = windows_of(product, made["budget_id"])[project]
    edited = set_budget(product, f"project:{project}", "40.5/month")
    after = windows_of(product, made["budget_id"])[project]
    assert edited["budget_id"] == made["budget_id"]
    assert edited["windows"] == [
        {"value": project, "spent_usd": "30", "held_usd": "0", "left_usd": "10.5", "spent_percent": "74.0"}
    ]
    assert (after["window_id"], after["spent_nusd"], after["hard"]) == (before["window_id"], 30 * NANO, True)
    assert after["cap_nusd"] == anchor_of(product, made["budget_id"])["cap_nusd"] == 40_500_000_000
    history = acts_of(product, "budget_set", budget_id=made["budget_id"])
    assert [(one["cap_nusd"], one["position"]) for one in history] == [
        ("100000000000", "0"),
        ("40500000000", str(after["position"])),
    ]
    assert (history[0]["opening_nusd"], history[1]["opening_nusd"]) == ("30000000000", "0")
    assert [one.get("was_cap_nusd") for one in history] == [None, "100000000000"]
    assert json.loads(history[0]["openings"]) == {str(before["window_id"]): 30 * NANO}


def test_what_is_left_out_of_an_edit_stays_and_none_takes_it_away(product, project):
    scope = f"project:{project}"
    words = ("--hard", "--soft", "60", "--near-cap", "clamp", "--unknown-price-ceiling", "0.50")
    made = set_budget(product, scope, "10/day", *words)
    kept = set_budget(product, scope, "20/day")
    for name in ("hard", "soft_percent", "near_cap", "unknown_price_ceiling_usd"):
        assert kept[name] == made[name]
    assert read_by_gateway(product, made["budget_id"])["ceiling_nusd"] == 500_000_000
    bare = set_budget(
        product,
        scope,
        "20/day",
        "--no-hard",
        "--soft",
        "none",
        "--near-cap",
        "refuse",
        "--unknown-price-ceiling",
        "none",
    )
    assert (bare["hard"], bare["soft_percent"], bare["near_cap"], bare["unknown_price_ceiling_usd"]) == (
        False,
        [],
        "refuse",
        None,
    )
    found = read_by_gateway(product, made["budget_id"])
    assert (found["hard"], found["soft"], found["near_cap"], found["ceiling_nusd"]) == (
        False,
        [],
        "refuse",
        None,
    )
    assert anchor_of(product, made["budget_id"])["hard"] is False


def test_a_cap_below_what_is_spent_and_held_is_set_with_a_warning(product, project):
    scope = f"project:{project}"
    spend(product, "30", project_id=project)
    made = set_budget(product, scope, "100/month", "--hard")
    product.query(
        "update vis.budget_windows set reserved_nusd = 5000000000 where budget_id = %s and window_id <> budget_id returning 1",
        made["budget_id"],
    )
    done = product.try_run("budget", "set", scope, "--cap", "20/month")
    assert done.returncode == 0
    assert f"warning: the cap is 15 USD below what is spent and held already ({scope})" in done.stderr
    assert "calls are refused until the cap is raised or the next month begins" in done.stderr
    assert "30 spent, 5 held, -15 left" in done.stdout
    exact = product.try_run("budget", "set", scope, "--cap", "35/month")
    assert (exact.returncode, exact.stderr) == (0, "")


def test_terms_that_only_a_hard_budget_has_are_warned_of(product, project):
    done = product.try_run("budget", "set", f"project:{project}", "--cap", "1/day", "--near-cap", "clamp")
    assert "has no effect without --hard" in done.stderr
    assert product.try_run("budget", "set", f"project:{project}", "--cap", "1/day", "--hard").stderr == ""


def test_another_period_is_another_budget_and_said_to_be(product, project):
    scope = f"project:{project}"
    set_budget(product, scope, "100/month")
    done = product.try_run("budget", "set", scope, "--cap", "10/day")
    assert f"{scope} has another budget, 100 USD for the month, and both count" in done.stderr
    assert [one["period"] for one in budgets_of(product, scope)] == ["day", "month"]


# what was spent before


def test_a_budget_made_in_the_middle_of_a_period_begins_with_what_its_rows_cost(product):
    project, customer, team = (named(product, table) for table in ("project", "end_customer", "team"))
    unit = f"unit of {project}"
    product.run("project", "set", project, "--business-unit", unit)
    columns = {
        f"project:{project}": {"project_id": project},
        f"customer:{customer}": {"customer_id": customer},
        f"team:{team}": {"team_id": team},
        "person:opening": {"sso_sub": "opening"},
        "agent:opening": {"agent_sub": "opening"},
        "task-class:opening": {"task_class": "opening"},
        "model-family:opening": {"model_family": "opening"},
        f"business-unit:{unit}": {"tags": json.dumps({"business_unit": unit})},
        "spend-token:opening": {"spend_token_id": "opening"},
    }
    for number, mine in enumerate(columns.values(), 1):
        spend(product, "1.25", **mine)
        spend(product, str(number), **mine)
    words = [("budget", "set", scope, "--cap", "1000", "--json") for scope in columns]
    for number, done in enumerate(each(product, words), 1):
        made = json.loads(done.stdout)
        (balance,) = made["windows"]
        assert Decimal(balance["spent_usd"]) == number + Decimal("1.25"), made["scope"]
        (window,) = windows_of(product, made["budget_id"]).values()
        assert window["opening_nusd"] == window["spent_nusd"] == Decimal(balance["spent_usd"]) * NANO


def test_a_budget_of_the_organisation_begins_with_what_everything_cost(product):
    spend(product, "1.5")
    (row,) = product.query("select sum(cost_nusd)::bigint as all from vis.request_logs")
    made = set_budget(product, "org", "1000000")
    assert Decimal(made["windows"][0]["spent_usd"]) * NANO == row["all"]
    product.run("budget", "remove", "org")


def test_a_budget_of_a_key_counts_that_key(product):
    key = json.loads(product.run("key", "issue", "--agent", "alice@arctrade", "--json"))["id"]
    spend(product, "2", key_id=UUID(key))
    spend(product, "3", key_id=uuid4())
    made = set_budget(product, f"key:{key.upper()}", "10/month", "--hard")
    assert (made["scope"], made["windows"][0]["spent_usd"]) == (f"key:{key}", "2")
    assert read_by_gateway(product, made["budget_id"])["scope_value"] == key


def test_only_rows_since_the_period_began_are_counted(product):
    with superuser(product) as connection:
        connection.execute("set role vis_owner")
        connection.execute("select vis.add_months(%s, 5)", [(utc_now() - timedelta(days=125)).date()])
    projects = {period: named(product, "project") for period in ("day", "week", "month", "quarter")}
    words = [
        ("budget", "set", f"project:{key}", "--cap", f"10/{period}", "--json")
        for period, key in projects.items()
    ]
    for key, done in zip(projects.values(), each(product, words), strict=True):
        start = datetime.fromisoformat(json.loads(done.stdout)["starts_at"])
        spend(product, "1", at=start, project_id=key)
        spend(product, "4", at=start - timedelta(microseconds=1), project_id=key)
    assert all(
        done.returncode == 0
        for done in each(product, [("budget", "remove", f"project:{key}") for key in projects.values()])
    )
    for period, done in zip(projects, each(product, words), strict=True):
        assert json.loads(done.stdout)["windows"][0]["spent_usd"] == "1", period
    assert set_budget(product, f"project:{projects['day']}", "10")["windows"][0]["spent_usd"] == "5"


def test_a_budget_for_each_counts_everybody_for_themselves(product):
    for number in range(12):
        spend(product, f"{number + 1}", sso_sub=f"sub-{number:02}")
    said = product.run("budget", "set", "person:*", "--cap", "10/month", "--hard")
    assert said.startswith(
        "each person may spend 10 USD a month (what does not fit is refused): sub-11 used the most, 12 spent, 0 held, -2 left"
    )
    (one,) = budgets_of(product, "person:*")
    mine = [balance for balance in one["windows"] if balance["value"].startswith("sub-")]
    assert [(balance["value"], balance["spent_usd"]) for balance in mine] == [
        (f"sub-{number:02}", f"{number + 1}") for number in reversed(range(12))
    ]
    windows = windows_of(product, one["budget_id"])
    assert windows["sub-03"]["opening_nusd"] == 4 * NANO
    assert windows["sub-03"]["window_id"] != windows["sub-04"]["window_id"]
    cut = product.try_run("budget", "set", "person:*", "--cap", "9/month")
    assert "the cap is 3 USD below what is spent and held already (sub-11, sub-10, sub-09)" in cut.stderr
    assert {window["cap_nusd"] for window in windows_of(product, one["budget_id"]).values()} == {9 * NANO}
    lines = product.run("budget", "list").splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("person:*"))
    assert lines[start + 1].split()[:3] == ["sub-11", "12", "0"]
    assert f"and {len(one['windows']) - 10} more that spent less" in lines[start + 11]
    product.run("budget", "remove", "person:*")


def test_a_budget_that_is_removed_and_made_again_still_knows_what_was_spent(product, project):
    scope = f"project:{project}"
    spend(product, "3", project_id=project)
    first = set_budget(product, scope, "10/month", "--hard")
    assert (
        product.run("budget", "remove", scope) == f"{scope} has no budget a month any more; it was 10 USD\n"
    )
    assert budgets_of(product, scope) == []
    assert product.query("select 1 from vis.budgets_v1 where budget_id = %s", first["budget_id"]) == []
    assert acts_of(product, "budget_removed", budget_id=first["budget_id"]) == [
        {
            "budget_id": first["budget_id"],
            "scope": scope,
            "period": "month",
            "was_cap_nusd": "10000000000",
            "was_hard": "true",
            "was_soft": "",
            "was_near_cap": "refuse",
            "was_ceiling_nusd": "",
        }
    ]
    second = set_budget(product, scope, "10/month")
    assert second["budget_id"] != first["budget_id"]
    assert (second["hard"], second["windows"][0]["spent_usd"]) == (False, "3")


def test_which_budget_is_removed_must_be_clear(product, project):
    scope = f"project:{project}"
    set_budget(product, scope, "10/month")
    set_budget(product, scope, "1/day")
    done = product.try_run("budget", "remove", scope)
    assert (done.returncode, done.stderr) == (
        1,
        f"vis: there are 2 budgets of {scope}: say which with --period day or month\n",
    )
    product.run("budget", "remove", scope, "--period", "day")
    assert [one["period"] for one in budgets_of(product, scope)] == ["month"]


def test_two_who_set_the_same_budget_at_once_make_one(product, project):
    scope = f"project:{project}"
    apart = Product(product.data_dir, product.process, product.summary, product.environment)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda usd: set_budget(apart, scope, f"{usd}/month"), (10, 20, 30, 40)))
    assert len({one["budget_id"] for one in made}) == 1
    (one,) = budgets_of(product, scope)
    history = acts_of(product, "budget_set", scope=scope)
    assert len(history) == 4
    assert (
        Decimal(one["cap_usd"]) * NANO
        == int(history[-1]["cap_nusd"])
        == anchor_of(product, one["budget_id"])["cap_nusd"]
    )


def test_the_list_has_a_line_a_budget(product, project):
    spend(product, "1496.2", project_id=project)
    set_budget(product, f"project:{project}", "2500/month", "--hard", "--soft", "50%", "--soft", "80%")
    (line,) = [line for line in product.run("budget", "list").splitlines() if f"project:{project}" in line]
    assert line.split()[1:8] == ["month", "hard", "2500", "1496.2", "0", "1003.8", "59.8%"]
    assert line.endswith("past 50%")


# what is refused


UNKNOWN = [
    ("project:NOPE", "there is no project NOPE: add it with `vis project add NOPE`"),
    ("customer:nope", "there is no customer nope: add it with `vis customer add nope`"),
    ("team:nope", "there is no team nope: add it with `vis team add nope`"),
    ("business-unit:nope", "say which is with `vis project set KEY --business-unit nope`"),
    ("key:nope", "'nope' is no key id: `vis key list` shows them"),
    ("key:01a2005b-8f64-72d9-83b5-5c5dd9920b2d", "there is no key 01a2005b-8f64-72d9-83b5-5c5dd9920b2d"),
    ("model-family:claude-haiku-4-5", "claude-haiku-4-5 is a model of the family claude-haiku: say model-family:claude-haiku"),
]  # fmt: skip


def test_a_scope_that_names_nothing_is_refused_with_what_to_do(product):
    words = [("budget", "set", scope, "--cap", "1/day") for scope, _ in UNKNOWN]
    for (scope, sentence), done in zip(UNKNOWN, each(product, words), strict=True):
        assert (done.returncode, done.stdout) == (1, ""), scope
        assert sentence in done.stderr
    assert product.query("select 1 from vis.budgets_v1 where scope_value in ('NOPE', 'nope')") == []


DOUBTFUL = [
    ("agent:later@x", "there is no agent later@x yet: `vis agent add later@x` adds it"),
    ("person:later", "there is no person later yet: `vis person add later` adds them"),
    ("task-class:later", "no key is for later yet: `vis key issue --task-class later` makes one"),
    ("model-family:claude-hiku", "no listed model is of the family claude-hiku"),
]


def test_what_need_not_be_there_before_is_set_with_a_warning(product):
    words = [("budget", "set", scope, "--cap", "1/day", "--json") for scope, _ in DOUBTFUL]
    for (scope, sentence), done in zip(DOUBTFUL, each(product, words), strict=True):
        assert (done.returncode, done.stderr) == (0, f"warning: {sentence}\n")
        assert json.loads(done.stdout)["scope"] == scope


KNOWN = [
    "agent:alice@arctrade",
    "person:00u-alice",
    "task-class:chat",
    "model-family:claude-haiku",
    "customer:*",
]


def test_what_is_known_is_set_without_a_warning(product):
    for done in each(product, [("budget", "set", scope, "--cap", "1000000/week") for scope in KNOWN]):
        assert (done.returncode, done.stderr) == (0, "")
    for done in each(product, [("budget", "remove", scope) for scope in KNOWN]):
        assert done.returncode == 0


NO_CAPS = ["2,500/month", "$5/day", "-1/day", "1e3/day", "5/fortnight", "5/", "/day", "0.0000000001", "9223372036.854775808", "\u0665/day", " 5", "5 /day", "NaN", ""]  # fmt: skip
MISUSES = [
    *((("budget", "set", "org", "--cap", cap), "is no cap: expected US dollars and a period, such as 2500/month") for cap in NO_CAPS),
    (("budget", "set", "org"), "Missing option '--cap'"),
    (("budget", "set", "planet:earth", "--cap", "1"), "'planet:earth' is no scope: expected org, business-unit:NAME, project:NAME"),
    (("budget", "set", "project", "--cap", "1"), "'project' is no scope"),
    (("budget", "set", "org:*", "--cap", "1"), "'org:*' is no scope"),
    (("budget", "set", "project:", "--cap", "1"), "names no project: expected project:NAME, or project:* for each"),
    (("budget", "set", "agent:a\nb", "--cap", "1"), "names no agent"),
    (("budget", "set", f"agent:{'a' * 256}", "--cap", "1"), "names no agent"),
    (("budget", "set", "org", "--cap", "1", "--soft", "0%"), "is no part of a cap: expected 1% to 100%, or none"),
    (("budget", "set", "org", "--cap", "1", "--soft", "101"), "is no part of a cap"),
    (("budget", "set", "org", "--cap", "1", "--soft", "0.5"), "is no part of a cap"),
    (("budget", "set", "org", "--cap", "1", "--soft", "none", "--soft", "5"), "--soft none stands alone"),
    (("budget", "set", "org", "--cap", "1", "--unknown-price-ceiling", "0"), "is no amount: expected US dollars above zero"),
    (("budget", "set", "org", "--cap", "1", "--near-cap", "stop"), "'stop' is not one of 'refuse', 'clamp'"),
    (("budget", "remove", "org", "--period", "year"), "'year' is not one of"),
    (("limit", "set", "team:desk", "--requests-per-minute", "5"), "'team:desk' is no scope: expected key:NAME, agent:NAME, project:NAME"),
    (("limit", "set", "key:*", "--requests-per-minute", "-1"), "expected 0 to 1000000000, or none"),
    (("limit", "set", "key:*", "--tokens-per-minute", "1.5"), "expected 0 to 1000000000, or none"),
    (("hint", "add", "--agent", "a@x"), "Missing option '--prefer'"),
    (("hint", "add", "--prefer", ""), "expected the name of a model"),
    (("hint", "add", "--prefer", "m" * 201), "expected at most 200 printable characters"),
    (("allocation", "set", "customer:c"), "say either --markup or --split"),
    (("allocation", "set", "customer:c", "--markup", "1.2", "--split", "CC=1"), "say either --markup or --split"),
    (("allocation", "set", "customer:c", "--markup", "-1"), "is no factor"),
    (("allocation", "set", "customer:c", "--markup", "25%"), "is no factor"),
    (("allocation", "set", "customer:c", "--markup", "1.0000001"), "with at most 6 decimals"),
    (("allocation", "set", "customer:c", "--split", "CC-410"), "is no part of a split"),
    (("allocation", "set", "customer:c", "--split", "=50%"), "is no part of a split"),
    (("allocation", "set", "customer:c", "--split", "CC:=50%"), "is no part of a split"),
    (("allocation", "set", "customer:c", "--split", "none", "--split", "CC=1"), "--split none stands alone"),
    (("org", "set"), "say what changes: --time-zone or --denied-project"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "sentence"), MISUSES, ids=[" ".join(words)[:60] for words, _ in MISUSES])
def test_nonsense_is_told_before_anything_happens(tmp_path, words, sentence):
    done = CliRunner(catch_exceptions=False).invoke(vis, words, env={"VIS_DATA_DIR": str(tmp_path / "none")})
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in " ".join(done.stderr.split())
    assert not (tmp_path / "none").exists()


# the organisation's time zone


@pytest.fixture
def back_to_utc(product) -> Iterator[None]:
    yield
    product.run("org", "set", "--time-zone", "UTC")


def test_periods_begin_in_the_organisations_time_zone(product, project, back_to_utc):
    scope = f"project:{project}"
    spend(product, "2", project_id=project)
    before = set_budget(product, scope, "10/month", "--hard", "--soft", "60")
    total = set_budget(product, scope, "100")
    said = product.run("org", "set", "--time-zone", "Asia/Kolkata")
    assert said.startswith("periods begin in the time zone Asia/Kolkata; ")
    assert json.loads(product.run("org", "show", "--json"))["time_zone"] == "Asia/Kolkata"
    assert product.query("select time_zone from vis.orgs_v1") == [{"time_zone": "Asia/Kolkata"}]
    month, ever = budgets_of(product, scope)
    assert datetime.fromisoformat(month["starts_at"]).utcoffset() == timedelta(hours=5, minutes=30)
    assert datetime.fromisoformat(month["starts_at"]).timetuple()[2:5] == (1, 0, 0)
    assert (month["cap_usd"], month["hard"], month["soft_percent"]) == ("10", True, [60])
    assert month["windows"][0]["spent_usd"] == "2"
    assert month["budget_id"] != before["budget_id"]
    assert acts_of(product, "budget_removed", budget_id=before["budget_id"])
    assert acts_of(product, "budget_set", budget_id=month["budget_id"])
    assert ever["budget_id"] == total["budget_id"]
    assert acts_of(product, "organisation_set", time_zone="Asia/Kolkata")


def test_no_change_of_the_time_zone_forgets_what_was_spent(product, project, back_to_utc):
    scope = f"project:{project}"
    set_budget(product, scope, "10/month")
    for number, zone in enumerate(["America/New_York", "UTC"], 1):
        spend(product, "1", project_id=project)
        product.run("org", "set", "--time-zone", zone)
        (one,) = budgets_of(product, scope)
        assert one["windows"][0]["spent_usd"] == str(number)


def test_the_time_zone_that_is_set_already_changes_nothing(product, project):
    made = set_budget(product, f"project:{project}", "10/month")
    acts = len(acts_of(product, "organisation_set"))
    assert product.run("org", "set", "--time-zone", "UTC") == "periods begin in the time zone UTC\n"
    assert budgets_of(product, f"project:{project}")[0]["budget_id"] == made["budget_id"]
    assert len(acts_of(product, "organisation_set")) == acts


def test_a_time_zone_that_nobody_knows_is_refused(product):
    done = product.try_run("org", "set", "--time-zone", "../UTC")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is no time zone: expected an IANA name such as Europe/Berlin" in done.stderr


# limits, hints, allocation rules


def test_a_limit_reaches_the_gateway_and_is_edited_in_place(product, project):
    scope = f"project:{project}"

    def read() -> list[tuple[int | None, int | None]]:
        query = "select requests_per_minute, tokens_per_minute from vis.rate_limits_v1 where scope_value = %s"
        return [tuple(one.values()) for one in product.query(query, project)]

    said = product.run("limit", "set", scope, "--requests-per-minute", "60", "--tokens-per-minute", "90000")
    assert (said, read()) == (f"{scope} may have 60 requests and 90000 tokens a minute\n", [(60, 90000)])
    product.run("limit", "set", scope, "--requests-per-minute", "0")
    assert read() == [(0, 90000)]
    product.run("limit", "set", scope, "--requests-per-minute", "none")
    assert read() == [(None, 90000)]
    assert acts_of(product, "limit_set", scope=scope)[-1] == {
        "scope": scope,
        "requests_per_minute": "",
        "tokens_per_minute": "90000",
        "was_requests_per_minute": "0",
    }
    assert {"scope": scope, "requests_per_minute": None, "tokens_per_minute": 90000} in [
        json.loads(line) for line in product.run("limit", "list", "--json").splitlines()
    ]
    done = product.try_run("limit", "set", scope, "--tokens-per-minute", "none")
    assert (done.returncode, read()) == (1, [(None, 90000)])
    assert (
        f"nothing would be limited: say --requests-per-minute or --tokens-per-minute, or `vis limit remove {scope}`"
        in done.stderr
    )
    product.run("limit", "remove", scope)
    assert read() == []
    assert f"there is no limit of {scope}" in product.try_run("limit", "remove", scope).stderr


def test_a_hint_replaces_the_one_for_the_same_calls(product, project):
    def read() -> list[tuple[str, ...]]:
        query = (
            "select agent_sub, project, task_class, model_from, prefer from vis.hints_v1 where project = %s"
        )
        return [tuple(one.values()) for one in product.query(query, project)]

    words = ("hint", "add", "--agent", "alice@arctrade", "--project", project, "--instead-of", "claude-opus")
    said = product.run(*words, "--prefer", "claude-haiku-4-5")
    assert said.startswith(
        f"calls for claude-opus of alice@arctrade on {project} now get claude-haiku-4-5; hint "
    )
    assert read() == [("alice@arctrade", project, "", "claude-opus", "claude-haiku-4-5")]
    product.run(*words, "--prefer", "claude-sonnet-4-6")
    assert read() == [("alice@arctrade", project, "", "claude-opus", "claude-sonnet-4-6")]
    (one,) = [
        one
        for line in product.run("hint", "list", "--json").splitlines()
        if (one := json.loads(line))["project"] == project
    ]
    assert (one["task_class"], one["prefer"]) == ("any", "claude-sonnet-4-6")
    product.run("hint", "remove", one["id"])
    assert read() == []
    assert f"there is no hint {one['id']}" in product.try_run("hint", "remove", one["id"]).stderr
    assert "is no id of a hint" in product.try_run("hint", "remove", "x").stderr
    assert [act["prefer"] for act in acts_of(product, "hint_added", project=project)] == [
        "claude-haiku-4-5",
        "claude-sonnet-4-6",
    ]
    assert acts_of(product, "hint_removed", hint_id=one["id"])


def test_a_hint_with_a_model_that_nobody_lists_is_warned_of(product):
    done = product.try_run("hint", "add", "--task-class", "chat", "--prefer", "claude-hiku-4-5")
    assert (done.returncode, done.stderr) == (
        0,
        "warning: claude-hiku-4-5 is in no price list: check how it is written\n",
    )
    product.run("price", "set", "openai", "house-model", "--input", "1", "--output", "1", "--yes")
    done = product.try_run("hint", "add", "--task-class", "chat", "--prefer", "house-model")
    assert (done.returncode, done.stderr) == (0, "")
    for line in product.run("hint", "list", "--json").splitlines():
        product.run("hint", "remove", json.loads(line)["id"])


def test_a_hint_that_changes_nothing_and_one_for_nothing_are_refused(product):
    same = product.try_run("hint", "add", "--instead-of", "gpt-5", "--prefer", "gpt-5")
    assert (same.returncode, "would replace gpt-5 by itself" in same.stderr) == (1, True)
    nowhere = product.try_run("hint", "add", "--project", "NOPE", "--prefer", "gpt-5")
    assert (nowhere.returncode, "there is no project NOPE" in nowhere.stderr) == (1, True)


def rules_of(product: Product, scope: str) -> list[dict[str, Any]]:
    listed = [json.loads(line) for line in product.run("allocation", "list", "--json").splitlines()]
    return [one for one in listed if one["scope"] == scope]


def test_a_markup_is_appended_and_exact(product, customer):
    scope = f"customer:{customer}"
    product.run("allocation", "set", scope, "--markup", "1.25")
    product.run("allocation", "set", scope, "--markup", "1.234567")
    product.run("allocation", "set", scope, "--markup", "1", "--from", "2999-01-01")
    query = "select multiplier from vis.markups_v1 where scope_value = %s order by effective_from, markup_id"
    found = [one["multiplier"] for one in product.query(query, customer)]
    assert found == [Decimal("1.25"), Decimal("1.234567"), Decimal(1)]
    assert [(one["markup"], one["state"]) for one in rules_of(product, scope)] == [
        ("1", "to come"), ("1.234567", "in force"), ("1.25", "past"),
    ]  # fmt: skip
    assert [one["multiplier"] for one in acts_of(product, "markup_set", scope=scope)] == [
        "1.25",
        "1.234567",
        "1",
    ]


def test_a_markup_cannot_begin_on_a_day_that_has_passed(product, customer):
    done = product.try_run(
        "allocation", "set", f"customer:{customer}", "--markup", "2", "--from", "2026-01-01"
    )
    assert (done.returncode, "2026-01-01 has passed, and rows keep what they were billed" in done.stderr) == (
        1,
        True,
    )
    assert rules_of(product, f"customer:{customer}") == []


def test_a_split_is_appended_and_its_shares_are_one(product, project):
    scope = f"project:{project}"
    said = product.run(
        "allocation",
        "set",
        scope,
        "--split",
        "CC-410=60%",
        "--split",
        "CC-420:6100=0.4",
        "--from",
        "2026-01-01",
    )
    assert said == f"the cost of {scope} is split from 2026-01-01 00:00 UTC on: CC-410 60%, CC-420 40%\n"
    for parts in (
        ("CC-410=60%", "CC-420=30%"),
        ("A=33.333333%", "B=33.333333%", "C=33.333333%"),
        ("A=1", "B=0.000000001"),
    ):
        done = product.try_run(
            "allocation", "set", scope, *(word for part in parts for word in ("--split", part))
        )
        assert (done.returncode, "add up to exactly 1" in done.stderr) == (1, True), parts
    twice = product.try_run("allocation", "set", scope, "--split", "A=0.5", "--split", "A=0.5")
    assert (twice.returncode, "stands twice" in twice.stderr) == (1, True)
    product.run("allocation", "set", scope, "--split", "none")
    now, before = rules_of(product, scope)
    assert (now["parts"], now["state"]) == ([], "in force")
    assert (before["parts"], before["state"]) == (
        [
            {"cost_center": "CC-410", "share": "0.6"},
            {"cost_center": "CC-420", "gl_code": "6100", "share": "0.4"},
        ],
        "past",
    )
    assert [one["parts"] for one in acts_of(product, "split_set", scope=scope)] == [
        "CC-410:=0.6, CC-420:6100=0.4",
        "",
    ]


NO_RULES = [
    (("customer:nope", "--markup", "2"), "there is no customer nope"),
    (
        ("customer:*", "--markup", "2"),
        "customer:* cannot have a markup: expected customer:KEY or project:KEY",
    ),
    (("team:desk", "--markup", "2"), "team:desk cannot have a markup"),
    (("project:*", "--split", "A=1"), "project:* cannot have a split"),
    (("team:nope", "--split", "A=1"), "there is no team nope"),
]


def test_a_rule_for_nobody_is_refused(product):
    words = [("allocation", "set", *rule) for rule, _ in NO_RULES]
    for (rule, sentence), done in zip(NO_RULES, each(product, words), strict=True):
        assert (done.returncode, sentence in done.stderr) == (1, True), rule


# business units


def test_the_business_unit_of_a_key_is_its_projects_else_its_teams(product, project):
    key = json.loads(
        product.run("key", "issue", "--agent", "alice@arctrade", "--project", project, "--json")
    )["id"]

    def unit() -> str | None:
        (one,) = product.query("select business_unit from vis.keys_v1 where key_id = %s", key)
        return one["business_unit"]

    assert unit() is None
    product.run("team", "set", "desk", "--business-unit", "Trading EMEA")
    assert unit() == "Trading EMEA"
    product.run("project", "set", project, "--business-unit", "power")
    assert unit() == "power"
    product.run("project", "set", project, "--business-unit", "")
    assert unit() == "Trading EMEA"
    assert [one["business_unit"] for one in acts_of(product, "project_set", project=project)] == ["power", ""]
    assert acts_of(product, "team_set", team="desk")
    done = product.try_run("project", "set", project, "--business-unit", "*")
    assert (done.returncode, "cannot be a business unit" in done.stderr) == (1, True)
