"""The proof over a real database: which windows it shows, and that each thing it reads is looked at (promise B1)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest

from ledger.test_budgets import Budgets, a_hold
from ledger.test_writer import ORG, a_row, started
from visionality.core.window import bounds, window_id
from visionality.ledger.administration import append_admin_event, move_cap, open_budget
from visionality.ledger.batch import Window
from visionality.ledger.proof import prove
from visionality.ledger.reader import reading
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7

LONG_AGO, LATER = datetime(2019, 5, 1, tzinfo=UTC), datetime(2019, 6, 1, tzinfo=UTC)
AUDITED = ("request_logs", "budget_events", "admin_events")


class Audited(Budgets):
    """Budgets as the control plane makes them: with their records."""

    def set(self, cap_nusd, budget_id=None, scope="org") -> UUID:
        made = budget_id or uuid7()
        with psycopg.connect(self.database.dsn("vis_web")) as connection:
            connection.execute("select set_config('vis.org_id', %s, true)", [str(ORG)])
            cursor, position = connection.cursor(), 0
            if budget_id is None:
                open_budget(cursor, ORG, made, cap_nusd, hard=True)
            else:
                position = move_cap(cursor, ORG, made, cap_nusd, hard=True)
            terms = {"cap_nusd": str(cap_nusd), "hard": "true", "position": str(position), "openings": "{}"}
            named = {"budget_id": str(made), "scope": scope, "period": "month"}
            append_admin_event(cursor, ORG, utc_now(), "budget_set", "test", named | terms)
        return made

    def window_at(self, budget_id, at, value="") -> Window:
        starts_at, ends_at = bounds("month", ZoneInfo("UTC"), at)
        return Window(ORG, window_id(budget_id, starts_at, value), budget_id, value, starts_at, ends_at)

    def prove(self, start=LONG_AGO, end=LATER, org_id=ORG):
        self.read = []
        with reading(self.database.dsn("vis_reader"), org_id, snapshot=True) as connection:
            return prove(connection, org_id, start, end, lambda *so_far: self.read.append(so_far))

    def findings(self) -> list[str]:
        proven = self.prove()
        found = [finding for account in proven.accounts for finding in account.findings]
        assert proven.found == len(found) + len(proven.findings)
        return [finding.words for finding in [*found, *proven.findings]]

    def tamper(self, change, *values):
        """What only a superuser can do, and only like this."""
        with psycopg.connect(self.database.dsn("vis_super")) as connection:
            connection.execute("set session_replication_role = replica")
            for table in AUDITED:
                for (part,) in connection.execute(
                    "select inhrelid::regclass::text from pg_inherits where inhparent = %s::regclass",
                    [f"vis.{table}"],
                ).fetchall():
                    connection.execute(f"alter table {part} disable trigger ao_row")
            assert connection.execute(change, values).rowcount == 1


@pytest.fixture
def ledger(database, tmp_path):
    return Audited(database, tmp_path, commit_wait=20, fence_after=30)


async def spend(ledger, window, cost_nusd=300):
    """One call in a window, written now."""
    async with started(ledger.another("gateway")) as writer:
        writer.will_use([window])
        hold = a_hold(500, window)
        await writer.reserve(hold)
        await writer.settle(a_row(request_id=hold.request_id, cost_nusd=cost_nusd), hold)


async def test_a_window_that_touches_the_range_is_replayed_with_what_ended_after_it(ledger):
    budget_id = ledger.set(1_000)
    await spend(ledger, ledger.window_at(budget_id, LONG_AGO))
    (account,) = ledger.prove().accounts
    assert (account.spent_nusd, account.held_nusd, account.most_nusd, account.found) == (300, 0, 500, 0)
    read, in_all = ledger.read[-1]
    assert read == in_all == 5
    days = timedelta(days=1)
    assert [
        len(ledger.prove(LATER - days, LATER).accounts),
        len(ledger.prove(LATER, LATER + days).accounts),
    ] == [1, 0]
    assert [len(ledger.prove(LONG_AGO - days, LONG_AGO).accounts)] == [0]


async def test_another_organisation_s_windows_are_not_seen(ledger):
    await spend(ledger, ledger.window_at(ledger.set(1_000), LONG_AGO))
    other = ledger.prove(org_id=uuid7())
    assert (other.accounts, other.events, other.found) == ([], 0, 0)


async def test_a_cap_that_was_raised_is_in_force_from_its_position_on(ledger):
    budget_id = ledger.set(600)
    await spend(ledger, ledger.window_at(budget_id, LONG_AGO), cost_nusd=400)
    ledger.set(1_000, budget_id)
    await spend(ledger, ledger.window_at(budget_id, LONG_AGO))
    assert ledger.findings() == []
    raised = "update vis.admin_events set detail = jsonb_set(detail, '{position}', '\"9\"') where seq = 2"
    ledger.tamper(raised)
    found = ledger.findings()
    assert any(
        "the cap was passed: 0.0000005 USD were held where 0.0000002 of 0.0000006 were left" in one
        for one in found
    )
    assert any("a record of its cap was changed" in one for one in found)


TAMPERED = [
    ("update vis.request_logs set cost_nusd = 1", "0.0000003 USD were charged, and its row says 0.000000001"),
    ("delete from vis.request_logs", "0.0000003 USD were charged, and there is no row for it"),
    ("delete from vis.budget_events where kind = 'settle'", "is open by the events, and does not stand"),
    ("update vis.budget_events set actual_nusd = 1 where kind = 'settle'", "its leaf hash is another"),
    ("update vis.budget_events set position = 9 where kind = 'reserve'", "the settle is of a hold that is not open"),
    ("update vis.admin_events set detail = detail - 'hard'", "says nothing of a budget that can be read"),
    ("update vis.admin_events set kind = 'budget_gone'", "does not say the cap that it began with"),
    ("update vis.budget_windows set hard = false where window_id <> budget_id", "its cap is hard by one"),
    ("update vis.budget_windows set position = 9 where window_id <> budget_id", "its last event is at position 2"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), TAMPERED)
async def test_what_a_superuser_changed_is_named(ledger, change, words):
    await spend(ledger, ledger.window_at(ledger.set(1_000), LONG_AGO))
    assert ledger.findings() == []
    ledger.tamper(change)
    assert any(words in found for found in ledger.findings())


async def test_a_gap_in_the_administrative_log_is_named(ledger):
    budget_id = ledger.set(1_000)
    ledger.set(900, budget_id)
    ledger.set(1_000, budget_id)
    await spend(ledger, ledger.window_at(budget_id, LONG_AGO))
    ledger.tamper("delete from vis.admin_events where seq = 2")
    assert ledger.findings() == ["the administrative log lacks 1 events between its numbers 1 and 3"]
