"""What ArcTrade decided: by the same acts as everybody's, each at its moment of the story.

Run inside `web.start.organisation_context`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from visionality.connectors.services import Target
from visionality.core.identity_table import Identity
from visionality.core.scope import Scope
from visionality.demo import hosts, story
from visionality.demo.calendar import Month
from visionality.demo.calls import LEAK_FOUND, LEAKED, correction_id
from visionality.vault.keyproviders._core import KeyProvider
from visionality.web.accounts.models import Organisation
from visionality.web.connecting.acts import add_connector, remove_connector
from visionality.web.connecting.models import Connector
from visionality.web.issuing import keys as issuing
from visionality.web.issuing.bindings import Bindings
from visionality.web.issuing.models import VirtualKey
from visionality.web.issuing.revocation import revoke_person
from visionality.web.policy import acts, identities, mapping
from visionality.web.policy.acts import Act
from visionality.web.policy.allocation import set_markup
from visionality.web.policy.budgets import set_budget
from visionality.web.policy.hints import Selectors, add_hint
from visionality.web.policy.models import ModelHint

BEGUN, LOADED = "demo_begun", "demo_loaded"
"""Kinds of the first and the last act in `admin_events`."""

_NO_SECRET = b"nothing is read from here"
_THE_LEAKED = "nightly review, to be found in a public repository"


@dataclass(frozen=True, slots=True)
class Named:
    """Ids that rows refer to."""

    keys: dict[str, UUID]
    leaked_key: UUID
    hint: UUID


def begin(org_id: UUID, month: Month, rows: int, keys: KeyProvider) -> None:
    """Make the organisation and decide all that rows do not matter to."""
    Organisation.objects.create(id=org_id, slug=story.SLUG, name=story.NAME)
    act = Act(org_id, story.BY, month.set_up_at)
    act.record(BEGUN, {"month": month.name, "until": month.until.isoformat(), "rows": str(rows)})
    _set_up(act, keys)
    revoked_at = datetime.combine(month.leaked_on, time(), UTC) + LEAK_FOUND
    (leaked,) = VirtualKey.objects.filter(org_id=org_id, memo=_THE_LEAKED)
    issuing.revoke(Act(org_id, story.BY, revoked_at), str(leaked.id), "stands in a public repository")
    on_the_12th = datetime.combine(month.day(12), time(23, 30), UTC)
    calls = Selectors(agent=story.DEREK.sub, task_class="refactor")
    add_hint(Act(org_id, story.BY, on_the_12th), calls, "claude-haiku-4-5")
    left = Act(org_id, story.BY, month.resigned_at)
    revoke_person(left, story.SOFIA.sso_sub, "resigned")


def told(org_id: UUID) -> Named:
    """What `begin` made."""
    live = VirtualKey.objects.filter(org_id=org_id).select_related("agent")
    (leaked,) = (key.id for key in live if key.memo == _THE_LEAKED)
    (hint,) = ModelHint.objects.filter(org_id=org_id)
    return Named({key.agent.sub: key.id for key in live if key.id != leaked}, leaked, hint.id)


def connectors(org_id: UUID) -> dict[str, UUID]:
    """By name. They are there for what they read, and removed, so that nobody asks their addresses."""
    return {one.name: one.id for one in Connector.objects.filter(org_id=org_id)}


def end(org_id: UUID, month: Month, rows: int) -> None:
    """Set budgets, which begin with what the rows cost, and say that everything is there."""
    night = datetime.combine(month.leaked_on, time(), UTC) + LEAKED
    cap = Scope("key", str(told(org_id).leaked_key))
    set_budget(Act(org_id, story.BY, night), cap, "day", story.LEAKED_CAP_NUSD, {"hard": True})
    act = Act(org_id, story.BY, month.until)
    detail = {"correction_id": str(correction_id(month)), "project": story.HPC.key}
    act.record("correction_ordered", detail)
    set_budget(act, Scope("project", story.SOCE.key), "month", story.SOCE_CAP_NUSD, {"soft": [60, 80]})
    set_budget(
        act, Scope("project", story.HPC.key), "month", 2 * story.SOCE_CAP_NUSD, {"soft": [80], "hard": True}
    )
    set_budget(act, Scope("organisation", ""), "month", 8 * story.SOCE_CAP_NUSD, {"soft": [80]})
    act.record(LOADED, {"rows": str(rows)})


def _set_up(act: Act, keys: KeyProvider) -> None:
    for key, name in story.CUSTOMERS.items():
        acts.add_customer(act, key, name)
    for one in story.PROJECTS:
        acts.add_project(act, one.key, one.name, one.customer or None, one.gl_code, one.unit)
    for key, (name, cost_center, unit) in story.TEAMS.items():
        acts.add_team(act, key, name, cost_center, unit)
    for customer, multiplier in story.MARKUPS.items():
        set_markup(act, Scope("customer", customer), multiplier, act.now)
    for person in story.PEOPLE:
        if person.sso_sub:
            acts.add_person(act, person.sso_sub, person.owner)
    table = [
        (line, Identity(one.sub, one.owner, one.sso_sub, one.team, story.TEAMS[one.team][1]))
        for line, one in enumerate(story.PEOPLE, 2)
    ]
    identities.apply_rows(act, table, None, identities.plan_of_rows(act, table, None).changes)
    content = story.mapping_file()
    mapping.apply(act, content, mapping.plan(act, content).changes)
    for person in story.PEOPLE:
        issuing.issue(act, keys, Bindings(person.sub, lifetime=timedelta(days=90)))
    issuing.issue(act, keys, Bindings(story.NIGHTLY.sub, memo=_THE_LEAKED, project=story.TOOLS.key))
    for name, kind, address in (
        (hosts.JIRA, "jira_cloud", hosts.JIRA_AT),
        (hosts.BITBUCKET, "bitbucket", hosts.BITBUCKET_AT),
    ):
        add_connector(act, keys, name, Target(kind, address, (), "", ""), _NO_SECRET)
        remove_connector(act, name)
