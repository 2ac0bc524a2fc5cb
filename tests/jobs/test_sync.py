"""Connectors are read whole, then by what changed; what goes wrong leaves what was there, and is told once (A4, P1)."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.connecting import BILLING, FIX, HPC, KEYS, MERGED, SECRET, START, Desk, issue, page, put_connector
from product import Product
from visionality.connectors.model import (
    Branch,
    ConnectorFault,
    CredentialRefused,
    Issue,
    Page,
    Paused,
    TrackerProject,
)
from visionality.connectors.services import Target
from visionality.core.sync_plan import FIRST_WAIT, LONGEST_WAIT, last_night, mode, wait_after
from visionality.jobs.health import Spend, metrics
from visionality.jobs.sync import _SQL, APART, LAST_PAGE, Syncs, sync
from visionality.runtime.ids import uuid7

EPIC = issue("HPC-1100", level=1)
STORY = issue("HPC-1234", parent_key="HPC-1100")
ALL = {TrackerProject, Issue}


@pytest.fixture
def desk(database, org) -> Desk:
    return Desk(database, org)


def read(desk: Desk) -> None:
    """A first full run of one project, an epic and a story."""
    desk.run(page(HPC, STORY, EPIC, complete=ALL))


def test_a_first_run_reads_everything_and_the_next_what_changed_since_five_minutes_before_it(desk):
    read(desk)
    desk.later(minutes=10)
    state = desk.run(page(issue("HPC-1235")))
    assert desk.service.asked == [None, START - timedelta(minutes=5)]
    assert (state["mode"], state["watermark"], state["error"]) == (
        "incremental",
        START + timedelta(minutes=10),
        "",
    )
    assert state["next_at"] == desk.now + timedelta(minutes=10)
    assert state["held"] == {"projects": 1, "issues": 3, "repositories": 0, "branches": 0, "pull requests": 0}
    (target, secret) = desk.service.given[0]
    assert (target.kind, target.base_url, target.scope, secret) == (
        "jira_cloud", "https://arctrade.atlassian.net", ("HPC",), SECRET,
    )  # fmt: skip


def test_a_credential_that_another_organisation_puts_in_for_it_is_none_of_it(desk):
    other = uuid7()
    with desk.database.as_role("vis_web", other) as connection:
        connection.execute(
            "insert into vis_control.organisation (id, slug, name, created_at) values (%s, 'other', 'Other', now())",
            [other],
        )
    put_connector(desk.database, other, "jira_cloud", "jira", desk.now)
    with desk.database.as_role("vis_web", other) as connection:
        connection.execute(
            """insert into vis_control.connector_secret (id, org_id, connector_id, purpose, sealed, organisation_key_id, made_at)
               select %s, %s, %s, 'credential', 'theirs', id, now() + interval '1 year' from vis_control.organisation_key""",
            [uuid7(), other, desk.connector_id],
        )
    assert desk.run(page(HPC))["error"] == ""
    assert desk.service.given[-1][1] == SECRET


def test_the_night_after_it_everything_is_read_again(desk):
    read(desk)
    desk.later(hours=14)  # 02:00 UTC is 3 o'clock in Berlin
    assert desk.run(page(HPC, EPIC, STORY, complete=ALL))["mode"] == "full"
    desk.later(minutes=10)
    assert desk.run(page())["mode"] == "incremental"


def test_while_it_runs_each_page_is_there_with_the_progress(desk):
    seen = []

    def look() -> None:
        seen.append(
            (
                desk.state()["doing"],
                desk.state()["counts"],
                len(desk.rows("select from vis_control.tracked_issue")),
            )
        )

    desk.run(page(HPC, doing="projects"), look, page(EPIC, STORY, doing="issues of HPC"), look)
    assert seen == [
        ("projects", {"projects": 1}, 0),
        ("issues of HPC", {"projects": 1, "issues": 2}, 2),
    ]


def test_gateways_hear_of_no_issue_before_everything_was_read_once(desk):
    desk.run(page(EPIC, STORY), ConnectorFault("the service answered 502 to the search: try again later"))
    assert desk.revision() is None
    desk.later(minutes=1)
    read(desk)
    assert desk.revision() is not None
    assert desk.issues() == {"HPC-1100": "HPC-1100", "HPC-1234": "HPC-1100"}


def test_an_epic_is_found_five_parents_up_and_no_further(desk):
    chain = [issue(f"HPC-{n}", parent_key=f"HPC-{n - 1}", level=-1) for n in range(2, 8)]
    desk.run(page(*reversed(chain), issue("HPC-1", level=1, parent_key="HPC-0"), issue("HPC-0", level=2)))
    assert desk.issues() == {"HPC-0": None, "HPC-7": None} | {f"HPC-{n}": "HPC-1" for n in range(1, 7)}


def test_parents_in_a_circle_have_no_epic(desk):
    desk.run(page(issue("HPC-1", parent_key="HPC-2"), issue("HPC-2", parent_key="HPC-1")))
    assert desk.issues() == {"HPC-1": None, "HPC-2": None}


def test_an_issue_that_moved_is_known_by_each_key_that_it_had_and_has_the_epic_of_its_new_place(desk):
    read(desk)
    desk.later(minutes=10)
    other = issue("SOCE-9", level=1)
    desk.run(
        page(other, issue("SOCE-10", "1234", parent_key="SOCE-9"), issue("HPC-1300", parent_key="HPC-1100"))
    )
    desk.later(minutes=10)
    desk.run(page(issue("CAISO-3", "1234", parent_key="SOCE-9")))
    expected = dict.fromkeys(["HPC-1234", "SOCE-10", "CAISO-3", "SOCE-9"], "SOCE-9")
    assert desk.issues() == expected | {"HPC-1100": "HPC-1100", "HPC-1300": "HPC-1100"}
    desk.later(minutes=10)
    desk.run(page(issue("SOCE-10", "1234", parent_key="SOCE-9")))
    (row,) = desk.rows("select key, former_keys from vis_control.tracked_issue where external_id = '1234'")
    assert row == {"key": "SOCE-10", "former_keys": ["HPC-1234", "CAISO-3"]}


def test_a_child_still_leads_to_the_epic_that_moved(desk):
    read(desk)
    desk.later(minutes=10)
    desk.run(page(issue("SOCE-1", "1100", level=1)))
    assert desk.issues()["HPC-1234"] == "SOCE-1"


def test_what_a_full_run_does_not_say_is_gone_and_comes_back(desk):
    read(desk)
    desk.later(hours=14)
    desk.run(page(HPC, EPIC, complete=ALL))
    assert desk.issues() == {"HPC-1100": "HPC-1100"}
    (row,) = desk.rows("select gone_at, key from vis_control.tracked_issue where external_id = '1234'")
    assert row == {"gone_at": desk.now, "key": "HPC-1234"}
    desk.later(minutes=10)
    desk.run(page(STORY))
    assert desk.issues()["HPC-1234"] == "HPC-1100"


def test_a_kind_that_was_not_said_to_be_complete_loses_nothing(desk):
    read(desk)
    desk.later(hours=14)
    desk.run(page(HPC, complete={TrackerProject}))
    assert set(desk.issues()) == {"HPC-1100", "HPC-1234"}


def test_what_changes_nothing_that_gateways_read_does_not_make_them_read(desk):
    read(desk)
    before = desk.revision()
    desk.later(minutes=10)
    desk.run(page(issue("HPC-1234", parent_key="HPC-1100", summary="another", status="Done", is_done=True)))
    assert desk.revision() == before
    desk.later(minutes=10)
    desk.run(page(issue("HPC-1234", parent_key=None)))
    assert desk.revision() != before


def test_repositories_branches_and_pull_requests_lead_from_a_commit_to_its_pull_request(database, org):
    desk = Desk(database, org, "bitbucket", "bb")
    desk.run(page(MERGED, FIX, BILLING, complete={Branch}))
    renamed = BILLING.__class__("{r1}", "bitbucket.org/arctrade/billing", "billing", "main", "HPC")
    desk.later(minutes=10)
    desk.run(
        page(
            renamed,
            MERGED.__class__(**{**{n: getattr(MERGED, n) for n in MERGED.__slots__}, "commits": ("d" * 40,)}),
        )
    )
    found = desk.as_writer("select * from vis.pull_requests_v1 order by remote")
    assert [one["remote"] for one in found] == [
        "bitbucket.org/arctrade/billing",
        "bitbucket.org/arctrade/hpc-billing",
    ]
    assert found[0]["commits"] == ["a" * 40, "b" * 40, "d" * 40]
    assert (found[0]["number"], found[0]["state"], found[0]["source_branch"], found[0]["merge_commit"]) == (
        7, "merged", "HPC-1234-fix", "c" * 40,
    )  # fmt: skip
    assert desk.revision() is None  # no tracker
    (branch,) = desk.rows("select first_seen, head from vis_control.tracked_branch")
    assert branch == {"first_seen": START, "head": "a" * 40}


def test_a_report_sees_the_pull_requests_and_issues_of_its_organisation_only(database, org):
    Desk(database, org, "bitbucket", "bb").run(page(BILLING, MERGED))
    read(Desk(database, org))
    for view, count in (("pull_requests_v1", 1), ("issues_v1", 2)):
        with database.as_role("vis_reader") as connection:
            assert connection.execute(f"select from vis.{view}").rowcount == 0
        with database.as_role("vis_reader", org) as connection:
            assert connection.execute(f"select from vis.{view}").rowcount == count


def test_a_refused_credential_leaves_what_was_read_and_is_told_once_and_once_when_it_works(desk):
    read(desk)
    expired = "Jira Cloud does not take the token of ops@arctrade.example any more: make a new one"
    for wait in (1, 2, 4):
        desk.later(minutes=10)
        state = desk.run(CredentialRefused(expired))
        assert (state["error"], state["next_at"] - desk.now) == (expired, timedelta(minutes=wait))
    assert desk.issues()["HPC-1234"] == "HPC-1100"
    assert desk.alerts() == [("connector_failed", "Jira Cloud jira cannot be read")]
    (alert,) = desk.rows("select body, scope, detail from vis.alerts")
    assert alert["body"].startswith(f"{expired}\nWhat was read stays in use (from 2026-11-20 12:00 UTC).")
    assert (alert["scope"], alert["detail"]["error"]) == ("connector:jira", expired)
    desk.later(minutes=4)
    state = desk.run(page(issue("HPC-1235")))
    assert (state["error"], state["failures"]) == ("", 0)
    assert desk.service.asked[-1] == START - timedelta(minutes=5)  # what changed meanwhile is read
    desk.later(minutes=10)
    desk.run(CredentialRefused(expired))
    assert [kind for kind, _ in desk.alerts()] == ["connector_failed", "connector_works", "connector_failed"]


def test_a_fault_between_two_pages_keeps_the_first_and_takes_nothing_away(desk):
    read(desk)
    desk.later(hours=14)
    desk.run(page(HPC, issue("HPC-1400"), complete={TrackerProject}), ConnectorFault("it answered 500"))
    assert set(desk.issues()) == {"HPC-1100", "HPC-1234", "HPC-1400"}
    desk.later(minutes=1)
    assert desk.run(page())["mode"] == "full"


def test_a_fault_of_our_own_is_one_of_the_connector_and_not_of_the_jobs(desk):
    state = desk.run(page(HPC), KeyError("fields"))
    assert state["error"] == "an unexpected KeyError: the log of the jobs says where"
    assert desk.alerts() == [("connector_failed", "Jira Cloud jira cannot be read")]


def test_a_wait_that_the_service_asks_for_is_kept_and_alarms_nobody(desk):
    until = START + timedelta(minutes=42)
    state = desk.run(page(HPC), Paused("the hour's quota is used up", until))
    assert (state["next_at"], state["failures"], state["error"]) == (until, 0, "")
    assert state["doing"] == "waits until 2026-11-20 12:42:00 UTC: the hour's quota is used up"
    assert desk.alerts() == []


def test_a_stop_comes_between_two_pages_and_the_run_begins_again(desk):
    state = desk.run(page(HPC), page(EPIC), desk.stopping.set, page(STORY))
    assert state["finished_at"] is None
    assert set(desk.issues()) == {"HPC-1100", "HPC-1234"}  # the page that was under way is stored whole
    desk.stopping.clear()
    state = desk.run(page(HPC, EPIC, STORY, complete=ALL))
    assert (state["mode"], state["number"]) == ("full", 2)


def test_what_a_stop_breaks_is_no_outage(desk):
    state = desk.run(page(HPC), desk.stopping.set, ConnectorFault("the connection was closed"))
    assert (state["failures"], state["finished_at"], desk.alerts()) == (0, None, [])


def test_a_connector_that_is_removed_while_it_is_read_is_read_no_further(desk):
    def remove() -> None:
        desk.database.run("update vis_control.connector set enabled = false")

    desk.run(page(EPIC), remove, page(STORY), page(issue("HPC-9")))
    assert len(desk.rows("select from vis_control.tracked_issue")) == 2
    assert desk.issues() == {}


def test_one_process_at_a_time_reads_a_connector(desk):
    def other() -> None:
        sync(
            desk.database.dsn("vis_jobs"),
            KEYS,
            desk.clock,
            desk.service.connect,
            desk.connector_id,
            threading.Event(),
        )

    desk.run(page(HPC), other, page(EPIC))
    assert len(desk.service.asked) == 1


def test_text_that_postgresql_does_not_take_is_stored_without_it(desk):
    state = desk.run(page(issue("HPC-1", summary="half \ud83d of a pair\0")))
    assert state["error"] == ""
    assert desk.rows("select summary from vis_control.tracked_issue") == [{"summary": "half ? of a pair"}]


def test_a_credential_that_does_not_open_says_so(desk):
    desk.database.run("update vis_control.connector_secret set sealed = 'x'")
    assert desk.run(page(HPC))["error"] == "this is no sealed record"


def test_a_sealed_credential_opens_for_its_own_connector_only(desk):
    theirs = Desk(desk.database, desk.org, name="other")
    desk.database.run(
        f"update vis_control.connector_secret set connector_id = '{theirs.connector_id}' where connector_id = '{desk.connector_id}'",
        "delete from vis_control.connector_secret where id <> (select min(id::text)::uuid from vis_control.connector_secret)",
    )
    assert theirs.run(page(HPC))["error"] == "the record was sealed under another key or for another owner"


def test_the_loop_reads_what_is_due_at_once_when_it_is_asked_and_once_for_many_asking(desk):
    service, poke = desk.service, "update vis_control.connector_run set poked_at = '2026-11-20 12:00Z'"
    service.runs = [[page(HPC, EPIC, complete=ALL)], [page(STORY)], [page()]]
    syncs = Syncs(desk.database.dsn("vis_jobs"), KEYS, desk.clock, service.connect)
    syncs.start()
    try:
        until(lambda: desk.state()["succeeded_at"])
        desk.database.run(poke, poke, poke)
        desk.later(seconds=5)
        until(lambda: len(service.asked) == 2 and desk.state()["finished_at"])
        assert desk.state()["poked_at"] is None
        desk.later(minutes=10)
        until(lambda: len(service.asked) == 3)
    finally:
        syncs.stop()
    assert service.runs == []


@pytest.mark.parametrize("state", ["failures = 1", "is_paused = true"])
def test_nobody_s_webhook_shortens_a_wait(desk, state):
    desk.database.run(
        f"update vis_control.connector_run set {state}, poked_at = next_at, started_at = next_at, finished_at = next_at, next_at = next_at + interval '1 hour'"
    )
    with psycopg.connect(desk.database.dsn("vis_jobs")) as connection:
        for minutes, due in ((59, 0), (60, 1)):
            at = {"now": START + timedelta(minutes=minutes), "apart": APART}
            assert len(connection.execute(_SQL["due"], at).fetchall()) == due


def test_metrics_say_since_when_a_connector_was_not_read_and_what_it_holds(desk):
    read(desk)
    desk.later(minutes=3)
    text = metrics(desk.database.dsn("vis_jobs"), desk.now, {}, Spend())
    assert 'visionality_connector_success_age_seconds{org="default",connector="jira"} 180\n' in text
    assert 'visionality_connector_rows{org="default",connector="jira",kind="issues"} 2\n' in text


@given(st.integers(1, 10_000))
def test_waits_grow_and_end_at_an_hour(failures):
    assert FIRST_WAIT <= wait_after(failures) <= wait_after(failures + 1) <= LONGEST_WAIT


MOMENTS = st.integers(0, 365 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@given(
    MOMENTS, st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata"]).map(ZoneInfo)
)
def test_a_night_has_begun_within_the_last_day_and_makes_one_full_run(now, zone):
    night = last_night(now, zone)
    assert timedelta() <= now - night < timedelta(hours=25)
    assert mode(night - timedelta(seconds=1), now, zone, wants_full=False) == "full"
    assert mode(night, now, zone, wants_full=False) == "incremental"


def until(condition) -> None:
    Product.until(None, condition)


def test_control_characters_in_what_a_service_says_of_itself_stop_nothing(desk):
    state = desk.run(
        page(HPC, doing="issues of \0H\x1bPC\ud83d"), ConnectorFault("said \0 and \ud83d\x1b[2J")
    )
    assert (state["failures"], state["error"]) == (1, "said  and [2J")
    assert [kind for kind, _ in desk.alerts()] == ["connector_failed"]


def test_a_title_with_codes_of_a_terminal_is_stored_without_them(desk):
    desk.run(page(issue("HPC-1", summary="red \x1b[31mtitle\x9b\n")))
    assert desk.rows("select summary from vis_control.tracked_issue") == [{"summary": "red [31mtitle"}]


def test_another_credential_that_comes_while_one_fails_is_tried_at_once(desk):
    given = desk.now + timedelta(seconds=20)

    def renew() -> None:
        desk.database.run(f"update vis_control.connector_run set next_at = '{given}'")
        desk.later(seconds=30)

    assert desk.run(page(HPC), renew, CredentialRefused("it has ended"))["next_at"] == given


def test_a_run_that_cannot_even_be_written_up_is_not_begun_again_at_once_and_stops_no_other(
    desk, monkeypatch
):
    """A fault of our own in one thread: the others are read, and it waits."""
    other = Desk(desk.database, desk.org, "jira_dc", "other")
    began: list[UUID] = []

    def broken(*given: object) -> None:
        began.append(given[4])
        if given[4] == desk.connector_id:
            raise UnicodeError("half a character")
        sync(*given)

    monkeypatch.setattr("visionality.jobs.sync.sync", broken)
    other.service.runs = [[page(HPC)]]
    syncs = Syncs(desk.database.dsn("vis_jobs"), KEYS, desk.clock, other.service.connect)
    syncs.start()
    try:
        until(lambda: other.state()["succeeded_at"])
        desk.later(minutes=11)
        other.service.runs = [[page()]]
        until(lambda: other.state()["number"] == 2)
    finally:
        syncs.stop()
    assert began.count(desk.connector_id) == 1


def test_many_services_that_have_us_wait_do_not_keep_another_from_being_read(desk):
    waiting = threading.Event()

    class Slow:
        def changes(self, since: datetime | None) -> Iterator[Page]:
            waiting.wait(30)
            yield page()

    def connect(target: Target, *given: object) -> object:
        return desk.service if target.kind == "jira_cloud" else Slow()

    later = START + timedelta(seconds=1)
    slow = [put_connector(desk.database, desk.org, "github", f"slow{n}", START) for n in range(6)]
    desk.database.run(
        f"update vis_control.connector_run set next_at = '{later}' where connector_id = '{desk.connector_id}'"
    )
    desk.service.runs = [[page(HPC)]]
    desk.later(seconds=2)
    syncs = Syncs(desk.database.dsn("vis_jobs"), KEYS, desk.clock, connect)
    syncs.start()
    try:
        until(lambda: desk.state()["succeeded_at"])
    finally:
        waiting.set()
        syncs.stop()
    assert len(slow) > 4


def test_a_shutdown_waits_for_all_that_is_read_and_not_for_one_after_the_other(desk, monkeypatch):
    passed = [0.0]
    monkeypatch.setattr("visionality.jobs.sync.time.monotonic", lambda: passed[0])

    class Stuck(threading.Thread):
        def join(self, timeout: float | None = None) -> None:
            passed[0] += timeout or 0.0

    syncs = Syncs(desk.database.dsn("vis_jobs"), KEYS, desk.clock, desk.service.connect)
    syncs._loop = Stuck()
    syncs._reading = {uuid7(): Stuck() for _ in range(16)}
    syncs.stop()
    assert passed == [LAST_PAGE]


def test_what_the_database_does_not_take_is_a_fault_and_not_a_database_that_is_away(desk):
    """A key that is too long for its index, which PostgreSQL calls operational."""
    state = desk.run(page(HPC, issue("HPC-" + token_hex(20_000), "1")))
    assert state["error"] == "an unexpected ProgramLimitExceeded: the log of the jobs says where"
    assert [kind for kind, _ in desk.alerts()] == ["connector_failed"]


def test_a_database_that_goes_away_leaves_the_run_to_begin_again(desk):
    def cut() -> None:
        desk.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'vis_jobs' and datname = current_database()"
        )

    with pytest.raises(psycopg.OperationalError):
        desk.run(page(HPC), cut, page(EPIC))
    assert (desk.state()["finished_at"], desk.alerts()) == (None, [])
    assert desk.run(page(HPC, EPIC, complete=ALL))["error"] == ""
