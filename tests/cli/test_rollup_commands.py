"""`vis rollup`: the daily sums behind the pages are those of their rows, and are made anew when they are not."""

import json
from datetime import UTC, datetime
from uuid import UUID

import psycopg

from ledger.rows import insert, smallest
from product import Product
from visionality.postgres import read_endpoint

WRITER = 70_701
JUNE = ("--month", "2026-06")
"""Which no other test has rows of."""


def write(product: Product, *costs_nusd: int) -> None:
    (org,) = product.query("select org_id from vis.orgs_v1 where slug = 'default'")
    with psycopg.connect(read_endpoint(product.data_dir).dsn("vis")) as connection:
        connection.execute("insert into vis.writers (writer_no, process) values (%s, 'test')", [WRITER])
        for wseq, cost_nusd in enumerate(costs_nusd, 1):
            row = smallest("request_logs", UUID(str(org["org_id"])), datetime(2026, 6, 3, tzinfo=UTC))
            given = {"writer_no": WRITER, "wseq": wseq, "project_id": "HPC", "cost_nusd": cost_nusd}
            insert(connection, "request_logs", row | given)


def test_jobs_add_rows_up_and_a_sum_that_is_wrong_is_named_and_made_anew(product):
    product.open_the_past()
    write(product, 3, 4)
    cursor = "select from vis.rollup_cursor where writer_no = %s and wseq = 2"
    product.until(lambda: product.query(cursor, WRITER))
    assert product.run("rollup", "check", *JUNE) == "every sum is that of its rows\n"

    with psycopg.connect(read_endpoint(product.data_dir).dsn("vis")) as connection:
        connection.execute(
            "update vis.spend_day set cost_nusd = 8 where dim = 'project' and day = '2026-06-03' and key = 'HPC'"
        )
    (found,) = map(json.loads, product.run("rollup", "check", *JUNE, "--json", code=1).splitlines())
    assert (found["day"], found["dim"], found["key"]) == ("2026-06-03", "project", "HPC")
    assert (found["summed_usd"], found["ledger_usd"]) == ("0.000000008", "0.000000007")

    assert "rows were added up anew" in product.run("rollup", "rebuild")
    assert product.run("rollup", "check", *JUNE) == "every sum is that of its rows\n"
