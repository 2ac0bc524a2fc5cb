"""What trackers and Git hosts know, in one form, and what a connector does."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from visionality.core.call import clean

LONGEST_SENTENCE = 1000


class ConnectorFault(Exception):
    """The service did not answer as it should; the message is one sentence for people, with what to do.

    Part of it may be the service's own words: what no terminal or database should be given is left out.
    """

    def __init__(self, message: str) -> None:
        super().__init__(clean(message, LONGEST_SENTENCE) or "")


class CredentialRefused(ConnectorFault):
    """The service does not take the credential any more."""


class Paused(ConnectorFault):
    """The service asks for a wait that is too long to sit out."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


@dataclass(frozen=True, slots=True)
class TrackerProject:
    """A project of a tracker."""

    id: str
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue or epic. `id` stays when the issue moves to another project, `key` does not."""

    id: str
    key: str
    project_key: str
    level: int
    """1 an epic, 0 a standard issue, -1 a sub-task, more than 1 above epics."""
    parent_key: str | None
    summary: str
    status: str
    is_done: bool
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository. `id` stays when it is renamed."""

    id: str
    remote: str
    """Normalised: core/remote.py."""
    name: str
    default_branch: str | None
    project_key: str | None
    """What the host files it under; a suggestion, no more."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch and the commit that it points at."""

    repository_id: str
    name: str
    head: str


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull or merge request."""

    repository_id: str
    number: int
    title: str
    state: str
    """open, merged or declined."""
    author: str
    source_branch: str
    target_branch: str
    merge_commit: str | None
    url: str
    created_at: datetime
    updated_at: datetime
    merged_at: datetime | None
    commits: tuple[str, ...]
    """Full hashes; of a squashed one the merge commit is not among them."""


Found = TrackerProject | Issue | Repository | Branch | PullRequest


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of what a service says."""

    found: tuple[Found, ...]
    doing: str
    """For people, while it runs: "issues of HPC", "pull requests of arctrade/hpc-billing"."""
    complete: frozenset[type] = frozenset()
    """Kinds of which, with this page, everything that exists was said: what was not said is gone."""


class Connector(Protocol):
    """One connection to one service, with one credential."""

    def check(self) -> str:
        """In one sentence whom the service takes us for and what we may read. Raises ConnectorFault."""

    def changes(self, since: datetime | None) -> Iterator[Page]:
        """What changed since then, in pages; everything when it is None.

        A little more than asked is said again, never less. Raises ConnectorFault.
        """
