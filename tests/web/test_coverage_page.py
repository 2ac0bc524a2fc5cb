"""The coverage page: what share of spend is attributed, on what evidence, and what settles the rest (A6)."""

import re
from datetime import timedelta

from visionality.core.correction import NOTHING, Order, Standing, corrected
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from web.rows import call, refused
from web.test_ledger_page import words

DOLLAR = 1_000_000_000
EVIDENCE = {"evidence": "a" * 64}


def spend(nusd, level, **given):
    """A call of so much, of project HPC unless nobody found one."""
    project = None if level == 8 else "HPC"
    return call(
        cost_nusd=nusd, billed_nusd=nusd, attribution_level=level, **({"project_id": project} | given)
    )


def settle(office, row):
    """Book a row on HPC, as the resolver does."""
    unsaid = dict.fromkeys(Order.__dataclass_fields__)
    said = {"author": "resolver", "reason": "found", "project_id": "HPC", "level": 5, "confidence": 50}
    order = Order(**(unsaid | said | {"org_id": office.org_id, "correction_id": uuid7()}))
    office.write(*corrected(Standing(row, NOTHING), order, utc_now()))


def part(page, name):
    """The text of the section that this heading names."""
    return words(page.partition(f'aria-labelledby="{name}"')[2].partition("</section>")[0].partition(">")[2])


def plain(page):
    return page.replace("\N{NO-BREAK SPACE}", " ")


def coverage(office):
    return plain(office.browser.get("/coverage").text)


def test_shares_add_up_to_the_ledgers_sum_by_level(office):
    office.write(
        spend(3 * DOLLAR, 1), spend(2 * DOLLAR + 1, 4), spend(5 * DOLLAR, 8), refused(attribution_level=8)
    )
    page = coverage(office)
    assert part(page, "coverage").startswith("Coverage")
    for told in (
        "Attributed 50.0 %",
        "Spend 10.000000001 USD",
        "of it on no project 5 USD in 1 call",
        "Calls 3",
    ):
        assert told in part(page, "coverage")
    levels = part(page, "by-level")
    for told in (
        "bound into the key 1 1 3 30.0 %",
        "environment 4 1 2.000000001 20.0 %",
        "nobody, or an operator 8 1 5 50.0 %",
    ):
        assert told in levels
    bar = page.partition('aria-labelledby="by-level"')[2].partition("</svg>")[0]
    drawn = re.findall(r'class="level-(\d)" x="(\d+)" width="(\d+)"', bar)
    assert drawn == [("1", "0", "299"), ("4", "299", "201"), ("8", "500", "500")]


def test_a_day_has_its_own_shares(office):
    yesterday = utc_now() - timedelta(days=1)
    office.write(spend(DOLLAR, 8, created_at=yesterday), spend(3 * DOLLAR, 2), spend(DOLLAR, 8))
    days = part(coverage(office), "by-day")
    assert f"{yesterday:%a} {yesterday.day} {yesterday:%b} 1 1 nobody, or an operator 100.0 %" in days
    assert "2 4 declared 75.0 %, nobody, or an operator 25.0 %" in days


def test_a_tool_is_told_what_it_sends_and_what_to_do(office):
    office.write(
        spend(9, 4, tags={"client": "claude-code 2.1.197"} | EVIDENCE),
        spend(1, 8, tags={"client": "claude-code 2.2.0"} | EVIDENCE),
        spend(8, 8, tags={"client": "aider"}),
        spend(7, 8),
        spend(6, 3, tags={"client": "codex 0.169"} | EVIDENCE),
        spend(99, 8, tags={"client": "left-long-ago"}, created_at=utc_now() - timedelta(days=9)),
    )
    tools = part(coverage(office), "tools")
    claude, aider, nameless, codex = (
        tools.index(name) for name in ("claude-code 2 ", "aider 1 ", "no tool named 1 ", "codex 1 ")
    )
    assert claude < aider < nameless < codex
    assert "90.0 %" in tools[claude:aider]
    assert "environment, places in no map" in tools[claude:aider]
    assert "add it to the map. Guide, Attribution: The mapping file" in tools[claude:aider]
    assert "none It does not say where it works" in tools[aider:nameless]
    assert "http://127.0.0.1:8700/at/PROJECT" in tools[aider:nameless]
    assert "give it a key of its project" in tools[nameless:codex]
    assert "metadata Nothing to do." in tools[codex:]
    assert "left-long-ago" not in tools


def test_what_is_on_no_project_comes_with_what_settles_it(office):
    remote = "bitbucket.org/arctrade/scratch"
    office.write(
        *(spend(number, 8, agent_sub=f"bot-{number:02}") for number in range(1, 13)),
        spend(100, 8, agent_sub="it's $(me)", repo=remote),
        spend(1000, 4, agent_sub="tidy@arctrade", repo="bitbucket.org/arctrade/hpc-billing"),
    )
    page = coverage(office)
    agents, repos = part(page, "agents"), part(page, "repos")
    assert agents.index("it's $(me)") < agents.index("bot-12") < agents.index("bot-04")
    assert "/keys/issue?agent=it%27s%20%24%28me%29" in office.browser.get("/coverage").text
    assert "bot-03" not in agents
    assert "And 3 more." in agents
    assert "tidy@arctrade" not in agents
    assert f"{remote}: PROJECT" in repos
    assert "hpc-billing" not in repos


def test_what_was_corrected_waits_nowhere_any_more(office):
    waiting = spend(5, 8, agent_sub="settled-bot", repo="settled/repo", tags={"client": "aider"} | EVIDENCE)
    still = spend(3, 8, agent_sub="other-bot", repo="other/repo", tags={"client": "cline"})
    waiting, _ = office.write(waiting, still)
    settle(office, waiting)
    page = coverage(office)
    assert "settled-bot" not in part(page, "agents")
    assert "settled/repo" not in part(page, "repos")
    assert "other-bot" in part(page, "agents")
    tools = part(page, "tools")
    assert "places in no map" not in tools
    assert "nobody, or an operator 8 1 0.000000003 37.5 %" in part(page, "by-level")


def test_a_level_that_was_corrected_away_has_no_line(office):
    (waiting,) = office.write(spend(5, 8))
    settle(office, waiting)
    levels = part(coverage(office), "by-level")
    assert "session 5 1" in levels
    assert "nobody, or an operator" not in levels


def test_an_installation_without_spend_says_so(office):
    office.write(spend(1, 8, provider="sandbox"))
    page = words(coverage(office))
    assert "No spend in these 30 days" in page
    assert "vis report coverage --include-sandbox" in page


def test_other_currencies_are_not_added_to_dollars(office):
    office.write(spend(DOLLAR, 4), spend(DOLLAR, 4, currency="EUR"))
    page = part(coverage(office), "coverage")
    assert "Spend 1 USD" in page
    assert "The amounts of 1 call in other currencies are not counted here" in page


def test_another_organisations_spend_is_not_there(new_office):
    ours, theirs = new_office(), new_office()
    theirs.write(spend(DOLLAR, 8, agent_sub="their-agent"))
    page = coverage(ours)
    assert "their-agent" not in page
    assert "No spend" in page


def test_a_name_from_outside_is_text(office):
    office.write(spend(1, 8, agent_sub="<b>x</b>", tags={"client": "<i>y</i>"}, repo="<u>z</u>"))
    page = coverage(office)
    assert not re.search("<[biu]>", page)
    assert "&lt;b&gt;x" in page


def test_the_pages_lead_to_each_other_and_a_stranger_to_the_door(office, plane):
    for path, name in (("/", "Ledger"), ("/coverage", "Coverage")):
        page = office.browser.get(path).text
        assert re.search(rf'href="{path}" aria-current="page">{name}<', page)
        assert page.count('aria-current="page"') == 1
    assert plane.browser().get("/coverage").headers["location"] == "/login?next=%2Fcoverage"
