"""The reference month (Story 1, D2): every sum of the story to the last nano-dollar, out of calls that each cost what they used."""

from collections import Counter
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from visionality.connectors.model import Issue, PullRequest
from visionality.core.pricing import recomputed_nusd
from visionality.demo import story
from visionality.demo.calendar import Month, NotTold, month_of
from visionality.demo.calls import Scene, days_of
from visionality.demo.hosts import host_page, tracker_page
from visionality.pricebook.book import PriceBook

DOLLAR = 1_000_000_000
KEYS = {person.sub: UUID(int=number) for number, person in enumerate(story.PEOPLE, 1)}
MONTHS = [
    month_of(None, datetime(2026, 11, 22, 14, tzinfo=UTC)),
    month_of("2026-02", datetime(2026, 11, 22, 14, tzinfo=UTC)),
    month_of(None, datetime(2026, 8, 14, 0, 0, 1, tzinfo=UTC)),
    month_of(None, datetime(2027, 1, 3, 9, tzinfo=UTC)),
]


def rows_of(month: Month, rows: int = 2_000):
    scene = Scene(UUID(int=7), month, rows, KEYS, UUID(int=100), UUID(int=101), PriceBook())
    return [row for day in days_of(scene) for row in day]


@pytest.fixture(scope="module", params=MONTHS, ids=lambda month: f"{month.until:%Y-%m-%d}")
def told(request):
    return request.param, rows_of(request.param)


def cost(rows, **named):
    return sum(
        row.cost_nusd for row in rows if all(getattr(row, name) == value for name, value in named.items())
    )


def test_there_are_as_many_rows_as_were_asked_for_and_all_say_that_they_are_of_the_demo(told):
    _, rows = told
    assert len(rows) == 2_000
    assert {row.source for row in rows} == {"demo"}
    assert len({row.id for row in rows}) == 2_000


def test_hpc_costs_what_the_controller_invoices(told):
    _, rows = told
    assert cost(rows, project_id="HPC") == 4_237_180_000_000
    assert sum(row.billed_nusd for row in rows if row.project_id == "HPC") == 4_237_180_000_000


def test_soce_stands_at_sixty_per_cent_at_the_end_of_day_12_and_the_next_day_costs_70_per_cent_less(told):
    _, rows = told
    by_day = Counter()
    for row in rows:
        if row.project_id == "SOCE":
            by_day[row.created_at.day] += row.cost_nusd
    assert sum(nusd for day, nusd in by_day.items() if day <= 12) * 10 == story.SOCE_CAP_NUSD * 6
    assert by_day[13] * 10 == by_day[12] * 3


def test_derek_refactors_with_a_long_context_until_the_hint_and_with_haiku_after_it(told):
    _, rows = told
    refactors = [
        row for row in rows if row.agent_sub == "derek@arctrade" and row.model_requested == "claude-opus-4-6"
    ]
    early = {row.model_used for row in refactors if row.created_at.day <= 12 and row.task_class == "refactor"}
    late = {row.model_used for row in refactors if row.created_at.day > 12 and row.task_class == "refactor"}
    assert early == {"claude-opus-4-6"}
    assert late <= {"claude-haiku-4-5"}


def test_the_redesign_costs_4812_dollars_over_184_commits_and_each_has_a_pull_request(told):
    month, rows = told
    redesign = [row for row in rows if row.epic_id == story.REDESIGN]
    assert cost(redesign) == 4_812 * DOLLAR
    pulls = [one for one in host_page(month).found if isinstance(one, PullRequest)]
    known = {sha for pull in pulls for sha in pull.commits}
    assert {row.commit_sha for row in redesign} == known
    assert len(known) == 184


def test_every_task_and_epic_is_an_issue_of_the_tracker(told):
    month, rows = told
    issues = {one.key for one in tracker_page(month).found if isinstance(one, Issue)}
    assert {row.task_id for row in rows if row.task_id} | {
        row.epic_id for row in rows if row.epic_id
    } <= issues


def test_every_cost_is_that_of_its_own_usage_at_its_own_rates(told):
    _, rows = told
    priced = [row for row in rows if row.usage and row.rates]
    assert len(priced) > 1_900
    for row in priced:
        assert recomputed_nusd(row.usage, row.rates) == row.cost_nusd
        read = row.input_tokens + row.cache_read_tokens + row.cache_write_tokens
        assert read + row.output_tokens == sum(row.usage.values())
    assert all(row.cost_nusd == 0 or row.entry == "correction" for row in rows if not row.rates)


def test_the_first_row_of_hpc_is_alices_on_the_first_morning(told):
    month, rows = told
    first = min((row for row in rows if row.project_id == "HPC"), key=lambda row: row.created_at)
    assert (first.agent_owner, first.branch, first.repo) == (
        "Alice K.",
        "HPC-1234-add-pjm-rebill-rules",
        "bitbucket.org/arctrade/hpc-billing",
    )
    assert (first.task_id, first.model_used, first.task_class) == (
        "HPC-1234",
        "claude-sonnet-4-6",
        "code_completion",
    )
    assert f"{first.cost_nusd / DOLLAR:.4f}" == "0.0034"
    assert first.created_at.date() == month.begins


def test_no_row_is_outside_the_month_or_after_the_moment_until_which_it_is_told(told):
    month, rows = told
    assert all(
        datetime.combine(month.first, datetime.min.time(), UTC) <= row.created_at <= month.until
        for row in rows
    )


def test_corrections_add_up_to_nothing_and_take_from_the_queue(told):
    _, rows = told
    corrections = [row for row in rows if row.entry == "correction"]
    assert corrections
    assert sum(row.cost_nusd for row in corrections) == 0
    assert {row.project_id for row in corrections} == {None, "HPC"}
    assert any(row.project_id is None and row.entry == "call" for row in rows)


def test_who_leaves_is_refused_from_then_on_and_the_leaked_key_costs_nothing(told):
    month, rows = told
    after = [row for row in rows if row.agent_sub == "sofia@arctrade" and row.created_at > month.resigned_at]
    assert {row.reason for row in after} <= {"spend_token_revoked"}
    strangers = [row for row in rows if (row.tags or {}).get("client", "").startswith("python-requests")]
    assert strangers
    assert {row.status_code for row in strangers} <= {401, 402}
    assert cost(strangers) == 0


def test_the_same_month_is_the_same_rows():
    assert rows_of(MONTHS[0], 1_500) == rows_of(MONTHS[0], 1_500)


@pytest.mark.parametrize(
    ("name", "now", "first", "last_day"),
    [
        (None, "2026-11-14T00:00", "2026-11-01", 14),
        (None, "2026-11-13T23:59", "2026-10-01", 31),
        ("2026-02", "2026-11-13T23:59", "2026-02-01", 28),
    ],
)
def test_the_month_is_the_current_one_once_its_13th_is_over_and_the_last_one_before(
    name, now, first, last_day
):
    month = month_of(name, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert (month.first, month.until.day) == (date.fromisoformat(first), last_day)


@pytest.mark.parametrize("name", ["2026-11", "2027-01", "november"])
def test_a_month_that_cannot_be_told_is_refused_in_a_sentence(name):
    with pytest.raises(NotTold, match="2026-10"):
        month_of(name, datetime(2026, 11, 13, 12, tzinfo=UTC))
