"""Self-managed GitLab, simulated after the REST v4 reference."""

from datetime import datetime
from typing import Any
from urllib.parse import unquote

from connectors.stand_ins.git import GitStandIn, at, pull
from connectors.stand_ins.server import Reply, Request, cut
from connectors.world import Pull, Repo

NOTHING = Reply({"message": "404 Not Found"}, 404)
STATES = {"open": "opened", "merged": "merged", "declined": "closed"}


class GitLab(GitStandIn):
    account, secret = "", "glpat-token"
    authorization = "Bearer glpat-token"
    expired = Reply({"message": "401 Unauthorized"}, 401)

    def route(self, request: Request) -> Reply:
        match unquote(request.path).removeprefix("/api/v4/").split("/"):
            case ["groups", "arctrade", "projects"]:
                return self._page(request, [self.wire(one) for one in self.repos])
            case ["user"]:
                return Reply({"username": "vis_reader", "id": 7})
            case ["projects", number, *rest] if repo := self.repo(number):
                return self._within(request, repo, rest)
        return NOTHING

    def _within(self, request: Request, repo: Repo, rest: list[str]) -> Reply:
        match rest:
            case []:
                return Reply(self.wire(repo))
            case ["repository", "branches"] if repo.default:
                return self._page(
                    request, [{"name": name, "commit": {"id": head}} for name, head in repo.branches.items()]
                )
            case ["merge_requests"]:
                since = request.one("updated_after")
                found = [
                    one for one in repo.pulls if not since or one.updated >= datetime.fromisoformat(since)
                ]
                return self._page(request, [self.pull(repo, one) for one in found])
            case ["merge_requests", number, "commits"] if found_one := pull(repo, number):
                return self._page(request, [{"id": one} for one in found_one.commits])
        return NOTHING

    def _page(self, request: Request, things: list[Any]) -> Reply:
        page = int(request.one("page", "1"))
        values, is_last = cut(things, (page - 1) * 2)
        headers = {"X-Next-Page": "" if is_last else str(page + 1), "X-Total": str(len(things))}
        return Reply(values, headers=headers)

    @staticmethod
    def wire(repo: Repo) -> dict[str, Any]:
        return {
            "id": repo.id,
            "path_with_namespace": repo.path,
            "http_url_to_repo": f"https://gitlab.arctrade.example/{repo.path}.git",
            "default_branch": repo.default,
            "last_activity_at": at(repo.changed),
            "namespace": {"full_path": "arctrade"},
            "empty_repo": repo.default is None,
        }

    @staticmethod
    def pull(repo: Repo, one: Pull) -> dict[str, Any]:
        return {
            "iid": one.number,
            "title": one.title,
            "state": STATES[one.state],
            "web_url": f"https://gitlab.arctrade.example/{repo.path}/-/merge_requests/{one.number}",
            "source_branch": one.source,
            "target_branch": "main",
            "created_at": at(one.updated),
            "updated_at": at(one.updated),
            "merged_at": at(one.updated) if one.state == "merged" else None,
            "target_project_id": repo.id,
            "source_project_id": None if one.fork else repo.id,
            "author": {"username": one.author} if one.author else None,
            "merge_commit_sha": one.merge,
            "squash_commit_sha": None,
        }
