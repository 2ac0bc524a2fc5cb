"""The daily sums are the ledger's at every moment: whoever writes, however far the roller is, whenever it dies."""

import json
from datetime import timedelta
from typing import get_args
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from ledger.books import DAYS, TODAY, UNTIL, Books
from visionality.ledger.reader import Filter, reading, totals
from visionality.ledger.rollup import Gap, rebuild, roll
from visionality.ledger.sums import Dim, Sum, daily, midnight, sums, sums_by

DIMS = get_args(Dim)
HOSTILE = ("", "HPC", "a,b", '["x", ""]', "Ünï\u202ecode", "'; drop table vis.spend_day; --", "é" * 4000)
OTHER = UUID(int=9)


COLUMN = {
    "all": (),
    "customer": ("customer_id",),
    "project": ("project_id",),
    "team": ("team_id",),
    "agent": ("agent_sub",),
    "person": ("sso_sub", "agent_owner"),
    "model": ("model_used", "model_family"),
    "key": ("key_id",),
    "task": ("task_id",),
    "epic": ("epic_id",),
    "place": ("repo", "branch"),
    "level": ("attribution_level",),
    "project_repo": ("project_id", "repo"),
}
PART = {name: columns[0] for name, columns in COLUMN.items() if columns} | {
    name: name for name in ("task_class", "cost_center", "gl_code", "provider")
}


def columns_of(dim: str) -> tuple[str, ...]:
    """The columns of a dimension, said another way than in the product."""
    if dim in COLUMN:
        return COLUMN[dim]
    if dim in PART:
        return (PART[dim],)
    first, _, second = dim.partition("_")
    return PART[first], PART[second]


def keys_of(row: dict, dim: str) -> list[str]:
    if dim == "client":
        tags, level = row["tags"] or {}, row["attribution_level"]
        nobodys = "unplaced" if "evidence" in tags else "silent"
        said = ["-" if level is None else str(level), *([nobodys] if row["project_id"] is None else [])]
        return [(tags.get("client") or "").split(" ")[0], " ".join(said)]
    if dim == "project_outcome":
        outcome = [
            row[name] for name in ("entry", "source", "decision", "reason", "status_code", "binding_status")
        ]
        return [row["project_id"] or "", json.dumps(outcome, ensure_ascii=False)]
    return [str(value) if (value := row[name]) is not None else "" for name in columns_of(dim)]


def expected(rows: list[dict], dim: str) -> dict[tuple, tuple]:
    """The sums by key and currency, added up row by row in Python."""
    found: dict[tuple, list] = {}
    for row in rows:
        keys = keys_of(row, dim)
        sign = {"reversal": -1, "rebooking": 1}.get((row["tags"] or {}).get("correction"), 0)
        weight = sign if row["entry"] in ("correction", "true_up") else 1
        is_call = "call" in (row["entry"], (row["tags"] or {}).get("entry"))
        is_served = (row["decision"] == "allowed" and row["task_class"] != "catalogue") or row["cost_nusd"]
        line = found.setdefault((*keys, *[""] * (2 - len(keys)), row["currency"]), [0] * 9)
        repeats = int((row["tags"] or {}).get("repeats", 1))
        is_unserved = row["entry"] in ("call", "correction") and not row["cost_nusd"] and is_call
        line[0] += weight if is_call and is_served else 0
        line[1] += weight if is_call else 0
        line[2] += weight * repeats if is_unserved and row["decision"] == "refused" else 0
        line[3] += weight if is_unserved and row["decision"] == "failed" else 0
        line[4] += row["cost_nusd"]
        line[5] += row["billed_nusd"]
        line[6] += row["cost_nusd"] if row["usage_source"] == "provider_final" else 0
        line[7] += row["input_tokens"]
        line[8] += weight if row["project_id"] is None else 0
    return {key: tuple(line) for key, line in found.items() if any(line)}


def read(found: list[Sum]) -> dict[tuple, tuple]:
    return {
        (one.key, one.key2, one.currency): (
            one.calls, one.asked, one.refused, one.failed, one.cost_nusd, one.billed_nusd, one.final_nusd,
            one.input_tokens, one.unattributed,
        )
        for one in found
    }  # fmt: skip


@pytest.fixture
def books(database, org):
    return Books(database, org)


names = st.none() | st.sampled_from(HOSTILE[:-1])
indexed = st.none() | st.sampled_from(HOSTILE[1:-1])
money = st.integers(0, 10**15)
a_row = st.fixed_dictionaries(
    {
        "org_id": st.sampled_from([UUID(int=9), None]),
        "entry": st.sampled_from(["call", "call", "attempt", "import", "true_up", "correction"]),
        "created_at": st.sampled_from([midnight(day) + timedelta(hours=h) for day in DAYS for h in (0, 23)]),
        "project_id": indexed, "agent_sub": indexed, "agent_owner": names, "sso_sub": names, "team_id": names,
        "model_used": names, "model_family": names, "task_class": names | st.just("catalogue"), "task_id": indexed,
        "repo": names, "branch": names | st.just(HOSTILE[-1]), "cost_center": names,
        "provider": st.sampled_from(["anthropic", "sandbox"]), "currency": st.sampled_from(["USD", "EUR"]),
        "cost_nusd": money | st.just(0), "billed_nusd": money, "input_tokens": st.integers(0, 10**9),
        "decision": st.sampled_from(["allowed", "refused", "failed"]),
        "usage_source": st.sampled_from(["provider_final", "estimated"]),
        "price_state": st.sampled_from(["known", "unknown"]),
        "attribution_level": st.none() | st.integers(1, 7), "reason": names, "status_code": st.sampled_from([200, 402]),
        "tags": st.none() | st.fixed_dictionaries(
            {}, optional={"client": st.sampled_from(["cline", "cline 3.2", " odd", ""]), "evidence": st.just({})}
        ),
    }
)  # fmt: skip
steps = st.lists(
    st.tuples(st.sampled_from([101, 102, 103]), a_row, st.integers(0, 3))
    | st.integers(1, 4)
    | st.just("dies"),
    max_size=14,
)


def wear(given: dict) -> dict:
    """The row as the ledger would have it: corrections have signed amounts and say what they correct."""
    row = {name: value for name, value in given.items() if not (name == "org_id" and value is None)}
    tags = row["tags"]
    if row["entry"] == "correction":
        sign = -1 if row["cost_nusd"] % 2 else 1
        row |= {"cost_nusd": sign * row["cost_nusd"], "billed_nusd": sign * row["billed_nusd"]}
        tags = (tags or {}) | {"correction": "reversal" if sign < 0 else "rebooking", "entry": "call"}
        tags["of"] = row["created_at"].isoformat()
    elif row["decision"] == "refused":
        tags = (tags or {}) | {"repeats": "3"}
    row["tags"] = None if tags is None else Jsonb(tags)
    return row


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_sums_are_those_of_the_ledger_wherever_the_roller_is(books, steps):
    for step in steps:
        if step == "dies":
            books.roll_and_die()
        elif isinstance(step, int):
            books.roll(step)
        else:
            writer_no, row, _ = step
            books.write(writer_no, **wear(row))
    rows = books.rows()
    with reading(books.database.dsn("vis_reader"), books.org) as connection:
        for dim in DIMS:
            assert read(sums(connection, books.org, dim, TODAY, UNTIL)) == expected(rows, dim), dim
    assert books.differences() == []


@pytest.mark.parametrize("is_rolled", [False, True])
def test_sums_are_those_of_the_ledger_page(books, is_rolled):
    for n, project in enumerate(["HPC", "SOCE", None]):
        books.write(project_id=project, cost_nusd=10 + n, usage_source="provider_final", input_tokens=n)
    books.write(decision="refused", cost_nusd=0, tags=Jsonb({"repeats": "4"}))
    books.write(task_class="catalogue", cost_nusd=0)
    books.write(entry="true_up", cost_nusd=-3)
    books.write(provider="sandbox", cost_nusd=1000)
    if is_rolled:
        books.roll()
    (found,), (simulated,) = books.sums("all"), books.sums("all", simulated=True)
    with reading(books.database.dsn("vis_reader"), books.org) as connection:
        page = totals(connection, books.org, Filter((), midnight(TODAY), midnight(UNTIL)))
    assert (page["calls"], page["cost_nusd"]) == (found.asked + simulated.asked, found.cost_nusd)
    assert (page["final_nusd"], page["sandbox_nusd"]) == (found.final_nusd, simulated.cost_nusd)
    assert (page["unpriced"], page["unattributed"]) == (
        found.unpriced + simulated.unpriced,
        found.unattributed + simulated.unattributed,
    )
    assert (found.calls, found.refused, found.cost_nusd, found.estimated_nusd) == (3, 4, 30, -3)


def test_a_corrected_call_counts_where_it_was_booked_again_and_nowhere_else(books):
    books.write(project_id="WRONG", cost_nusd=7, billed_nusd=7)
    books.roll()
    for project, cost, kind in (("WRONG", -7, "reversal"), ("RIGHT", 7, "rebooking")):
        tags = Jsonb({"correction": kind, "entry": "call"})
        books.write(102, entry="correction", project_id=project, cost_nusd=cost, billed_nusd=cost, tags=tags)
    (before,) = books.sums()
    books.roll()
    (after,) = books.sums()
    assert before == after
    assert (after.key, after.calls, after.cost_nusd) == ("RIGHT", 1, 7)


def test_what_is_behind_the_top_is_one_line(books):
    for n in range(5):
        books.write(project_id=f"P{n}", cost_nusd=10**n)
        books.roll(n)
    assert [(one.key, one.members, one.cost_nusd) for one in books.sums(top=2)] == [
        ("P4", 1, 10_000),
        ("P3", 1, 1_000),
        (None, 3, 111),
    ]


def test_days_are_those_of_utc_and_in_order(books):
    for hours, cost in ((24, 1), (23, 2), (0, 4)):
        books.write(project_id="HPC", cost_nusd=cost, created_at=midnight(TODAY) + timedelta(hours=hours))
        books.write(project_id="SOCE", cost_nusd=9)
    books.roll(3)
    assert [(one.day, one.key, one.cost_nusd) for one in books.daily(keys=["HPC"])] == [
        (DAYS[0], "HPC", 6),
        (DAYS[1], "HPC", 1),
    ]


def test_a_pair_is_narrowed_by_either_of_its_keys(books):
    for project, agent in (("HPC", "a"), ("HPC", "b"), ("SOCE", "a")):
        books.write(project_id=project, agent_sub=agent)
    assert {one.key2 for one in books.sums("project_agent", keys=["HPC"])} == {"a", "b"}
    assert {one.key for one in books.sums("project_agent", keys2=["a"])} == {"HPC", "SOCE"}


def test_several_dimensions_are_read_at_once_each_with_its_own_top(books):
    for agent, task_class, cost in (("a", "x", 4), ("b", "x", 2), ("c", "y", 1)):
        books.write(project_id="HPC", agent_sub=agent, task_class=task_class, cost_nusd=cost)
        books.write(project_id="SOCE", agent_sub=agent, cost_nusd=100)
    books.roll(3)
    with reading(books.database.dsn("vis_reader"), books.org) as connection:
        dims: list[Dim] = ["project_agent", "project_task_class", "project_task"]
        found = sums_by(connection, books.org, dims, TODAY, UNTIL, keys=["HPC"], top=1)
    assert {dim: [(one.key2, one.cost_nusd) for one in lines] for dim, lines in found.items()} == {
        "project_agent": [("a", 4), (None, 3)],
        "project_task_class": [("x", 6), (None, 1)],
        "project_task": [("", 7)],
    }


def test_days_are_read_beside_sums_and_are_all_there_behind_a_top(books):
    for n, day in enumerate(DAYS):
        books.write(project_id="HPC", task_id=f"HPC-{n}", created_at=midnight(day), cost_nusd=n + 1)
    asked = {"keys": ["HPC"], "top": 1, "by_day": ["project"]}
    with reading(books.database.dsn("vis_reader"), books.org) as connection:
        found = sums_by(connection, books.org, ["project", "project_task"], TODAY, UNTIL, **asked)
        days = daily(connection, books.org, "project", TODAY, UNTIL, keys=["HPC"])
    assert found["project"] == days
    assert len(days) > 1
    assert [one.members for one in found["project_task"]] == [1, len(days) - 1]
    assert sum(one.cost_nusd for one in found["project_task"]) == sum(one.cost_nusd for one in days)


def test_a_reader_sees_the_sums_of_its_own_organisation_only(books):
    books.write(org_id=OTHER, project_id="THEIRS")
    books.roll()
    books.write(org_id=OTHER, project_id="THEIRS")
    assert books.sums() == []
    with reading(books.database.dsn("vis_reader"), books.org) as connection:
        assert sums(connection, OTHER, "project", TODAY, UNTIL) == []
        assert connection.execute("select from vis.spend_day").fetchall() == []


def test_of_two_rollers_one_adds_rows(books):
    books.write()
    with books.as_("vis_sealer", autocommit=True) as first, first.transaction(force_rollback=True):
        assert roll(first).rows == 1
        assert books.roll().rows == 0
    assert books.roll().rows == 1
    assert books.roll().rows == 0
    assert books.sums("all")[0].calls == 1


def test_a_gap_stops_its_writer_and_is_told_and_no_reader_misses_what_is_behind_it(books):
    books.write(cost_nusd=1)
    books.write(cost_nusd=2, skip=1)
    books.write(102, cost_nusd=4)
    assert books.roll() == (2, [Gap(101, 1)])
    assert books.roll() == (0, [Gap(101, 1)])
    assert books.sums("all")[0].cost_nusd == 7
    books.insert(101, 2, cost_nusd=8)
    assert books.roll() == (2, [])
    assert books.sums("all")[0].cost_nusd == 15


def test_sums_that_differ_from_their_rows_are_found_and_made_anew(books):
    books.write(project_id="HPC", cost_nusd=5)
    books.write(project_id="SOCE", cost_nusd=6)
    books.roll()
    with books.as_("vis_sealer") as connection:
        connection.execute(
            "update vis.spend_day set cost_nusd = cost_nusd + 1 where dim = 'project' and key = 'HPC'"
        )
        connection.execute("delete from vis.spend_day where dim = 'agent'")
    assert [(one.day, one.dim, one.key, one.summed_nusd, one.ledger_nusd) for one in books.differences()] == [
        (TODAY, "agent", "", 0, 11),
        (TODAY, "project", "HPC", 6, 5),
    ]
    with books.as_("vis_sealer", autocommit=True) as connection:
        assert rebuild(connection) == 2
    assert books.differences() == []
    assert [(one.key, one.cost_nusd) for one in books.sums()] == [("SOCE", 6), ("HPC", 5)]


@pytest.mark.parametrize(
    "columns", ["(writer_no, wseq) values (101, 1)", "(writer_no, wseq, dims) values (101, 1, 1)"]
)
def test_a_roller_that_knows_other_dimensions_cannot_say_that_it_added_rows(books, columns):
    refused = (psycopg.errors.NotNullViolation, psycopg.errors.CheckViolation)
    with books.as_("vis_sealer") as connection, pytest.raises(refused):
        connection.execute(f"insert into vis.rollup_cursor {columns}")


def test_only_the_sealer_changes_sums(books):
    for role in ("vis_writer", "vis_web", "vis_jobs", "vis_reader", "vis_auditor"):
        for table in ("spend_day", "rollup_cursor", "work_day", "moved_day", "moved_by"):
            with books.as_(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"delete from vis.{table}")


def test_the_dimensions_are_those_that_are_kept(books):
    books.write()
    books.roll()
    with books.as_("vis_auditor") as connection:
        assert {dim for (dim,) in connection.execute("select dim from vis.spend_day")} == set(DIMS)
