"""What every connector promises, whichever service it reads (promises A1, A2): the five stand-ins, one after the other."""

from datetime import timedelta

import pytest

from connectors.bench import TRACKERS, completed, of_kind
from connectors.stand_ins.server import Reply
from connectors.world import NOW, SINCE
from visionality.connectors.model import (
    Branch,
    ConnectorFault,
    CredentialRefused,
    Issue,
    Paused,
    PullRequest,
    Repository,
    TrackerProject,
)

LATER = Reply({}, 429, {"Retry-After": "7"})


def kinds(bench) -> set[type]:
    return {TrackerProject, Issue} if bench.kind in TRACKERS else {Repository, Branch, PullRequest}


def identity(one) -> str:
    match one:
        case Issue() | TrackerProject():
            return one.key
        case Repository():
            return one.name
        case Branch():
            return one.name
        case _:
            return str(one.number)


def keep(pages, seen) -> None:
    """What came before a fault counts too."""
    for page in pages:
        seen.append(page)


def everything(pages, kind) -> set[str]:
    return {identity(one) for one in of_kind(pages, kind)}


def test_a_full_run_says_everything_and_then_that_it_was_everything(any_service):
    pages = any_service.pages()
    if any_service.kind in TRACKERS:
        assert everything(pages, TrackerProject) == {"HPC", "SOCE"}
        assert everything(pages, Issue) == {"HPC-1100", "HPC-1234", "HPC-1235", "HPC-1236", "SOCE-7"}
    else:
        assert everything(pages, Repository) == {"arctrade/hpc-billing", "arctrade/soce", "arctrade/new"}
        assert everything(pages, Branch) == {"main", "HPC-1234-add-pjm-rebill-rules", "fix/zero"}
        assert everything(pages, PullRequest) == {"40", "41", "42", "43"}
    assert completed(pages) == kinds(any_service)


def test_nothing_of_a_kind_is_said_after_it_was_called_complete(any_service):
    done: set[type] = set()
    for page in any_service.pages():
        assert not {type(one) for one in page.found} & done
        done |= page.complete


def test_an_incremental_run_says_what_changed_and_calls_no_part_of_it_everything(any_service):
    pages = any_service.pages(SINCE)
    if any_service.kind in TRACKERS:
        assert everything(pages, Issue) == {"HPC-1234"}
    else:
        assert everything(pages, PullRequest) == {"42", "43"}
    assert not completed(pages) & {Issue, Branch, PullRequest}


def test_each_page_says_what_is_being_read(any_service):
    assert all(page.doing for page in any_service.pages())


def test_a_run_that_ends_with_a_fault_has_not_called_its_last_part_complete(any_service):
    any_service.pages()
    calls = len(any_service.service.seen)
    any_service.service.planned = [lambda _: None] * (calls - 1) + [Reply({}, 400)]
    seen = []
    with pytest.raises(ConnectorFault):
        keep(any_service.connector().changes(None), seen)
    assert of_kind(seen, object)
    assert completed(seen) <= {TrackerProject, Repository}


def test_a_throttled_call_is_made_again_after_the_wait_that_was_asked_for(any_service):
    expected = any_service.pages()
    any_service.service.planned = [LATER, lambda _: None, LATER]
    assert any_service.pages() == expected
    assert any_service.waits == [7, 7]


def test_a_wait_that_is_too_long_to_sit_out_pauses_the_run_until_then(any_service):
    any_service.service.planned = [Reply({}, 429, {"Retry-After": "7200"})]
    with pytest.raises(Paused, match=r"the sync goes on after 2026-11-22 12:00 UTC") as paused:
        any_service.pages()
    assert paused.value.until == NOW + timedelta(hours=2)
    assert any_service.waits == []


def test_a_run_that_is_told_to_stop_while_it_waits_stops(any_service):
    any_service.told_to_stop = True
    any_service.service.planned = [LATER]
    with pytest.raises(Paused, match="stopped"):
        any_service.pages()
    assert len(any_service.service.seen) == 1


def test_a_service_that_stumbles_is_asked_again(any_service):
    expected = any_service.pages()
    any_service.service.planned = [Reply({}, 502), Reply({}, 500)]
    assert any_service.pages() == expected
    first, second = any_service.waits
    assert 1 <= first <= 3
    assert 2 <= second <= 6


def test_a_service_that_stays_down_is_given_up_after_five_tries(any_service):
    any_service.service.planned = [Reply({}, 500)] * 9
    with pytest.raises(
        ConnectorFault, match=r"5 tries ended with an answer 500; see whether the service is up"
    ):
        any_service.pages()
    assert len(any_service.service.seen) == 5


def test_a_credential_that_expired_is_told_in_one_sentence(any_service):
    any_service.service.authorization = "Bearer another"
    for ask in (any_service.pages, any_service.connector().check):
        with pytest.raises(CredentialRefused) as refused:
            ask()
        sentence = str(refused.value)
        assert "was 401" in sentence
        assert "has expired, was withdrawn or is wrong; make a new one" in sentence
        assert any_service.service.secret not in sentence


def test_a_credential_without_the_right_is_told_so_and_nothing_is_waited_for(any_service):
    any_service.service.planned = [Reply({"message": "Resource not accessible"}, 403)]
    with pytest.raises(CredentialRefused, match="lacks the right to read this"):
        any_service.connector().check()
    assert any_service.waits == []


def test_an_answer_of_another_shape_is_a_fault_that_names_the_call(any_service):
    any_service.service.planned = [Reply({"welcome": "to the hotel's Wi-Fi"})] * 9
    for ask in (any_service.connector().check, any_service.pages):
        with pytest.raises(ConnectorFault, match=r"GET /.* is not of the documented shape"):
            ask()


def test_check_says_in_one_sentence_who_we_are_and_what_we_may_read(any_service):
    expected = {
        "jira_cloud": "Jira Cloud takes us for Visionality Reader and shows us 2 projects: HPC, SOCE.",
        "jira_dc": "Jira Data Center takes us for Visionality Reader and shows us 2 projects: HPC, SOCE.",
        "bitbucket": "Bitbucket Cloud takes us for the holder of an access token and shows us "
        "the repositories of arctrade.",
        "github": "GitHub takes us for vis-reader and shows us the repositories of arctrade.",
        "gitlab": "GitLab takes us for vis_reader and shows us 3 repositories of arctrade.",
    }
    assert any_service.connector().check() == expected[any_service.kind]


def test_a_scope_that_does_not_exist_is_told_by_check(any_service):
    with pytest.raises(ConnectorFault, match="scope"):
        any_service.connector(scope=("NOWHERE",)).check()


def test_the_credential_is_not_shown_by_what_holds_it(any_service):
    assert any_service.service.secret not in repr(any_service.connector())
    assert any_service.service.authorization not in repr(any_service.connector())
