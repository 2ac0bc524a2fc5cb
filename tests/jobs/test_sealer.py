"""The sealer's loop: what it cannot seal is an alert of its organisation, told once; a head stands soon after a row."""

import asyncio
import contextlib
from datetime import timedelta

import psycopg
import pytest

from evidence.sealed import NOON, Installation
from visionality.jobs.health import Spend, metrics
from visionality.jobs.sealer import Sealer
from visionality.runtime.clock import utc_now


@pytest.fixture
def installation(database, org, tmp_path) -> Installation:
    return Installation(database, org, tmp_path)


def sealer_of(installation) -> Sealer:
    dsn = installation.database.dsn
    return Sealer(dsn("vis_sealer"), dsn("vis_jobs"), installation.keys, utc_now)


def alerts(installation) -> list[dict]:
    with installation.database.as_role("vis_web", installation.org) as connection:
        return connection.execute("select kind, title, detail from vis.alerts order by created_at").fetchall()


def test_a_missing_number_and_a_changed_row_are_each_an_alert_once(installation):
    sealer = sealer_of(installation)
    changed = installation.row(1, 102)
    installation.insert(changed, leaf=bytes(32))
    installation.write(101, skip=2)
    for _ in range(3):
        sealer.step()
    sealer.close()
    another = sealer_of(installation)
    another.step()
    another.close()
    assert (sealer.sealed, sealer.breaks, sealer.altered) == (1, 1, 1)
    (broken, altered) = sorted(alerts(installation), key=lambda one: "missing" not in one[1])
    assert broken[1] == "Row 1 of writer 101 is missing from request_logs"
    assert broken[2] == {
        "log": "request_logs",
        "org_id": str(installation.org),
        "writer_no": "101",
        "number": "1",
        "what": "missing",
    }
    assert altered[1] == "A row of request_logs is not the one that was written"
    assert altered[2]["row_id"] == str(changed.id)
    assert {kind for kind, _, _ in (broken, altered)} == {"evidence"}


def test_a_number_that_stands_twice_and_an_act_that_is_gone_are_named(installation):
    installation.write()
    installation.insert(installation.row(1))
    installation.act()
    installation.act()
    (month,) = installation.query("select distinct tableoid::regclass::text as name from vis.admin_events")
    installation.database.run(
        f"alter table {month['name']} disable trigger all; delete from {month['name']} where seq = (select max(seq) from {month['name']})"
    )
    sealer = sealer_of(installation)
    sealer.step()
    sealer.close()
    titles = {title for _, title, _ in alerts(installation)}
    assert "Row 1 of writer 101 stands twice in request_logs" in titles
    assert any(
        f"of the organisation {installation.org} is missing from admin_events" in one for one in titles
    )


def test_rows_are_under_a_head_while_the_loop_runs_and_a_stopped_one_leaves_at_once(installation):
    async def follow():
        sealer = sealer_of(installation)
        task = asyncio.create_task(sealer.run())
        for size in (1, 2, 3):
            await asyncio.to_thread(installation.write)
            async with asyncio.timeout(30):
                while not any(
                    one["tree_size"] == size
                    for one in await asyncio.to_thread(installation.seals, "request_logs")
                ):
                    await asyncio.sleep(0.02)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.to_thread(sealer.close)

    asyncio.run(follow())
    installation.write()
    assert installation.seal(utc_now()).leads


def test_how_long_ago_anybody_sealed_is_told_to_whoever_scrapes(installation):
    def age(now):
        text = metrics(installation.database.dsn("vis_jobs"), now, {}, Spend())
        (line,) = [one for one in text.splitlines() if one.startswith("visionality_seal_age_seconds ")]
        return int(line.split()[1])

    assert age(NOON) == 0
    installation.seal(NOON)
    assert age(NOON + timedelta(hours=1)) == 3600


def test_a_loop_whose_connection_is_cut_goes_on_with_another(installation):
    sealer = sealer_of(installation)
    sealer.step()
    installation.write()
    installation.database.run(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'vis_sealer' and datname = current_database()"
    )
    with pytest.raises(psycopg.OperationalError):
        sealer.step()
    sealer.close()
    assert sealer.step().leaves == 1
    sealer.close()
