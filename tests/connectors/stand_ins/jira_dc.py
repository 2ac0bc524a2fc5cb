"""Jira Data Center under a context path, simulated after general knowledge of REST v2."""

import json

from connectors.stand_ins.jira import FIELDS, Jira
from connectors.stand_ins.server import NOTHING, Reply, Request, cut

CONTEXT = "/jira"


class JiraDataCenter(Jira):
    account, secret = "", "NjY2-personal-access-token"
    authorization = "Bearer NjY2-personal-access-token"
    has_levels = False

    def route(self, request: Request) -> Reply:
        path = request.path.removeprefix(f"{CONTEXT}/rest/api/2")
        if path == "/search":
            return self._search(json.loads(request.body))
        if path == "/project":
            return Reply(list(self.projects.values()))
        if path == "/field":
            return Reply(FIELDS)
        if path == "/myself":
            return self.myself()
        return self.one_of(request) if path.count("/") == 2 else NOTHING

    def _search(self, asked: dict) -> Reply:
        found = self.found(asked["jql"])
        page, _ = cut(found, asked["startAt"])
        wires = [self.wire(one, asked["fields"]) for one in page]
        return Reply(
            {"startAt": asked["startAt"], "maxResults": len(wires), "total": len(found), "issues": wires}
        )
