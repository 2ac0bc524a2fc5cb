"""The append-only check that goes on (promise L2): its last result is kept, and what it finds is told once."""

from datetime import timedelta

import pytest

from visionality.jobs.guard import guard
from visionality.runtime.clock import utc_now

NOW = utc_now()
MINUTE = timedelta(minutes=1)


@pytest.fixture
def look(database):
    """Look, so many minutes from now; what was kept, and how many alerts that made."""

    def looked(minutes: int):
        told = guard(database.dsn, NOW + minutes * MINUTE)
        with database.as_role("vis_reader") as connection:
            kept = connection.execute(
                "select checked_at, since, findings from vis.privilege_check"
            ).fetchall()
        assert len(kept) == 1
        return *kept[0], told

    return looked


def test_a_ledger_that_nobody_can_change_is_said_to_be_one_since_then(look):
    assert look(0) == (NOW, NOW, [], 0)
    assert look(5) == (NOW + 5 * MINUTE, NOW, [], 0)


def test_a_way_round_is_an_alert_once_for_each_time_that_it_opens(database, org, look):
    look(0)
    database.run("grant update on vis.request_logs to vis_web")
    _, since, findings, told = look(5)
    assert since == NOW + 5 * MINUTE
    assert any("vis_web may UPDATE" in finding for finding in findings)
    assert told == 1
    assert look(10)[1:] == (since, findings, 0)
    database.run("revoke update on vis.request_logs from vis_web")
    assert look(15)[2:] == ([], 0)
    database.run("grant update on vis.request_logs to vis_web")
    assert look(20)[3] == 1
    with database.as_role("vis_web", org) as connection:
        alerts = connection.execute("select kind, scope, body from vis.alerts order by created_at").fetchall()
    assert [(kind, scope) for kind, scope, _ in alerts] == [("privileges", "ledger")] * 2
    assert all("vis_web may UPDATE" in body for _, _, body in alerts)
