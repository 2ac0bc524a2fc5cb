"""Promise F1: nine columns, a total line, and the total is the ledger to the last digit."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Database, clone_of, default_org
from ledger.rows import insert, smallest
from visionality.chargeback.csv import COLUMNS, Total, write, write_all
from visionality.chargeback.filter import SELECTORS
from visionality.ledger.reader import reading
from visionality.runtime.ids import uuid7

HEADER = "created_at,project_id,model_family,model_used,task_class,agent_sub,agent_owner,currency,cost_usd"
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
MICRO = timedelta(microseconds=1)
NOTHING = {"created_at": "TOTAL", "currency": "USD", "cost_usd": "0"}

nusd = st.integers(0, 10**15) | st.sampled_from([0, 1, 999_999_999, 10**9, 10**17])


@pytest.fixture(scope="module")
def ledger(cluster, template) -> Iterator[Database]:
    with clone_of(cluster, template) as database:
        database.run("set role vis_owner; select vis.add_months('2026-01-01', 15)")
        yield database


@pytest.fixture(scope="module")
def org_id(ledger) -> UUID:
    return default_org(ledger)


@pytest.fixture
def add(ledger, org_id) -> Callable[..., str]:
    """Append rows of a project that no other test has; gives its key."""
    project = str(uuid7())

    def append(*rows: dict[str, Any]) -> str:
        with ledger.as_role("vis_writer") as connection:
            for row in rows:
                at = row.get("created_at", NOVEMBER)
                insert(
                    connection,
                    "request_logs",
                    smallest("request_logs", org_id, at) | {"project_id": project} | row,
                )
        return project

    return append


@pytest.fixture(scope="module")
def export(ledger, org_id) -> Callable[..., tuple[list[dict[str, str]], list[Total]]]:
    """The lines of a file as a spreadsheet reads them, and its totals."""

    def exported(
        start: datetime = NOVEMBER, end: datetime = DECEMBER, *, include_sandbox: bool = False, **wanted: str
    ) -> tuple[list[dict[str, str]], list[Total]]:
        out = io.BytesIO()
        with reading(ledger.dsn("vis_reader"), org_id, snapshot=True) as connection:
            totals = write(
                connection, org_id, start, end, wanted, out, lambda *_: None, include_sandbox=include_sandbox
            )
        text = out.getvalue().decode()
        assert text.splitlines()[0] == HEADER
        assert text.endswith("\n")
        return list(csv.DictReader(io.StringIO(text, newline=""))), totals

    return exported


def test_the_columns_are_these_nine_in_this_order():
    assert ",".join(COLUMNS) == HEADER
    assert len(COLUMNS) == 9


def test_a_line_is_a_row_in_the_order_of_time(add, export):
    bound = {
        "model_family": "f",
        "model_used": "m",
        "task_class": "chat",
        "agent_sub": "a@b",
        "agent_owner": "Alice K.",
    }
    late = {"created_at": NOVEMBER + MICRO, "cost_nusd": 3_405_000} | bound
    project = add(late, bound | {"cost_nusd": 1})
    (first, second, total), _ = export(project=project)
    assert first["created_at"] == "2026-11-01T00:00:00.000000Z"
    assert list(second.values()) == [
        "2026-11-01T00:00:00.000001Z", project, "f", "m", "chat", "a@b", "Alice K.", "USD", "0.003405",
    ]  # fmt: skip
    assert list(total.values()) == ["TOTAL", "", "", "", "", "", "", "USD", "0.003405001"]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.tuples(nusd, st.sampled_from(["call", "correction", "true_up"])), max_size=12),
    st.data(),
)
def test_the_total_line_is_the_sum_of_the_lines_and_of_the_ledger(ledger, org_id, export, rows, data):
    project = str(uuid7())
    costs = []
    with ledger.as_role("vis_writer") as connection:
        for amount, entry in rows:
            cost = amount if entry == "call" else data.draw(st.sampled_from([amount, -amount]))
            costs.append(cost)
            row = smallest("request_logs", org_id, NOVEMBER + timedelta(seconds=len(costs)))
            insert(
                connection, "request_logs", row | {"project_id": project, "entry": entry, "cost_nusd": cost}
            )
    *lines, total = export(project=project)[0]
    amounts = [Decimal(line["cost_usd"]) for line in lines]
    assert [int(amount * 10**9) for amount in amounts] == costs
    assert Decimal(total["cost_usd"]) == sum(amounts, Decimal(0)) == Decimal(sum(costs)) / 10**9
    assert total["created_at"] == "TOTAL"


BORDERS = [
    (NOVEMBER, DECEMBER),
    (datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    (datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)),
]


@pytest.mark.parametrize(("start", "end"), BORDERS, ids=["month", "quarter", "day"])
def test_a_period_begins_with_its_first_and_ends_before_the_next_microsecond(add, export, start, end):
    moments = [start - MICRO, start, end - MICRO, end]
    project = add(*[{"created_at": moment, "cost_nusd": 10**place} for place, moment in enumerate(moments)])
    *lines, total = export(start, end, project=project)[0]
    assert [line["created_at"] for line in lines] == [
        f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" for moment in moments[1:3]
    ]
    assert total["cost_usd"] == "0.00000011"


def test_a_zone_of_the_database_moves_no_border(ledger, org_id, add, export):
    project = add({"created_at": NOVEMBER}, {"created_at": DECEMBER - MICRO})
    ledger.run(f"alter database {ledger.name} set timezone to 'Pacific/Auckland'")
    try:
        *lines, _ = export(project=project)[0]
    finally:
        ledger.run(f"alter database {ledger.name} reset timezone")
    assert [line["created_at"] for line in lines] == [
        "2026-11-01T00:00:00.000000Z",
        "2026-11-30T23:59:59.999999Z",
    ]


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_selector_keeps_what_it_names(add, export, selector):
    column = {
        "project": "project_id",
        "task": "task_id",
        "epic": "epic_id",
        "team": "team_id",
        "agent": "agent_sub",
        "owner": "agent_owner",
        "customer": "customer_id",
    }[selector]
    wanted = f"it's \\ 100% {{{uuid7()}}}"
    add({column: wanted, "cost_nusd": 7}, {column: "another"}, {column: None})
    _, (total,) = export(**{selector: wanted})
    assert total == Total("USD", 1, 7)


def test_selectors_narrow_each_other(add, export):
    project = add({"team_id": "desk", "cost_nusd": 1}, {"team_id": "back", "cost_nusd": 2})
    assert export(project=project, team="desk")[1] == [Total("USD", 1, 1)]


def test_the_simulated_provider_counts_only_when_asked(add, export):
    project = add({"provider": "sandbox", "cost_nusd": 5}, {"provider": "openai", "cost_nusd": 7})
    assert export(project=project)[1] == [Total("USD", 1, 7)]
    assert export(project=project, include_sandbox=True)[1] == [Total("USD", 2, 12)]


def test_what_cost_nothing_because_nothing_was_served_is_left_out(add, export):
    refused = {"decision": "refused", "status_code": 401, "cost_nusd": 0}
    failed = {"decision": "failed", "status_code": 500, "cost_nusd": 0}
    look_up = {"task_class": "catalogue", "cost_nusd": 0}
    project = add(refused, failed, look_up)
    assert export(project=project) == ([NOTHING | dict.fromkeys(COLUMNS[1:7], "")], [])
    add(failed | {"cost_nusd": 3}, look_up | {"cost_nusd": 4}, {"cost_nusd": 0, "task_class": "chat"})
    assert export(project=project)[1] == [Total("USD", 3, 7)]


def test_a_correction_is_a_line_of_its_own(add, export):
    project = add({"cost_nusd": 500}, {"entry": "correction", "cost_nusd": -200, "corrects": uuid7()})
    *lines, total = export(project=project)[0]
    assert sorted(line["cost_usd"] for line in lines) == ["-0.0000002", "0.0000005"]
    assert total["cost_usd"] == "0.0000003"


def test_each_currency_has_its_own_total(add, export):
    project = add({"cost_nusd": 1}, {"cost_nusd": 2, "currency": "EUR"})
    lines, _ = export(project=project)
    assert [(line["currency"], line["cost_usd"]) for line in lines[-2:]] == [
        ("EUR", "0.000000002"),
        ("USD", "0.000000001"),
    ]


FORMULAS = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"]  # noqa: RUF001
PLAIN = [
    "Alice K.",
    "a=b",
    "it's",
    "'=1",
    'say "hi"',
    "a,b",
    "two\nlines",
    "Zoë 東京 😀",
    "",
    " =1",
    "TOTAL",
    "\\.",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_a_formula(add, export, text):
    texts = dict.fromkeys(("model_family", "model_used", "task_class", "agent_sub", "agent_owner"), text)
    (line, _), _ = export(project=add(texts))
    assert {name: line[name] for name in texts} == dict.fromkeys(texts, "'" + text)


@pytest.mark.parametrize("text", PLAIN)
def test_a_text_comes_out_as_it_went_in(add, export, text):
    (line, _), (total,) = export(project=add({"agent_owner": text, "cost_nusd": 9}))
    assert line["agent_owner"] == text
    assert total == Total("USD", 1, 9)


def test_a_project_whose_name_begins_a_formula_is_guarded_too(ledger, org_id, export):
    with ledger.as_role("vis_writer") as connection:
        row = smallest("request_logs", org_id, NOVEMBER) | {"project_id": "=1+1", "cost_nusd": 1}
        insert(connection, "request_logs", row)
    assert export(project="=1+1")[0][0]["project_id"] == "'=1+1"


def test_an_empty_period_is_a_header_and_a_total_of_nothing(export):
    lines, totals = export(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    assert (lines, totals) == ([NOTHING | dict.fromkeys(COLUMNS[1:7], "")], [])


def test_progress_reaches_its_end_and_never_passes_it(ledger, org_id, add):
    project = add(*[{"agent_owner": "two\nlines"}] * 5)
    told: list[tuple[int, int]] = []
    with reading(ledger.dsn("vis_reader"), org_id, snapshot=True) as connection:
        write(
            connection, org_id, NOVEMBER, DECEMBER, {"project": project}, io.BytesIO(),
            lambda written, in_all: told.append((written, in_all)),
        )  # fmt: skip
    assert told[-1] == (5, 5)
    assert told == sorted(told)
    assert max(told) == (5, 5)


def test_another_organisation_is_not_in_the_file(ledger, org_id, add, export):
    project = add({"cost_nusd": 1})
    add({"org_id": uuid7(), "cost_nusd": 10})
    assert export(project=project)[1] == [Total("USD", 1, 1)]


def test_everything_has_every_column_of_every_row(ledger, org_id, add):
    project = add({"decision": "refused", "cost_nusd": 0}, {"provider": "sandbox", "cost_nusd": 4})
    out = io.BytesIO()
    with reading(ledger.dsn("vis_reader"), org_id, snapshot=True) as connection:
        count = write_all(connection, org_id, NOVEMBER, DECEMBER, out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue().decode(), newline="")))
    assert len(rows) == count
    mine = [row for row in rows if row["project_id"] == project]
    assert sorted(row["cost_nusd"] for row in mine) == ["0", "4"]
    with ledger.as_role("vis_auditor") as connection:
        columns = connection.execute("select * from vis.request_logs limit 0").description
    assert list(rows[0]) == [column.name for column in columns]
