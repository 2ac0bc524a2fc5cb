"""The security seat: every figure on it is the ledger's, repeats and all; keys and the check are as they are (promises K5, L2)."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest

from visionality.jobs.guard import guard
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from web.rows import call, refused
from web.test_ledger_page import words

HURTFUL = '<script>alert(1)</script>"><img src=x>'
LEAKED = uuid7()


def refusals():
    """Of a leaked key over its cap, one row for 41 calls; of a proof that is wrong, of a model, of a limit; and served calls."""
    over = {"reason": "budget_exceeded", "key_id": LEAKED, "binding_status": "not_required"}
    return [
        call(),
        refused(**over),
        refused(**over, tags={"repeats": "41"}),
        refused(reason="binding_invalid", binding_status="invalid", agent_sub=HURTFUL),
        call(None, decision="refused", status_code=403, usage_source="none", reason="model_not_allowed"),
        call(
            None,
            decision="refused",
            status_code=429,
            usage_source="none",
            reason="rate_limited",
            provider="sandbox",
        ),
        call(None, decision="failed", status_code=502, usage_source="none"),
    ]


@pytest.fixture
def leaked(office):
    office.write(*refusals())
    return office


def figures(page):
    return dict(re.findall(r"<dt[^>]*>(.*?)</dt>\s*<dd[^>]*>(.*?)(?:<span|<small|</dd>)", page, re.DOTALL))


def figure(page, name):
    return next(value.strip() for title, value in figures(page).items() if words(title).startswith(name))


def ledger(office, where="true"):
    """Refused calls by the rows themselves."""
    with office.plane.database.as_role("vis_reader", office.org_id) as connection:
        (found,) = connection.execute(
            f"""select coalesce(sum(coalesce((tags->>'repeats')::bigint, 1)), 0) from vis.request_logs
                 where decision = 'refused' and {where}"""
        ).fetchone()
    return f"{found:,}"


def test_refused_calls_are_those_of_the_ledger_with_all_that_a_row_stands_for(leaked):
    page = leaked.browser.get("/security").text
    assert figure(page, "Refused calls") == ledger(leaked) == "45"
    assert figure(page, "402") == ledger(leaked, "status_code = 402") == "43"
    for status in (403, 429):
        assert figure(page, str(status)) == ledger(leaked, f"status_code = {status}") == "1"
    assert "None of them was answered by a provider. They cost 0 USD." in words(page)


def test_each_reason_leads_to_its_rows(leaked):
    page = leaked.browser.get("/security").text
    why = re.search(r'id="why".*?</table>', page, re.DOTALL)[0]
    assert [words(row)[: words(row).find(":") - 3] for row in why.split("</tr>") if "budget_exceeded" in row]
    assert "402 budget_exceeded" in words(why)
    assert re.search(r'href="/\?decision=refused&amp;status=402&amp;binding=not_required&amp;from=', why)
    assert f"key={LEAKED}" in page
    assert "42" in words(re.search(r'id="keys".*?</table>', page, re.DOTALL)[0])
    newest = re.findall(r'href="/rows/([0-9a-f-]{36})"', page)
    assert len(newest) == 5


def test_a_period_has_its_days_and_no_others(office):
    edge = utc_now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    office.write(
        refused(reason="budget_exceeded", binding_status="not_required", created_at=edge),
        refused(
            reason="budget_exceeded", binding_status="not_required", created_at=edge + timedelta(seconds=1)
        ),
    )
    assert figure(office.browser.get(f"/security?month={edge:%Y-%m}").text, "Refused calls") == "2"
    day = f"{edge:%Y-%m-%d}"
    assert figure(office.browser.get(f"/security?from={day}&to={day}").text, "Refused calls") == "2"
    before = edge - timedelta(days=1)
    assert "Nothing was refused" in office.browser.get(f"/security?month={before:%Y-%m}").text
    assert office.browser.get("/security?month=never").status == 400


def test_hurtful_names_stay_text(leaked):
    page = leaked.browser.get("/security").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;" in page


def test_another_organisations_refusals_are_not_counted(leaked, new_office):
    page = new_office().browser.get("/security").text
    assert "Nothing was refused" in page
    assert str(LEAKED) not in page


@pytest.fixture
def keys(office):
    """A key below its floor, one that nobody owns, one that nobody uses, a good one; and one that has ended."""
    org, project, owned, alone = office.org_id, *(uuid4() for _ in range(3))
    with office.plane.database.as_role("vis_web", org) as connection:
        connection.execute(
            "insert into vis_control.project (id, org_id, key, name, gl_code, business_unit, passthrough, level_floor, created_at)"
            " values (%s, %s, 'HPC', 'HPC', '', '', '{}', 2, now())",
            [project, org],
        )
        for agent, owner in ((owned, "Alice K."), (alone, "")):
            connection.execute(
                "insert into vis_control.agent_identity (id, org_id, sub, owner, created_at) values (%s, %s, %s, %s, now())",
                [agent, org, f"agent-{owner}", owner],
            )
        for shown, agent, of, level, days, ends in (
            ("below", owned, project, 1, 1, 30),
            ("nobodys", alone, None, 0, 1, 30),
            ("unused", owned, None, 0, 40, 30),
            ("good", owned, project, 2, 1, 30),
            ("ended", alone, project, 0, 90, -1),
        ):
            connection.execute(
                """insert into vis_control.virtual_key (id, org_id, handle_hmac, shown, agent_id, project_id, task_id, task_class,
                     memo, url, level, issued_at, expires_at)
                   values (%s, %s, %s, %s, %s, %s, '', '', '', '', %s, now() - make_interval(days => %s), now() + make_interval(days => %s))""",
                [uuid7(), org, uuid4().bytes * 2, shown, agent, of, level, days, ends],
            )
    return office


def test_live_keys_that_are_weak_forgotten_or_nobodys_are_listed(keys):
    page = keys.browser.get("/security").text
    told = {
        name: figure(page, name) for name in ("Live keys", "Below their floor", "Without an owner", "Unused")
    }
    assert told == {"Live keys": "4", "Below their floor": "1", "Without an owner": "1", "Unused": "1"}
    listed = words(re.search(r'id="risks".*?</table>', page, re.DOTALL)[0])
    assert "made at level 1, the floor is 2" in listed
    assert "nobody owns its agent" in listed
    assert "no call for 30 days" in listed
    assert "good…" not in listed
    assert "ended…" not in listed


def test_the_check_says_what_was_found_last_and_when(office):
    database = office.plane.database
    guard(database.dsn, utc_now())
    assert figure(office.browser.get("/security").text, "Append-only check") == "holds"
    database.run("grant delete on vis.request_logs to vis_web")
    try:
        guard(database.dsn, utc_now())
    finally:
        database.run("revoke delete on vis.request_logs from vis_web")
    page = office.browser.get("/security").text
    assert "found" in figure(page, "Append-only check")
    assert "vis_web may DELETE" in page
    guard(database.dsn, utc_now() - timedelta(minutes=20))
    assert figure(office.browser.get("/security").text, "Append-only check") == "held when last checked"
    guard(database.dsn, utc_now())


def test_the_page_takes_few_statements(leaked):
    assert len(leaked.plane.statements(leaked.browser, "/security")) < 12
