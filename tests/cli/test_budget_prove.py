"""`vis budget prove`: what an auditor is shown, over calls that were made, and over rows that somebody planted (B1)."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from gateway.calls import MESSAGES, Caller
from product import Product, running, set_up
from visionality.core.budget_event import Event, event_leaf
from visionality.core.money import NANO
from visionality.postgres import read_endpoint
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7

ALWAYS = ("--from", "2020-01-01", "--to", "2199-12-31")
CAP = "0.005"
"""US dollars: a few calls of the sandbox."""


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """One of its own: what is planted in it stays."""
    with running() as product:
        set_up(product)
        product.run("budget", "set", "project:HPC", "--cap", f"{CAP}/month", "--hard")
        product.run("budget", "set", "agent:*", "--cap", "5/day", "--hard")
        product.run("budget", "set", "org", "--cap", "0.001")
        caller = Caller(product, product.issue())
        product.until(lambda: caller.post(MESSAGES, str(uuid4())).status == 402)
        yield product


def superuser(product: Product) -> psycopg.Connection:
    return psycopg.connect(read_endpoint(product.data_dir).dsn("vis"), row_factory=dict_row, autocommit=True)


def records(product: Product, *words: str, code: int = 0) -> list[dict[str, object]]:
    """The windows, and what is said of all of them."""
    told = product.run("budget", "prove", *(words or ALWAYS), "--json", code=code)
    return [json.loads(line) for line in told.splitlines()]


def window_of(product: Product, scope: str) -> dict[str, object]:
    (found,) = product.query(
        """select w.* from vis.budget_windows w join vis.budgets_v1 b using (org_id, budget_id)
            where window_id <> budget_id and scope_kind = %s""",
        scope,
    )
    return found


def test_each_window_is_shown_with_the_most_that_was_spent_and_held_at_once(product):
    *windows, summary = records(product)
    by_scope = {window["scope"]: window for window in windows}
    assert by_scope.keys() == {"project:HPC", "agent:alice@arctrade", "org"}
    assert (summary["ok"], summary["found"], summary["windows"]) == (True, 0, 3)
    project = by_scope["project:HPC"]
    assert (project["period"], project["hard"], project["cap_usd"]) == ("month", True, CAP)
    assert Decimal(project["spent_usd"]) <= Decimal(project["most_usd"]) <= Decimal(CAP)
    assert project["denials"] > 0
    assert project["most_past_cap_usd"] == "0"
    (rows,) = product.query(
        "select sum(cost_nusd)::bigint as nusd from vis.request_logs where project_id = 'HPC'"
    )
    assert Decimal(project["spent_usd"]) * NANO == rows["nusd"]
    assert project["held_usd"] == "0"


def test_a_month_before_all_budgets_has_the_windows_of_the_total_alone(product):
    told = product.run("budget", "prove", "--month", "2020-02").splitlines()
    assert [line.split()[0] for line in told[:-1]] == ["org"]
    assert told[-1].endswith("no hold was ever given beyond a cap")


def test_what_is_printed_is_one_line_a_window_and_a_verdict(product):
    done = product.try_run("budget", "prove", f"--month={utc_now():%Y-%m}")
    assert done.returncode == 0
    *windows, verdict = done.stdout.splitlines()
    assert all(line.endswith("  proved") for line in windows)
    assert re.fullmatch(r"3 windows, \d+ events: no hold was ever given beyond a cap", verdict)
    assert "most at once" in done.stderr


def test_a_window_past_its_cap_by_a_cut_is_proved_and_says_why(product):
    product.run("budget", "set", "agent:alice@arctrade", "--cap", "1/month", "--hard")
    product.run("budget", "set", "agent:alice@arctrade", "--cap", "0/month", "--hard")
    told = product.run("budget", "prove", *ALWAYS)
    product.run("budget", "remove", "agent:alice@arctrade")
    assert told.count("past its cap: its cap was set below what was spent and held\n") == 1


def test_a_planted_counter_is_named(product):
    window = window_of(product, "organisation")
    with superuser(product) as connection:
        change = "update vis.budget_windows set spent_nusd = spent_nusd + %s where window_id = %s"
        connection.execute(change, [-1, window["window_id"]])
        told = product.run("budget", "prove", *ALWAYS, code=1)
        connection.execute(change, [1, window["window_id"]])
    assert re.search(r"\n  spent are [\d.]+ USD by the events, and [\d.]+ by the window's row\n", told)
    assert told.splitlines()[-1].endswith(": 1 finding")


def test_a_planted_overspend_is_named_with_its_moment_its_hold_and_its_call(product):
    window = window_of(product, "project")
    left_nusd = window["cap_nusd"] - window["spent_nusd"] - window["reserved_nusd"]
    hold_id, request_id, at = uuid7(), uuid7(), utc_now()
    position = window["position"] + 1
    whose = (window["org_id"], at, uuid7(), 4_711, 1, "reserve", hold_id, request_id)
    event = Event(*whose, [window["window_id"]], left_nusd + 500_000_000, None, None)
    with superuser(product) as connection:
        connection.execute(
            """insert into vis.budget_events (org_id, created_at, id, writer_no, wseq, kind, hold_id, request_id, windows,
                                              amount_nusd, leaf_hash, position)
               values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [*whose, event.windows, event.amount_nusd, event_leaf(event), position],
        )
        connection.execute(
            """insert into vis.budget_holds (org_id, hold_id, request_id, windows, amount_nusd, writer_no, expires_at)
               values (%s, %s, %s, %s, %s, %s, %s)""",
            [
                *(window["org_id"], hold_id, request_id, event.windows, event.amount_nusd),
                4_711,
                at + timedelta(1),
            ],
        )
        connection.execute(
            "update vis.budget_windows set reserved_nusd = reserved_nusd + %s, position = %s where window_id = %s",
            [event.amount_nusd, position, window["window_id"]],
        )
    told = product.run("budget", "prove", *ALWAYS, code=1)
    wrong, found, where = told[told.index("project:HPC") :].splitlines()[:3]
    assert wrong.endswith("WRONG")
    assert found.startswith("  the cap was passed: 0.5")
    assert f"position {position}, hold {hold_id}, call {request_id}" in where
    assert f"{at:%Y-%m-%d %H:%M:%S.%f}" in where
    *windows, summary = records(product, code=1)
    (finding,) = [finding for one in windows for finding in one["findings"]]
    assert UUID(finding["hold_id"]) == hold_id
    assert (finding["position"], summary["ok"], summary["found"]) == (position, False, 1)
