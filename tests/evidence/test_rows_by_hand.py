"""A stranger makes a row's leaf from the row and docs/audit/formats.md alone (L3)."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
import rfc8785
from psycopg.types.json import Jsonb

from evidence.sealed import NOON
from visionality.evidence.rows import COLUMNS, ROW_LOGS, not_as_hashed, rebuilt_leaf

PAGE = Path(__file__).parents[2] / "docs" / "audit" / "formats.md"
MONEY = ("cost_nusd", "billed_nusd", "amount_nusd", "actual_nusd")
OPERATIONAL = ("leaf_hash", "position")


def as_the_page_says(record: dict) -> dict:
    """Every column but the leaf and what is operational, and `v`."""
    row = {name: plain(name, value) for name, value in record.items() if name not in OPERATIONAL}
    return row | {"v": 1}


def plain(name: str, value: object) -> object:
    match value:
        case int() if name in MONEY:
            return str(value)
        case UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case list():
            return [plain(name, one) for one in value]
    return value


@pytest.fixture
def written(installation):
    """A row of each log."""
    installation.write(
        project_id="Brücke \U0001f30a \x01\t\u2028", request_sha256=bytes(range(32)), memo='a"b\\c/d'
    )
    installation.hold(amount_nusd=2**62, actual_nusd=0)
    installation.act()
    installation.key_step()
    return installation


@pytest.mark.parametrize("log", ROW_LOGS)
def test_the_line_of_the_page_gives_the_leaf_that_is_stored_and_sealed(written, log, tmp_path):
    (line,) = [
        one.strip() for one in PAGE.read_text().splitlines() if "sha256sum" in one and "row.json" in one
    ]
    command = line.partition("#")[0].strip()
    written.seal()
    record = written.query(
        f"select * from vis.{log} where org_id = %s order by id desc limit 1", written.org
    )[0]
    (tmp_path / "row.json").write_bytes(rfc8785.dumps(as_the_page_says(record)))
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    leaf = done.stdout.split()[0]
    assert leaf == bytes(record["leaf_hash"]).hex()
    assert bytes.fromhex(leaf) in written.sealed_leaves(log)
    assert rebuilt_leaf(log, record) == bytes.fromhex(leaf)


@pytest.mark.parametrize("log", ROW_LOGS)
def test_every_column_of_a_log_is_in_its_bytes(written, log):
    record = written.query(f"select * from vis.{log} limit 1")[0]
    assert {*COLUMNS[log], *OPERATIONAL} >= set(record)
    assert set(COLUMNS[log]) <= set(record)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("cost_nusd", 1_001),
        ("project_id", "ML"),
        ("memo", None),
        ("usage", Jsonb({"in_text": 9})),
        ("tags", Jsonb({"ü": "no name of ours"})),
        ("usage", Jsonb({"in_text": 1.5})),
        ("created_at", NOON.replace(microsecond=2)),
    ],
)
def test_a_row_with_another_value_in_any_column_is_found(installation, column, value):
    row = installation.write(memo="paid")
    installation.seal()
    (month,) = installation.query("select tableoid::regclass::text as name from vis.request_logs")
    installation.database.run(f"alter table {month['name']} disable trigger all")
    with installation.database.as_role("vis_super") as connection:
        connection.execute(f"update {month['name']} set {column} = %s where id = %s", [value, row.id])
    ((leaf,),) = [installation.sealed_leaves("request_logs")]
    mark = (installation.org, NOON, row.id.bytes, leaf)
    with installation.auditor() as connection:
        assert not_as_hashed(connection, "request_logs", [mark]) == [(installation.org, row.id)]
        assert not_as_hashed(connection, "request_logs", []) == []
