"""One row in full: every column, and a price that anybody can do again."""

import re

from visionality.core.correction import Order, Standing, corrected
from visionality.core.row import COLUMNS
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from web.rows import call, refused
from web.test_ledger_page import lines, poll_of, words

TIMES = "\N{MULTIPLICATION SIGN}"
RENAMED = {"task_id": "task", "team_id": "team", "cost_nusd": "cost_usd", "billed_nusd": "billed_usd"}


def test_every_column_is_there_once(office):
    (row,) = office.write(call())
    page = office.browser.get(f"/rows/{row.id}").text
    shown = re.findall(r'<dt title="(\w+)">', page)
    assert sorted(shown) == sorted([RENAMED.get(name, name) for name in COLUMNS] + ["leaf_hash"])


def test_the_price_is_spelled_out_and_agrees(office):
    (row,) = office.write(call())
    text = words(office.browser.get(f"/rows/{row.id}").text)
    assert f"in_text 300 {TIMES} 3 0.0009" in text
    assert f"cache_read 1,000 {TIMES} 0.3 0.0003" in text
    assert f"out_text 147 {TIMES} 15 0.002205" in text
    assert "Sum, exact 0.003405" in text
    assert "Recomputing from the row's own usage and rates gives the stored cost." in text
    assert "Hashing this row again gives its stored leaf hash." in text


def test_a_rounded_sum_shows_both_numbers(office):
    (row,) = office.write(call(usage={"in_text": 1}, rates={"in_text": "0.0375"}, cost_nusd=38))
    text = words(office.browser.get(f"/rows/{row.id}").text)
    assert "Sum, exact 0.0000000375" in text
    assert "billionth of a dollar 0.000000038 Stored in the row 0.000000038" in text
    assert "gives the stored cost, after rounding" in text


def test_a_row_that_does_not_add_up_says_so(office):
    (row,) = office.write(call(cost_nusd=1))
    text = words(office.browser.get(f"/rows/{row.id}").text)
    assert "gives 0.003405 USD; the row says 0.000000001 USD. This row does not add up." in text


def test_an_unknown_price_is_not_zero(office):
    (row,) = office.write(call(card=None))
    text = words(office.browser.get(f"/rows/{row.id}").text)
    assert "unpriced" in text
    assert "The 0 in the row is not a price." in text


def test_a_cost_that_its_provider_stated_is_no_sum(office):
    (row,) = office.write(
        call(rates={"source": "stated by openrouter"}, price_version=None, cost_nusd=1_234_568)
    )
    text = words(office.browser.get(f"/rows/{row.id}").text)
    assert "0.001234568 USD, stated by openrouter in its answer" in text
    assert "USD per million" not in text
    assert "Recomputing" not in text
    assert "no usage that could be priced" not in text


def test_a_refusal_says_that_nothing_was_sent(office):
    (row,) = office.write(refused(reason="spend_token_blocked"))
    text = words(office.browser.get(f"/rows/{row.id}").text)
    assert "refused 402 spend_token_blocked" in text
    assert "nothing was charged" in text


def test_a_changed_row_is_seen_by_its_hash(office):
    (row,) = office.write(call())
    database = office.plane.database
    database.run(
        "alter table vis.request_logs disable trigger user",
        f"""do $$ declare p text; begin
             for p in select inhrelid::regclass from pg_inherits where inhparent = 'vis.request_logs'::regclass loop
               execute format('alter table %s disable trigger user', p); end loop;
             update vis.request_logs set memo = 'forged' where id = '{row.id}';
             perform vis.arm(inhrelid::regclass) from pg_inherits where inhparent = 'vis.request_logs'::regclass;
             perform vis.arm('vis.request_logs'); end $$""",
    )
    assert "the row is not what was written" in office.browser.get(f"/rows/{row.id}").text


def test_all_attempts_of_a_call_are_found_by_its_request_id(office):
    first = call(None, decision="failed", status_code=529, usage_source="none")
    office.write(first, call(request_id=first.request_id, attempt=2))
    assert office.browser.get(f"/rows/{first.request_id}").text.count('<article class="entry">') == 2


def test_web_addresses_become_links_and_nothing_else_does(office):
    (row,) = office.write(
        call(pr_url="https://bitbucket.org/arctrade/hpc-billing/pull-requests/7", url="file:///etc/passwd")
    )
    page = office.browser.get(f"/rows/{row.id}").text
    assert '<a href="https://bitbucket.org/arctrade/hpc-billing/pull-requests/7" rel="noopener' in page
    assert 'href="file:' not in page


def test_a_corrected_row_lists_its_corrections_and_the_month_counts_it_where_it_is_booked_now(office):
    """A6: one call, no longer unattributed, and no cent more or less."""
    (row,) = office.write(call(project_id=None, task_id=None, attribution_level=8))
    order = Order(
        office.org_id,
        uuid7(),
        "cli:alice",
        "told by Carol",
        "HPC",
        None,
        None,
        None,
        None,
        "HPC-7",
        *[None] * 3,
        8,
        100,
    )
    office.write(*corrected(Standing(row, (0,) * 7), order, utc_now()))
    text = words(office.browser.get(f"/rows/{row.id}").text)
    assert "– – – cli:alice told by Carol -0.003405" in text
    assert "HPC HPC-7 – cli:alice told by Carol 0.003405" in text
    month = words(office.browser.get("/").text)
    assert "Cost 0.003405 USD Calls 1 " in month
    assert "Unattributed 0 rows" in month
    assert "Calls 1 " in words(office.browser.get("/?project=HPC").text)
    written = "/?booked=original"
    assert "Unattributed 1 row " in words(office.browser.get(written).text)
    assert [len(lines(office.browser.get(address).text)) for address in ("/", written)] == [3, 1]
    assert "booked=original&seen=" in poll_of(office.browser.get(written).text)
