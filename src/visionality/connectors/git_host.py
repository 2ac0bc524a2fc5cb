"""What the three Git hosts have in common: the order in which they are read.

The repositories are said at each run, and all of them; branches only of those that changed since; pull requests of each
that were touched since, since a host tells of them in no other way: at each run, or of quiet repositories once an hour where
the host counts its calls so that it would not do otherwise. Which commits a pull request has is a call of its own,
so it is asked only where it can still matter.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol
from zlib import crc32

from visionality.connectors.http import Api
from visionality.connectors.model import Branch, Page, PullRequest, Repository
from visionality.runtime.clock import Clock

OVERLAP = timedelta(minutes=5)
"""What is asked again, for clocks that differ."""
HOUR = 3600
COMMITS_WITHIN = timedelta(days=90)
"""On a full run, the commits of a pull request that nobody touched for so long are not asked for."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A repository, and what is needed to ask for more of it."""

    repository: Repository
    path: str
    """Where it stands in the API."""
    changed_at: datetime | None
    has_branches: bool = True
    has_pull_requests: bool = True


class Host(Protocol):
    """What one service does in its own way. Each method raises ConnectorFault."""

    is_counted: bool
    """Whether so few calls are allowed that repositories which did not change are asked once an hour, each at its own time."""

    def whom(self, api: Api, scope: tuple[str, ...]) -> str:
        """The sentence of a check."""

    def repositories(self, api: Api, owner: str) -> Iterator[tuple[Listed, ...]]:
        """In pages."""

    def branches(self, api: Api, listed: Listed) -> Iterator[tuple[Branch, ...]]:
        """In pages."""

    def pull_requests(
        self, api: Api, listed: Listed, since: datetime | None
    ) -> Iterator[tuple[PullRequest, ...]]:
        """In pages, without their commits. Those that change while they are read are said twice, not missed."""

    def commits(self, api: Api, listed: Listed, found: PullRequest) -> PullRequest:
        """The same with its commits."""


@dataclass(frozen=True, slots=True)
class GitHost:
    """A connector (model.Connector)."""

    open: Callable[[], Api] = field(repr=False)
    host: Host
    scope: tuple[str, ...]
    clock: Clock

    def check(self) -> str:
        with self.open() as api:
            return self.host.whom(api, self.scope)

    def changes(self, since: datetime | None) -> Iterator[Page]:
        asked = since and since - OVERLAP
        everything: list[Listed] = []
        with self.open() as api:
            for owner in self.scope:
                for page in self.host.repositories(api, owner):
                    everything += page
                    yield Page(tuple(one.repository for one in page), f"repositories of {owner}")
            yield Page((), "repositories", frozenset({Repository}))
            for listed in everything:
                yield from self._branches(api, listed, asked)
                yield from self._pull_requests(api, listed, since)
        if since is None:
            yield Page((), "everything was read", frozenset({Branch, PullRequest}))

    def _branches(self, api: Api, listed: Listed, since: datetime | None) -> Iterator[Page]:
        if listed.has_branches and not _is_quiet(listed, since):
            for found in self.host.branches(api, listed):
                yield Page(found, f"branches of {listed.repository.name}")

    def _pull_requests(self, api: Api, listed: Listed, since: datetime | None) -> Iterator[Page]:
        asked = since and since - OVERLAP
        if since and asked and self.host.is_counted and _is_quiet(listed, asked):
            if not _strikes(listed, since, self.clock()):
                return
            asked -= timedelta(seconds=HOUR)
        oldest = asked or self.clock() - COMMITS_WITHIN
        if listed.has_pull_requests:
            for page in self.host.pull_requests(api, listed, asked):
                found = tuple(
                    self.host.commits(api, listed, one)
                    if one.state == "open" or one.updated_at >= oldest
                    else one
                    for one in page
                )
                yield Page(found, f"pull requests of {listed.repository.name}")


def _is_quiet(listed: Listed, since: datetime | None) -> bool:
    return bool(since and listed.changed_at and listed.changed_at < since)


def _strikes(listed: Listed, since: datetime, now: datetime) -> bool:
    """Whether the repository's own moment of an hour lies between: runs that follow each other leave none out."""
    moment = crc32(listed.repository.id.encode(errors="replace")) % HOUR
    return (since.timestamp() - moment) // HOUR < (now.timestamp() - moment) // HOUR


def with_commits(found: PullRequest, commits: tuple[str, ...]) -> PullRequest:
    """In the order given, each once."""
    return replace(found, commits=tuple(dict.fromkeys(commits)))


def in_a_fork(owner: str, branch: str) -> str:
    """The name of a branch that lies in another repository: `owner:branch`, which no branch can be called (git-check-ref-format)."""
    return f"{owner}:{branch}"


def shown(service: str, whom: str, counts: dict[str, int | None]) -> str:
    """The sentence of a check."""
    parts = [
        f"the repositories of {owner}" if count is None else f"{count} repositories of {owner}"
        for owner, count in counts.items()
    ]
    return f"{service} takes us for {whom} and shows us {' and '.join(parts)}."
