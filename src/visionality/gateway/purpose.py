"""What a call is for, where its key leaves that open: the evidence of the request, within what the key allows (A1 to A5).

docs/reference/attribution.md has the order. A call without evidence of its own, such as one that makes a title, goes by
what its session said before. Of what was read only the matched fields stay, and a hash of all evidence.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import structlog

from visionality.core import attribution
from visionality.core.attribution import BadPattern, Barred, Bound, Evidence, Registry, Resolution
from visionality.core.call import Headers, Refusal
from visionality.core.row import Row
from visionality.core.task_class import Decides, classify
from visionality.core.task_class_rules import numbered
from visionality.gateway import evidence
from visionality.gateway.evidence.shape import shape
from visionality.gateway.principal import Checkout
from visionality.registry.snapshot import Grant, Organisation

log = structlog.get_logger()

REMEMBERED = 10_000
"""Sessions, and resolutions of an organisation, that are kept at hand."""
LESS_BY_INHERITANCE = 10
LONGEST_NOTE = 400
PATH_CONFIDENCE = 90
REFUSE = "refuse"
"""The policy for a call that claims a project which its key may not claim; else it goes on, and its row waits in the queue."""
HELPER_CONFIDENCE = 95


class Asked(msgspec.Struct, frozen=True):
    """What of a request tells what it is for."""

    headers: Headers
    document: Mapping[str, Any]
    path: str
    """Behind the provider's base address."""
    scope: str | None
    """What stands in the address behind `/at/`."""
    checkout: Checkout | None
    """What its key was handed out for, where a device's credential was exchanged for it."""


class _Resolved(NamedTuple):
    resolution: Resolution
    notes: Mapping[str, str]
    """What a row says of it beside its columns."""


@dataclass(slots=True)
class _Map:
    """An organisation's map as it is now, and what was resolved by it."""

    registry: Registry
    rules: tuple[Decides, ...]
    resolved: OrderedDict[tuple[Any, ...], _Resolved] = field(default_factory=OrderedDict)
    """By what the key says of its project, task and projects, and the evidence."""

    def resolve(self, grant: Grant, heard: tuple[Evidence, ...]) -> _Resolved:
        name = (grant.project_id, grant.task_id, grant.projects, heard)
        known = self.resolved.get(name)
        if known is None:
            bound = Bound(grant.project_id, grant.task_id, frozenset(grant.projects))
            found = attribution.resolve(bound, heard, self.registry)
            known = self.resolved[name] = _Resolved(found, _notes(found))
            if len(self.resolved) > REMEMBERED:
                self.resolved.popitem(last=False)
        return known


class Purposes:
    """What one gateway knows of repositories and sessions."""

    def __init__(self) -> None:
        self._maps: dict[UUID, _Map] = {}
        self._sessions: OrderedDict[tuple[UUID, str], tuple[Evidence, ...]] = OrderedDict()

    def follow(self, organisation: Organisation) -> None:
        """Go by an organisation's map as it is now."""
        rules = numbered(organisation.task_class_rules)
        self._maps[organisation.org_id] = _Map(_registry(organisation), rules)

    def ascribe(self, organisation: Organisation, grant: Grant, row: Row, asked: Asked) -> Grant:
        """Write into the row what the call is for. Returns the grant with the project and customer that it goes to.

        Raises Refusal where the organisation refuses a claim that the key does not allow.
        """
        known = self._maps[organisation.org_id]
        said = evidence.heard(asked.headers, asked.document, asked.path)
        found = evidence.found(said)
        notes = {"client": f"{found.client} {found.version}".strip()} if found.client else {}
        if found.session:
            notes["session"] = _mark(grant.key_id, found.session)
        if grant.task_class is None:
            answer = classify(shape(said, found, row.model_requested or ""), known.rules)
            if answer is not None:
                row.task_class = answer.task_class
                notes["task_class_reason"] = answer.reason[:LONGEST_NOTE]
        at = () if asked.scope is None else _declared(known.registry, asked.scope)
        own = at + found.evidence
        heard = own or (self._said_before(grant.key_id, found.session) if found.session else ())
        heard += () if asked.checkout is None else _of_the_helper(asked.checkout)
        if heard:
            resolution, evidenced = known.resolve(grant, heard)
            notes |= evidenced
            if resolution.barred and organisation.denied_project == REFUSE:
                row.tags = {**(row.tags or {}), **notes}
                raise _refusal(row, resolution, resolution.barred)
            grant = _written(organisation, grant, row, resolution)
        if own and found.session:
            self._remember(grant.key_id, found.session, own)
        if notes:
            row.tags = {**(row.tags or {}), **notes}
        return grant

    def _remember(self, key_id: UUID, session: str, said: tuple[Evidence, ...]) -> None:
        self._sessions[key_id, session] = said
        self._sessions.move_to_end((key_id, session))
        if len(self._sessions) > REMEMBERED:
            self._sessions.popitem(last=False)

    def _said_before(self, key_id: UUID, session: str) -> tuple[Evidence, ...]:
        """What a session said in an earlier call that was not refused for it."""
        return tuple(
            msgspec.structs.replace(
                one,
                level=attribution.INHERITED,
                source=f"session: {one.source}",
                confidence=max(0, one.confidence - LESS_BY_INHERITANCE),
            )
            for one in self._sessions.get((key_id, session), ())
        )


def _declared(registry: Registry, scope: str) -> tuple[Evidence, ...]:
    """What the address says: a project by its key or alias, else a repository."""
    is_repo = registry.project(scope) is None and registry.repositories(scope)
    what = {"repo": scope} if is_repo else {"project": scope}
    return (Evidence(attribution.EXPLICIT, "path /at/", PATH_CONFIDENCE, **what),)


def _mark(key_id: UUID, session: str) -> str:
    """Tells calls of one session of one key from all others, and nobody what the session is called."""
    return sha256(key_id.bytes + session.encode(errors="replace")).hexdigest()[:16]


def _of_the_helper(checkout: Checkout) -> tuple[Evidence, ...]:
    """Where the person was when the key was handed out. It is no part of what a session said: each key brings its own."""
    if not any((checkout.repo, checkout.branch, checkout.commit)):
        return ()
    what = {"repo": checkout.repo, "branch": checkout.branch, "commit": checkout.commit}
    return (Evidence(attribution.HELPER, "credential helper", HELPER_CONFIDENCE, **what),)


def _registry(organisation: Organisation) -> Registry:
    known = organisation.projects, organisation.project_aliases, organisation.tracked
    try:
        return Registry(organisation.repos, *known)
    except BadPattern as bad:  # the map is checked before it is applied: this is an older or a foreign one
        log.warning("branch_patterns_left_out", error=str(bad), org_id=str(organisation.org_id))
        plain = [replace(repo, branch_pattern=None) for repo in organisation.repos]
        return Registry(plain, *known)


def _written(organisation: Organisation, grant: Grant, row: Row, found: Resolution) -> Grant:
    row.repo, row.branch, row.commit_sha = found.repo, found.branch, found.commit
    row.task_id, row.epic_id = found.task_id, found.epic_id
    row.attribution_level, row.confidence = found.level, found.confidence
    project = organisation.projects.get(found.project_id or "")
    if project is None or project.project_id == grant.project_id:
        return grant
    row.project_id = project.project_id
    row.customer_id = grant.customer_id or found.customer_id or project.customer_id
    row.gl_code = project.gl_code or grant.gl_code
    return replace(
        grant,
        project_id=row.project_id,
        customer_id=row.customer_id,
        gl_code=row.gl_code,
        business_unit=project.business_unit or grant.business_unit,
    )


def _refusal(row: Row, found: Resolution, barred: Barred) -> Refusal:
    """The no to a claim, which its row keeps; it is charged to nobody."""
    row.repo, row.branch, row.commit_sha = found.repo, found.branch, found.commit
    claim = f"{barred.source} says {barred.claimed}"
    return Refusal(
        403,
        "project_not_allowed",
        f"{claim}, which leads to no project that this key may claim: correct it, or ask for a key that may (`--claims`)",
        tags={"project_denied": found.denied or barred.claimed, "project_claim": claim[:LONGEST_NOTE]},
    )


def _notes(found: Resolution) -> dict[str, str]:
    notes = {"evidence": found.evidence_sha256.hex()}
    if found.conflicts:
        notes["attribution_conflict"] = "; ".join(found.conflicts)[:LONGEST_NOTE]
    if found.denied:
        notes["project_denied"] = found.denied
    return notes
