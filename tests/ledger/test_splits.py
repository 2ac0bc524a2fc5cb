"""Promise B3: what the splits move stands in the sums and is the splits of each row, whenever a rule was added."""

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from chargeback.test_cost_centers import cost_splits, nusd
from ledger.books import DAYS, TODAY, UNTIL, Books
from visionality.core.allocation import CostSplit, Dated, Part, split, split_at
from visionality.ledger.reader import reading
from visionality.ledger.rollup import rebuild
from visionality.ledger.splits import moved
from visionality.ledger.sums import midnight
from visionality.runtime.ids import uuid7

NOON = midnight(TODAY) + timedelta(hours=12)
MICRO = timedelta(microseconds=1)
OTHER = UUID(int=9)

scopes = st.sampled_from([None, "x", "y", "z"])
centers = st.sampled_from([None, "", "A", "Z"])
moments = st.sampled_from([midnight(TODAY), NOON - MICRO, NOON, midnight(DAYS[1]), midnight(UNTIL) - MICRO])
rows = st.fixed_dictionaries(
    {
        "created_at": moments, "project_id": scopes, "team_id": scopes, "customer_id": scopes,
        "cost_center": centers, "gl_code": st.sampled_from([None, "6100"]),
        "entry": st.sampled_from(["call", "true_up", "correction"]), "cost_nusd": nusd, "billed_nusd": nusd,
        "currency": st.sampled_from(["USD", "EUR"]), "provider": st.sampled_from(["anthropic", "sandbox"]),
        "decision": st.sampled_from(["allowed", "refused"]),
        "task_class": st.sampled_from([None, "catalogue"]), "of": st.none() | moments,
    }
)  # fmt: skip
rules = st.builds(
    lambda one, since: CostSplit(one.scope_kind, one.scope_value, one.parts, since),
    cost_splits(),
    st.sampled_from([midnight(TODAY) - timedelta(days=9), NOON, NOON + MICRO, midnight(DAYS[1])])
    | st.just(midnight(UNTIL)),
)
steps = st.lists(rows | rules | st.integers(1, 3) | st.sampled_from(["dies", "rebuild"]), max_size=16)


class Divided(Books):
    """Books of an organisation that splits between cost centers."""

    def split(self, rule: CostSplit) -> None:
        parts = [
            {"cost_center": part.cost_center, "gl_code": part.gl_code, "share": f"{part.share:f}"}
            for part in rule.parts
        ]
        with self.as_("vis_super") as connection:
            connection.execute(
                "insert into vis_control.cost_split"
                " (id, org_id, scope_kind, scope_value, parts, effective_from, created_at)"
                " values (%s, %s, %s, %s, %s, %s, now())",
                [uuid7(), self.org, rule.scope_kind, rule.scope_value, Jsonb(parts), rule.effective_from],
            )

    def moved(self, since=TODAY, until=UNTIL) -> dict[tuple[str, str, str], tuple[int, int, int]]:
        with reading(self.database.dsn("vis_reader"), self.org) as connection:
            found = moved(connection, self.org, since, until)
        return {payer: (its.cost_nusd, its.billed_nusd, its.rows) for payer, its in found.items()}

    def forget(self) -> None:
        with self.as_("vis_sealer", autocommit=True) as connection:
            rebuild(connection)

    def kept(self) -> list[dict]:
        with self.as_("vis_auditor", row_factory=dict_row) as connection:
            return connection.execute("select * from vis.moved_day").fetchall()


@pytest.fixture
def books(database, org):
    return Divided(database, org)


def one_by_one(written: list[dict], rules: list[CostSplit]) -> dict[tuple[str, str, str], tuple[int, ...]]:
    """What is moved, from each row for itself."""
    dated, found = Dated(rules), defaultdict(lambda: [0, 0, 0])
    for row in written:
        if row["cost_nusd"] == 0 and (row["decision"] != "allowed" or row["task_class"] == "catalogue"):
            continue
        of = {name: row[name] for name in ("project_id", "team_id", "customer_id")}
        is_dated_back = row["entry"] == "correction" and row["of"]
        rule = split_at(dated, at=row["of"] if is_dated_back else row["created_at"], **of)
        if rule is None or row["provider"] == "sandbox":
            continue
        shares = [part.share for part in rule.parts]
        own = (row["cost_center"] or "", row["gl_code"] or "", row["currency"])
        parts = zip(split(row["cost_nusd"], shares), split(row["billed_nusd"], shares), strict=True)
        lines = [(own, -row["cost_nusd"], -row["billed_nusd"], -1)] + [
            ((part.cost_center, part.gl_code, row["currency"]), cost, billed, 1)
            for part, (cost, billed) in zip(rule.parts, parts, strict=True)
        ]
        for payer, *amounts in lines:
            found[payer] = [had + more for had, more in zip(found[payer], amounts, strict=True)]
    return {payer: tuple(its) for payer, its in found.items() if any(its)}


def wear(row: dict) -> dict:
    """The row as a ledger would have it: no call is of less than nothing, and corrections are booked after what they correct."""
    if row["entry"] == "call":
        row = row | {"cost_nusd": abs(row["cost_nusd"])}
    if row["of"] and (row["entry"] != "correction" or row["of"] > row["created_at"]):
        row = row | {"of": None}
    return row


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_what_is_moved_is_the_splits_of_each_row_whenever_rules_and_rows_came(database, steps):
    with database.as_role("vis_super") as connection:
        org = uuid7()
        connection.execute(
            "insert into vis_control.organisation (id, slug, name, created_at) values (%s, %s, '', now())",
            [org, str(org)],
        )
        connection.execute("delete from vis.writers")
    books, written, rules = Divided(database, org), [], []
    with database.as_role("vis_auditor") as connection:
        ((books.written[101],),) = connection.execute(
            "select coalesce(max(wseq), 0) from vis.request_logs where writer_no = 101"
        ).fetchall()
    for step in steps:
        if isinstance(step, CostSplit):
            books.split(step)
            rules.append(step)
        elif isinstance(step, dict):
            row = wear(step)
            written.append(row)
            of = {"tags": Jsonb({"of": row["of"].isoformat()})} if row["of"] else {}
            books.write(**{name: value for name, value in row.items() if name != "of"} | of)
        elif step == "dies":
            books.roll_and_die()
        elif step == "rebuild":
            books.forget()
        else:
            books.roll(step)
        assert books.moved() == one_by_one(written, rules)
    assert books.differences() == []
    while books.roll().rows:
        pass
    assert books.moved() == one_by_one(written, rules)
    assert books.differences() == []


def halves(scope: str = "project", since=None) -> CostSplit:
    half = Decimal("0.5")
    return CostSplit(scope, "HPC", (Part("A", "", half), Part("B", "6100", half)), since or midnight(TODAY))


def test_the_sums_of_splits_are_not_the_splits_of_sums_and_stand_so(books):
    books.split(halves())
    for _ in range(3):
        books.write(project_id="HPC", cost_center="CC-1", cost_nusd=5, billed_nusd=7)
    books.roll()
    assert books.moved() == {
        ("CC-1", "", "USD"): (-15, -21, -3),
        ("A", "", "USD"): (9, 12, 3),
        ("B", "6100", "USD"): (6, 9, 3),
    }
    assert len(books.kept()) == 3


def test_a_rule_that_is_dated_back_divides_what_was_added_up_and_leaves_the_days_before(books):
    books.write(project_id="HPC", cost_nusd=10, created_at=midnight(TODAY))
    books.write(project_id="HPC", cost_nusd=100, created_at=midnight(DAYS[1]))
    books.roll()
    books.split(halves(since=midnight(DAYS[1])))
    before = books.moved()
    assert books.kept() == []
    assert books.roll().rows == 0
    assert books.moved() == before == {
        ("", "", "USD"): (-100, -1, -1), ("A", "", "USD"): (50, 1, 1), ("B", "6100", "USD"): (50, 0, 1),
    }  # fmt: skip
    assert {one["day"] for one in books.kept()} == {DAYS[1]}
    assert books.moved(until=DAYS[1]) == {}


def test_what_is_moved_wrongly_is_found_and_made_anew(books):
    books.split(halves())
    books.write(project_id="HPC", cost_nusd=10)
    books.roll()
    with books.as_("vis_sealer") as connection:
        connection.execute("update vis.moved_day set cost_nusd = cost_nusd + 1 where cost_center = 'A'")
    (found,) = books.differences()
    assert (found.dim, found.key, found.key2, found.summed_nusd, found.ledger_nusd) == (
        "moved",
        "A",
        "",
        6,
        5,
    )
    books.forget()
    assert books.differences() == []


def test_an_organisation_is_split_by_its_own_rules_and_reads_its_own(books):
    books.split(halves())
    books.write(org_id=OTHER, project_id="HPC", cost_nusd=10)
    books.roll()
    assert books.moved() == {}
    assert books.kept() == []
