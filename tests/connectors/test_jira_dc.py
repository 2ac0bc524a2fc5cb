"""Promises of the connector to Jira Data Center (A1)."""

import msgspec

from connectors.bench import completed, of_kind
from connectors.stand_ins.jira_dc import CONTEXT
from connectors.world import SINCE
from visionality.connectors.model import Issue


def test_every_call_goes_under_the_context_path_with_the_personal_token(data_center):
    data_center.pages()
    assert all(one.path.startswith(f"{CONTEXT}/rest/api/2/") for one in data_center.service.seen)
    assert {one.headers["authorization"] for one in data_center.service.seen} == {
        "Bearer NjY2-personal-access-token"
    }


def test_an_epic_is_known_by_its_epic_name_whatever_its_type_is_called(data_center):
    data_center.service.issues[0].kind = "Epos"
    levels = {one.key: (one.level, one.parent_key) for one in data_center.said(Issue)}
    assert levels["HPC-1100"] == (1, None)
    assert levels["HPC-1235"] == (-1, "HPC-1234")
    assert levels["HPC-1236"] == (0, "HPC-1100")


def test_pages_are_followed_by_their_offset(data_center):
    data_center.pages()
    searches = [msgspec.json.decode(one.body) for one in data_center.service.asked("/search")]
    assert [one["startAt"] for one in searches] == [0, 2, 0]


def test_issues_that_go_while_they_are_read_leave_nothing_called_complete(data_center):
    reading = data_center.connector().changes(None)
    seen = [next(reading), next(reading)]
    data_center.service.issues = [one for one in data_center.service.issues if one.key != "HPC-1100"]
    seen.extend(reading)
    assert Issue not in completed(seen)
    assert Issue in completed(data_center.pages())


def test_a_deleted_issue_is_not_said_any_more_and_a_moved_one_is_said_under_its_new_key(data_center):
    moved, deleted = data_center.service.issues[3], data_center.service.issues[2]
    moved.key = "SOCE-9"
    data_center.service.issues.remove(deleted)
    said = {one.id: one.key for one in of_kind(data_center.pages(), Issue)}
    assert said[moved.id] == "SOCE-9"
    assert deleted.id not in said


def test_an_incremental_run_asks_in_the_time_zone_of_the_account(data_center):
    data_center.pages(SINCE)
    question = msgspec.json.decode(data_center.service.asked("/search")[0].body)["jql"]
    assert question == 'project = "HPC" AND updated >= "2026-11-20 05:55" ORDER BY key ASC'
