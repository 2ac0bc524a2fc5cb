"""Promise B1 against a model: whatever gateways, a reaper and operators do at once, and whatever breaks meanwhile.

After each step the windows stand at what the model says, no hold was given that did not fit, and the proof finds nothing.
VIS_MACHINE_ROUNDS is how many histories are played; with it they are other ones each time.
"""

import asyncio
import os
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import msgspec
import psycopg
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from msgspec.structs import replace
from psycopg.rows import dict_row

from ledger.budget_model import Budget, Ending, Model, key_of
from ledger.budget_model import Window as Counted
from ledger.test_writer import LosesOneAnswer
from visionality.core.row import Row, draft_text, from_draft
from visionality.core.window import EVER, window_id
from visionality.jobs.reaper import Reaper
from visionality.ledger.administration import append_admin_event, move_cap, open_budget, open_window
from visionality.ledger.batch import Window
from visionality.ledger.connection import AWAY
from visionality.ledger.proof import prove
from visionality.ledger.reader import scope
from visionality.ledger.writer import Blocked, Hold, LedgerAway, LedgerWriter
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.runtime.settings import Settings

ROUNDS = os.environ.get("VIS_MACHINE_ROUNDS")
STEPS = 10
PROFILE = settings(
    max_examples=int(ROUNDS or 12),
    stateful_step_count=STEPS,
    derandomize=ROUNDS is None,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)
BUDGETS = {"org": "", "agent": "*", "project": "HPC"}
"""The value that each is for. That of the organisation is for the total, the others are for days."""
DRAWS = [
    *([("org", "")], [("agent", "a")], [("project", "HPC")]),
    *([("org", ""), ("agent", "a")], [("org", ""), ("agent", "b"), ("project", "HPC")], []),
]
OPENING = 3
OF_A_GATEWAY = {"reserve", "settle", "release"}

gateways = st.integers(0, 1)
picks = st.integers(0, 20)
draws = st.sampled_from(DRAWS)
amounts = st.sampled_from([3, 1, 7, 2, 9, 5, 0, 4])
percents = st.sampled_from([100, 50, 150, 0, None])
"""What a call costs of what was held for it; None: nobody knows."""
terms = st.tuples(st.sampled_from([12, 20, 8, 30, 3, 0, 45]), st.sampled_from([True, True, False]))
reserves = st.tuples(st.just("reserve"), gateways, draws, amounts, st.sampled_from([False, False, True]))
settles = st.tuples(st.just("settle"), gateways, picks, percents, st.sampled_from(["", "rest", "later"]))
releases = st.tuples(st.just("release"), gateways, picks)
calls = st.one_of(reserves, reserves, settles, settles, releases)
others = st.one_of(
    st.tuples(st.just("reap"), gateways),
    st.tuples(st.just("cap"), st.sampled_from(list(BUDGETS)), terms),
    st.just(("cut",)),
    st.just(("day",)),
)
acts = st.one_of(calls, calls, calls, calls, others)
few, many = st.lists(acts, min_size=2, max_size=5), st.lists(acts, min_size=5, max_size=12)


@dataclass
class Gateway:
    """A process with a writer. Its name is that of its connection too."""

    writer: LedgerWriter
    name: str


class BudgetMachine(RuleBasedStateMachine):
    database = directory = eyes = auditor = None

    def __init__(self):
        super().__init__()
        self.org = uuid7()
        self.model = Model()
        self.day = 0
        self.made = 0
        self.seen = set()
        self.expected = {}
        self.runner = asyncio.Runner()
        self.settings = Settings(data_dir=self.directory, commit_wait=30, fence_after=3_000)
        self.budgets = {kind: uuid7() for kind in BUDGETS}

    @initialize(caps=st.tuples(*(terms for _ in BUDGETS)))
    def begin(self, caps):
        for (kind, value), (cap_nusd, hard) in zip(BUDGETS.items(), caps, strict=True):
            budget_id = self.budgets[kind]
            opened = [self.window(kind, value)] if kind == "project" else []
            with self.control() as connection:
                cursor = connection.cursor()
                open_budget(cursor, self.org, budget_id, cap_nusd, hard=hard)
                for window in opened:
                    open_window(cursor, window, OPENING)
                openings = {str(window.window_id): OPENING for window in opened}
                self.record(cursor, kind, cap_nusd, hard, 0, openings)
            self.model.budgets[budget_id] = Budget([(0, cap_nusd, hard)])
            for window in opened:
                self.model.windows[window.window_id] = Counted(budget_id, OPENING)
        self.gateways = [self.runner.run(self.started()) for _ in range(2)]
        self.jobs = self.runner.run(self.started())
        self.reapers = [
            Reaper(self.database.url("vis_writer"), self.jobs.writer, utc_now, 3_000) for _ in range(2)
        ]

    def teardown(self):
        if self.made:
            for gateway in (*self.gateways, self.jobs):
                self.runner.run(gateway.writer.close())
            for reaper in self.reapers:
                reaper.close()
            self.runner.run(asyncio.sleep(0))
        self.eyes.execute("delete from vis.budget_holds where org_id = %s", [self.org])
        self.runner.close()

    # ------------------------------------------------------------------ steps

    @rule(acts=many)
    def many_things_happen_at_once(self, acts):
        self.play(acts)

    @rule(first=many, then=many)
    def many_things_happen_and_then_many_more(self, first, then):
        self.play(first)
        self.play(then)

    @rule(number=gateways, before=few, acts=few)
    def the_answer_of_a_commit_is_lost(self, number, before, acts):
        self.play(before)
        link = self.gateways[number].writer._link
        link.__class__, link.lost = LosesOneAnswer, False
        self.play([(act[0], number, *act[2:]) if act[0] in OF_A_GATEWAY else act for act in acts])

    @rule(number=gateways, draw=draws, amount_nusd=amounts, percent=percents, acts=few)
    def a_call_ends_after_it_was_charged(self, number, draw, amount_nusd, percent, acts):
        self.play([("reserve", number, draw, amount_nusd, True)])
        self.play([("reap", 0)])
        self.play([("settle", number, -1, percent, ""), *acts])

    @rule(number=gateways, acts=few)
    def a_gateway_is_silent_for_too_long(self, number, acts):
        self.play(acts)
        writer = self.gateways[number].writer
        self.runner.run(self.fenced(writer.writer_no))
        writer._beat_is_due()
        self.check()

    @rule(number=gateways, before=few, acts=st.lists(calls, min_size=2, max_size=6), turns=st.integers(0, 6))
    def a_gateway_is_killed_amid_its_work(self, number, before, acts, turns):
        self.play(before)
        gateway = self.gateways[number]
        self.runner.run(self.killed(gateway, [(act[0], number, *act[2:]) for act in acts], turns))
        named = [f"vis-{gateway.name}"]
        while self.eyes.execute("select from pg_stat_activity where application_name = %s", named).fetchall():
            pass
        self.gateways[number] = self.runner.run(self.started())
        self.check()
        self.runner.run(self.fenced(gateway.writer.writer_no))
        self.check()

    # ------------------------------------------------------------------ what they do

    async def started(self):
        self.made += 1
        name = f"{self.org.hex[-8:]}-{self.made}"
        writer = LedgerWriter(self.database.url("vis_writer"), name, utc_now, self.settings)
        await writer.start()
        return Gateway(writer, name)

    def play(self, acts):
        """Begin all of these at once, wait until each has its answer, and look."""
        self.runner.run(self.together(acts))
        self.check()

    async def together(self, acts):
        await asyncio.gather(*self.begun(acts))

    def begun(self, acts):
        taken = set()
        for name, *words in acts:
            if name == "reserve":
                yield self.reserve(*words)
            elif name in {"settle", "release"}:
                number, pick, *how = words
                if (hold := self.chosen(pick, taken, late=name == "settle")) is not None:
                    yield getattr(self, name)(number, hold, *how)
            elif name == "cap":
                kind, cap = words
                yield asyncio.to_thread(self.move_cap, kind, *cap)
            elif name == "day":
                self.day += 1
            elif name == "cut":
                yield asyncio.to_thread(self.cut)
            elif words[0] not in taken:
                taken.add(words[0])
                yield self.reap(self.reapers[words[0]])

    def chosen(self, pick, taken, *, late):
        """A hold of a call that has not ended yet, or that the reaper ended."""
        known = [hold for hold in self.model.holds.values() if hold.draft]
        known += list(self.model.expired.values()) if late else []
        free = [hold for hold in known if hold.hold_id not in taken]
        if not free:
            return None
        hold = free[pick % len(free)]
        taken.add(hold.hold_id)
        return hold

    async def reserve(self, number, draw, amount_nusd, is_orphan):
        windows = [self.window(*one) for one in draw]
        row = self.row(uuid7())
        expires = utc_now() + timedelta(hours=-1 if is_orphan else 1)
        ids = tuple(window.window_id for window in windows)
        hold = Hold(self.org, uuid7(), row.request_id, amount_nusd, expires, draft_text(row), ids)
        for window in windows:
            self.model.windows.setdefault(window.window_id, Counted(window.budget_id))
        self.model.asked[hold.hold_id] = hold
        writer = self.gateways[number].writer
        writer.will_use(windows)
        try:
            await writer.reserve(hold)
        except Blocked:
            self.expected[hold.hold_id] = "deny"
        except LedgerAway:
            self.expected[hold.hold_id] = None
        else:
            self.expected[hold.hold_id] = "reserve"

    async def settle(self, number, hold, percent, goes_on):
        percent = 0 if goes_on == "later" else percent
        cost_nusd = None if percent is None else hold.amount_nusd * percent // 100
        is_begun = from_draft(hold.draft).entry == "true_up"
        row = self.row(hold.request_id, cost_nusd, entry="true_up" if is_begun else "call")
        rest = None
        if goes_on == "rest" and cost_nusd is not None and cost_nusd < hold.amount_nusd:
            expires = utc_now() - timedelta(seconds=1)
            rest = replace(
                hold,
                hold_id=uuid7(),
                amount_nusd=hold.amount_nusd - cost_nusd,
                expires_at=expires,
                draft=None,
            )
        elif goes_on and not cost_nusd and not is_begun:
            draft = draft_text(self.row(hold.request_id, entry="true_up"))
            rest = replace(hold, hold_id=uuid5(self.org, "an answer's id"), draft=draft)
        self.model.wanted(hold, Ending("settle", cost_nusd, rest))
        await self.gateways[number].writer.settle(row, hold, rest)

    async def release(self, number, hold):
        self.model.wanted(hold, Ending("release"))
        await self.gateways[number].writer.release(hold)

    async def reap(self, reaper):
        while True:
            try:
                await reaper.reap()
            except AWAY:
                reaper.close()
            else:
                return

    async def fenced(self, writer_no):
        self.eyes.execute(
            "update vis.writers set heartbeat_at = now() - interval '2 hours' where writer_no = %s",
            [writer_no],
        )
        await self.reap(self.reapers[0])
        self.reapers[0]._watching_since = float("-inf")
        await self.reap(self.reapers[0])

    async def killed(self, gateway, acts, turns):
        working = [asyncio.ensure_future(act) for act in self.begun(acts)]
        for _ in range(turns):
            await asyncio.sleep(0)
        gateway.writer._task.cancel()
        gateway.writer._link.close()
        for work in working:
            work.cancel()
        await asyncio.gather(*working, gateway.writer._task, return_exceptions=True)

    def cut(self):
        self.eyes.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'vis_writer' and datname = current_database()"
        )

    def move_cap(self, kind, cap_nusd, hard):
        with self.control() as connection:
            cursor = connection.cursor()
            position = move_cap(cursor, self.org, self.budgets[kind], cap_nusd, hard=hard)
            self.record(cursor, kind, cap_nusd, hard, position, {})
        self.model.budgets[self.budgets[kind]].caps.append((position, cap_nusd, hard))

    # ------------------------------------------------------------------ what must be so

    def check(self):
        found = self.eyes.execute("select * from vis.budget_events where org_id = %s", [self.org]).fetchall()
        self.model.apply([event for event in found if event["id"] not in self.seen])
        self.seen |= {event["id"] for event in found}
        for hold_id, answer in self.expected.items():
            assert self.model.answers.get(hold_id) == answer
        self.expected.clear()
        self.compare_windows()
        self.compare_holds()
        self.compare_proof()

    def compare_windows(self):
        rows = self.eyes.execute(
            "select * from vis.budget_windows where org_id = %s and window_id <> budget_id", [self.org]
        ).fetchall()
        for row in rows:
            window = self.model.windows[row["window_id"]]
            stands = (row["spent_nusd"], row["reserved_nusd"], (row["cap_nusd"], row["hard"]))
            assert stands == (window.spent_nusd, window.held_nusd, self.model.budgets[row["budget_id"]].now)
            assert row["reserved_nusd"] >= 0

    def compare_holds(self):
        rows = self.eyes.execute("select * from vis.budget_holds where org_id = %s", [self.org]).fetchall()
        standing = {key_of(row): (row["amount_nusd"], tuple(row["windows"])) for row in rows}
        assert standing == {
            key: (hold.amount_nusd, tuple(hold.windows)) for key, hold in self.model.holds.items()
        }

    def compare_proof(self):
        with self.auditor.transaction():
            scope(self.auditor, self.org)
            proven = prove(
                self.auditor, self.org, FIRST_DAY, FIRST_DAY + timedelta(days=400), lambda *_: None
            )
        assert [finding for account in proven.accounts for finding in account.findings] == []
        assert proven.found == 0
        for account in proven.accounts:
            window = self.model.windows[account.window.window_id]
            assert (account.spent_nusd, account.held_nusd) == (window.spent_nusd, window.held_nusd)

    # ------------------------------------------------------------------ what they are made of

    def control(self):
        connection = psycopg.connect(self.database.dsn("vis_web"))
        connection.execute("select set_config('vis.org_id', %s, true)", [str(self.org)])
        return connection

    def record(self, cursor, kind, cap_nusd, hard, position, openings):
        detail = {
            "budget_id": str(self.budgets[kind]),
            "scope": f"{kind}:{BUDGETS[kind]}",
            "period": "total" if kind == "org" else "day",
            "cap_nusd": str(cap_nusd),
            "hard": str(hard).lower(),
            "position": str(position),
            "openings": msgspec.json.encode(openings).decode(),
        }
        append_admin_event(cursor, self.org, utc_now(), "budget_set", "machine", detail)

    def window(self, kind, value):
        starts = FIRST_DAY + timedelta(days=self.day)
        span = EVER if kind == "org" else (starts, starts + timedelta(days=1))
        budget_id = self.budgets[kind]
        return Window(self.org, window_id(budget_id, span[0], value), budget_id, value, *span)

    def row(self, request_id: UUID, cost_nusd: int | None = 0, entry="call") -> Row:
        state = "unknown" if cost_nusd is None else "known"
        row = Row(org_id=self.org, request_id=request_id, provider="sandbox", dialect="messages", entry=entry)
        row.price_state, row.cost_nusd, row.billed_nusd = state, cost_nusd or 0, cost_nusd or 0
        row.id, row.created_at = uuid7(), utc_now()
        return row


def test_no_cap_is_passed_whatever_happens(database, tmp_path):
    with bound(database, tmp_path) as machine:
        run_state_machine_as_test(machine, settings=PROFILE)


@contextmanager
def bound(database, directory):
    """The machine on this database."""
    opened = {"autocommit": True, "row_factory": dict_row}
    with (
        psycopg.connect(database.dsn("vis_super"), **opened) as eyes,
        psycopg.connect(database.dsn("vis_reader"), **opened) as auditor,
    ):
        auditor.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        places = {"database": database, "directory": directory, "eyes": eyes, "auditor": auditor}
        yield type("Bound", (BudgetMachine,), places)
