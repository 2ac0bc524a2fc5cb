"""The row in memory and the table it is written to are one thing."""

import types
from typing import get_args

import msgspec

from visionality.core.row import COLUMNS, Row


def columns(database) -> list[tuple[str, bool]]:
    """The table's columns in order, and whether each may be null."""
    with database.as_role("vis_super") as connection:
        return connection.execute(
            """select attname::text, not attnotnull from pg_attribute
                where attrelid = 'vis.request_logs'::regclass and attnum > 0 and not attisdropped order by attnum"""
        ).fetchall()


def test_the_columns_of_a_row_and_its_leaf_are_those_of_the_table_in_order(database):
    assert [*COLUMNS, "leaf_hash"] == [name for name, _ in columns(database)]


def test_a_column_may_be_null_exactly_where_a_row_may_leave_it_out(database):
    optional = {field.name: types.NoneType in get_args(field.type) for field in msgspec.structs.fields(Row)}
    assert {**optional, "leaf_hash": False} == dict(columns(database))
