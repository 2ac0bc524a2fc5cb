"""Bitbucket Cloud, REST 2.0 (its swagger, August 2026).

Lists are followed by their `next`, as it is: its page may be opaque. Hashes in a pull request are short ones.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

from msgspec import Struct, field

from visionality.connectors.git_host import Listed, in_a_fork, shown, with_commits
from visionality.connectors.http import Answer, Api, Query
from visionality.connectors.model import Branch, PullRequest, Repository
from visionality.core.remote import normalised

ROOT = "https://api.bitbucket.org/2.0"
PAGE: Query = (("pagelen", 50),)
OLDEST_FIRST: Query = (("sort", "created_on"),)
"""An order that holds while pages are read."""
STATES: Query = tuple(("state", state) for state in ("OPEN", "MERGED", "DECLINED", "SUPERSEDED"))
HASH = 40
"""Characters of a whole one."""

# ---------------------------------------------------------------- parse


class Named(Struct):
    name: str


class Project(Struct):
    key: str


class RepositoryWire(Struct):
    uuid: str
    full_name: str
    project: Project | None = None
    mainbranch: Named | None = None
    updated_on: datetime | None = None


class Repositories(Struct):
    values: list[RepositoryWire]
    next: str | None = None
    size: int | None = None


class Commit(Struct):
    hash: str


class BranchWire(Struct):
    name: str
    target: Commit | None = None


class Branches(Struct):
    values: list[BranchWire]


class Commits(Struct):
    values: list[Commit]


class Author(Struct):
    display_name: str = ""


class OfRepository(Struct):
    full_name: str = ""


class End(Struct):
    branch: Named | None = None
    repository: OfRepository | None = None


class Link(Struct):
    href: str


class Links(Struct):
    html: Link


class PullRequestWire(Struct):
    id: int
    title: str
    state: str
    source: End
    destination: End
    created_on: datetime
    updated_on: datetime
    links: Links
    author: Author | None = None
    merge_commit: Commit | None = None
    closed_on: datetime | None = None


class PullRequests(Struct):
    values: list[PullRequestWire]


class Next(Struct):
    next: str | None = field(default=None)


def parse_repository(wire: RepositoryWire) -> Listed | None:
    """None for a name that no machine could have cloned."""
    remote = normalised(f"https://bitbucket.org/{wire.full_name}")
    if remote is None:
        return None
    branch = wire.mainbranch.name if wire.mainbranch else None
    key = wire.project.key if wire.project else None
    return Listed(
        Repository(wire.uuid, remote, wire.full_name, branch, key),
        f"/repositories/{wire.full_name}",
        wire.updated_on,
    )


def parse_pull_request(wire: PullRequestWire, repository: Repository) -> PullRequest:
    """Without its commits."""
    is_merged = wire.state == "MERGED"
    return PullRequest(
        repository_id=repository.id,
        number=wire.id,
        title=wire.title,
        state="open" if wire.state == "OPEN" else "merged" if is_merged else "declined",
        author=wire.author.display_name if wire.author else "",
        source_branch=_source(wire.source, repository),
        target_branch=wire.destination.branch.name if wire.destination.branch else "",
        merge_commit=wire.merge_commit.hash if is_merged and wire.merge_commit else None,
        url=wire.links.html.href,
        created_at=wire.created_on,
        updated_at=wire.updated_on,
        merged_at=(wire.closed_on or wire.updated_on) if is_merged else None,
        commits=(),
    )


def _source(source: End, repository: Repository) -> str:
    """Its branch; of a fork with its owner before it, who is not known any more once the fork is deleted."""
    name = source.branch.name if source.branch else ""
    full_name = source.repository.full_name if source.repository else ""
    if not name or full_name.lower() == repository.name.lower():
        return name
    return in_a_fork(full_name.partition("/")[0], name)


# ---------------------------------------------------------------- fetch


def next_page(answer: Answer) -> str | None:
    return answer.read(Next).next


class Bitbucket:
    """git_host.Host. `account` is the e-mail that goes with an API token, or empty for an access token."""

    is_counted = True
    """1,000 calls an hour ("API request limits")."""

    def __init__(self, account: str, scope: tuple[str, ...]) -> None:
        self.account = account
        self.scope = scope

    def whom(self, api: Api, scope: tuple[str, ...]) -> str:
        counts: dict[str, int | None] = {}
        for workspace in scope:
            found = api.get(_of(workspace), (("pagelen", 1),)).read(Repositories)
            for one in found.values:  # the right to read pull requests is one of its own
                api.get(f"/repositories/{one.full_name}/pullrequests", (("pagelen", 1),))
            counts[workspace] = found.size
        return shown(api.service, self.account or "the holder of an access token", counts)

    def repositories(self, api: Api, owner: str) -> Iterator[tuple[Listed, ...]]:
        for answer in api.follow(api.get(_of(owner), PAGE + OLDEST_FIRST), next_page):
            wires = answer.read(Repositories).values
            yield tuple(listed for wire in wires if (listed := parse_repository(wire)))

    def branches(self, api: Api, listed: Listed) -> Iterator[tuple[Branch, ...]]:
        for answer in api.follow(api.find(f"{listed.path}/refs/branches", PAGE), next_page):
            yield tuple(
                Branch(listed.repository.id, wire.name, wire.target.hash)
                for wire in answer.read(Branches).values
                if wire.target
            )

    def pull_requests(
        self, api: Api, listed: Listed, since: datetime | None
    ) -> Iterator[tuple[PullRequest, ...]]:
        order = OLDEST_FIRST
        if since:
            moment = since.astimezone(UTC).isoformat(timespec="seconds")
            order = (("q", f'updated_on >= "{moment}"'), ("sort", "-updated_on"))
        for answer in api.follow(api.find(f"{listed.path}/pullrequests", STATES + PAGE + order), next_page):
            yield tuple(
                parse_pull_request(wire, listed.repository) for wire in answer.read(PullRequests).values
            )

    def commits(self, api: Api, listed: Listed, found: PullRequest) -> PullRequest:
        pages = api.follow(api.find(f"{listed.path}/pullrequests/{found.number}/commits", PAGE), next_page)
        hashes = tuple(commit.hash for answer in pages for commit in answer.read(Commits).values)
        if found.merge_commit and len(found.merge_commit) < HASH:
            whole = api.find(f"{listed.path}/commit/{found.merge_commit}")
            found = replace(found, merge_commit=whole.read(Commit).hash) if whole else found
        return with_commits(found, hashes)


def _of(workspace: str) -> str:
    return f"/repositories/{quote(workspace, safe='')}"
