"""Promises of the connector to Bitbucket Cloud (A2)."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from connectors.bench import of_kind
from connectors.stand_ins.server import Reply
from connectors.world import NOW, RECENT, SINCE, Pull, sha
from visionality.connectors.bitbucket import (
    PullRequestWire,
    RepositoryWire,
    parse_pull_request,
    parse_repository,
)
from visionality.connectors.model import Branch, CredentialRefused, Paused, PullRequest, Repository

SHOWN = b"""
{"id":42,"title":"HPC-1234 PJM rebill","state":"MERGED","draft":false,
 "author":{"uuid":"{u}","account_id":"5b10a2","display_name":"Alice K."},
 "source":{"branch":{"name":"HPC-1234-add-pjm-rebill-rules"},"commit":{"hash":"1a2b3c"},
           "repository":{"full_name":"arctrade/HPC-Billing"}},
 "destination":{"branch":{"name":"main"}},
 "merge_commit":{"hash":"9f8e7d"},
 "created_on":"2026-11-18T10:00:00Z","updated_on":"2026-11-19T09:00:00Z",
 "links":{"html":{"href":"https://bitbucket.org/arctrade/hpc-billing/pull-requests/42"}}}
"""
BILLING = Repository("{1}", "bitbucket.org/arctrade/hpc-billing", "arctrade/hpc-billing", "main", None)


def parsed(**changed: object) -> PullRequest:
    shown = {**msgspec.json.decode(SHOWN), **changed}
    return parse_pull_request(msgspec.convert(shown, PullRequestWire), BILLING)


def test_a_pull_request_is_read_as_bitbucket_shows_it():
    assert parsed() == PullRequest(
        repository_id="{1}",
        number=42,
        title="HPC-1234 PJM rebill",
        state="merged",
        author="Alice K.",
        source_branch="HPC-1234-add-pjm-rebill-rules",
        target_branch="main",
        merge_commit="9f8e7d",
        url="https://bitbucket.org/arctrade/hpc-billing/pull-requests/42",
        created_at=datetime(2026, 11, 18, 10, tzinfo=UTC),
        updated_at=datetime(2026, 11, 19, 9, tzinfo=UTC),
        merged_at=datetime(2026, 11, 19, 9, tzinfo=UTC),
        commits=(),
    )


@pytest.mark.parametrize(
    ("state", "read"), [("OPEN", "open"), ("DECLINED", "declined"), ("SUPERSEDED", "declined")]
)
def test_what_is_not_merged_has_no_merge(state, read):
    found = parsed(state=state)
    assert (found.state, found.merge_commit, found.merged_at) == (read, None, None)


def test_a_branch_of_a_fork_is_not_taken_for_one_of_ours():
    assert parsed(source={"branch": {"name": "main"}, "repository": None}).source_branch == ":main"
    fork = {"branch": {"name": "main"}, "repository": {"full_name": "bob/hpc-billing"}}
    assert parsed(source=fork).source_branch == "bob:main"


def test_a_deleted_branch_and_a_deleted_author_are_empty():
    found = parsed(source={"branch": None, "repository": None}, author=None)
    assert (found.source_branch, found.author) == ("", "")


@pytest.mark.parametrize("name", ["id", "state", "source", "updated_on", "links"])
def test_a_field_that_the_product_depends_on_may_not_be_missing(name):
    shown = msgspec.json.decode(SHOWN)
    del shown[name]
    with pytest.raises(msgspec.ValidationError, match=name):
        msgspec.convert(shown, PullRequestWire)


def test_a_repository_is_known_by_its_remote_as_git_knows_it():
    listed = parse_repository(RepositoryWire("{1}", "ArcTrade/HPC-Billing"))
    assert listed is not None
    assert listed.repository.remote == "bitbucket.org/arctrade/hpc-billing"


# ---------------------------------------------------------------- fetch


def test_repositories_come_over_with_their_project_and_an_empty_one_without_a_branch(bitbucket):
    billing, _, empty = bitbucket.said(Repository)
    assert billing == Repository(
        "{501}", "bitbucket.org/arctrade/hpc-billing", "arctrade/hpc-billing", "main", "BILL"
    )
    assert empty.default_branch is None


def test_pull_requests_of_all_four_states_are_asked_for(bitbucket):
    bitbucket.pages()
    for one in bitbucket.service.asked("/pullrequests"):
        assert one.query["state"] == ["OPEN", "MERGED", "DECLINED", "SUPERSEDED"]
        assert one.one("pagelen") == "50"


def test_a_pull_request_has_all_its_commits_and_the_whole_hash_of_its_merge(bitbucket):
    found = {one.number: one for one in bitbucket.said(PullRequest)}
    assert found[42].commits == (sha("4"), sha("5"), sha("6"))
    assert found[42].merge_commit == sha("d")
    assert found[43].commits == (sha("7"),)
    assert (found[43].source_branch, found[43].author) == (":main", "")


def test_the_commits_of_what_nobody_touched_for_a_quarter_are_not_asked_for(bitbucket):
    assert {one.number for one in bitbucket.said(PullRequest) if not one.commits} == {40, 41}
    asked = {one.path.split("/")[-2] for one in bitbucket.service.asked("/commits")}
    assert asked == {"42", "43"}


def test_branches_are_asked_only_of_repositories_that_changed(bitbucket):
    branches = bitbucket.said(Branch, SINCE)
    assert {(one.repository_id, one.name) for one in branches} == {
        ("{501}", "main"),
        ("{501}", "HPC-1234-add-pjm-rebill-rules"),
        ("{501}", "fix/zero"),
    }
    assert not any("soce" in one.path for one in bitbucket.service.asked("/branches"))


def test_an_old_pull_request_that_is_touched_comes_with_its_commits(bitbucket):
    bitbucket.service.repos[0].pulls[0].updated = RECENT
    found = {one.number: one for one in bitbucket.said(PullRequest, SINCE)}
    assert found[40].commits == (sha("1"),)


def test_a_repository_that_is_deleted_while_it_is_read_ends_nothing(bitbucket):
    reading = bitbucket.connector().changes(None)
    seen = [next(reading)]
    del bitbucket.service.repos[0]
    seen.extend(reading)
    assert {one.name for one in of_kind(seen, Branch)} == {"main"}


def test_without_any_header_the_waits_grow_from_a_minute(bitbucket):
    bitbucket.service.planned = [Reply({}, 429)] * 9
    with pytest.raises(Paused):
        bitbucket.pages()
    assert bitbucket.waits == [60, 120, 240, 480, 960, 1920]


def test_check_finds_out_that_pull_requests_may_not_be_read(bitbucket):
    bitbucket.service.planned = [lambda _: None, Reply({"error": {"message": "lacks scope"}}, 403)]
    with pytest.raises(CredentialRefused, match=r"pullrequests was 403 \(\"lacks scope\"\)"):
        bitbucket.connector().check()


def asked_for_pulls(bitbucket, since: datetime) -> bool:
    """Whether a run asks for the pull requests of the repository that did not change."""
    before = len(bitbucket.service.seen)
    bitbucket.pages(since)
    return any("soce/pullrequests" in one.path for one in bitbucket.service.seen[before:])


def test_pull_requests_of_a_quiet_repository_are_asked_once_an_hour_and_none_is_missed(bitbucket):
    """1,000 calls an hour: 500 repositories at each run would be 3,000."""
    asked = 0
    started = NOW
    for _ in range(12):
        since = started - timedelta(minutes=5)
        started += timedelta(minutes=10)
        bitbucket.now = started
        asked += asked_for_pulls(bitbucket, since)
    assert 2 <= asked <= 4  # with the five minutes that are read again
    late = Pull(50, "Opened after its branch was pushed", "open", "main", NOW, [sha("9")])
    bitbucket.service.repos[1].pulls.append(late)
    found = []
    for minutes in range(10, 80, 10):
        bitbucket.now = NOW + timedelta(minutes=minutes)
        found += bitbucket.said(PullRequest, bitbucket.now - timedelta(minutes=15))
    assert 50 in {one.number for one in found}


def test_repositories_are_listed_in_an_order_that_holds_while_they_are_read(bitbucket):
    bitbucket.pages()
    assert {one.one("sort") for one in bitbucket.service.asked("/repositories/arctrade")} == {"created_on"}
