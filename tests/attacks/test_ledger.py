"""Attacks 52, 53 and 55: the ledger itself, and what a flood leaves of it (promises L2, L3, K5).

Deeper: tests/ledger/test_append_only.py, tests/ledger/test_privileges.py, tests/web/test_row_page.py.
"""

import os
import random
import statistics
import threading
import time
from urllib.parse import urlsplit

import psycopg
import pytest

from attacks.attacker import around, counted, knocking, rows
from attacks.catalogue import FLOOD
from gateway.calls import new_id
from ledger.faults import ROLES, TABLES
from ledger.test_append_only import ATTEMPTS, KEYS
from visionality.core.handle import from_entropy
from visionality.postgres import read_endpoint
from web.browsing import Browser

CODES = 8
"""At most so many kinds of strangers there are."""


@pytest.mark.attack(52)
def test_no_role_of_an_application_changes_a_row(product, bearer, backend, seen):
    backend.code(bearer["handle"])
    endpoint, tried = read_endpoint(product.data_dir), 0
    (row,) = product.query(
        "select tableoid::regclass::text as partition, to_char(now(), 'YYYYMM') as month from vis.request_logs limit 1"
    )
    for role in ROLES:
        password = (product.data_dir / "secrets" / f"{role}.password").read_text().strip()
        dsn = psycopg.conninfo.make_conninfo(endpoint.dsn("vis"), user=role, password=password)
        with psycopg.connect(dsn) as connection:
            for table in TABLES:
                partition = (
                    f"vis.{table}" if table in KEYS else row["partition"].replace("request_logs", table)
                )
                key = KEYS.get(table, "org_id, created_at, id")
                for sentence in ATTEMPTS.values():
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(sentence.format(table=table, key=key, partition=partition))
                    connection.rollback()
                    tried += 1
    product.run("check")
    seen(f"{tried} sentences of {len(ROLES)} roles: insufficient privilege; `vis check` is content")


@pytest.mark.attack(53)
def test_a_row_that_an_administrator_edited_says_so(product, bearer, backend, seen):
    call_id = new_id()
    backend.post(bearer["handle"], proof=None, call_id=call_id)
    row = backend.row_of(call_id)
    with psycopg.connect(read_endpoint(product.data_dir).dsn("vis"), autocommit=True) as connection:
        guards = connection.execute(
            """select tgrelid::regclass::text, quote_ident(tgname), tgenabled = 'A' from pg_trigger
                where not tgisinternal and tgrelid in (
                      'vis.request_logs'::regclass, (select tableoid from vis.request_logs where id = %s))""",
            [row["id"]],
        ).fetchall()
        for table, name, _ in guards:
            connection.execute(f"alter table {table} disable trigger {name}")
        try:
            partition = max(table for table, _, _ in guards)
            edited = connection.execute(f"update {partition} set cost_nusd = 1 where id = %s", [row["id"]])
            assert edited.rowcount == 1
            assert product.try_run("check").returncode != 0
        finally:
            for table, name, always in guards:
                connection.execute(f"alter table {table} enable {'always ' * always}trigger {name}")
    product.run("check")
    link = urlsplit(product.run("login").strip())
    browser = Browser(link.port)
    browser.get(link.path)
    assert "the row is not what was written" in browser.get(f"/rows/{row['id']}").text
    seen("the row's page says that it is not what was written; `vis check` found the triggers off")


@pytest.mark.attack(55)
def test_a_flood_of_bad_tokens_fills_nothing_and_keeps_nobody_out(product, bearer, seen):
    chance, good = random.Random(55), bearer["handle"]
    bad = [from_entropy(os.urandom(32)) for _ in range(50)] + [
        around(chance.randbytes(300)) for _ in range(50)
    ]
    envelope = bearer["envelope"]
    other = "B" if envelope[-8] == "A" else "A"
    bad += [f"{envelope[:-8]}{other}{envelope[-7:]}", "sk-ant-of-somebody", "visk_live_x"]
    before = {
        "rows": rows(product),
        "strangers": product.query("select count(*) as n from vis.strangers")[0]["n"],
    }
    came = counted(product)

    def timed(count: int) -> list[float]:
        took = []
        with knocking(product.gateway) as door:
            for _ in range(count):
                begun = time.perf_counter()
                assert door.knock(good)[0] == 200
                took.append(time.perf_counter() - begun)
        return sorted(took)

    def flood(count: int) -> None:
        with knocking(product.gateway) as door:
            for number in range(count):
                status, _ = door.knock(bad[number % len(bad)])
                answers.append(status)

    answers: list[int] = []
    quiet = timed(200)
    threads = [threading.Thread(target=flood, args=(FLOOD // 4,)) for _ in range(4)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    loud = timed(200)
    for thread in threads:
        thread.join()
    rate = FLOOD / (time.perf_counter() - begun)
    believed = {bad[number % len(bad)][:9] for number, status in enumerate(answers) if status != 401}
    assert set(answers) == {401}, believed
    assert len(answers) == FLOOD // 4 * 4
    product.until(lambda: counted(product) >= came + len(answers))
    grown = product.query("select count(*) as n from vis.strangers")[0]["n"] - before["strangers"]
    minutes = int((time.perf_counter() - begun) // 60) + 2
    assert grown <= minutes * CODES
    product.until(lambda: rows(product) >= before["rows"] + len(quiet) + len(loud))
    assert rows(product) == before["rows"] + len(quiet) + len(loud)
    p50, p99 = (statistics.median(loud) / statistics.median(quiet), loud[-3] / quiet[-3])
    seen(f"{len(answers):,} bad tokens at {rate:,.0f}/s: {grown} rows of counters, no row of the ledger, every good call "
         f"answered (p50 x{p50:.1f}, p99 x{p99:.1f}; both sides on the same cores)")  # fmt: skip
