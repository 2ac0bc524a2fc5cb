"""The ledger browser: what the address narrows, and sums that are the rows' own whichever way they are made (D2, L5)."""

import re
from datetime import timedelta
from html import unescape
from itertools import combinations
from urllib.parse import urlencode

import pytest
from psycopg import sql

from visionality.core.money import usd
from visionality.core.usage import Usage
from visionality.ledger.filter import COLUMNS, Filter
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.web.seats.figures import amount
from web.rows import call
from web.test_ledger_page import figures, lines, words

KEY = uuid7()
HOSTILE = "x'); drop table vis.request_logs; --"
ALL = {
    "project_id": "HPC",
    "customer_id": "houston-power",
    "team_id": "rebill",
    "agent_sub": "alice@arctrade",
    "agent_owner": "Alice K.",
    "sso_sub": "alice@arctrade.example",
    "task_id": "HPC-1234",
    "epic_id": "HPC-1100",
    "task_class": "code_completion",
    "model_family": "claude-sonnet",
    "provider": "anthropic",
    "key_id": KEY,
    "repo": "bitbucket.org/arctrade/hpc-billing",
    "branch": "HPC-1234-add-pjm-rebill-rules",
    "cost_center": "CC-100",
    "gl_code": "6100",
    "attribution_level": 4,
    "reason": "told",
    "binding_status": "verified",
    "source": "gateway",
}
SAID = {**{name: ALL.get(column) for name, column in COLUMNS.items()}, "model": "claude-sonnet-4-6"} | {
    "decision": "allowed",
    "status": 200,
    "entry": "call",
}


@pytest.fixture
def two(office):
    """One row that says everything, and one that says nothing and was refused."""
    office.write(
        call(**ALL),
        call(
            None,
            decision="refused",
            status_code=402,
            usage_source="none",
            model_used=None,
            **dict.fromkeys(ALL, None)
            | {
                "provider": "openai",
                "reason": "budget_reached",
                "binding_status": "not_required",
                "source": "import",
            },
            entry="attempt",
            model_requested="gpt-5.4",
        ),
    )
    return office


def page_of(office, **query):
    answer = office.browser.get(f"/?{urlencode(query)}")
    assert answer.status == 200
    return answer.text


@pytest.mark.parametrize("selector", COLUMNS)
def test_every_selector_finds_its_row_and_no_other(two, selector):
    page = page_of(two, **{selector: SAID[selector]})
    (line,) = lines(page)
    assert "claude-sonnet-4-6" in line
    assert figures(page)["Calls"] == "1"
    assert figures(page)["Cost"] == "0.003405 USD"
    assert "No rows for this filter." in page_of(two, **{selector: uuid7() if selector == "key" else 999})


@pytest.mark.parametrize("selector", ["project", "task", "team", "key", "repo", "gl", "level"])
def test_a_dash_finds_what_names_nothing(two, selector):
    (line,) = lines(page_of(two, **{selector: "-"}))
    assert "gpt-5.4" in line


def test_sums_are_the_same_from_the_rollup_and_from_the_rows(office):
    office.write(
        *[
            call(Usage(in_text=7 * place), project_id=project, agent_sub=agent, task_class=kind)
            for place, (project, agent, kind) in enumerate(
                (project, agent, kind)
                for project in ("HPC", "SOCE", None)
                for agent in ("alice@arctrade", "derek@arctrade")
                for kind in ("chat", "refactor")
            )
        ]
    )
    chosen = {"project": "HPC", "agent": "derek@arctrade", "class": "refactor"}
    with office.plane.database.as_role("vis_reader", office.org_id) as connection:
        for size in range(4):
            for names in combinations(chosen, size):
                named = {name: chosen[name] for name in names}
                condition = " and ".join(f"{COLUMNS[name]} = %({name})s" for name in names) or "true"
                query = f"select count(*), sum(cost_nusd)::bigint from vis.request_logs where {condition}"
                calls, cost = connection.execute(query, named).fetchone()
                found = figures(page_of(office, **named))
                assert (found["Calls"], found["Cost"]) == (str(calls), f"{usd(cost)} USD")


PEOPLE_AND_PLACES = {
    "person": "alice@arctrade.example",
    "owner": "Alice K.",
    "agent": "alice@arctrade",
    "model": "claude-sonnet-4-6",
    "family": "claude-sonnet",
    "repo": "bitbucket.org/arctrade/hpc-billing",
    "branch": "HPC-1234-add-pjm-rebill-rules",
}


def test_sums_of_people_models_and_places_are_those_of_their_rows(office):
    office.write(
        *[
            call(Usage(in_text=7**place), **{COLUMNS[name]: value})
            for place, (name, value) in enumerate(
                (name, value)
                for name in ("person", "owner", "agent", "family", "repo", "branch")
                for value in (PEOPLE_AND_PLACES[name], None)
            )
        ]
    )
    with office.plane.database.as_role("vis_reader", office.org_id) as connection:
        for size in (1, 2):
            for names in combinations(PEOPLE_AND_PLACES, size):
                for first in (PEOPLE_AND_PLACES[names[0]], "-"):
                    named = {name: PEOPLE_AND_PLACES[name] for name in names} | {names[0]: first}
                    where = Filter.of(named).condition(office.org_id)
                    query = sql.SQL(
                        "select count(*), sum(cost_nusd)::bigint from vis.request_logs where {}"
                    ).format(where)
                    calls, cost = connection.execute(query).fetchone()
                    found = figures(page_of(office, **named))
                    assert (found["Calls"], found["Cost"]) == (str(calls), f"{amount(cost or 0)} USD"), named


@pytest.mark.parametrize("more", [{}, {"status": "200"}, {"booked": "original"}])
def test_dollars_are_dollars_and_other_currencies_are_named_beside_them(office, more):
    office.write(
        call(cost_nusd=2_000_000_000, billed_nusd=2_000_000_000),
        call(cost_nusd=5_000_000_000, billed_nusd=5_000_000_000, currency="EUR"),
    )
    found = figures(page_of(office, **more))
    assert (found["Cost"], found["Calls"]) == ("2 USD", "2")
    assert (found["of it final"], found["Other currencies, not in it"]) == ("2 USD", "EUR")


@pytest.mark.parametrize("more", [{}, {"booked": "original"}])
def test_charged_calls_are_those_of_the_finance_page(office, more):
    office.write(
        call(), call(), call(None, decision="refused", status_code=402, usage_source="none", reason="told")
    )
    found = figures(page_of(office, project="HPC", **more))
    assert (found["Calls"], found["of them charged"]) == ("3", "2")
    assert "2 calls" in words(office.browser.get("/finance").text)


def test_an_id_or_a_number_in_another_spelling_has_the_same_sums(office):
    office.write(call(key_id=KEY, attribution_level=4))
    for named in ({"key": str(KEY).upper()}, {"level": "04"}):
        assert figures(page_of(office, **named))["Calls"] == "1"


def test_days_are_whole_and_the_last_one_is_included(office):
    today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    times = [today - timedelta(days=1), today - timedelta(microseconds=1), today]
    office.write(
        *[call(created_at=at, id=uuid7(), model_used=f"at-{place}") for place, at in enumerate(times)]
    )
    yesterday = f"{today - timedelta(days=1):%Y-%m-%d}"
    page = page_of(office, **{"from": yesterday, "to": yesterday})
    assert ["at-1" in lines(page)[0], "at-0" in lines(page)[1], len(lines(page))] == [True, True, 2]
    assert figures(page)["Calls"] == "2"
    assert len(lines(page_of(office, **{"from": f"{today:%Y-%m-%d}"}))) == 1
    assert len(lines(page_of(office, to=yesterday))) == 2


def test_filters_in_force_are_shown_and_each_can_be_taken_away(two):
    page = page_of(two, task="HPC-1234", **{"class": "code_completion"}, project="HPC")
    links = [
        unescape(link) for link in re.findall(r'<li>[^<]*<strong>[^<]*</strong> <a href="([^"]+)"', page)
    ]
    assert links == ["/?project=HPC&class=code_completion", "/?project=HPC&task=HPC-1234"]


def test_newer_rows_lead_back_the_way_one_came(office):
    wrote = [str(row.id) for row in office.write(*[call(Usage(in_text=count)) for count in range(1, 121)])][
        ::-1
    ]

    def shown(page):
        return re.findall(r'id="row-([0-9a-f-]+)"', page)

    def link(page, rel):
        found = re.search(rf'href="([^"]+)" rel="{rel}"', page)
        return unescape(found[1]) if found else None

    first = office.browser.get("/").text
    second = office.browser.get(link(first, "next")).text
    third = office.browser.get(link(second, "next")).text
    assert shown(third) == wrote[100:]
    assert link(third, "next") is None
    back = office.browser.get(link(third, "prev")).text
    assert shown(back) == wrote[50:100]
    assert shown(office.browser.get(link(back, "prev")).text) == wrote[:50]


@pytest.mark.parametrize(
    "query",
    [
        "key=HPC",
        "status=two",
        "level=-1",
        "status=2%30%30%30%30",
        "from=yesterday",
        "to=0001-01-01",
        "task=%00",
    ],
)
def test_what_no_row_could_have_is_refused_plainly(office, query):
    assert office.browser.get(f"/?{query}").status == 400
    assert office.browser.get(f"/rows?{query}").status == 400


@pytest.mark.parametrize("selector", ["project", "task", "model", "branch", "reason"])
def test_a_hostile_value_is_only_a_value(two, selector):
    page = page_of(two, **{selector: HOSTILE})
    assert "No rows for this filter." in page
    assert len(lines(page_of(two))) == 2


def test_the_columns_of_a_row_lead_to_the_rows_that_have_them_too(office):
    (row,) = office.write(
        call(branch="a&b=c", tags={"client": "claude-code 2.1"}, attribution_level=4, confidence=80)
    )
    page = office.browser.get(f"/rows/{row.id}").text
    assert 'href="/?branch=a%26b%3Dc"' in page
    (line,) = lines(page_of(office, branch="a&b=c"))
    assert "HPC-1234" in line
    text = words(page)
    assert "Project found by environment, level 4" in text
    assert "Confidence 80 of 100" in text
    assert "Client claude-code 2.1" in text


def test_the_days_of_a_strip_are_named(office):
    assert "1 August 2026 to 31 October 2026" in words(
        page_of(office, **{"from": "2026-08-01", "to": "2026-10-31"})
    )
    assert "15 August 2026" in words(page_of(office, **{"from": "2026-08-15", "to": "2026-08-15"}))
    assert f"{utc_now():%B %Y} so far" in words(page_of(office))


def test_a_row_of_the_demo_says_so(office):
    (row,) = office.write(call(source="demo"))
    (line,) = lines(page_of(office))
    assert "demo" in line
    assert "A row of the demo: nothing was called and nobody was charged." in words(
        office.browser.get(f"/rows/{row.id}").text
    )
