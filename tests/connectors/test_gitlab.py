"""Promises of the connector to GitLab (A2)."""

from datetime import timedelta

import msgspec
import pytest

from connectors.bench import of_kind
from connectors.stand_ins.server import Reply
from connectors.world import NOW, SINCE, sha
from visionality.connectors.gitlab import MergeRequestWire, ProjectWire, parse_merge_request, parse_project
from visionality.connectors.model import Branch, PullRequest, Repository

SHOWN = b"""
{"iid":7,"title":"Fix","state":"merged","web_url":"https://gitlab.com/a/b/-/merge_requests/7",
 "source_branch":"main","target_branch":"main","source_project_id":9,"target_project_id":501,"author":null,
 "created_at":"2026-11-18T10:00:00.000Z","updated_at":"2026-11-19T09:00:00.000Z","merged_at":null,
 "merge_commit_sha":null,"squash_commit_sha":"e5bd3914e2e596debea16f433f57875b5b90bcd6"}
"""


def test_a_squashed_merge_from_a_fork_is_read():
    found = parse_merge_request(msgspec.json.decode(SHOWN, type=MergeRequestWire), "501")
    assert (found.source_branch, found.author) == ("9:main", "")
    assert found.merge_commit == "e5bd3914e2e596debea16f433f57875b5b90bcd6"
    assert found.merged_at == found.updated_at


@pytest.mark.parametrize(("state", "read"), [("opened", "open"), ("locked", "open"), ("closed", "declined")])
def test_what_is_not_merged_has_no_merge(state, read):
    shown = {**msgspec.json.decode(SHOWN), "state": state}
    found = parse_merge_request(msgspec.convert(shown, MergeRequestWire), "501")
    assert (found.state, found.merge_commit, found.merged_at) == (read, None, None)


def test_what_a_project_has_switched_off_is_not_asked_for():
    wire = ProjectWire(1, "a/b", "https://gitlab.com/a/b.git", merge_requests_access_level="disabled")
    listed = parse_project(wire)
    assert listed is not None
    assert (listed.has_branches, listed.has_pull_requests) == (True, False)


def test_a_project_is_known_by_its_remote_and_its_group(gitlab):
    billing, _, empty = gitlab.said(Repository)
    assert billing == Repository(
        "501", "gitlab.arctrade.example/arctrade/hpc-billing", "arctrade/hpc-billing", "main", "arctrade"
    )
    assert empty.default_branch is None


def test_projects_of_subgroups_are_asked_for(gitlab):
    gitlab.pages()
    assert gitlab.service.asked("/projects")[0].one("include_subgroups") == "true"


def test_a_merge_request_has_its_commits_and_its_merge(gitlab):
    found = {one.number: one for one in gitlab.said(PullRequest)}
    assert found[42].commits == (sha("4"), sha("5"), sha("6"))
    assert found[42].merge_commit == sha("d")


def test_pages_are_followed_by_a_link_where_there_is_one(gitlab):
    expected = gitlab.pages()
    gitlab.service.planned = [
        lambda request: Reply(
            gitlab.service.route(request).content,
            headers={"Link": f'<{gitlab.service.url}{request.path}?page=2>; rel="next"'},
        )
    ]
    assert gitlab.pages() == expected


def test_branches_are_asked_only_of_projects_that_changed_and_of_no_empty_one(gitlab):
    assert {one.repository_id for one in gitlab.said(Branch, SINCE)} == {"501"}
    assert {one.path for one in gitlab.service.asked("/branches")} == {
        "/api/v4/projects/501/repository/branches"
    }


def test_activity_that_gitlab_notes_late_is_not_missed(gitlab):
    gitlab.service.repos[1].changed = SINCE - timedelta(minutes=50)
    assert {one.repository_id for one in of_kind(gitlab.pages(SINCE), Branch)} == {"501", "502"}


def test_the_wait_is_the_one_of_its_own_header(gitlab):
    reset = str(int((NOW + timedelta(seconds=30)).timestamp()))
    gitlab.service.planned = [Reply({}, 429, {"RateLimit-Remaining": "0", "RateLimit-Reset": reset})]
    assert gitlab.pages()
    assert gitlab.waits == [30]
