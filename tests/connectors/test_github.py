"""Promises of the connector to GitHub (A2)."""

from datetime import timedelta

import msgspec

from connectors.bench import of_kind
from connectors.stand_ins.server import Reply
from connectors.world import NOW, SINCE, sha
from visionality.connectors.github import PullRequestWire, parse_pull_request
from visionality.connectors.model import Branch, PullRequest, Repository

SHOWN = b"""
{"number":7,"title":"Fix","state":"closed","html_url":"https://github.com/arctrade/x/pull/7","user":null,
 "head":{"ref":"main","sha":"a","repo":null,"user":{"login":"bob"}},"base":{"ref":"main","repo":{"id":501}},
 "created_at":"2026-11-18T10:00:00Z","updated_at":"2026-11-19T09:00:00Z","merged_at":null,
 "merge_commit_sha":"e5bd3914e2e596debea16f433f57875b5b90bcd6"}
"""


def test_a_deleted_fork_a_ghost_and_a_merge_that_was_only_tried_are_read():
    found = parse_pull_request(msgspec.json.decode(SHOWN, type=PullRequestWire), "501")
    assert (found.state, found.author, found.source_branch) == ("declined", "", "bob:main")
    assert (found.merge_commit, found.merged_at) == (None, None)


def test_a_repository_is_known_by_its_remote_on_its_own_host(github):
    billing = github.said(Repository)[0]
    assert billing == Repository(
        "501", "github.arctrade.example/arctrade/hpc-billing", "arctrade/hpc-billing", "main", None
    )


def test_a_merged_pull_request_has_its_commits_and_its_merge(github):
    found = {one.number: one for one in github.said(PullRequest)}
    assert found[42].commits == (sha("4"), sha("5"), sha("6"))
    assert (found[42].merge_commit, found[42].state) == (sha("d"), "merged")
    assert found[41].state == "declined"


def test_an_incremental_run_reads_no_further_than_what_changed(github):
    found = github.said(PullRequest, SINCE)
    assert {one.number for one in found} == {42, 43}
    pages = [one.one("page", "1") for one in github.service.asked("hpc-billing/pulls")]
    assert pages == ["1", "2"]
    query = github.service.asked("hpc-billing/pulls")[0].query
    assert (query["state"], query["sort"], query["direction"]) == (["all"], ["updated"], ["desc"])


def test_branches_are_asked_only_of_repositories_that_changed(github):
    assert {one.repository_id for one in github.said(Branch, SINCE)} == {"501"}
    assert not github.service.asked("soce/branches")


def test_a_person_is_read_where_there_is_no_such_organisation(github):
    github.service.owner_kind = "users"
    assert len(of_kind(github.pages(), Repository)) == 3


def test_every_call_names_the_version_of_the_api(github):
    github.pages()
    assert {one.headers["x-github-api-version"] for one in github.service.seen} == {"2022-11-28"}
    assert {one.headers["accept"] for one in github.service.seen} == {"application/vnd.github+json"}


def test_a_used_up_limit_is_a_wait_although_it_is_a_403(github):
    reset = str(int((NOW + timedelta(seconds=90)).timestamp()))
    github.service.planned = [
        Reply(
            {"message": "API rate limit exceeded"},
            403,
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset},
        )
    ]
    assert github.pages()
    assert github.waits == [90]


def test_a_secondary_limit_without_a_time_waits_a_minute(github):
    hour = str(int((NOW + timedelta(hours=1)).timestamp()))
    github.service.planned = [
        Reply(
            {"message": "You have exceeded a secondary rate limit."},
            403,
            {"x-ratelimit-remaining": "4000", "x-ratelimit-reset": hour},
        )
    ]
    assert github.pages()
    assert github.waits == [60]


def test_a_limit_that_returns_in_an_hour_is_sat_out_so_that_a_first_run_goes_on(github):
    expected = github.pages()
    hour = NOW + timedelta(hours=1)
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(hour.timestamp()))}
    github.service.planned = [lambda _: None, Reply({}, 403, headers)]
    assert github.pages() == expected
    assert github.waits == [3600]


def test_the_installation_of_an_app_is_named_so(github):
    refused = Reply({"message": "Resource not accessible by integration"}, 403)
    github.service.planned = [lambda request: refused if request.path.endswith("/user") else None] * 9
    assert "takes us for an app's installation" in github.connector().check()
