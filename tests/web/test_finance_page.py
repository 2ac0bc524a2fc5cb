"""The finance seat: what was spent, how sure that is and what it is made of; each figure is the ledger's (F1, F2, B3)."""

import re
from datetime import timedelta
from html import unescape

import pytest
from psycopg.types.json import Jsonb

from visionality.core.money import usd
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from web.rows import call, refused
from web.test_ledger_page import words

DOLLAR = 1_000_000_000
WAYS = ("project", "customer", "team", "agent", "person", "cost-center", "gl", "family")


def spend(nusd, **given):
    return call(cost_nusd=nusd, **({"billed_nusd": nusd} | given))


def finance(office, query=""):
    answer = office.browser.get(f"/finance{query}")
    assert answer.status == 200, answer.text
    return answer.text.replace("\N{NO-BREAK SPACE}", " ")


def facts(page):
    """The facts below the lead figure, by name."""
    body = page.partition('class="facts"')[2].partition("</dl>")[0]
    return {
        words(name): words(told) for name, told in re.findall(r"<dt[^>]*>(.*?)</dt><dd[^>]*>(.*?)</dd>", body)
    }


def lead(page):
    return words(page.partition('class="lead-figure"')[2].partition("</dl>")[0].partition("<dd>")[2]).replace(
        " .", "."
    )


def cells(page):
    """The table's lines, cell by cell without the share, and its last."""
    table = page.partition('id="made-of"')[2].partition("</section>")[0]
    found = [
        [
            words(cell).replace(" .", ".")
            for cell in re.findall(r"<t[hd](?! class=\"(?:share|act))[^>]*>(.*?)</t[hd]>", row)
        ]
        for row in re.findall(r"<tr>.*?</tr>", table.partition("<tbody")[2], re.DOTALL)
    ]
    return found[:-1], found[-1]


def ledger(office):
    with office.plane.database.as_role("vis_reader", office.org_id) as connection:
        return connection.execute(
            "select coalesce(sum(cost_nusd), 0)::bigint, coalesce(sum(billed_nusd), 0)::bigint from vis.request_logs"
            " where org_id = %s and provider <> 'sandbox'",
            [office.org_id],
        ).fetchone()


@pytest.fixture
def spent(office):
    office.write(
        spend(3 * DOLLAR + 1, team_id="grid", cost_center="CC-410", gl_code="6000"),
        spend(
            2 * DOLLAR, customer_id="ERCOT", billed_nusd=5 * DOLLAR // 2, team_id="grid", cost_center="CC-410"
        ),
        spend(DOLLAR, project_id="SOCE", usage_source="tokenizer_estimate", agent_sub="derek@arctrade"),
        spend(DOLLAR // 2, project_id=None, model_family="gpt-5", agent_owner=None, sso_sub=None),
        spend(7 * DOLLAR, provider="sandbox"),
        call(price_state="unknown", cost_nusd=0, billed_nusd=0),
        refused(),
    )
    return office


def test_before_any_spend_the_page_says_what_will_be_here(office):
    page = words(finance(office))
    assert "No spend in" in page
    assert "vis try" in page


def test_the_lead_figure_is_the_ledgers_and_beside_it_what_is_billed(spent):
    cost, billed = ledger(spent)
    assert (cost, billed) == (6_500_000_001, 7_000_000_001)
    told = lead(finance(spent))
    assert told.startswith("6.50 USD")
    assert "7.00 USD billed after markup, 5 calls" in told


def test_the_facts_say_how_sure_it_is(spent):
    found = facts(finance(spent))
    assert found["Final"] == "5.50"
    assert found["Estimated"] == "1.00"
    assert found["Unpriced"] == "1 row"
    assert found["Unattributed"] == "0.50 1 row"
    assert found["Simulated, not counted"] == "7.00"
    assert found["Refused"] == "1 call"
    assert re.fullmatch(r"[\d,.]+ [\d,.]+ to [\d,.]+", found["Likely at month's end"])


@pytest.mark.parametrize("way", WAYS)
def test_every_table_adds_up_to_the_ledger_to_the_last_digit(spent, way):
    cost, billed = ledger(spent)
    lines, total = cells(finance(spent, f"?by={way}"))
    assert total[-1] == usd(cost)
    assert usd(billed) in total
    assert sum(round(float(line[-1]) * DOLLAR) for line in lines) == cost


def test_a_table_names_who_spent_and_leads_to_the_rows(spent):
    page = finance(spent)
    lines, _ = cells(page)
    assert [line[0] for line in lines] == ["HPC", "SOCE", "no project"]
    leads = [
        unescape(one)
        for one in re.findall(r'<th scope="row"><a href="([^"]*)"', page.partition('id="made-of"')[2])
    ]
    assert re.fullmatch(r"/\?from=[\d-]+&to=[\d-]+&project=HPC", leads[0])
    assert any(one.endswith("&project=-") for one in leads)


def test_a_customers_line_has_its_margin(spent):
    lines, total = cells(finance(spent, "?by=customer"))
    assert ["ERCOT", "1", "2.5", "0.5 20 %", "2"] in lines
    assert total[3] == "0.5"


def split_hpc(office, *parts):
    with office.plane.database.as_role("vis_super") as connection:
        connection.execute(
            "insert into vis_control.cost_split (id, org_id, scope_kind, scope_value, parts, effective_from, created_at)"
            " values (%s, %s, 'project', 'HPC', %s, %s, now())",
            [uuid7(), office.org_id, Jsonb(list(parts)), utc_now() - timedelta(days=40)],
        )


def test_a_new_rule_is_in_the_table_at_once(spent):
    for center in ("CC-1", "CC-2"):
        split_hpc(spent, {"cost_center": center, "gl_code": "6000", "share": "1"})
        lines, total = cells(finance(spent, "?by=cost-center"))
        assert {line[0]: line[-1] for line in lines} == {center: "5.000000001", "no cost center": "1.5"}
        assert total[-1] == "6.500000001"


def test_cost_centers_are_those_after_splits(spent):
    split_hpc(
        spent,
        {"cost_center": "CC-410", "gl_code": "6000", "share": "0.5"},
        {"cost_center": "CC-500", "gl_code": "6100", "share": "0.5"},
    )
    page = finance(spent, "?by=cost-center")
    lines, total = cells(page)
    assert total[-1] == "6.500000001"
    assert {line[0]: line[-1] for line in lines} == {
        "CC-410": "2.500000001",
        "CC-500": "2.5",
        "no cost center": "1.5",
    }
    assert "after splits" in words(page)
    lines, total = cells(finance(spent, "?by=gl"))
    assert {line[0]: line[-1] for line in lines} == {
        "6000": "2.500000001",
        "6100": "2.5",
        "no GL code": "1.5",
    }
    assert total[-1] == "6.500000001"


def test_days_are_compared_with_as_many_before(office):
    today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    office.write(spend(2 * DOLLAR, created_at=today - timedelta(days=1)), spend(3 * DOLLAR, created_at=today))
    page = finance(office, f"?from={today:%Y-%m-%d}&to={today:%Y-%m-%d}")
    assert "50 % above" in lead(page)
    assert "2.00 USD" in lead(page)


def test_a_day_counts_from_midnight_to_midnight_utc(office):
    today = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    last = today - timedelta(microseconds=1)
    office.write(spend(DOLLAR, created_at=last), spend(2 * DOLLAR, created_at=today))
    assert lead(finance(office, f"?from={last:%Y-%m-%d}&to={last:%Y-%m-%d}")).startswith("1.00 USD")
    assert lead(finance(office, f"?from={today:%Y-%m-%d}&to={today:%Y-%m-%d}")).startswith("2.00 USD")


@pytest.mark.parametrize(
    "query",
    [
        "?month=2026-13",
        "?quarter=Q4",
        "?from=2026-11-01",
        "?month=2026-11&quarter=2026-Q4",
        "?from=2026-11-02&to=2026-11-01",
        "?from=2020-01-01&to=2026-01-01",
        "?month=9999-12",
        "?by=nothing",
        "?month=%00",
    ],
)
def test_a_period_that_is_none_is_a_bad_request(office, query):
    assert office.browser.get(f"/finance{query}").status == 400


def test_another_organisations_spend_is_not_in_it(new_office):
    ours, theirs = new_office(), new_office()
    theirs.write(spend(9 * DOLLAR))
    assert "No spend in" in words(finance(ours))


def test_hostile_names_stay_text(office):
    hostile = "<script>alert(1)</script>&'\""
    office.write(spend(DOLLAR, project_id=hostile, agent_sub=hostile, team_id=hostile, agent_owner=hostile))
    for way in ("project", "agent", "team", "person"):
        page = finance(office, f"?by={way}")
        assert "<script>alert" not in page
        assert unescape(page).count(hostile) >= 1


@pytest.mark.parametrize("way", WAYS)
def test_a_page_takes_fewer_than_twelve_statements(spent, way):
    spent.browser.get(f"/finance?by={way}")
    found = spent.plane.statements(spent.browser, f"/finance?by={way}")
    assert len(found) < 12, "\n".join(one[:150] for one in found)
