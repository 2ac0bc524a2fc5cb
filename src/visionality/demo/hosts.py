"""What ArcTrade's Jira and Bitbucket would have said: issues, repositories, and pull requests with their commits."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from visionality.connectors.model import Issue, Page, PullRequest, Repository, TrackerProject
from visionality.demo import story
from visionality.demo.calendar import Month, spread
from visionality.demo.calls import commit
from visionality.demo.story import Project

JIRA, BITBUCKET = "jira", "bitbucket"
"""Names of the connectors."""
JIRA_AT, BITBUCKET_AT = "https://arctrade.atlassian.example", "https://bitbucket.arctrade.example"
"""Addresses that no name server knows."""
_OPEN_FROM = 20
"""Pull requests of the redesign from this one on are still open."""


def tracker_page(month: Month) -> Page:
    """Every project and issue."""
    found: list[TrackerProject | Issue] = []
    for number, project in enumerate(story.PROJECTS, 1):
        found.append(TrackerProject(str(number), project.tracker, project.name))
        found.append(_issue(month, project, project.epic, project.name, None))
        for place, about in enumerate(project.tasks):
            found.append(
                _issue(month, project, story.task_of(project, place), _sentence(about), project.epic)
            )
    found.append(_issue(month, story.CAISO, story.REDESIGN, "Redesign of the settlement statements", None))
    for place, about in enumerate(story.REDESIGN_TASKS):
        key = story.redesign_task(place)
        found.append(
            _issue(month, story.CAISO, key, _sentence(about), story.REDESIGN, is_done=place < _OPEN_FROM)
        )
    return Page(tuple(found), "issues")


def host_page(month: Month) -> Page:
    """Every repository and pull request."""
    repositories = (
        Repository(project.repo, project.repo, project.repo.rpartition("/")[2], "main", project.tracker)
        for project in story.PROJECTS
    )
    return Page((*repositories, *_redesign(month), *_everyday(month)), "pull requests")


def _redesign(month: Month) -> Iterator[PullRequest]:
    """Eight commits each, one after the other, as the calls for them were."""
    days = month.days
    ends = spread(len(days) - 1, [1.0] * len(story.REDESIGN_TASKS))
    begins = 0
    for number, about in enumerate(story.REDESIGN_TASKS):
        first = number * story.COMMITS_OF_A_PULL_REQUEST
        commits = tuple(commit(first + place) for place in range(story.COMMITS_OF_A_PULL_REQUEST))
        opened = datetime.combine(days[begins], time(15, number % 60), UTC)
        begins += ends[number]
        closed = datetime.combine(days[begins], time(21, number % 60), UTC)
        task = story.redesign_task(number)
        yield _pull(
            story.CAISO, number + 1, task, about, commits, opened, closed if number < _OPEN_FROM else None
        )


def _everyday(month: Month) -> Iterator[PullRequest]:
    """One for the first issue of each project, open since the first morning."""
    opened = datetime.combine(month.begins, time(18), UTC)
    for project in story.PROJECTS:
        yield _pull(project, 101, story.task_of(project, 0), project.tasks[0], (), opened, None)


def _pull(
    project: Project,
    number: int,
    task: str,
    about: str,
    commits: tuple[str, ...],
    opened: datetime,
    merged: datetime | None,
) -> PullRequest:
    return PullRequest(
        repository_id=project.repo,
        number=number,
        title=f"{task}: {about}",
        state="merged" if merged else "open",
        author=story.PRIYA.owner if project is story.CAISO else story.ALICE.owner,
        source_branch=story.branch_of(task, about),
        target_branch="main",
        merge_commit=None,
        url=f"{BITBUCKET_AT}/{project.repo.partition('/')[2]}/pull-requests/{number}",
        created_at=opened,
        updated_at=merged or opened + timedelta(minutes=20),
        merged_at=merged,
        commits=commits,
    )


def _issue(
    month: Month, project: Project, key: str, summary: str, epic: str | None, *, is_done: bool = False
) -> Issue:
    status = "Done" if is_done else "In Progress"
    level = 0 if epic else 1
    return Issue(key, key, project.tracker, level, epic, summary, status, is_done, month.set_up_at)


def _sentence(about: str) -> str:
    return about[0].upper() + about[1:]
