"""Promise B3: the chargeback by cost center splits each row as the rules of its moment say, and loses no nano-dollar."""

import csv
import io
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb

from conftest import PASSWORDS, Database, clone_of, default_org
from ledger.rows import insert, smallest
from product import PATIENCE, VIS
from visionality.chargeback.cost_centers import COLUMNS, Sum, Total, write
from visionality.core.allocation import CostSplit, Dated, Part, split, split_at
from visionality.core.money import usd
from visionality.ledger.reader import reading
from visionality.runtime.ids import uuid7

HEADER = "cost_center,gl_code,project_id,currency,cost_usd,billed_usd,rows"
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
MIDDLE = datetime(2026, 11, 15, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
MICRO = timedelta(microseconds=1)

Line = tuple[str, ...]


@pytest.fixture(scope="module")
def ledger(cluster, template) -> Iterator[Database]:
    with clone_of(cluster, template) as database:
        database.run("set role vis_owner; select vis.add_months('2026-01-01', 15)")
        yield database


class Organisation:
    """One of its own, with its rows, its splits, and its report."""

    def __init__(self, ledger: Database) -> None:
        self.ledger = ledger
        self.id = uuid7()
        with ledger.as_role("vis_super") as connection:
            connection.execute(
                "insert into vis_control.organisation (id, slug, name, created_at) values (%s, %s, '', now())",
                [self.id, str(self.id)],
            )

    def add(self, *rows: dict[str, Any]) -> None:
        with self.ledger.as_role("vis_writer") as connection:
            for row in rows:
                at = row.get("created_at", NOVEMBER)
                insert(connection, "request_logs", smallest("request_logs", self.id, at) | row)

    def split(self, *rules: CostSplit) -> None:
        with self.ledger.as_role("vis_super") as connection:
            for rule in rules:
                parts = [
                    {"cost_center": part.cost_center, "gl_code": part.gl_code, "share": f"{part.share:f}"}
                    for part in rule.parts
                ]
                connection.execute(
                    "insert into vis_control.cost_split"
                    " (id, org_id, scope_kind, scope_value, parts, effective_from, created_at)"
                    " values (%s, %s, %s, %s, %s, %s, now())",
                    [uuid7(), self.id, rule.scope_kind, rule.scope_value, Jsonb(parts), rule.effective_from],
                )

    def report(
        self, start: datetime = NOVEMBER, end: datetime = DECEMBER, *, sandbox: bool = False, **wanted: str
    ) -> tuple[list[Line], list[Line], list[Total]]:
        """The lines of the file as a spreadsheet reads them, its total lines, and what is told of them."""
        out = io.BytesIO()
        with reading(self.ledger.dsn("vis_reader"), self.id, snapshot=True) as connection:
            totals = write(connection, self.id, start, end, wanted, out, include_sandbox=sandbox)
        text = out.getvalue().decode()
        assert text.endswith("\n")
        header, *lines = (tuple(line) for line in csv.reader(io.StringIO(text, newline="")))
        assert ",".join(header) == HEADER
        bottom = len(totals) or 1
        return lines[:-bottom], lines[-bottom:], totals


@pytest.fixture
def org(ledger) -> Organisation:
    return Organisation(ledger)


def rule(scope: str, *parts: str, since: datetime = NOVEMBER) -> CostSplit:
    """`project:HPC` and parts such as `CC-410:6100=0.6`."""
    kind, _, value = scope.partition(":")
    told = [part.rpartition("=") for part in parts]
    made = tuple(
        Part(codes.partition(":")[0], codes.partition(":")[2], Decimal(share)) for codes, _, share in told
    )
    return CostSplit(kind, value, made, since)


# ---------------------------------------------------------------- nothing is lost

small = st.integers(-30, 30)
large = st.integers(-(10**15), 10**15)
nusd = st.sampled_from([0, 1, -1, 10**9, 10**17]) | small | large


@st.composite
def shares(draw) -> list[Decimal]:
    """Round ones, thirds as near as they go, and any."""
    cuts = draw(
        st.sampled_from([[], [600_000_000], [333_400_000, 666_700_000], [333_333_333, 666_666_666]])
        | st.sets(st.integers(1, 10**9 - 1), max_size=4).map(sorted)
    )
    return [Decimal(high - low).scaleb(-9) for low, high in pairwise([0, *cuts, 10**9])]


@st.composite
def cost_splits(draw) -> CostSplit:
    parts = draw(st.just([]) | shares())
    names = draw(st.permutations(["A", "B", "C", "D", "E"]))
    return CostSplit(
        draw(st.sampled_from(["project", "team", "customer"])),
        draw(st.sampled_from("xy")),
        tuple(
            Part(name, draw(st.sampled_from(["", "6100"])), share)
            for name, share in zip(names, parts, strict=False)
        ),
        NOVEMBER + timedelta(days=draw(st.integers(-2, 32)), microseconds=draw(st.integers(-1, 1))),
    )


@st.composite
def ledger_rows(draw) -> dict[str, Any]:
    cost = draw(nusd)
    return {
        "created_at": min(
            NOVEMBER + timedelta(days=draw(st.integers(0, 30)), microseconds=draw(st.integers(0, 1))),
            DECEMBER - MICRO,
        ),
        "entry": "call" if cost >= 0 else draw(st.sampled_from(["correction", "true_up"])),
        "cost_nusd": cost,
        "billed_nusd": draw(st.just(cost) | nusd),
        "currency": draw(st.sampled_from(["USD", "USD", "EUR"])),
        "project_id": draw(st.sampled_from([None, "x", "y", "z"])),
        "team_id": draw(st.sampled_from([None, "x", "y"])),
        "customer_id": draw(st.sampled_from([None, "x", "y"])),
        "cost_center": draw(st.sampled_from([None, "", "A", "Z"])),
        "gl_code": draw(st.sampled_from([None, "6100"])),
    }


def one_by_one(rows: list[dict[str, Any]], rules: list[CostSplit]) -> list[Line]:
    """The lines, from each row for itself."""
    dated = Dated(rules)
    costs: Counter[Line] = Counter()
    billed: Counter[Line] = Counter()
    counts: Counter[Line] = Counter()
    for row in rows:
        of = {name: row[name] for name in ("project_id", "team_id", "customer_id")}
        found = split_at(dated, at=row["created_at"], **of)
        own = (Part(row["cost_center"] or "", row["gl_code"] or "", Decimal(1)),)
        parts = found.parts if found else own
        each = [part.share for part in parts]
        for part, cost, bill in zip(
            parts, split(row["cost_nusd"], each), split(row["billed_nusd"], each), strict=True
        ):
            line = (part.cost_center, part.gl_code, row["project_id"] or "", row["currency"])
            costs[line] += cost
            billed[line] += bill
            counts[line] += 1
    return sorted((*line, usd(costs[line]), usd(billed[line]), str(counts[line])) for line in counts)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(ledger_rows(), max_size=12), st.lists(cost_splits(), max_size=6))
def test_the_lines_are_the_splits_of_each_row_and_the_totals_are_the_ledger(ledger, rows, rules):
    org = Organisation(ledger)
    org.add(*rows)
    org.split(*rules)
    lines, bottom, totals = org.report()
    assert lines == one_by_one(rows, rules)
    with ledger.as_role("vis_auditor", org.id) as connection:
        sums = connection.execute(
            "select currency, sum(cost_nusd), sum(billed_nusd), count(*) from vis.request_logs"
            " where org_id = %s group by 1 order by 1",
            [org.id],
        ).fetchall()
    in_ledger = [(currency, usd(int(cost)), usd(int(bill)), str(rows)) for currency, cost, bill, rows in sums]
    assert bottom == [("TOTAL", "", "", *one) for one in in_ledger or [("USD", "0", "0", "0")]]
    for total in totals:
        of = [line for line in lines if line[3] == total.currency]
        assert len(of) == total.lines
        assert sum(Decimal(line[4]) for line in of) == Decimal(total.sum.cost_nusd) / 10**9
        assert sum(Decimal(line[5]) for line in of) == Decimal(total.sum.billed_nusd) / 10**9


# ---------------------------------------------------------------- which rows, which rule


def test_the_columns_are_these_in_this_order():
    assert ",".join(COLUMNS) == HEADER


def test_a_rule_divides_the_rows_from_its_first_moment_on(org):
    org.split(rule("project:HPC", "CC-410=0.6", "CC-420:6100=0.4", since=MIDDLE))
    before = {"project_id": "HPC", "cost_center": "CC-1", "gl_code": "5000", "billed_nusd": 20}
    org.add(
        before | {"created_at": MIDDLE - MICRO, "cost_nusd": 10},
        before | {"created_at": MIDDLE, "cost_nusd": 11},
    )
    lines, bottom, totals = org.report()
    assert lines == [
        ("CC-1", "5000", "HPC", "USD", "0.00000001", "0.00000002", "1"),
        ("CC-410", "", "HPC", "USD", "0.000000007", "0.000000012", "1"),
        ("CC-420", "6100", "HPC", "USD", "0.000000004", "0.000000008", "1"),
    ]
    assert bottom == [("TOTAL", "", "", "USD", "0.000000021", "0.00000004", "2")]
    assert totals == [Total("USD", 3, Sum(21, 40, 2))]
    assert org.report(MIDDLE)[0] == lines[1:]
    assert org.report(end=MIDDLE)[0] == lines[:1]


def test_a_correction_takes_back_what_was_split(org):
    org.split(rule("project:HPC", "A=0.5", "B=0.5"))
    given_back = {"entry": "correction", "corrects": uuid7(), "cost_nusd": -5, "billed_nusd": -5}
    org.add({"project_id": "HPC", "cost_nusd": 5, "billed_nusd": 5}, {"project_id": "HPC"} | given_back)
    assert org.report()[0] == [("A", "", "HPC", "USD", "0", "0", "2"), ("B", "", "HPC", "USD", "0", "0", "2")]


def test_a_correction_is_divided_as_its_row_was_though_the_rule_has_changed(org):
    org.split(rule("project:HPC", "A=0.5", "B=0.5"), rule("project:HPC", "A=0.9", "B=0.1", since=MIDDLE))
    amounts = {"cost_nusd": 10, "billed_nusd": 10}
    back = {"entry": "correction", "corrects": uuid7(), "cost_nusd": -10, "billed_nusd": -10}
    back |= {"created_at": MIDDLE + MICRO, "tags": Jsonb({"of": NOVEMBER.isoformat()})}
    org.add({"project_id": "HPC"} | amounts, {"project_id": "HPC"} | back)
    assert org.report()[0] == [("A", "", "HPC", "USD", "0", "0", "2"), ("B", "", "HPC", "USD", "0", "0", "2")]
    assert [line[4] for line in org.report(MIDDLE)[0]] == ["-0.000000005", "-0.000000005"]


def test_a_row_without_any_code_is_a_line_too(org):
    org.add({"cost_nusd": 7, "billed_nusd": 8}, {"cost_center": "", "cost_nusd": 1, "billed_nusd": 1})
    assert org.report()[0] == [("", "", "", "USD", "0.000000008", "0.000000009", "2")]


def test_a_period_without_rows_is_a_header_and_a_total_of_nothing(org):
    org.split(rule("project:HPC", "A=1"))
    assert org.report() == ([], [("TOTAL", "", "", "USD", "0", "0", "0")], [])


def test_the_filters_are_those_of_the_other_form(org):
    mine = {"project_id": "HPC", "cost_nusd": 3, "billed_nusd": 3}
    org.add(
        mine,
        mine | {"provider": "sandbox"},
        mine | {"decision": "refused", "status_code": 402, "cost_nusd": 0, "billed_nusd": 0},
        {"project_id": "OTHER"},
        mine | {"org_id": uuid7()},
        mine | {"created_at": DECEMBER},
    )
    assert org.report(project="HPC")[2] == [Total("USD", 1, Sum(3, 3, 1))]
    assert org.report(project="HPC", sandbox=True)[2] == [Total("USD", 1, Sum(6, 6, 2))]


def test_another_organisations_split_divides_nothing_here(ledger, org):
    Organisation(ledger).split(rule("project:HPC", "A=1"))
    org.add({"project_id": "HPC", "cost_center": "CC-1"})
    assert [line[0] for line in org.report()[0]] == ["CC-1"]


def test_a_zone_of_the_database_moves_no_rule(ledger, org):
    org.split(rule("project:HPC", "A=1", since=MIDDLE))
    org.add(*[{"project_id": "HPC", "created_at": at} for at in (MIDDLE - MICRO, MIDDLE)])
    ledger.run(f"alter database {ledger.name} set timezone to 'Pacific/Auckland'")
    try:
        lines, _, _ = org.report()
    finally:
        ledger.run(f"alter database {ledger.name} reset timezone")
    assert [(line[0], line[-1]) for line in lines] == [("", "1"), ("A", "1")]


def test_no_code_is_a_formula_and_every_other_text_comes_out_as_it_went_in(org):
    formulas = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠x"]  # noqa: RUF001
    plain = [
        "a=b",
        "it's",
        "'=1",
        'say "hi"',
        "a,b",
        "two\nlines",
        "Zoë 東京 😀",
        " =1",
        "\\.",
        "\\N",
        "tab\t1",
    ]
    org.split(rule("project:HPC", "=cmd:@x=1"))
    org.add({"project_id": "HPC"})
    for text in formulas + plain:
        org.add({"cost_center": text, "gl_code": text, "project_id": text})
    lines, _, _ = org.report()
    codes = {line[:3] for line in lines}
    assert codes == {
        ("'=cmd", "'@x", "HPC"),
        *[(f"'{text}",) * 3 for text in formulas],
        *[(text,) * 3 for text in plain],
    }


# ---------------------------------------------------------------- as finance gets it


class Outside:
    """`vis` on a database of the tests, as on one that somebody else runs."""

    def __init__(self, ledger: Database, data_dir: Path) -> None:
        given = conninfo_to_dict(ledger.dsn("vis_super"))
        self.options = [
            f"--database-url=postgresql:///{ledger.name}?host={given['host']}&port={given['port']}",
            f"--data-dir={data_dir}",
        ]
        secrets = data_dir / "secrets"
        secrets.mkdir(parents=True)
        for role in ("vis_web", "vis_reader"):
            (secrets / f"{role}.password").write_text(PASSWORDS[role])

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [*VIS, *words, *self.options], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def test_what_the_rules_of_the_command_line_say_is_what_finance_gets(ledger, tmp_path):
    vis = Outside(ledger, tmp_path / "data")
    vis.run("project", "add", "HPC", "--name", "Houston Power Contract", "--gl-code", "6000")
    parts = ("--split", "CC-410=60%", "--split", "CC-420:6100=40%")
    vis.run("allocation", "set", "project:HPC", *parts, "--from", "2026-11-15")
    org_id = default_org(ledger)
    row = {"project_id": "HPC", "cost_center": "CC-410", "gl_code": "6000"}
    amounts = [
        (NOVEMBER, 3_405_001, 4_256_251),
        (MIDDLE, 3, 4),
        (MIDDLE + MICRO, 1_000_000_002, 1_250_000_002),
    ]
    with ledger.as_role("vis_writer") as connection:
        for at, cost, bill in amounts:
            money = {"cost_nusd": cost, "billed_nusd": bill}
            insert(connection, "request_logs", smallest("request_logs", org_id, at) | row | money)
    file = tmp_path / "cost-centers.csv"
    words = ("chargeback", "--by", "cost-center", "--month", "2026-11", "--project", "HPC", "-o", str(file))
    told = vis.run(*words)
    assert told == f"{file}: 3 lines of 3 rows, total 1.003405006 USD, billed 1.254256257\n"
    assert file.read_text() == (
        "cost_center,gl_code,project_id,currency,cost_usd,billed_usd,rows\n"
        "CC-410,,HPC,USD,0.600000003,0.750000003,2\n"
        "CC-410,6000,HPC,USD,0.003405001,0.004256251,1\n"
        "CC-420,6100,HPC,USD,0.400000002,0.500000003,2\n"
        "TOTAL,,,USD,1.003405006,1.254256257,3\n"
    )
    assert json.loads(vis.run(*words, "--json")) == {
        "currency": "USD", "lines": 3, "rows": 3, "cost_usd": "1.003405006", "billed_usd": "1.254256257",
        "file": str(file),
    }  # fmt: skip
