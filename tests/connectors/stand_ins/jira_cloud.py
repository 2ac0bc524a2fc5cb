"""Jira Cloud, simulated after its REST v3 reference."""

import json

from connectors.stand_ins.jira import FIELDS, Jira
from connectors.stand_ins.server import NOTHING, Reply, Request, cut

REMOVED = Reply(
    {"errorMessages": ["The requested API has been removed. Please migrate to /rest/api/3/search/jql."]}, 410
)


class JiraCloud(Jira):
    account, secret = "vis@arctrade.example", "ATATT3x-token"
    authorization = "Basic dmlzQGFyY3RyYWRlLmV4YW1wbGU6QVRBVFQzeC10b2tlbg=="

    def route(self, request: Request) -> Reply:
        path = request.path.removeprefix("/rest/api/3")
        if path == "/search":
            return REMOVED
        if path == "/search/jql":
            return self._search(json.loads(request.body))
        if path == "/project/search":
            start = int(request.one("startAt"))
            page, is_last = cut(list(self.projects.values()), start)
            return Reply({"startAt": start, "isLast": is_last, "total": len(self.projects), "values": page})
        if path == "/field":
            return Reply(FIELDS)
        if path == "/myself":
            return self.myself()
        return self.one_of(request) if path.count("/") == 2 else NOTHING

    def _search(self, asked: dict) -> Reply:
        start = int(asked.get("nextPageToken", "t0")[1:])
        page, is_last = cut(self.found(asked["jql"]), start)
        content = {"isLast": is_last, "issues": [self.wire(one, asked["fields"]) for one in page]}
        return Reply(content if is_last else content | {"nextPageToken": f"t{start + len(page)}"})
