"""What operators scrape: spend by the level of evidence, exact and of the last day only (A6)."""

from datetime import timedelta

from ledger.rows import insert, smallest
from visionality.jobs.health import Spend, metrics
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7


def levels_of(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line.startswith("visionality_spend_usd_24h{")]
    return dict(line.removeprefix("visionality_spend_usd_24h{level=").split("} ") for line in lines)


def test_spend_of_a_day_is_told_by_level_over_all_organisations(database):
    now = utc_now()
    rows = [
        (now, {"attribution_level": 4, "cost_nusd": 3_405_001}),
        (now, {"attribution_level": 4, "cost_nusd": 1}),
        (now, {"attribution_level": 8, "cost_nusd": 5_000_000_000}),
        (now, {"attribution_level": None, "cost_nusd": 7}),
        (now, {"attribution_level": 8, "cost_nusd": 9, "provider": "sandbox"}),
        (now, {"attribution_level": 8, "cost_nusd": 9, "currency": "EUR"}),
        (now - timedelta(hours=25), {"attribution_level": 1, "cost_nusd": 11}),
    ]
    database.run("set role vis_owner; select vis.add_months((now() - interval '1 month')::date, 3)")
    for org_id in (uuid7(), uuid7()):
        with database.as_role("vis_web", org_id) as connection:
            connection.execute(
                "insert into vis_control.organisation (id, slug, name, created_at) values (%s, %s, 'x', now())",
                [org_id, org_id.hex],
            )
        with database.as_role("vis_writer") as connection:
            for at, given in rows:
                insert(connection, "request_logs", smallest("request_logs", org_id, at) | given)
    found = levels_of(metrics(database.dsn("vis_jobs"), now + timedelta(minutes=1), {}, Spend()))
    assert found == {f'"{level}"': "0" for level in range(9)} | {
        '"0"': "0.000000014",
        '"4"': "0.006810004",
        '"8"': "10",
    }
