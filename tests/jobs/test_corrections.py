"""Promises A6 and L1: what was booked wrong is reversed and booked again, and no nano-dollar is lost, made or moved twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from conftest import clone_of, default_org
from ledger.rows import insert, smallest
from visionality.core.correction import AMOUNTS
from visionality.jobs import corrections
from visionality.jobs.afterwards import SESSION_SAID, look
from visionality.jobs.corrections import Busy, Corrector
from visionality.ledger.connection import AWAY
from visionality.ledger.writer import LedgerWriter
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.runtime.settings import Settings
from visionality.runtime.sql import statements

PROJECTS = ("HPC", "SOCE", "CAISO-Q3")


class Books:
    """An organisation with three projects, and what its rows say."""

    def __init__(self, database, org: UUID, tmp_path) -> None:
        self.database, self.org, self.tmp_path = database, org, tmp_path
        self.projects = {key: uuid7() for key in PROJECTS}
        with database.as_role("vis_web", org) as connection:
            for key, project_id in self.projects.items():
                connection.execute(
                    """insert into vis_control.project (id, org_id, key, name, gl_code, created_at)
                       values (%s, %s, %s, %s, %s, now()) on conflict do nothing""",
                    [project_id, org, key, key, f"gl-{key}"],
                )

    def query(self, sql: str, *values) -> list[dict]:
        with psycopg.connect(self.database.dsn("vis_super"), row_factory=dict_row) as connection:
            return connection.execute(sql, values or None).fetchall()

    def write(self, **columns) -> dict:
        row = smallest("request_logs", self.org, utc_now()) | columns
        with psycopg.connect(self.database.dsn("vis_super")) as connection:
            insert(connection, "request_logs", row)
        return row

    def true_up(self, row: dict, cost_nusd: int) -> dict:
        booking = {name: row.get(name) for name in ("project_id", "currency", "provider", "request_id")}
        amounts = {"cost_nusd": cost_nusd, "billed_nusd": cost_nusd, "output_tokens": 1}
        return self.write(entry="true_up", corrects=row["id"], **booking, **amounts)

    def order(self, rows: list[dict], project: str, org: UUID | None = None, **said) -> UUID:
        columns = {
            "id": uuid7(), "org_id": org or self.org, "author": "cli:alice", "reason": "wrong project",
            "project_id": self.projects[project], "customer_id": None, "task_id": "", "epic_id": "", "repo": "",
            "branch": "", "level": 8, "confidence": 100, "made_at": utc_now(),
            "rows": Jsonb([[str(row["id"]), row["created_at"].isoformat()] for row in rows]),
        } | said  # fmt: skip
        names, marks = ", ".join(columns), ", ".join(f"%({name})s" for name in columns)
        with self.database.as_role("vis_web", columns["org_id"]) as connection:
            connection.execute(
                f"insert into vis_control.correction_order ({names}) values ({marks})", columns
            )
        return columns["id"]

    def by_project(self) -> dict[tuple, tuple[int, ...]]:
        """The corrected view: what each project's rows add up to, in every amount and currency."""
        sums = ", ".join(f"sum({name})::bigint as {name}" for name in AMOUNTS)
        found = self.query(f"select project_id, currency, {sums} from vis.request_logs group by 1, 2")
        every = {(one["project_id"], one["currency"]): tuple(one[name] for name in AMOUNTS) for one in found}
        return {of: amounts for of, amounts in every.items() if any(amounts)}

    def corrections(self) -> list[dict]:
        return self.query(
            "select * from vis.request_logs where entry = 'correction' order by created_at, writer_no, wseq"
        )

    def done(self) -> dict[UUID, dict]:
        return {one["correction_id"]: one for one in self.query("select * from vis.correction_done")}

    @asynccontextmanager
    async def corrector(self) -> AsyncIterator[Corrector]:
        dsn = self.database.url("vis_writer")
        writer = LedgerWriter(dsn, "jobs", utc_now, Settings(data_dir=self.tmp_path))
        await writer.start()
        corrector = Corrector(dsn, writer, utc_now)
        try:
            yield corrector
        finally:
            corrector.close()
            await writer.close()

    async def correct(self) -> int:
        async with self.corrector() as corrector:
            return await corrector.correct()


@pytest.fixture
def books(database, org, tmp_path) -> Books:
    return Books(database, org, tmp_path)


def booked(row: dict) -> tuple:
    return row["tags"]["correction"], row["project_id"], row["cost_nusd"]


async def test_a_row_of_nobody_is_reversed_and_booked_again_and_stays_as_it_was(books):
    row = books.write(
        cost_nusd=5, billed_nusd=7, input_tokens=11, agent_sub="alice", tags=Jsonb({"client": "aider"})
    )
    (before,) = books.query("select * from vis.request_logs")
    correction_id = books.order([row], "HPC", task_id="HPC-1")
    assert await books.correct() == 2
    reversal, rebooking = books.corrections()
    assert (booked(reversal), booked(rebooking)) == (("reversal", None, -5), ("rebooking", "HPC", 5))
    for one in (reversal, rebooking):
        assert (one["corrects"], one["request_id"], one["agent_sub"]) == (
            row["id"],
            row["request_id"],
            "alice",
        )
        assert (abs(one["billed_nusd"]), abs(one["input_tokens"])) == (7, 11)
        said = {"correction_id": str(correction_id), "author": "cli:alice", "reason": "wrong project"}
        assert said.items() <= one["tags"].items()
        assert (one["tags"]["client"], one["tags"]["entry"]) == ("aider", "call")
        assert datetime.fromisoformat(one["tags"]["of"]) == row["created_at"] < one["created_at"]
    booking = (
        rebooking["task_id"],
        rebooking["gl_code"],
        rebooking["attribution_level"],
        rebooking["confidence"],
    )
    assert booking == ("HPC-1", "gl-HPC", 8, 100)
    assert books.query("select * from vis.request_logs where entry = 'call'") == [before]
    done = books.done()[correction_id]
    assert (done["rows"], done["missing"]) == (1, 0)
    assert done["moved"] == {"USD": {"rows": "1", "reversed_nusd": "-5", "rebooked_nusd": "5"}}


async def test_an_order_of_two_currencies_tells_the_rows_of_each(books):
    rows = [
        books.write(cost_nusd=n, currency=currency) for n, currency in ((1, "USD"), (2, "USD"), (4, "EUR"))
    ]
    correction_id = books.order(rows, "HPC")
    await books.correct()
    moved = books.done()[correction_id]["moved"]
    assert {currency: (sums["rows"], sums["rebooked_nusd"]) for currency, sums in moved.items()} == {
        "USD": ("2", "3"),
        "EUR": ("1", "4"),
    }


async def test_the_writers_numbers_have_no_gap(books):
    books.order([books.write(cost_nusd=n) for n in range(1, 8)], "HPC")
    await books.correct()
    assert [one["wseq"] for one in books.corrections()] == list(range(1, 15))


async def test_an_order_is_carried_out_once_however_often_it_is_looked_at(books):
    books.order([books.write(cost_nusd=5)], "HPC")
    assert [await books.correct() for _ in range(3)] == [2, 0, 0]


async def test_two_orders_on_one_row_go_one_after_the_other(books):
    row = books.write(cost_nusd=5)
    books.order([row], "HPC", task_id="HPC-1", epic_id="HPC-0")
    books.order([row], "SOCE")
    await books.correct()
    assert [booked(one) for one in books.corrections()] == [
        ("reversal", None, -5),
        ("rebooking", "HPC", 5),
        ("reversal", "HPC", -5),
        ("rebooking", "SOCE", 5),
    ]
    assert [one["task_id"] for one in books.corrections()] == [None, "HPC-1", "HPC-1", None]
    assert books.by_project() == {("SOCE", "USD"): (0, 0, 0, 0, 0, 5, 1)}


async def test_true_ups_of_before_move_along_and_one_that_comes_after_by_the_next_order(books):
    row = books.write(cost_nusd=100, billed_nusd=100)
    books.true_up(row, -30)
    books.order([row], "HPC")
    await books.correct()
    assert books.by_project() == {("HPC", "USD"): (0, 0, 0, 1, 0, 70, 70)}
    books.true_up(row, -20)
    assert books.by_project()[None, "USD"] == (0, 0, 0, 1, 0, -20, -20)
    books.order([row], "SOCE")
    await books.correct()
    assert books.by_project() == {("SOCE", "USD"): (0, 0, 0, 2, 0, 50, 50)}
    assert [booked(one) for one in books.corrections()[2:]] == [
        ("reversal", "HPC", -70),
        ("late", None, 20),
        ("rebooking", "SOCE", 50),
    ]


@pytest.mark.parametrize("entry", ["true_up", "correction"])
async def test_only_what_stands_for_work_is_corrected(books, entry):
    row = books.write(entry=entry, corrects=uuid7(), cost_nusd=5)
    correction_id = books.order([row], "HPC")
    assert await books.correct() == 0
    assert (books.done()[correction_id]["rows"], books.done()[correction_id]["missing"]) == (0, 1)


async def test_a_row_of_another_organisation_is_not_reached(books):
    theirs = books.write(org_id=uuid7(), cost_nusd=5)
    correction_id = books.order([theirs], "HPC")
    assert await books.correct() == 0
    assert books.done()[correction_id]["missing"] == 1
    assert books.corrections() == []


class Cut:
    """A connection that breaks behind its n-th question, as the database sees a kill -9."""

    def __init__(self, connection, after: int) -> None:
        self._connection, self._left = connection, after

    def __getattr__(self, name: str):
        return getattr(self._connection, name)

    async def _asked(self, name: str, *asked):
        answer = await getattr(self._connection, name)(*asked)
        self._left -= 1
        if self._left == 0:
            self._connection.terminate()
            raise ConnectionResetError
        return answer

    async def fetch(self, *asked):
        return await self._asked("fetch", *asked)

    async def fetchval(self, *asked):
        return await self._asked("fetchval", *asked)

    async def execute(self, *asked):
        return await self._asked("execute", *asked)


async def test_a_process_that_dies_between_two_steps_leaves_nothing_half_done(books, monkeypatch):
    monkeypatch.setattr(corrections, "SLICE", 2)
    rows = [books.write(cost_nusd=n, project_id="SOCE") for n in range(1, 6)]
    correction_id = books.order(rows, "HPC")
    survived = 0
    for step in range(1, 12):
        async with books.corrector() as corrector:
            link = corrector._writer._link
            link._connection = Cut(link._connection, step)
            with contextlib.suppress(*AWAY):
                await corrector.correct()
                survived += 1
        kinds = [one["tags"]["correction"] for one in books.corrections()]
        assert kinds.count("reversal") == kinds.count("rebooking")
        assert sum(one["cost_nusd"] for one in books.corrections()) == 0
    assert survived <= 2
    await books.correct()
    assert len(books.corrections()) == 10
    assert books.done()[correction_id]["rows"] == 5


async def test_several_processes_at_once_move_each_row_once(books, monkeypatch):
    monkeypatch.setattr(corrections, "SLICE", 3)
    rows = [books.write(cost_nusd=n) for n in range(1, 30)]
    orders = [books.order(rows, project) for project in ("HPC", "SOCE")]

    async def until_done(corrector: Corrector) -> None:
        while len(books.done()) < len(orders):
            try:
                await corrector.correct()
            except Busy:
                await asyncio.sleep(
                    0.05
                )  # as its loop waits: who comes again at once only keeps the others from going on

    async with books.corrector() as one, books.corrector() as two, books.corrector() as three:
        await asyncio.gather(*(until_done(corrector) for corrector in (one, two, three)))
    assert len(books.corrections()) == 29 * 4
    assert books.by_project() == {("SOCE", "USD"): (0, 0, 0, 0, 0, sum(range(1, 30)), 29)}
    streams = books.query(
        "select writer_no, count(*), max(wseq) from vis.request_logs where entry = 'correction' group by 1"
    )
    assert all(stream["count"] == stream["max"] for stream in streams)


async def test_a_correction_follows_the_one_before_though_its_machine_has_an_earlier_clock(books):
    row = books.write(cost_nusd=5)
    books.order([row], "HPC")
    await books.correct()
    books.order([row], "SOCE")
    async with books.corrector() as corrector:
        corrector._clock = lambda: utc_now() - timedelta(minutes=1)
        await corrector.correct()
    assert [booked(one)[1] for one in books.corrections()] == [None, "HPC", "HPC", "SOCE"]


async def test_a_true_up_that_comes_late_follows_its_row_by_the_next_look(books):
    row = books.write(cost_nusd=100, billed_nusd=100)
    books.order([row], "HPC", task_id="HPC-1")
    await books.correct()
    books.true_up(row, -20)
    assert [look(books.database.dsn("vis_jobs"), utc_now()) for _ in range(2)] == [1, 0]
    await books.correct()
    assert books.by_project() == {("HPC", "USD"): (0, 0, 0, 1, 0, 80, 80)}
    last = books.corrections()[-1]
    assert (last["task_id"], last["attribution_level"], last["tags"]["author"]) == ("HPC-1", 8, "resolver")
    assert look(books.database.dsn("vis_jobs"), utc_now()) == 0


async def test_what_a_person_said_meanwhile_overrules_what_was_found_out(books):
    """Whatever the order in which the two are carried out."""
    waits = books.write(**said("s1", attribution_level=8))
    books.write(**said("s1", project_id="HPC", attribution_level=4, confidence=60))
    trued = books.write(cost_nusd=100, billed_nusd=100)
    books.order([trued], "HPC")
    await books.correct()
    books.true_up(trued, -20)
    books.order([waits, trued], "SOCE")
    assert look(books.database.dsn("vis_jobs"), utc_now()) == 2
    await books.correct()
    booked_last = {one["corrects"]: one["project_id"] for one in books.corrections()}
    assert booked_last == {waits["id"]: "SOCE", trued["id"]: "SOCE"}
    assert books.by_project()["SOCE", "USD"][5] == 81
    assert look(books.database.dsn("vis_jobs"), utc_now()) == 0


async def test_what_is_billed_follows_the_markup_of_the_project_and_its_true_up_is_moved_once(books):
    with books.database.as_role("vis_super") as connection:
        connection.execute(
            """insert into vis_control.markup (id, org_id, scope_kind, scope_value, multiplier, effective_from, created_at)
               values (%s, %s, 'project', 'HPC', 1.25, now() - interval '1 day', now())""",
            [uuid7(), books.org],
        )
    row = books.write(cost_nusd=100, billed_nusd=100)
    books.order([row], "HPC")
    await books.correct()
    assert books.by_project() == {("HPC", "USD"): (0, 0, 0, 0, 0, 100, 125)}
    assert look(books.database.dsn("vis_jobs"), utc_now()) == 0
    books.true_up(row, -20)
    assert look(books.database.dsn("vis_jobs"), utc_now()) == 1
    await books.correct()
    assert books.by_project() == {("HPC", "USD"): (0, 0, 0, 1, 0, 80, 100)}
    assert look(books.database.dsn("vis_jobs"), utc_now()) == 0
    books.order([row], "SOCE")
    await books.correct()
    assert books.by_project() == {("SOCE", "USD"): (0, 0, 0, 1, 0, 80, 80)}


async def test_a_row_that_an_order_names_twice_is_moved_once(books):
    row = books.write(cost_nusd=5)
    correction_id = books.order([row, row], "HPC")
    assert await books.correct() == 2
    assert (books.done()[correction_id]["rows"], books.done()[correction_id]["missing"]) == (1, 0)


def said(session: str, **columns) -> dict:
    return {"agent_sub": "alice", "tags": Jsonb({"session": session}), **columns}


async def test_a_row_that_came_before_its_evidence_is_booked_as_its_session_said_later(books):
    first = books.write(**said("s1", attribution_level=8))
    known = {"project_id": "HPC", "attribution_level": 4, "confidence": 60, "branch": "HPC-1-fix"}
    books.write(**said("s1", task_id="HPC-1", repo="here", **known))
    books.write(**said("s1", task_id="HPC-2", repo="here", **known))
    assert [look(books.database.dsn("vis_jobs"), utc_now()) for _ in range(2)] == [1, 0]
    await books.correct()
    _, last = books.corrections()
    assert (last["corrects"], last["project_id"], last["task_id"]) == (first["id"], "HPC", None)
    assert (last["repo"], last["branch"], last["attribution_level"], last["confidence"]) == (
        "here",
        "HPC-1-fix",
        5,
        50,
    )
    assert (last["tags"]["author"], last["tags"]["reason"]) == ("resolver", SESSION_SAID)
    assert look(books.database.dsn("vis_jobs"), utc_now()) == 0


@pytest.mark.parametrize(
    "others",
    [
        [("s1", "HPC", 4), ("s1", "SOCE", 2)],
        [("s2", "HPC", 4)],
        [("s1", "HPC", 5)],
        [],
    ],
    ids=["two projects", "another session", "inherited itself", "nobody"],
)
async def test_a_session_that_does_not_say_one_project_leaves_its_rows_in_the_queue(books, others):
    books.write(**said("s1", attribution_level=8))
    for session, project, level in others:
        books.write(**said(session, project_id=project, attribution_level=level, confidence=60))
    assert look(books.database.dsn("vis_jobs"), utc_now()) == 0


async def test_a_row_hears_what_its_session_said_from_a_day_before_it_on(books):
    """The first row hears both projects, the second one only the later."""
    now = utc_now()
    for hours, columns in (
        (40, {"project_id": "SOCE", "attribution_level": 4, "confidence": 60}),
        (20, {"attribution_level": 8}),
        (10, {"attribution_level": 8}),
        (1, {"project_id": "HPC", "attribution_level": 2, "confidence": 95}),
    ):
        books.write(**said("s1", created_at=now - timedelta(hours=hours), **columns))
    assert look(books.database.dsn("vis_jobs"), now) == 1
    await books.correct()
    _, last = books.corrections()
    assert (last["tags"]["of"][:19], last["project_id"]) == (
        (now - timedelta(hours=10)).isoformat()[:19],
        "HPC",
    )


async def test_thousands_of_rows_of_one_session_are_looked_at_once_each(books):
    """Compared pair by pair, these would be nine million."""
    with books.database.as_role("vis_super") as connection:
        row = smallest("request_logs", books.org, utc_now()) | {"agent_sub": "alice", "attribution_level": 8}
        del row["id"], row["created_at"]
        names = ", ".join(row)
        marks = ", ".join(f"%({name})s" for name in row)
        connection.execute(
            f"""insert into vis.request_logs (id, created_at, project_id, tags, {names})
                select gen_random_uuid(), now() - n * interval '1 second', case when n %% 2 = 0 then 'HPC' end,
                       '{{"session": "s1"}}', {marks} from generate_series(1, 6000) n""",
            row | {"attribution_level": 4},
        )
    asked, given = statements("visionality.jobs", "afterwards.sql")["sessions"], {"now": utc_now()}
    with books.database.as_role("vis_jobs") as connection:
        assert len(connection.execute(asked, given).fetchall()) == 3000
        ((plan,),) = connection.execute(f"explain (analyze, format json) {asked}", given).fetchall()
    assert max(_handled(plan[0]["Plan"])) <= 6000 * 2


def _handled(node: dict) -> Iterator[float]:
    """How many rows each step of a plan gave or left out, in all of its rounds."""
    left_out = sum(node.get(name, 0) for name in ("Rows Removed by Filter", "Rows Removed by Join Filter"))
    yield (node["Actual Rows"] + left_out) * node["Actual Loops"]
    for below in node.get("Plans", ()):
        yield from _handled(below)


async def test_an_order_that_was_long_on_its_way_is_carried_out_though_nothing_waited_before(books):
    async with books.corrector() as corrector:
        assert await corrector.correct() == 0
        early = UUID(
            int=(int((utc_now() - timedelta(hours=1)).timestamp() * 1000) << 80) | (7 << 76) | (2 << 62)
        )
        books.order([books.write(cost_nusd=5)], "HPC", id=early)
        assert await corrector.correct() == 2


async def test_a_row_whose_own_evidence_leads_where_its_key_may_not_go_is_left_to_an_operator(books):
    books.write(**said("s1") | {"tags": Jsonb({"session": "s1", "project_denied": "SOCE"})})
    books.write(**said("s1", project_id="HPC", attribution_level=2, confidence=95))
    assert look(books.database.dsn("vis_jobs"), utc_now()) == 0


AMOUNT = st.integers(0, 10**15)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.sampled_from([None, *PROJECTS]), AMOUNT, st.sampled_from(["USD", "EUR"])),
        st.tuples(st.just("true_up"), st.integers(0, 9), st.integers(-(10**15), 10**15)),
        st.tuples(st.just("order"), st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True), st.sampled_from(PROJECTS)),
    ),
    max_size=10,
)  # fmt: skip


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_whatever_is_corrected_and_trued_up_the_total_stays_and_each_project_has_what_it_was_given(
    cluster, template, tmp_path_factory, steps
):
    """A model beside the ledger: where each row is booked now, and which of its amounts came after that."""
    with clone_of(cluster, template) as database:
        books = Books(database, default_org(database), tmp_path_factory.getbasetemp())
        written: list[dict] = []
        places: list[str | None] = []
        moved: list[int] = []
        after: list[int] = []
        for step in steps:
            match step:
                case "call", project, cost, currency:
                    columns = {
                        "project_id": project,
                        "cost_nusd": cost,
                        "billed_nusd": cost,
                        "currency": currency,
                    }
                    written.append(books.write(**columns))
                    places, moved, after = [*places, project], [*moved, cost], [*after, 0]
                case "true_up", which, cost if written:
                    books.true_up(written[which % len(written)], cost)
                    after[which % len(written)] += cost
                case "order", those, project if written:
                    chosen = sorted({one % len(written) for one in those})
                    books.order([written[one] for one in chosen], project)
                    asyncio.run(books.correct())
                    for one in chosen:
                        places[one], moved[one], after[one] = project, moved[one] + after[one], 0
        expected: dict[tuple, int] = {}
        for row, place, amount, rest in zip(written, places, moved, after, strict=True):
            for project, nusd in ((place, amount), (row["project_id"], rest)):
                of = (project, row["currency"])
                expected[of] = expected.get(of, 0) + nusd
        found = books.query(
            """select project_id, currency, sum(cost_nusd)::bigint as cost, sum(billed_nusd)::bigint as billed
                 from vis.request_logs group by 1, 2"""
        )
        assert {(one["project_id"], one["currency"]): one["cost"] for one in found if one["cost"]} == {
            of: nusd for of, nusd in expected.items() if nusd
        }
        assert all(one["cost"] == one["billed"] for one in found)
        by_order = books.query(
            """select tags ->> 'correction_id', sum(cost_nusd) as cost, sum(billed_nusd) as billed, sum(output_tokens) as out
                 from vis.request_logs where entry = 'correction' group by 1"""
        )
        assert all((one["cost"], one["billed"], one["out"]) == (0, 0, 0) for one in by_order)
