"""GitHub and GitHub Enterprise Server, REST of version 2022-11-28 ("REST API endpoints" on docs.github.com)."""

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from msgspec import Struct

from visionality.connectors.git_host import Listed, in_a_fork, shown, with_commits
from visionality.connectors.http import Answer, Api, Query
from visionality.connectors.model import Branch, CredentialRefused, PullRequest, Repository
from visionality.core.remote import normalised

ROOT = "https://api.github.com"
HEADERS = {"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"}
PAGE: Query = (("per_page", 100),)
NEWEST_FIRST: Query = (("sort", "updated"), ("direction", "desc"))
OLDEST_FIRST: Query = (("sort", "created"), ("direction", "asc"))

# ---------------------------------------------------------------- parse


class RepositoryWire(Struct):
    id: int
    full_name: str
    clone_url: str
    default_branch: str | None = None
    pushed_at: datetime | None = None


class Commit(Struct):
    sha: str


class BranchWire(Struct):
    name: str
    commit: Commit


class User(Struct):
    login: str


class OfRepository(Struct):
    id: int


class Ref(Struct):
    ref: str
    repo: OfRepository | None = None
    user: User | None = None


class PullRequestWire(Struct):
    number: int
    title: str
    state: str
    html_url: str
    head: Ref
    base: Ref
    created_at: datetime
    updated_at: datetime
    user: User | None = None
    merged_at: datetime | None = None
    merge_commit_sha: str | None = None


def parse_repository(wire: RepositoryWire) -> Listed | None:
    """None for a name that no machine could have cloned."""
    remote = normalised(wire.clone_url)
    if remote is None:
        return None
    repository = Repository(str(wire.id), remote, wire.full_name, wire.default_branch, None)
    return Listed(repository, f"/repos/{wire.full_name}", wire.pushed_at)


def parse_pull_request(wire: PullRequestWire, repository_id: str) -> PullRequest:
    """Without its commits. What is not merged has a merge commit too: one that was only tried."""
    return PullRequest(
        repository_id=repository_id,
        number=wire.number,
        title=wire.title,
        state="open" if wire.state == "open" else "merged" if wire.merged_at else "declined",
        author=wire.user.login if wire.user else "",
        source_branch=_source(wire.head, repository_id),
        target_branch=wire.base.ref,
        merge_commit=wire.merge_commit_sha if wire.merged_at else None,
        url=wire.html_url,
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        merged_at=wire.merged_at,
        commits=(),
    )


def _source(head: Ref, repository_id: str) -> str:
    """Its branch; of a fork, or of one that was deleted, with its owner before it."""
    if head.repo and str(head.repo.id) == repository_id:
        return head.ref
    return in_a_fork(head.user.login if head.user else "", head.ref)


# ---------------------------------------------------------------- fetch


def next_page(answer: Answer) -> str | None:
    return answer.link_next


class GitHub:
    """git_host.Host."""

    is_counted = False

    def whom(self, api: Api, scope: tuple[str, ...]) -> str:
        counts: dict[str, int | None] = {}
        for owner in scope:
            for one in _listed(api, owner, (("per_page", 1),)).read(list[RepositoryWire]):
                api.get(f"/repos/{one.full_name}/pulls", (("per_page", 1),))
            counts[owner] = None
        try:
            whom = api.get("/user").read(User).login
        except CredentialRefused:  # an app's installation is nobody
            whom = "an app's installation"
        return shown(api.service, whom, counts)

    def repositories(self, api: Api, owner: str) -> Iterator[tuple[Listed, ...]]:
        for answer in api.follow(_listed(api, owner, PAGE + OLDEST_FIRST), next_page):
            wires = answer.read(list[RepositoryWire])
            yield tuple(listed for wire in wires if (listed := parse_repository(wire)))

    def branches(self, api: Api, listed: Listed) -> Iterator[tuple[Branch, ...]]:
        for answer in api.follow(api.find(f"{listed.path}/branches", PAGE), next_page):
            yield tuple(
                Branch(listed.repository.id, wire.name, wire.commit.sha)
                for wire in answer.read(list[BranchWire])
            )

    def pull_requests(
        self, api: Api, listed: Listed, since: datetime | None
    ) -> Iterator[tuple[PullRequest, ...]]:
        order = NEWEST_FIRST if since else OLDEST_FIRST
        for answer in api.follow(
            api.find(f"{listed.path}/pulls", (("state", "all"), *order, *PAGE)), next_page
        ):
            wires = answer.read(list[PullRequestWire])
            touched = [wire for wire in wires if since is None or wire.updated_at >= since]
            yield tuple(parse_pull_request(wire, listed.repository.id) for wire in touched)
            if len(touched) < len(wires):
                return

    def commits(self, api: Api, listed: Listed, found: PullRequest) -> PullRequest:
        """At most 250, which is all that GitHub lists."""
        pages = api.follow(api.find(f"{listed.path}/pulls/{found.number}/commits", PAGE), next_page)
        return with_commits(
            found, tuple(commit.sha for answer in pages for commit in answer.read(list[Commit]))
        )


def _listed(api: Api, owner: str, query: Query) -> Answer:
    """The repositories of an organisation, or else of a person."""
    name = quote(owner, safe="")
    return api.find(f"/orgs/{name}/repos", query) or api.get(f"/users/{name}/repos", query)
