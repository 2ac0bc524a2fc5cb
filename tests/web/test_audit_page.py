"""The audit browser: every event as the logs have it, found by what an address asks for, and as a file (promise S5)."""

import csv
import io
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from visionality.ledger.administration import append_admin_event, append_key_event
from visionality.runtime.clock import utc_now
from web.browsing import plane_on
from web.test_ledger_page import words

HURTFUL = '<script>alert(1)</script>"><img src=x>'
KEY = UUID("01991d3a-0000-7000-8000-00000000a0d1")
MOMENT = timedelta(microseconds=1)


@pytest.fixture
def acts(office):
    """Acts of two people, with keys and without, written as the control plane writes them."""
    now = utc_now()
    with office.plane.database.as_role("vis_web", office.org_id) as connection, connection.cursor() as cursor:
        told = {
            "scope": "project:HPC",
            "cap_nusd": "60000000000",
            "was_cap_nusd": "50000000000",
            "reason": "more people",
        }
        append_admin_event(
            cursor, office.org_id, now, "budget_set", "olga", told | {"sso_sub": "olga@idp"}, "10.1.2.3"
        )
        append_admin_event(
            cursor, office.org_id, now + MOMENT, "project_added", "=HYPERLINK(1)", {"project": HURTFUL}
        )
        append_admin_event(
            cursor, office.org_id, now + 2 * MOMENT, "project_added", "pete", {"project": "HPC"}
        )
        append_key_event(
            cursor,
            office.org_id,
            now + 3 * MOMENT,
            "revoked",
            KEY,
            "alice@arctrade",
            "olga",
            {"reason": "leaked"},
        )
    return office


def table(page):
    return [
        words(row)
        for row in re.findall(r"<tbody[^>]*>(.*?)</tbody>", page, re.DOTALL)[0].split("</tr>")
        if row
    ]


def lines(answer):
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))


def test_every_event_is_there_with_what_it_was_before(acts):
    rows = table(acts.browser.get("/audit").text)
    kinds = [
        word
        for row in rows
        for word in ("revoked", "project_added", "budget_set", "signed_in")
        if word in row
    ]
    assert kinds == ["revoked", "project_added", "project_added", "budget_set", "signed_in"]
    assert "cap USD 50 → 60" in rows[3]
    assert "10.1.2.3" in rows[3]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("log=keys", 1), ("log=admin", 4), ("kind=project_added", 2), ("actor=olga", 2), ("subject=alice@arctrade", 1),
        (f"subject={KEY}", 1), ("subject=project:HPC", 1), ("subject=HPC&kind=project_added", 1), ("actor=olga&log=keys", 1),
    ],
)  # fmt: skip
def test_an_address_says_which_events(acts, query, count):
    page = acts.browser.get(f"/audit?{query}")
    assert len(table(page.text)) == count
    assert len(lines(acts.browser.get(f"/audit.csv?{query}"))) == count + (query == "log=admin")


def test_a_day_has_the_events_of_its_utc_day_and_no_others(acts):
    today = utc_now().date().isoformat()
    assert len(table(acts.browser.get(f"/audit?from={today}&to={today}").text)) == 5
    assert "No such event" in acts.browser.get("/audit?to=2020-01-01").text
    for bad in ("from=yesterday", "log=other", "before=x", "before=2026-11-01,1", "actor=%00"):
        assert acts.browser.get(f"/audit?{bad}").status == 400, bad


def test_an_event_shows_before_and_after_and_hashes_to_its_leaf(acts):
    page = acts.browser.get("/audit?kind=budget_set").text
    shown = acts.browser.get(re.search(r'href="(/audit/[^"]+)"', page)[1]).text
    assert "cap USD 50 → 60" in words(shown)
    for said in (
        "olga@idp",
        "10.1.2.3",
        "more people",
        "Hashing this event again gives its stored leaf hash",
    ):
        assert said in shown
    key = acts.browser.get("/audit?log=keys").text
    shown = acts.browser.get(re.search(r'href="(/audit/[^"]+)"', key)[1]).text
    assert "gives its stored leaf hash" in shown
    assert str(KEY) in shown


def test_pages_lead_to_every_event_once(acts):
    with acts.plane.database.as_role("vis_web", acts.org_id) as connection, connection.cursor() as cursor:
        now = utc_now()
        for number in range(120):  # at one moment, so that only the id tells them apart
            append_admin_event(cursor, acts.org_id, now, "team_added", "olga", {"team": f"T{number}"})
    path, seen = "/audit", []
    while path:
        page = acts.browser.get(path).text
        seen += re.findall(r'href="/audit/([0-9a-f-]{36})"', page)
        older = re.search(r'href="(/audit\?[^"]*)" rel="next"', page)
        path = older[1].replace("&amp;", "&") if older else ""
    assert len(seen) == len(set(seen)) == 125


def test_hurtful_words_stay_text(acts):
    for page in (acts.browser.get("/audit").text, acts.browser.get("/audit?subject=" + "%3Cscript%3E").text):
        assert "<script>alert" not in page
        assert "<img src=x" not in page
    cells = lines(acts.browser.get("/audit.csv"))
    assert {"'=HYPERLINK(1)"} <= {line["actor"] for line in cells}
    assert all(not cell.startswith(("=", "+", "-", "@")) for line in cells for cell in line.values())


def test_a_download_is_an_event_that_says_what_was_taken(acts):
    taken = lines(acts.browser.get("/audit.csv?actor=pete"))
    assert [line["kind"] for line in taken] == ["project_added"]
    newest = lines(acts.browser.get("/audit.csv"))
    assert [line["kind"] for line in newest[:2]] == ["audit_exported"] * 2
    assert '"asked":"actor=pete"' in newest[1]["detail"]
    assert newest[1]["address"] == "127.0.0.1"
    assert acts.browser.get("/audit.csv", method="HEAD").status == 405


def test_a_file_is_whole_where_it_takes_many_blocks(acts):
    with acts.plane.database.as_role("vis_web", acts.org_id) as connection, connection.cursor() as cursor:
        for number in range(4100):
            append_admin_event(cursor, acts.org_id, utc_now(), "team_added", "olga", {"team": f"T{number}"})
    found = lines(acts.browser.get("/audit.csv?kind=team_added"))
    assert len({line["id"] for line in found}) == len(found) == 4100
    assert [int(line["seq"]) for line in found] == sorted((int(line["seq"]) for line in found), reverse=True)


def test_two_downloads_at_once_are_two_whole_files(acts):
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: lines(acts.browser.get("/audit.csv?log=keys")), range(2)))
    assert [len(one) for one in both] == [1, 1]


def test_another_organisations_event_is_not_there(acts, new_office):
    theirs = new_office()
    found = re.search(r'href="(/audit/[^"]+)"', acts.browser.get("/audit").text)[1]
    answer, nothing = theirs.browser.get(found), theirs.browser.get(f"/audit/{uuid4()}")
    assert (answer.status, nothing.status) == (404, 404)
    assert len(answer.text) == len(nothing.text)
    assert "alice@arctrade" not in theirs.browser.get("/audit").text + theirs.browser.get("/audit.csv").text


def test_the_page_takes_few_statements(acts):
    assert len(acts.plane.statements(acts.browser, "/audit")) < 12


def addresses_of(browser, *forwarded):
    """What the audit says of a download that came with these headers."""
    for one in forwarded:
        assert browser.get("/audit.csv?log=keys", **{"X-Forwarded-For": one}).status == 200
    found = lines(browser.get("/audit.csv?kind=audit_exported"))[1:]
    return [line["address"] for line in reversed(found)]


def test_a_claimed_address_is_not_believed(acts):
    assert addresses_of(acts.browser, "6.6.6.6", "6.6.6.6, 7.7.7.7") == ["127.0.0.1"] * 2


def test_the_address_is_what_the_nearest_of_our_proxies_saw(acts):
    with plane_on(acts.plane.database, "sandbox", hops=1) as behind:
        browser = behind.signed_in(acts.org_id)
        assert addresses_of(browser, "6.6.6.6, 10.9.8.7", "10.9.8.7", "nonsense") == [
            "10.9.8.7",
            "10.9.8.7",
            "",
        ]
