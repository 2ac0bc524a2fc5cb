"""A connector that says what a test scripts: a stand-in for a service, whose own shapes are tests/connectors' matter."""

import base64
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Json

from conftest import Database
from visionality.connectors.model import Branch, Issue, Page, PullRequest, Repository, TrackerProject
from visionality.connectors.services import Target
from visionality.jobs.sync import sync
from visionality.runtime.ids import uuid7
from visionality.vault.keyproviders.env import from_text
from visionality.vault.purposes import connector_context, organisation_context
from visionality.vault.sealing import seal

KEYS = from_text(base64.b64encode(bytes(range(32))).decode())
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET = "token-that-nobody-sees"

Said = Page | BaseException | Callable[[], None]


def issue(key: str, number: str = "", **other: Any) -> Issue:
    project, _, last = key.partition("-")
    columns = {
        "id": number or last,
        "key": key,
        "project_key": project,
        "level": 0,
        "parent_key": None,
        "summary": f"what {key} is about",
        "status": "In Progress",
        "is_done": False,
        "updated_at": START,
    }
    return Issue(**(columns | other))


def page(*found: Any, doing: str = "issues", complete: set[type] | None = None) -> Page:
    return Page(tuple(found), doing, frozenset(complete or ()))


HPC = TrackerProject("1", "HPC", "Houston Power Contract")
BILLING = Repository("{r1}", "bitbucket.org/arctrade/hpc-billing", "hpc-billing", "main", "HPC")
FIX = Branch("{r1}", "HPC-1234-fix", "a" * 40)
MERGED = PullRequest(
    repository_id="{r1}",
    number=7,
    title="PJM rebill",
    state="merged",
    author="Alice K.",
    source_branch="HPC-1234-fix",
    target_branch="main",
    merge_commit="c" * 40,
    url="https://bitbucket.org/arctrade/hpc-billing/pull-requests/7",
    created_at=START,
    updated_at=START,
    merged_at=START,
    commits=("a" * 40, "b" * 40),
)


@dataclass
class Scripted:
    """Each run says the next of `runs`: pages, a fault to raise, or something to do between two pages."""

    runs: list[list[Said]] = field(default_factory=list)
    asked: list[datetime | None] = field(default_factory=list)
    given: list[tuple[Target, str]] = field(default_factory=list)

    def connect(self, target: Target, secret: str, clock: object, wait: object) -> "Scripted":
        self.given.append((target, secret))
        return self

    def changes(self, since: datetime | None) -> Iterator[Page]:
        self.asked.append(since)
        for said in self.runs.pop(0):
            if isinstance(said, BaseException):
                raise said
            if isinstance(said, Page):
                yield said
            else:
                said()


class Desk:
    """An organisation with one connector, and what can be seen of it."""

    def __init__(
        self,
        database: Database,
        org: UUID,
        kind: str = "jira_cloud",
        name: str = "jira",
        now: datetime = START,
    ) -> None:
        self.database, self.org, self.service = database, org, Scripted()
        self.now = now
        self.stopping = threading.Event()
        self.connector_id = put_connector(database, org, kind, name, self.now)

    def clock(self) -> datetime:
        return self.now

    def run(self, *said: Said) -> dict[str, Any]:
        """One run that the service says this to. Returns how it ended."""
        self.service.runs.append(list(said))
        sync(
            self.database.dsn("vis_jobs"), KEYS, self.clock, self.service.connect, self.connector_id, self.stopping
        )  # fmt: skip
        return self.state()

    def later(self, **passed: float) -> None:
        self.now += timedelta(**passed)

    def state(self) -> dict[str, Any]:
        (found,) = self.rows(
            "select * from vis_control.connector_run where connector_id = %s", self.connector_id
        )
        return found

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        with self.database.as_role("vis_super") as connection:
            connection.row_factory = dict_row
            return connection.execute(sql, values or None).fetchall()

    def issues(self) -> dict[str, str | None]:
        """What gateways read: each key and its epic."""
        return {
            one["key"]: one["epic_key"]
            for one in self.as_writer("select * from vis.issues_v1 order by is_current, epic_key nulls first")
        }

    def as_writer(self, sql: str) -> list[dict[str, Any]]:
        with self.database.as_role("vis_writer") as connection:
            connection.row_factory = dict_row
            return connection.execute(sql).fetchall()

    def revision(self) -> str | None:
        found = self.as_writer("select revision from vis.trackers_v1")
        return found[0]["revision"] if found else None

    def alerts(self) -> list[tuple[str, str]]:
        return [
            (one["kind"], one["title"])
            for one in self.rows("select kind, title from vis.alerts order by created_at")
        ]


def put_connector(database: Database, org: UUID, kind: str, name: str, now: datetime) -> UUID:
    """A connector as the control plane stores it."""
    kek, kek_id, connector_id = b"k" * 32, uuid7(), uuid7()
    with database.as_role("vis_web", org) as connection:
        ((generation,),) = connection.execute("select count(*) + 1 from vis_control.organisation_key")
        wrapped = KEYS.wrap(organisation_context(org, kek_id, generation), kek)
        sealed = seal(kek, connector_context(org, connector_id, kek_id, generation), SECRET.encode())
        connection.execute(
            "insert into vis_control.organisation_key (id, org_id, generation, wrapped, created_at) values (%s, %s, %s, %s, %s)",
            [kek_id, org, generation, wrapped, now],
        )
        connection.execute("update vis_control.organisation set time_zone = 'Europe/Berlin'")
        connection.execute(
            """insert into vis_control.connector (id, org_id, name, kind, base_url, scope, account, ca_bundle, enabled, made_at)
               values (%s, %s, %s, %s, 'https://arctrade.atlassian.net', '{HPC}', 'ops@arctrade.example', '', true, %s)""",
            [connector_id, org, name, kind, now],
        )
        connection.execute(
            """insert into vis_control.connector_run (connector_id, org_id, number, mode, doing, counts, held, error, failures, outages,
                                                      next_at, is_paused, wants_full, is_moved, moves)
               values (%s, %s, 0, '', '', %s, %s, '', 0, 0, %s, false, false, false, 0)""",
            [connector_id, org, Json({}), Json({}), now],
        )
        connection.execute(
            """insert into vis_control.connector_secret (id, org_id, connector_id, purpose, sealed, organisation_key_id, made_at)
               values (%s, %s, %s, 'credential', %s, %s, %s)""",
            [uuid7(), org, connector_id, sealed, kek_id, now],
        )
    return connector_id
