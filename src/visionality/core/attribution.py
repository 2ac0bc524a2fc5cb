"""Who a call is for: the evidence of a request, weighed in one documented order (promises A1 to A4).

Evidence chooses among what the key allows and never widens it. Per field the most trusted level decides, within a
level the most confident; two that are trusted alike and disagree decide nothing. Every disagreement is named. The
order and its reasons are in docs/reference/attribution.md.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from operator import eq

import msgspec

from visionality.core.branch_pattern import fault
from visionality.core.remote import last_segment, normalised

BOUND, EXPLICIT, METADATA, ENVIRONMENT, INHERITED, HELPER = 1, 2, 3, 4, 5, 6
UNATTRIBUTED = 8
SUFFICIENT = 40
"""Evidence less confident than this is kept in the hash and decides nothing."""
TRUNKS = frozenset({"main", "master", "develop"})
"""Branches that everybody works on: a key in one of them says nothing."""
MOST_CONFLICTS = 16
SEARCHED_BY_A_PATTERN = 100
"""Of a branch, in characters: what an operator's pattern can take grows with the third power of it."""

_encode = json.JSONEncoder(separators=(",", ":")).encode
_ISSUE_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,79})-([1-9][0-9]{0,8})(?![A-Za-z0-9])")


class Evidence(msgspec.Struct, frozen=True):
    """One thing that a client said, and how far it is believed."""

    level: int
    """2 explicit, 3 metadata, 4 environment block, 5 inherited from its session, 6 the credential helper."""
    source: str
    """Where it stood: "header x-vis-branch", "claude-code environment"."""
    confidence: int
    """0 to 100."""
    project: str | None = None
    task: str | None = None
    repo: str | None = None
    """A normalised remote, or the bare name of a directory."""
    branch: str | None = None
    commit: str | None = None


_FIELDS = Evidence.__struct_fields__


@dataclass(frozen=True, slots=True)
class RepoRecord:
    """One repository of the map."""

    repo: str
    """Its normalised remote, or a bare name for any remote that ends in it."""
    name: str
    """The last segment of it."""
    project_id: str | None = None
    customer_id: str | None = None
    default_epic: str | None = None
    branch_pattern: str | None = None
    """A regular expression with one group for the issue key, where branches are not named by the usual form."""


class BadPattern(ValueError):
    """A branch pattern that may not run."""


@dataclass(frozen=True, slots=True)
class Issue:
    """A key that the registry knows the project of."""

    key: str
    project_id: str
    epic_id: str | None = None
    is_verified: bool = True
    """False for a number that no tracker knows, although one reads its project: it may be new, or none."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """What an organisation's trackers know; nothing while none is connected."""

    issues: Mapping[str, str | None] = field(default_factory=dict)
    """Each key that an issue has or had, and its epic."""
    projects: frozenset[str] = frozenset()
    """The prefixes of the keys that issues have now: of any other project no issue is known, so any number counts."""


@dataclass(slots=True)
class Registry:
    """What the organisation's map and trackers know. Raises BadPattern."""

    repos: Iterable[RepoRecord] = ()
    projects: Iterable[str] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    tracked: Tracked = field(default_factory=Tracked)
    _by_repo: dict[str, RepoRecord] = field(init=False, repr=False)
    _by_name: dict[str, list[RepoRecord]] = field(init=False, repr=False)
    _projects: dict[str, str] = field(init=False, repr=False)
    _patterns: dict[str, re.Pattern[str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.repos, self.projects = tuple(self.repos), tuple(self.projects)
        self._by_repo = {record.repo: record for record in self.repos}
        self._by_name = {}
        for record in self._by_repo.values():
            self._by_name.setdefault(record.name.lower(), []).append(record)
        known = frozenset(self.projects)
        self._projects = {code.upper(): project for code, project in self.aliases.items() if project in known}
        self._projects |= {project.upper(): project for project in self.projects}
        self._patterns = {}
        for record in self.repos:
            if record.branch_pattern:
                if wrong := fault(record.branch_pattern):
                    raise BadPattern(f"the branch pattern {record.branch_pattern!r} of {record.repo} {wrong}")
                self._patterns[record.repo] = re.compile(record.branch_pattern)

    def project(self, name: str) -> str | None:
        """The project of that id or alias, in whatever case."""
        return self._projects.get(name.upper())

    def repositories(self, name: str) -> list[RepoRecord]:
        """The repositories that a remote or a directory's name can mean: none, one, or several of one name.

        A remote that is not in the map goes by a bare name in it.
        """
        remote = normalised(name)
        record = self._by_repo.get(remote) or self._by_repo.get(last_segment(remote)) if remote else None
        return [record] if record else self._by_name.get(name.lower(), [])

    def issue(self, key: str) -> Issue | None:
        """The issue of that key, when its whole prefix is a known project."""
        found = _ISSUE_KEY.fullmatch(key)
        project = self.project(found[1]) if found else None
        if found is None or project is None:
            return None
        key = key.upper()
        if key in self.tracked.issues:
            return Issue(key, project, self.tracked.issues[key])
        return Issue(key, project, is_verified=found[1].upper() not in self.tracked.projects)

    def issue_key(self, branch: str, record: RepoRecord | None) -> str | None:
        """The issue key that a branch is named by, when its prefix is known; on a trunk there is none."""
        if branch.lower() in TRUNKS:
            return None
        pattern = self._patterns.get(record.repo) if record else None
        found = pattern.match(branch[:SEARCHED_BY_A_PATTERN]) if pattern else None
        if found is not None and found[1]:
            found = _ISSUE_KEY.fullmatch(found[1])
        else:
            found = _ISSUE_KEY.match(branch.rpartition("/")[2])
        return f"{found[1]}-{found[2]}".upper() if found and self.project(found[1]) else None


class Bound(msgspec.Struct, frozen=True):
    """What is bound into the key."""

    project_id: str | None = None
    task_id: str | None = None
    projects: frozenset[str] = frozenset()
    """Which projects a wide key may claim; empty for any of the organisation."""

    def allows(self, project: str) -> bool:
        """Whether evidence may choose the project."""
        return not self.projects or project in self.projects


@dataclass(frozen=True, slots=True)
class Barred:
    """A claim that the key does not allow, in the words of whoever made it: they say nothing of what there is."""

    claimed: str
    """A project, or the issue, branch or repository that leads to one."""
    source: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a row says about its purpose, and why."""

    project_id: str | None
    customer_id: str | None
    task_id: str | None
    epic_id: str | None
    repo: str | None
    branch: str | None
    commit: str | None
    level: int
    """That decided the project; 8 when nothing did."""
    confidence: int
    evidence_sha256: bytes
    """Over all evidence that was seen."""
    conflicts: tuple[str, ...]
    """Each a sentence that begins with the field: "branch: …"."""
    denied: str | None
    """A project that was claimed and that the key may not claim."""
    barred: Barred | None = None
    """What a policy that refuses such calls refuses: that claim, or a project by name at level 2 that there is none of.

    The two look alike, so that a refusal tells nobody which other projects there are.
    """


@dataclass(frozen=True, slots=True)
class _Claim:
    """The value of one field, and what it comes from."""

    value: str
    level: int
    confidence: int
    source: str
    said: str
    """In the words of the evidence."""
    is_disputed: bool = False
    """Whether another one that is trusted alike says something else."""

    def __str__(self) -> str:
        return f"{self.source} says {self.value}"


def resolve(bound: Bound, evidence: Iterable[Evidence], registry: Registry) -> Resolution:
    """What the evidence makes of a call with such a key. The order of the evidence does not matter."""
    return _Case(bound, frozenset(evidence), registry).resolved()


class _Case:
    """One call's evidence while it is weighed."""

    def __init__(self, bound: Bound, evidence: frozenset[Evidence], registry: Registry) -> None:
        self.bound, self.registry = bound, registry
        self.conflicts: set[str] = set()
        ordered = sorted((one.level, -one.confidence, _canonical(one), one) for one in evidence)
        self.evidence_sha256 = sha256(f"[{','.join(text for _, _, text, _ in ordered)}]".encode()).digest()
        self.believed = [one for _, _, _, one in ordered if one.confidence >= SUFFICIENT]

    def resolved(self) -> Resolution:
        repo = self._undisputed("repo", self._repos(), _is_same_repo)
        record = next(iter(self.registry.repositories(repo.value)), None) if repo else None
        branch = self._of(repo, self._undisputed("branch", self._branches()))
        commit = self._of(repo, self._undisputed("commit", self._commits(), _is_same_commit))
        task = self._task(branch, record)
        chosen, denied = self._project(task, repo, record)
        issue = self._issue(task, chosen)
        if chosen is None or (record is not None and record.project_id not in {None, chosen.value}):
            record = None
        return Resolution(
            project_id=chosen.value if chosen else None,
            customer_id=record.customer_id if record else None,
            task_id=self.bound.task_id or (issue.key if issue else None),
            epic_id=(issue.epic_id if issue else None) or (record.default_epic if record else None),
            repo=repo.value if repo else None,
            branch=branch.value if branch else None,
            commit=commit.value if commit else None,
            level=chosen.level if chosen else UNATTRIBUTED,
            confidence=chosen.confidence if chosen else 0,
            evidence_sha256=self.evidence_sha256,
            conflicts=tuple(sorted(self.conflicts)[:MOST_CONFLICTS]),
            denied=denied.value if denied else None,
            barred=self._barred(denied),
        )

    def _first(
        self, name: str, claims: Iterable[_Claim], is_same: Callable[[str, str], bool] = eq
    ) -> _Claim | None:
        """The most trusted of claims that come in the order of their trust; each that differs from it is noted."""
        ordered = list(claims)
        if not ordered:
            return None
        first = ordered[0]
        differing = [one for one in ordered[1:] if not is_same(first.value, one.value)]
        self.conflicts |= {f"{name}: {first}, {other}" for other in differing}
        rank = (first.level, first.confidence)
        is_disputed = any((one.level, one.confidence) == rank for one in differing)
        return replace(first, is_disputed=True) if is_disputed else first

    def _undisputed(
        self, name: str, claims: Iterable[_Claim], is_same: Callable[[str, str], bool] = eq
    ) -> _Claim | None:
        first = self._first(name, claims, is_same)
        return None if first is None or first.is_disputed else first

    def _of(self, repo: _Claim | None, claim: _Claim | None) -> _Claim | None:
        """The claim, unless it is the helper's of another repository: a tool that moved on still has the key of there."""
        if repo is None or claim is None or claim.level != HELPER:
            return claim
        others = (one.repo for one in self.believed if one.level == HELPER and one.repo)
        return None if any(not _is_same_repo(repo.value, other) for other in others) else claim

    def _repos(self) -> Iterator[_Claim]:
        """Remotes, and names of directories by which the registry knows one repository."""
        for one in self.believed:
            if not one.repo:
                continue
            records = self.registry.repositories(one.repo)
            if len(records) > 1:
                self.conflicts.add(
                    f"repo: {one.source} says {one.repo}, and {len(records)} repositories have that name"
                )
            elif repo := normalised(one.repo) or (records[0].repo if records else None):
                yield _claim(one, repo, one.repo)

    def _branches(self) -> Iterator[_Claim]:
        return (_claim(one, one.branch, one.branch) for one in self.believed if one.branch)

    def _commits(self) -> Iterator[_Claim]:
        return (_claim(one, one.commit.lower(), one.commit) for one in self.believed if one.commit)

    def _task(self, branch: _Claim | None, record: RepoRecord | None) -> _Claim | None:
        """The issue by name, or the one that the branch is named by; one that no tracker knows when there is no other."""
        verified, unverified = [], []
        tasks = [_claim(one, one.task.upper(), one.task) for one in self.believed if one.task]
        if branch and (key := self.registry.issue_key(branch.value, record)):
            tasks.append(replace(branch, value=key))
        for task in sorted(tasks, key=lambda one: (one.level, -one.confidence)):
            issue = self.registry.issue(task.value)
            if task.value == (self.bound.task_id or "").upper() or (issue and issue.is_verified):
                verified.append(task)
            elif issue:
                unverified.append(task)
                self.conflicts.add(f"task: {task}, which is no known issue of its tracker")
            else:
                self.conflicts.add(f"task: {task}, which is no known issue of a known project")
        return self._undisputed("task", verified or unverified)

    def _named_projects(self) -> Iterator[_Claim]:
        for one in self.believed:
            if one.project and (project := self.registry.project(one.project)):
                yield _claim(one, project, one.project)
            elif one.project:
                self.conflicts.add(f"project: {one.source} says {one.project}, which is no known project")

    def _project(
        self, task: _Claim | None, repo: _Claim | None, record: RepoRecord | None
    ) -> tuple[_Claim | None, _Claim | None]:
        """The project, or the one that was claimed and may not be.

        A project by name or by issue, the more trusted first; the repository's is for when there is neither, and the one
        of an issue that no tracker knows comes last, where the key allows it. What is disputed, or leads out of the key's
        list, ends the search: to go on would book the call on a project that nothing said it was for.
        """
        issue = self.registry.issue(task.value) if task else None
        by_issue = replace(task, value=issue.project_id) if task and issue else None
        is_verified = issue is not None and issue.is_verified
        named = [self._first("project", self._named_projects()), by_issue if is_verified else None]
        ways = sorted((way for way in named if way), key=lambda way: way.level)
        if repo and record and record.project_id:
            ways.append(replace(repo, value=record.project_id))
        if by_issue and not is_verified and self.bound.allows(by_issue.value):
            ways.append(by_issue)
        if self.bound.project_id:
            ways.insert(0, _Claim(self.bound.project_id, BOUND, 100, "the key", self.bound.project_id))
        for way in ways[1:]:
            if way.value != ways[0].value:
                self.conflicts.add(f"project: {ways[0]}, {way}")
        if not ways or ways[0].is_disputed:
            return None, None
        if self.bound.project_id or self.bound.allows(ways[0].value):
            return ways[0], None
        return None, ways[0]

    def _barred(self, denied: _Claim | None) -> Barred | None:
        """The most trusted project by name, where it is no project that the key may claim; else the claim that was denied."""
        if self.bound.project_id:
            return None
        named = [one for one in self.believed if one.project and one.level == EXPLICIT]
        for one in named:
            if one.confidence < named[0].confidence:
                break
            project = self.registry.project(one.project or "")
            if project is None or not self.bound.allows(project):
                return Barred(one.project or "", one.source)
        return Barred(denied.said, denied.source) if denied else None

    def _issue(self, task: _Claim | None, project: _Claim | None) -> Issue | None:
        """The issue of the row: the key's own, else one of the row's project."""
        if self.bound.task_id:
            if task and task.value != self.bound.task_id.upper():
                self.conflicts.add(f"task: the key says {self.bound.task_id}, {task}")
            return self.registry.issue(self.bound.task_id)
        issue = self.registry.issue(task.value) if task else None
        return issue if issue and project and issue.project_id == project.value else None


def _claim(one: Evidence, value: str, said: str) -> _Claim:
    return _Claim(value, one.level, one.confidence, one.source, said)


def _is_same_repo(one: str, other: str) -> bool:
    """Whether they are one, or the one without a host is what the other is called."""
    if "/" in one and "/" in other:
        return one == other
    return last_segment(one) == last_segment(other)


def _is_same_commit(one: str, other: str) -> bool:
    """Whether the shorter of two hashes abbreviates the longer."""
    return one.startswith(other) or other.startswith(one)


def _canonical(one: Evidence) -> str:
    """JSON in ASCII with its names in the order of the class, so that any text a client sends has one form."""
    return _encode({name: getattr(one, name) for name in _FIELDS})
