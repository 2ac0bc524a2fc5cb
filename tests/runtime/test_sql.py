"""Statements by their names: a name that is given twice would silently be the later one."""

import pytest

from visionality.runtime import sql


def test_two_statements_of_one_name_are_refused(monkeypatch):
    monkeypatch.setattr(sql, "text", lambda *_: "-- name: one\nselect 1;\n\n-- name: one\nselect 2;\n")
    with pytest.raises(ValueError, match=r"reports\.sql has two statements that are called one"):
        sql.statements("house", "reports.sql")
