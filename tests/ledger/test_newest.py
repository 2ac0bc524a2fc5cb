"""A filter finds its rows and no others, newest first and page by page, wherever the roller of the daily sums is."""

from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from ledger.books import TODAY, Books
from ledger.test_sums import HOSTILE, steps, wear
from visionality.ledger.filter import NOTHING, Filter
from visionality.ledger.reader import newest, reading
from visionality.ledger.sums import midnight

COLUMN = {
    "customer": "customer_id",
    "team": "team_id",
    "person": "sso_sub",
    "class": "task_class",
    "model": "model_used",
    "provider": "provider",
    "repo": "repo",
    "cost_center": "cost_center",
    "level": "attribution_level",
    "decision": "decision",
    "project": "project_id",
}
"""Selectors that the sums have a dimension for, and two that they have none for or that need none."""
VALUES = {
    "provider": ["sandbox", "anthropic", "nobody"],
    "level": ["1", "7", "8"],
    "decision": ["allowed", "refused"],
    "class": ["catalogue", *HOSTILE[1:-1]],
}
PAGE = 2


@pytest.fixture
def books(database, org):
    return Books(database, org)


def chosen(selector: str) -> st.SearchStrategy[tuple[str, str]]:
    values = VALUES.get(selector, [*HOSTILE[1:-1], "nobody"])
    return st.tuples(st.just(selector), st.sampled_from([*values, NOTHING]))


filters = st.lists(st.sampled_from(sorted(COLUMN)).flatmap(chosen), min_size=1, max_size=2).map(dict)


def expected(books: Books, named: dict[str, str]) -> list[tuple]:
    with psycopg.connect(books.database.dsn("vis_auditor"), row_factory=dict_row) as connection:
        rows = connection.execute("select * from vis.request_logs where org_id = %s", [books.org]).fetchall()
    wanted = [
        row for row in rows if all(spelled(row[COLUMN[name]]) == value for name, value in named.items())
    ]
    return sorted(((row["created_at"], row["id"]) for row in wanted), reverse=True)


def spelled(value: object) -> str:
    return NOTHING if value is None else str(value)


def found(books: Books, wanted: Filter) -> list[tuple]:
    """All of its rows, read page by page."""
    marks: list[tuple] = []
    with reading(books.database.dsn("vis_reader"), books.org) as connection:
        while page := newest(connection, books.org, wanted, PAGE, marks[-1] if marks else None):
            marks += [(row["created_at"], row["id"]) for row in page]
    return marks


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps, named=st.lists(filters, min_size=4, max_size=4))
def test_a_filter_finds_its_rows_wherever_the_roller_is(books, steps, named):
    for step in steps:
        if step == "dies":
            books.roll_and_die()
        elif isinstance(step, int):
            books.roll(step)
        else:
            writer_no, row, _ = step
            books.write(writer_no, **wear(row))
    for one in named:
        assert found(books, Filter.of(one)) == expected(books, one), one


@pytest.mark.parametrize("is_rolled", [False, True])
def test_rows_that_are_days_apart_are_all_found(books, is_rolled):
    for apart in (0, 1, 3, 5, 6, 8, 10, 12):
        at = midnight(TODAY) + timedelta(days=apart, hours=23)
        books.write(model_used="rare", created_at=at)
        books.write(102, model_used="common", created_at=at)
    if is_rolled:
        books.roll()
    for model in ("rare", "common", "nobody"):
        assert found(books, Filter.of({"model": model})) == expected(books, {"model": model})
