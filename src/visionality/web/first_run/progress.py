"""How far an organisation is in its first run. Nothing of it is kept: what there is says what is done."""

from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from visionality.core import trial
from visionality.core.vendors import TITLES
from visionality.ledger.reader import CLOCKS_APART
from visionality.runtime.sql import statements
from visionality.web.issuing import keys as issuing
from visionality.web.issuing.models import CALL, VirtualKey
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.reading import reading
from visionality.web.seats.lines import Line, line

PROVIDER, PROJECT, PERSON, KEY, FIRST_CALL = "provider", "project", "person", "key", "call"
ORDER = (PROVIDER, PROJECT, PERSON, KEY, FIRST_CALL)
LOOKED_AT = 10
"""Keys among whose rows the first one is looked for, the newest."""

_SQL = statements("visionality.web.first_run", "first_run.sql")


@dataclass(frozen=True, slots=True)
class Progress:
    """What there is of each step, the newest first. `keys` are live keys that people call with."""

    providers: tuple[str, ...]
    projects: tuple[str, ...]
    agents: tuple[str, ...]
    people: tuple[str, ...]
    """Those who have no agent yet."""
    keys: tuple[VirtualKey, ...]
    row: Line | None
    has_sandbox: bool

    @property
    def is_simulated(self) -> bool:
        """Whether it goes on without a provider's key, by the simulated one."""
        return self.has_sandbox and not self.providers

    def next(self, *, simulated: bool) -> str:
        """The first step that is not done; empty when all are. `simulated` says that it is to go on without a provider's key."""
        passed = {
            PROVIDER: self.providers or (self.has_sandbox and (simulated or self.projects)),
            PROJECT: self.projects,
            PERSON: self.agents,
            KEY: self.keys,
            FIRST_CALL: self.row,
        }
        return next((step for step in ORDER if not passed[step]), "")


def progress(act: Act) -> Progress:
    """Where the organisation stands now, without what `vis try` made."""
    keys = live_keys(act)
    given = {"org_id": str(act.org_id), "project": trial.PROJECT, "agent": trial.AGENT}
    with connection.cursor() as cursor:
        cursor.execute(_SQL["there"], given)
        providers, projects, agents, people = (tuple(names) for names in cursor.fetchone())
    return Progress(
        providers, projects, agents, people, keys, first_row(act.org_id, keys), has_sandbox=plane().sandbox
    )


def live_keys(act: Act) -> tuple[VirtualKey, ...]:
    """The keys that people call with, the newest first."""
    return tuple(
        key
        for key in issuing.everything(act)
        if key.agent.person and CALL in key.scopes and issuing.state(key, act.now) == "live"
    )


def first_row(org_id: UUID, keys: tuple[VirtualKey, ...]) -> Line | None:
    """The first row that one of these keys made."""
    looked_at = keys[:LOOKED_AT]
    if not looked_at:
        return None
    given = {
        "org_id": org_id,
        "keys": [key.id for key in looked_at],
        "agents": [key.agent.sub for key in looked_at],
        "since": [key.issued_at - CLOCKS_APART for key in looked_at],
    }
    with reading(org_id) as ledger:
        found = ledger.execute(_SQL["first_row"], given).fetchone()
    return line(found) if found else None


def titles(providers: tuple[str, ...]) -> str:
    """Providers as they write themselves."""
    return ", ".join(TITLES.get(name, name) for name in providers)
