"""Promises of the connector to Jira Cloud (A1)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.bench import completed, of_kind
from connectors.stand_ins.jira_cloud import REMOVED
from connectors.stand_ins.server import Reply
from connectors.world import RECENT, SINCE
from visionality.connectors.jira import EpicFields, IssueWire, jql_time, parse_issue
from visionality.connectors.model import ConnectorFault, Issue, Paused, TrackerProject

SHOWN = b"""
{"id":"10234","key":"HPC-1234",
 "fields":{"summary":"PJM rebill rules",
   "issuetype":{"id":"10001","name":"Story","subtask":false,"hierarchyLevel":0},
   "status":{"name":"In Progress","statusCategory":{"key":"indeterminate"}},
   "parent":{"id":"10100","key":"HPC-1100","fields":{"summary":"Rebill epic"}},
   "project":{"id":"10000","key":"HPC","name":"Houston Power Contract"},
   "assignee":{"accountId":"5b10a2","displayName":"Alice K."},
   "customfield_10014":"HPC-1",
   "updated":"2026-11-20T14:02:11.000-0600"}}
"""
EPIC = EpicFields(link="customfield_10014", name="customfield_10011")


def parsed(text: bytes, **changed: object) -> Issue:
    wire = msgspec.json.decode(text, type=IssueWire)
    fields = {**msgspec.json.decode(wire.fields), **changed}
    kept = {name: value for name, value in fields.items() if value is not ...}
    return parse_issue(IssueWire(wire.id, wire.key, msgspec.Raw(msgspec.json.encode(kept))), EPIC)


def by_key(issues: list[Issue]) -> dict[str, Issue]:
    return {one.key: one for one in issues}


# ---------------------------------------------------------------- parse


def test_an_issue_is_read_as_jira_shows_it():
    assert parsed(SHOWN) == Issue(
        id="10234",
        key="HPC-1234",
        project_key="HPC",
        level=0,
        parent_key="HPC-1100",
        summary="PJM rebill rules",
        status="In Progress",
        is_done=False,
        updated_at=datetime(2026, 11, 20, 20, 2, 11, tzinfo=UTC),
    )


def test_the_parent_goes_before_the_old_epic_link():
    assert parsed(SHOWN, parent=...).parent_key == "HPC-1"
    assert parsed(SHOWN, parent=None, customfield_10014=None).parent_key is None
    assert parsed(SHOWN, parent=..., customfield_10014={"hidden": True}).parent_key is None


def test_done_is_a_category_whatever_the_status_is_called():
    assert parsed(SHOWN, status={"name": "Erledigt", "statusCategory": {"key": "done"}}).is_done


@pytest.mark.parametrize("name", ["summary", "issuetype", "status", "project", "updated"])
def test_a_field_that_the_product_depends_on_may_not_be_missing(name):
    with pytest.raises(ConnectorFault, match="HPC-1234"):
        parsed(SHOWN, **{name: ...})


def test_an_update_without_a_time_is_a_fault():
    with pytest.raises(ConnectorFault, match="HPC-1234"):
        parsed(SHOWN, updated="yesterday")


@given(
    st.integers(946_684_800, 2_208_988_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from(
        ["America/Chicago", "Australia/Lord_Howe", "Asia/Kolkata", "Europe/Berlin", "UTC", "", "Mars/Olympus"]
    ),
)
@example(datetime(2026, 11, 1, 6, 40, tzinfo=UTC), "America/Chicago")
@example(datetime(2026, 11, 1, 7, 3, tzinfo=UTC), "America/Chicago")
def test_the_time_in_a_question_is_never_later_than_was_meant(since, zone):
    """Whatever the clocks did there, and whichever of two equal hours Jira takes."""
    asked = datetime.fromisoformat(jql_time(since, zone))
    real = ZoneInfo(zone) if zone and zone != "Mars/Olympus" else ZoneInfo("Pacific/Kiritimati")
    for fold in (0, 1):
        meant = asked.replace(tzinfo=real, fold=fold).astimezone(UTC)
        assert meant <= since - timedelta(minutes=5)
        assert meant >= since - timedelta(hours=50)


# ---------------------------------------------------------------- fetch


def test_levels_parents_and_old_epic_links_come_over(cloud):
    issues = by_key(cloud.said(Issue))
    assert {key: (one.level, one.parent_key) for key, one in issues.items()} == {
        "HPC-1100": (1, None),
        "HPC-1234": (0, "HPC-1100"),
        "HPC-1235": (-1, "HPC-1234"),
        "HPC-1236": (0, "HPC-1100"),
        "SOCE-7": (0, None),
    }
    assert issues["SOCE-7"].is_done
    assert issues["HPC-1234"].updated_at == RECENT


def test_pages_are_followed_by_their_token_and_fields_are_named(cloud):
    cloud.pages()
    searches = [msgspec.json.decode(one.body) for one in cloud.service.asked("/search/jql")]
    assert [one.get("nextPageToken") for one in searches] == [None, "t2", None]
    assert all("summary" in one["fields"] and "customfield_10014" in one["fields"] for one in searches)


def test_the_removed_search_is_never_called(cloud):
    cloud.pages()
    cloud.pages(SINCE)
    assert not cloud.service.asked("/rest/api/3/search")


def test_a_call_that_was_removed_is_told(cloud):
    cloud.service.planned = [REMOVED]
    with pytest.raises(ConnectorFault, match=r"was 410 .*a newer version of Visionality is needed"):
        cloud.pages()


def test_projects_come_in_pages(cloud):
    for number in range(5):
        key = f"P{number}"
        cloud.service.projects[key] = {"id": str(number), "key": key, "name": key}
    pages = list(cloud.connector(scope=()).changes(None))
    assert len(of_kind(pages, TrackerProject)) == 7
    assert len(cloud.service.asked("/project/search")) == 4


def test_a_project_of_the_scope_that_is_not_shown_is_a_fault_and_nothing_is_called_complete(cloud):
    del cloud.service.projects["SOCE"]
    seen = []
    with pytest.raises(ConnectorFault, match="shows no project SOCE"):
        seen.extend(cloud.connector().changes(None))
    assert seen == []


def test_an_account_that_sees_no_project_is_told_by_check(cloud):
    cloud.service.projects.clear()
    with pytest.raises(ConnectorFault, match="takes us for Visionality Reader and shows no project"):
        cloud.connector(scope=()).check()


def test_a_moved_issue_keeps_its_id_and_has_its_new_key(cloud):
    before = by_key(cloud.said(Issue))["HPC-1236"]
    moved = next(one for one in cloud.service.issues if one.key == "HPC-1236")
    moved.key, moved.updated = "SOCE-8", RECENT
    after = by_key(cloud.said(Issue, SINCE))["SOCE-8"]
    assert (after.id, after.project_key) == (before.id, "SOCE")


def test_a_deleted_issue_is_missing_from_what_is_complete(cloud):
    cloud.service.issues = [one for one in cloud.service.issues if one.key != "HPC-1235"]
    pages = cloud.pages()
    assert Issue in completed(pages)
    assert "HPC-1235" not in by_key(of_kind(pages, Issue))


@pytest.mark.parametrize("zone", ["America/Chicago", "Asia/Kolkata", "Pacific/Auckland", "UTC"])
def test_an_issue_that_changed_a_minute_after_is_said_in_any_time_zone_of_the_account(cloud, zone):
    cloud.service.zone = zone
    cloud.service.issues[0].updated = SINCE + timedelta(minutes=1)
    cloud.service.issues[2].updated = SINCE - timedelta(hours=3)
    assert set(by_key(cloud.said(Issue, SINCE))) == {"HPC-1100", "HPC-1234"}


def test_a_quota_pauses_until_jira_gives_more_and_says_why(cloud):
    headers = {"RateLimit-Reason": "jira-quota-tenant-based", "X-RateLimit-Reset": "2026-11-22T12:00Z"}
    cloud.service.planned = [Reply({}, 429, headers)]
    with pytest.raises(Paused, match=r"\(jira-quota-tenant-based\)") as paused:
        cloud.pages()
    assert paused.value.until == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_a_token_that_comes_again_is_a_fault(cloud):
    again = Reply({"issues": [], "nextPageToken": "t0"})
    cloud.service.planned = [lambda _: None] * 3 + [again, again]
    with pytest.raises(ConnectorFault, match="same page of issues twice"):
        cloud.pages()


def test_an_installation_without_the_old_fields_is_read_all_the_same(cloud):
    cloud.service.planned = [lambda _: None, lambda _: None, Reply([])]
    assert by_key(cloud.said(Issue))["HPC-1236"].parent_key is None
