"""Bitbucket Cloud, simulated after its REST 2.0 reference."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from connectors.stand_ins.git import GitStandIn, at, pull
from connectors.stand_ins.server import Reply, Request, cut
from connectors.world import Pull, Repo

NOTHING = Reply({"type": "error", "error": {"message": "Repository not found"}}, 404)
STATES = {"open": "OPEN", "merged": "MERGED", "declined": "DECLINED"}


class Bitbucket(GitStandIn):
    account, secret = "", "ATCTT3x-token"
    authorization = "Bearer ATCTT3x-token"
    expired = Reply({"type": "error", "error": {"message": "Token is invalid or expired."}}, 401)

    def route(self, request: Request) -> Reply:
        path = unquote(request.path).removeprefix("/2.0/repositories/")
        if path == "arctrade":
            return self._page(request, [self.wire(one) for one in self.repos])
        workspace, slug, *rest = [*path.split("/"), ""] if "/" not in path else path.split("/")
        repo = self.repo(slug if slug.startswith("{") else f"{workspace}/{slug}")
        if repo is None:
            return NOTHING
        return self._within(request, repo, rest) if rest else Reply(self.wire(repo))

    def _within(self, request: Request, repo: Repo, rest: list[str]) -> Reply:
        match rest:
            case ["refs", "branches"]:
                return self._page(
                    request,
                    [{"name": name, "target": {"hash": head}} for name, head in repo.branches.items()],
                )
            case ["pullrequests"]:
                return self._page(request, [self.pull(repo, one) for one in self._touched(request, repo)])
            case ["pullrequests", number, "commits"] if found := pull(repo, number):
                return self._page(request, [{"hash": one} for one in found.commits])
            case ["commit", short]:
                return Reply({"hash": short.ljust(40, short[0])})
        return NOTHING

    def _touched(self, request: Request, repo: Repo) -> list[Pull]:
        """Open ones, unless other states are asked for."""
        states = request.query.get("state", ["OPEN"])
        matched = re.fullmatch(r'updated_on >= "(.+)"', request.one("q"))
        since = datetime.fromisoformat(matched[1]) if matched else None
        found = [
            one
            for one in repo.pulls
            if STATES[one.state] in states and (since is None or one.updated >= since)
        ]
        return sorted(found, key=lambda one: one.updated, reverse=True) if since else found

    def _page(self, request: Request, things: list[Any]) -> Reply:
        """The page is opaque, so that only `next` leads on."""
        start = int(request.one("page", "p-0").removeprefix("p-"))
        values, is_last = cut(things, start)
        content: dict[str, Any] = {"pagelen": 50, "values": values}
        if not is_last:
            query = {**request.query, "page": [f"p-{start + len(values)}"]}
            words = "&".join(f"{name}={quote(one)}" for name, v in query.items() for one in v)
            content["next"] = f"{self.url}{request.path}?{words}"
        return Reply(content)

    @staticmethod
    def wire(repo: Repo) -> dict[str, Any]:
        return {
            "uuid": f"{{{repo.id}}}",
            "full_name": repo.path,
            "name": repo.path.partition("/")[2],
            "project": {"key": "BILL", "type": "project"},
            "mainbranch": {"name": repo.default, "type": "branch"} if repo.default else None,
            "updated_on": at(repo.changed),
            "is_private": True,
        }

    @staticmethod
    def pull(repo: Repo, one: Pull) -> dict[str, Any]:
        return {
            "type": "pullrequest",
            "id": one.number,
            "title": one.title,
            "state": STATES[one.state],
            "draft": False,
            "author": {"display_name": one.author, "uuid": "{u}"} if one.author else None,
            "source": {
                "branch": {"name": one.source},
                "commit": {"hash": one.commits[0][:12]},
                "repository": None if one.fork else {"full_name": repo.path},
            },
            "destination": {"branch": {"name": "main"}, "repository": {"full_name": repo.path}},
            "merge_commit": {"hash": one.merge[:12]} if one.merge else None,
            "created_on": at(one.updated),
            "updated_on": at(one.updated),
            "links": {"html": {"href": f"https://bitbucket.org/{repo.path}/pull-requests/{one.number}"}},
        }
