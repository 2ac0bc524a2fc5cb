"""GitHub Enterprise Server, simulated after the REST reference of GitHub."""

from typing import Any
from urllib.parse import unquote

from connectors.stand_ins.git import GitStandIn, at, linked, pull
from connectors.stand_ins.server import NOTHING, Reply, Request, cut
from connectors.world import Pull, Repo


class GitHub(GitStandIn):
    account, secret = "", "ghp_token"
    authorization = "Bearer ghp_token"
    owner_kind = "orgs"

    def route(self, request: Request) -> Reply:
        match unquote(request.path).removeprefix("/api/v3/").split("/"):
            case [kind, "arctrade", "repos"] if kind == self.owner_kind:
                return self._page(request, [self.wire(one) for one in self.repos])
            case ["user"]:
                return Reply({"login": "vis-reader", "id": 7, "email": None})
            case ["repositories", number]:
                return Reply({"id": number}) if self.repo(number) else NOTHING
            case ["repos", owner, name, *rest] if repo := self.repo(f"{owner}/{name}"):
                return self._within(request, repo, rest)
        return NOTHING

    def _within(self, request: Request, repo: Repo, rest: list[str]) -> Reply:
        match rest:
            case ["branches"]:
                return self._page(
                    request, [{"name": name, "commit": {"sha": head}} for name, head in repo.branches.items()]
                )
            case ["pulls"]:
                found = [one for one in repo.pulls if request.one("state", "open") in (one.state, "all")]
                if request.one("sort") == "updated":
                    found.sort(key=lambda one: one.updated, reverse=request.one("direction") == "desc")
                return self._page(request, [self.pull(repo, one) for one in found])
            case ["pulls", number, "commits"] if found_one := pull(repo, number):
                return self._page(request, [{"sha": one} for one in found_one.commits])
        return NOTHING

    def _page(self, request: Request, things: list[Any]) -> Reply:
        page = int(request.one("page", "1"))
        values, is_last = cut(things, (page - 1) * 2)
        link = f'<{linked(self, request, page + 1)}>; rel="next", <{self.url}/last>; rel="last"'
        return Reply(values, headers={} if is_last else {"Link": link})

    @staticmethod
    def wire(repo: Repo) -> dict[str, Any]:
        return {
            "id": repo.id,
            "full_name": repo.path,
            "clone_url": f"https://github.arctrade.example/{repo.path}.git",
            "default_branch": repo.default,
            "pushed_at": at(repo.changed),
        }

    @staticmethod
    def pull(repo: Repo, one: Pull) -> dict[str, Any]:
        return {
            "number": one.number,
            "title": one.title,
            "state": "open" if one.state == "open" else "closed",
            "html_url": f"https://github.arctrade.example/{repo.path}/pull/{one.number}",
            "user": {"login": one.author} if one.author else None,
            "head": {
                "ref": one.source,
                "sha": one.commits[0],
                "repo": None if one.fork else {"id": repo.id},
                "user": None if one.fork else {"login": "arctrade"},
            },
            "base": {"ref": "main", "repo": {"id": repo.id}},
            "created_at": at(one.updated),
            "updated_at": at(one.updated),
            "merged_at": at(one.updated) if one.state == "merged" else None,
            "merge_commit_sha": one.merge or "f" * 40,
        }
