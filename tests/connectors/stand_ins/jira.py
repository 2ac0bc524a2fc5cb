"""What both simulated Jiras share: fields, issues and just enough of the query language to find them."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.stand_ins.server import Reply, Request, StandIn
from connectors.world import Item, issues

QUESTION = re.compile(r'project = "(\w+)"(?: AND updated >= "([\d-]+ [\d:]+)")? ORDER BY key ASC')
FIELDS = [
    {"id": "summary", "name": "Summary", "custom": False, "schema": {"type": "string", "system": "summary"}},
    {"id": "thumbnail", "name": "Images", "custom": False},
    {
        "id": "customfield_10014",
        "name": "Epos-Verknüpfung",
        "custom": True,
        "schema": {"type": "any", "custom": "com.pyxis.greenhopper.jira:gh-epic-link", "customId": 10014},
    },
    {
        "id": "customfield_10011",
        "name": "Epos-Name",
        "custom": True,
        "schema": {"type": "string", "custom": "com.pyxis.greenhopper.jira:gh-epic-label", "customId": 10011},
    },
]


class Jira(StandIn):
    zone = "America/Chicago"
    has_levels = True
    expired = Reply({"errorMessages": ["Client must be authenticated to access this resource."]}, 401)

    def __init__(self) -> None:
        super().__init__()
        self.issues = issues()
        self.projects = {
            "HPC": {"id": "10000", "key": "HPC", "name": "Houston Power Contract"},
            "SOCE": {"id": "10001", "key": "SOCE", "name": "Southern Energy"},
        }

    def myself(self) -> Reply:
        return Reply({"displayName": "Visionality Reader", "timeZone": self.zone, "active": True})

    def found(self, question: str) -> list[Item]:
        """Raises AssertionError for a question that Jira would read otherwise, or that is unbounded."""
        matched = QUESTION.fullmatch(question)
        assert matched, question
        key, since = matched.groups()
        found = [one for one in self.issues if one.project == key]
        if since:
            moment = datetime.strptime(since, "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo(self.zone))
            found = [one for one in found if one.updated >= moment.astimezone(UTC)]
        return sorted(found, key=lambda one: int(one.key.partition("-")[2]))

    def wire(self, item: Item, wanted: list[str]) -> dict[str, Any]:
        kind = {"id": "1", "name": item.kind, "subtask": item.level < 0}
        if self.has_levels:
            kind["hierarchyLevel"] = item.level
        fields: dict[str, Any] = {
            "summary": item.summary,
            "issuetype": kind,
            "status": {"name": item.status, "statusCategory": {"key": item.category}},
            "project": self.projects[item.project],
            "updated": item.updated.astimezone(ZoneInfo(self.zone)).strftime("%Y-%m-%dT%H:%M:%S.000%z"),
            "customfield_10014": item.epic_link,
            "customfield_10011": "An epic" if item.level == 1 else None,
        }
        if item.parent:
            fields["parent"] = {"id": "1", "key": item.parent, "fields": {"summary": "…"}}
        return {"id": item.id, "key": item.key, "fields": {k: v for k, v in fields.items() if k in wanted}}

    def one_of(self, request: Request) -> Reply:
        *_, kind, name = request.path.split("/")
        known = (
            {one["id"] for one in self.projects.values()}
            if kind == "project"
            else {one.id for one in self.issues} | {one.key for one in self.issues}
        )
        if name in known:
            return Reply({"id": name})
        return Reply({"errorMessages": ["It does not exist or you have no permission to see it."]}, 404)
