"""The ledger page: true figures, within a second, of one organisation."""

import re
import time
from html import unescape

from visionality.core.usage import Usage
from web.rows import call, refused


def words(page):
    """What a reader sees: text without tags, white space collapsed."""
    return " ".join(unescape(re.sub("<[^>]+>", " ", page)).split())


def lines(page):
    """The text of each row of the table."""
    body = page.partition("<tbody")[2].partition("</tbody>")[0]
    return [words(row) for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)]


def poll_of(page):
    """The address that the page polls."""
    return unescape(re.search(r'hx-get="(/rows[^"]*)"', page)[1])


def figures(page):
    """The month's strip by label."""
    strip = page.partition('id="month"')[2].partition("</section>")[0]
    return dict(re.findall(r"<dt[^>]*>(.*?)</dt><dd[^>]*>(.*?)</dd>", re.sub("</?abbr[^>]*>", "", strip)))


def test_the_first_visit_says_how_to_make_a_first_call(office):
    text = words(office.browser.get("/").text)
    assert "vis try" in text
    assert "OPENAI_BASE_URL=http://127.0.0.1:8700/v1" in text
    assert "ANTHROPIC_BASE_URL=http://127.0.0.1:8700" in text


def test_alices_call_is_a_line_of_the_ledger(office):
    office.write(call())
    page = office.browser.get("/").text
    assert "vis try" not in page
    (line,) = lines(page)
    for word in (
        "HPC",
        "HPC-1234",
        "alice@arctrade",
        "Alice K.",
        "claude-sonnet-4-6",
        "1,300",
        "147",
        "840 ms",
    ):
        assert word in line
    assert "0 .003405" in line
    assert "300 fresh + 1,000 read from cache + 0 written to cache" in page


def test_a_new_row_is_on_an_open_page_within_a_second(office):
    page = office.browser.get("/").text
    assert office.browser.get(poll_of(page)).status == 204
    office.write(call(model_used="claude-opus-4-8"))
    began = time.monotonic()
    fragment = office.browser.get(poll_of(page)).text
    assert time.monotonic() - began < 1
    assert "claude-opus-4-8" in fragment
    assert 'id="pager"' in fragment


def test_the_months_sums_follow_the_rows(office):
    page = office.browser.get("/").text
    office.write(call())
    deadline = time.monotonic() + 5
    while figures(page)["Calls"] == "0" and time.monotonic() < deadline:
        page = office.browser.get(poll_of(page)).text or page
    assert figures(page)["Calls"] == "1"


def test_only_rows_that_came_since_are_marked_new(office):
    office.write(call())
    page = office.browser.get("/").text
    assert 'new"' not in page
    office.write(refused(reason="budget_reached"))
    fragment = office.browser.get(poll_of(page)).text
    assert fragment.count(' new"') == 1


def test_a_poll_without_news_is_cheap(office):
    office.write(*[call() for _ in range(60)])
    poll = poll_of(office.browser.get("/").text)
    began = time.monotonic()
    assert {office.browser.get(poll).status for _ in range(20)} == {204}
    assert (time.monotonic() - began) / 20 < 0.1


def test_what_is_not_a_plain_final_cost_says_so(office):
    office.write(
        call(card=None),
        call(usage_source="tokenizer_estimate"),
        call(provider="sandbox"),
        call(project_id=None),
        refused(reason="spend_token_blocked"),
        call(None, decision="failed", status_code=529, reason="upstream_refused", usage_source="none"),
        call(model_requested="claude-opus-4-8", model_used="claude-haiku-4-5"),
    )
    page = office.browser.get("/").text
    hinted, failed, blocked, orphan, simulated, estimate, unpriced = lines(page)
    assert "claude-opus-4-8 → claude-haiku-4-5" in hinted
    assert "failed 529 upstream_refused" in failed
    assert "refused 402 spend_token_blocked" in blocked
    assert "unattributed" in orphan
    assert "simulated" in simulated
    assert "est. 0 .003405" in estimate
    assert "unpriced" in unpriced
    assert " 0 " not in unpriced.partition("147")[2]
    assert figures(page) == {
        "Cost": "0.010215 USD",
        "Calls": "7",
        "of them charged": "4",
        "of it final": "0.00681 USD",
        "of it estimated": "0.003405 USD",
        "Simulated, not counted": "0.003405 USD",
        "Unpriced": "1 row",
        "Unattributed": "1 row",
    }


def test_filters_are_in_the_address_and_narrow_rows_and_sums(office):
    office.write(call(), call(project_id="SOCE", agent_sub="derek@arctrade"), call(project_id="SOCE"))
    page = office.browser.get("/?project=SOCE&agent=derek%40arctrade").text
    assert len(lines(page)) == 1
    assert figures(page)["Calls"] == "1"
    assert '<option value="HPC">HPC</option>' in page
    assert '<option selected value="SOCE">SOCE</option>' in page
    assert "project=SOCE&agent=derek%40arctrade&seen=" in poll_of(page)
    assert "No rows for this filter." in office.browser.get("/?project=CAISO").text


def test_older_rows_follow_without_gap_or_repeat(office):
    wrote = office.write(
        *[call(in_tokens) for in_tokens in (Usage(in_text=count) for count in range(1, 121))]
    )
    address, found = "/", []
    while address:
        page = office.browser.get(address).text
        found += re.findall(r'id="row-([0-9a-f-]+)"', page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        address = unescape(older[1]) if older else None
    assert found == [str(row.id) for row in reversed(wrote)]
    assert 'hx-get="/rows' not in page
    assert "Back to the newest" in page


def test_a_paused_page_does_not_poll(office):
    page = office.browser.get("/?live=off").text
    assert "/rows?" not in page
    assert "Go live" in page


def test_another_organisations_rows_are_not_there(new_office):
    ours, theirs = new_office(), new_office()
    (row,) = theirs.write(call(memo="theirs"))
    assert theirs.browser.get(f"/rows/{row.id}").status == 200
    assert ours.browser.get(f"/rows/{row.id}").status == 404
    assert ours.browser.get(f"/rows/{row.request_id}").status == 404
    assert str(row.id) not in ours.browser.get("/").text
    assert figures(ours.browser.get("/").text)["Calls"] == "0"


def test_what_clients_say_is_text_and_never_markup(office):
    planted = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    (row,) = office.write(
        call(
            model_used=planted,
            model_requested=planted,
            model_family=planted,
            memo=planted,
            url="javascript:alert(1)",
        ),
    )
    for address in ("/", f"/rows/{row.id}", f"/?project={planted.replace(' ', '%20').replace('#', '')}"):
        page = office.browser.get(address).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert 'href="javascript:' not in page
        assert "&lt;script&gt;" in page


def test_an_address_that_makes_no_sense_is_refused_plainly(office):
    for query in (
        "before=yesterday",
        "before=2026-08-01T00:00:00,1",
        "project=%00",
        "before=2026-08-01T00:00:00%2B00:00,x",
    ):
        assert office.browser.get(f"/?{query}").status == 400


def test_the_page_works_without_a_script(office):
    page = office.browser.get("/").text
    assert '<noscript><button type="submit">' in page
    assert '<form class="filters" id="filters" method="get" action="/"' in page
