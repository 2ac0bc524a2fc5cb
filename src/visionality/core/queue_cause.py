"""Why a row waits in the queue, in words, from the fields that the row has (promise A6).

What the resolver (core/attribution.py) could not settle it left on the row: the repository and branch that it found, what
disagreed, and a project that the key may not claim.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256

from visionality.core.remote import last_segment

_SHARED = re.compile(r"repo: .+? says (\S+), and \d+ repositories have that name")
_UNKNOWN_ISSUE = re.compile(r"task: .+? says (\S+?)-\d+, which is no known issue")
_UNKNOWN_PROJECT = re.compile(r"project: .+? says (.+?), which is no known project")
_ISSUE_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,79}?)-[1-9][0-9]{0,8}(?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Known:
    """The organisation's projects, their aliases in upper case, and the repositories of the map."""

    projects: Collection[str]
    aliases: Collection[str]
    repos: Mapping[str, str]
    """To their projects."""

    def is_project(self, name: str) -> bool:
        name = name.upper()
        return name in self.aliases or any(name == project.upper() for project in self.projects)

    def project_of(self, repo: str) -> str | None:
        return self.repos.get(repo) or self.repos.get(last_segment(repo))


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of a row tells why it waits."""

    project_id: str | None
    repo: str | None
    branch: str | None
    client: str | None
    conflict: str | None
    denied: str | None


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason for which rows wait."""

    kind: str
    """`denied`, `shared_name`, `disagree`, `unknown_project`, `repo`, `branch` or `no_evidence`."""
    subject: str
    words: str
    project: str = ""
    """That the rows are likely of; empty where nothing says it."""

    @property
    def code(self) -> str:
        """Names the cause, today and tomorrow: six hex digits."""
        return sha256(f"{self.kind}\0{self.subject}".encode()).hexdigest()[:6]


def cause(row: Waiting, known: Known) -> Cause:
    """The likeliest cause. What is wrong with the evidence goes before what is missing."""
    if row.denied:
        words = f"the key may not claim the project {row.denied}"
        return Cause("denied", row.denied, words, row.denied if known.is_project(row.denied) else "")
    if row.conflict and (found := _of_conflict(row.conflict)):
        return found
    if row.repo and not row.project_id:
        return _of_repo(row.repo, known)
    if row.branch and (key := _ISSUE_KEY.match(row.branch.rpartition("/")[2])):
        prefix = key[1].upper()
        if not known.is_project(prefix):
            return Cause("branch", prefix, f"branches name issues of {prefix}, which is no known project")
    client = (row.client or "").partition(" ")[0]
    return Cause("no_evidence", client, f"no evidence at all, from {client or 'a client that is not named'}")


def _of_conflict(text: str) -> Cause | None:
    if found := _SHARED.search(text):
        name = found[1]
        return Cause(
            "shared_name", name, f"several repositories of the map have the name of the directory {name}"
        )
    if found := _UNKNOWN_PROJECT.search(text):
        return Cause("unknown_project", found[1], f"the project {found[1]} is named, which is not known")
    if found := _UNKNOWN_ISSUE.search(text):
        return Cause("branch", found[1], f"issues of {found[1]} are named, which are not known")
    first = next(
        (one for one in text.split("; ") if one.startswith("project:")), text.split("; ", maxsplit=1)[0]
    )
    return Cause("disagree", first, f"sources disagree about the {first}")


def _of_repo(repo: str, known: Known) -> Cause:
    project = known.project_of(repo)
    if project:
        return Cause(
            "repo", repo, f"the repository {repo} came into the map, on {project}, after these calls", project
        )
    return Cause(
        "repo", repo, f"the repository {repo} is not in the map: a line of the map settles calls to come"
    )
