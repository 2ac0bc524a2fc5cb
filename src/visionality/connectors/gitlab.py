"""GitLab.com and self-managed GitLab, REST v4 ("REST API resources" on docs.gitlab.com)."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from msgspec import Struct

from visionality.connectors.git_host import Listed, in_a_fork, shown, with_commits
from visionality.connectors.http import Answer, Api, Query
from visionality.connectors.model import Branch, PullRequest, Repository
from visionality.core.remote import normalised

ROOT = "https://gitlab.com/api/v4"
PAGE: Query = (("per_page", 100),)
ACTIVITY_LAGS = timedelta(hours=1)
"""GitLab writes `last_activity_at` at most once in so long."""

# ---------------------------------------------------------------- parse


class Namespace(Struct):
    full_path: str


class ProjectWire(Struct):
    id: int
    path_with_namespace: str
    http_url_to_repo: str
    default_branch: str | None = None
    last_activity_at: datetime | None = None
    namespace: Namespace | None = None
    empty_repo: bool = False
    repository_access_level: str = "enabled"
    merge_requests_access_level: str = "enabled"


class Commit(Struct):
    id: str


class BranchWire(Struct):
    name: str
    commit: Commit | None = None


class User(Struct):
    username: str


class MergeRequestWire(Struct):
    iid: int
    title: str
    state: str
    web_url: str
    source_branch: str
    target_branch: str
    created_at: datetime
    updated_at: datetime
    target_project_id: int
    source_project_id: int | None = None
    author: User | None = None
    merged_at: datetime | None = None
    merge_commit_sha: str | None = None
    squash_commit_sha: str | None = None


def parse_project(wire: ProjectWire) -> Listed | None:
    """None for a name that no machine could have cloned. What is switched off is not asked for: it would be refused."""
    remote = normalised(wire.http_url_to_repo)
    if remote is None:
        return None
    group = wire.namespace.full_path if wire.namespace else None
    return Listed(
        Repository(str(wire.id), remote, wire.path_with_namespace, wire.default_branch, group),
        f"/projects/{wire.id}",
        wire.last_activity_at and wire.last_activity_at + ACTIVITY_LAGS,
        has_branches=wire.repository_access_level != "disabled" and not wire.empty_repo,
        has_pull_requests="disabled" not in (wire.repository_access_level, wire.merge_requests_access_level),
    )


def parse_merge_request(wire: MergeRequestWire, repository_id: str) -> PullRequest:
    """Without its commits. A fast-forward merge has no merge commit, one that was squashed may have the squashed one."""
    is_merged = wire.state == "merged"
    is_fork = wire.source_project_id != wire.target_project_id
    return PullRequest(
        repository_id=repository_id,
        number=wire.iid,
        title=wire.title,
        state="merged" if is_merged else "declined" if wire.state == "closed" else "open",
        author=wire.author.username if wire.author else "",
        source_branch=in_a_fork(str(wire.source_project_id or ""), wire.source_branch)
        if is_fork
        else wire.source_branch,
        target_branch=wire.target_branch,
        merge_commit=(wire.merge_commit_sha or wire.squash_commit_sha) if is_merged else None,
        url=wire.web_url,
        created_at=wire.created_at,
        updated_at=wire.updated_at,
        merged_at=(wire.merged_at or wire.updated_at) if is_merged else None,
        commits=(),
    )


# ---------------------------------------------------------------- fetch


def next_page(answer: Answer) -> str | None:
    """The Link header, or the number beside it: a proxy may have taken either away."""
    number = answer.headers.get("x-next-page")
    return answer.link_next or (str(answer.url.copy_set_param("page", number)) if number else None)


class GitLab:
    """git_host.Host."""

    is_counted = False

    def whom(self, api: Api, scope: tuple[str, ...]) -> str:
        counts: dict[str, int | None] = {}
        for group in scope:
            answer = api.get(_of(group), (("include_subgroups", "true"), ("per_page", 1)))
            for listed in map(parse_project, answer.read(list[ProjectWire])):
                if listed and listed.has_pull_requests:
                    api.get(f"{listed.path}/merge_requests", (("per_page", 1),))
            total = answer.headers.get("x-total", "")
            counts[group] = int(total) if total.isdecimal() else None
        return shown(api.service, api.get("/user").read(User).username, counts)

    def repositories(self, api: Api, owner: str) -> Iterator[tuple[Listed, ...]]:
        query: Query = (
            ("include_subgroups", "true"),
            ("with_shared", "false"),
            ("order_by", "id"),
            ("sort", "asc"),
        )
        for answer in api.follow(api.get(_of(owner), query + PAGE), next_page):
            wires = answer.read(list[ProjectWire])
            yield tuple(listed for wire in wires if (listed := parse_project(wire)))

    def branches(self, api: Api, listed: Listed) -> Iterator[tuple[Branch, ...]]:
        for answer in api.follow(api.find(f"{listed.path}/repository/branches", PAGE), next_page):
            yield tuple(
                Branch(listed.repository.id, wire.name, wire.commit.id)
                for wire in answer.read(list[BranchWire])
                if wire.commit
            )

    def pull_requests(
        self, api: Api, listed: Listed, since: datetime | None
    ) -> Iterator[tuple[PullRequest, ...]]:
        query: Query = (("state", "all"), ("order_by", "created_at"), ("sort", "asc"))
        if since:
            query += (("updated_after", since.astimezone(UTC).isoformat(timespec="seconds")),)
        for answer in api.follow(api.find(f"{listed.path}/merge_requests", query + PAGE), next_page):
            wires = answer.read(list[MergeRequestWire])
            yield tuple(parse_merge_request(wire, listed.repository.id) for wire in wires)

    def commits(self, api: Api, listed: Listed, found: PullRequest) -> PullRequest:
        pages = api.follow(api.find(f"{listed.path}/merge_requests/{found.number}/commits", PAGE), next_page)
        return with_commits(
            found, tuple(commit.id for answer in pages for commit in answer.read(list[Commit]))
        )


def _of(group: str) -> str:
    return f"/groups/{quote(group, safe='')}/projects"
