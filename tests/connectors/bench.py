"""A connector of ours and the stand-in that it talks to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from connectors.stand_ins import bitbucket, github, gitlab, jira_cloud, jira_dc
from connectors.stand_ins.server import StandIn, serving
from connectors.world import NOW
from visionality.connectors.model import Connector, Found, Page
from visionality.connectors.services import Target, connect

STAND_INS = {
    "jira_cloud": jira_cloud.JiraCloud,
    "jira_dc": jira_dc.JiraDataCenter,
    "bitbucket": bitbucket.Bitbucket,
    "github": github.GitHub,
    "gitlab": gitlab.GitLab,
}
TRACKERS = ("jira_cloud", "jira_dc")


@dataclass
class Bench:
    kind: str
    service: Any
    waits: list[float] = field(default_factory=list)
    told_to_stop: bool = False
    now: datetime = NOW
    step: timedelta = timedelta()
    """What passes each time that somebody looks at the clock."""

    def clock(self) -> datetime:
        self.now += self.step
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)
        return self.told_to_stop

    def target(self, **other: Any) -> Target:
        context = jira_dc.CONTEXT if self.kind == "jira_dc" else ""
        scope = ("HPC", "SOCE") if self.kind in TRACKERS else ("arctrade",)
        given = {"scope": scope, "base_url": self.service.url + context, "ca_bundle": ""} | other
        return Target(kind=self.kind, account=self.service.account, **given)

    def connector(self, **other: Any) -> Connector:
        return connect(self.target(**other), self.service.secret, self.clock, self.wait)

    def pages(self, since: datetime | None = None) -> list[Page]:
        return list(self.connector().changes(since))

    def said(self, kind: type, since: datetime | None = None) -> list[Any]:
        return of_kind(self.pages(since), kind)


@contextmanager
def bench(kind: str) -> Iterator[Bench]:
    service: StandIn = STAND_INS[kind]()
    with serving(service):
        yield Bench(kind, service)


def of_kind(pages: list[Page], kind: type) -> list[Found]:
    return [one for page in pages for one in page.found if isinstance(one, kind)]


def completed(pages: list[Page]) -> set[type]:
    return {kind for page in pages for kind in page.complete}
