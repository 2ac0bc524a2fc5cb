r"""The mapping file (promise A2): which project, and so which end customer, the spend of a repo is charged to.

    version: 1
    projects:
      HPC: {customer: houston-power, aliases: [HPCX]}
    repos:
      bitbucket.org/arctrade/hpc-billing: {project: HPC, default_epic: HPC-100, branch_pattern: '^(?:feature/)?(HPC-\d+)'}
      socedison-ingest: SOCE          # a bare name: any remote that ends in it
    task_classes:                     # what kind of work a call is (A5); the first that holds decides
      - {class: billing-review, when: {client: claude-code, tool: 'create_*'}}

It is read whole or refused whole, with every mistake and its line. All values are text: YAML's own types (`no`, `1e3`) are
not applied.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from visionality.core.branch_pattern import fault
from visionality.core.mistake import Mistake, told
from visionality.core.plain_yaml import BadYaml, Block, Items, Node, Text, read
from visionality.core.remote import normalised
from visionality.core.task_class import NAME
from visionality.core.task_class_rules import MOST_HEADERS, MOST_RULES, ClassRule

LARGEST = 1024 * 1024
"""Bytes of a file."""
VERSION = "1"
_OF_A_REPO = ("project", "customer", "default_epic", "branch_pattern")
_CONDITIONS = {"client": 60, "tool": 80, "model": 200, "path": 200, "system_starts": 200}
"""What a task class may ask for, and the most characters of it."""
_HEADER = re.compile(r"x-vis-[a-z0-9-]{1,60}")
_LONGEST_HEADER = 200
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_EPIC = re.compile(r"[A-Z][A-Z0-9_]+-[0-9]+")
_BARE = re.compile(r"[a-z0-9._-]{1,200}")


class BadMap(Exception):
    """A mapping file that is not applied. `mistakes` are all of them, by line."""

    def __init__(self, mistakes: Collection[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes))
        super().__init__(told("the mapping file", mistakes))


@dataclass(frozen=True, slots=True)
class Repo:
    """Where the spend of a repo goes; empty means that the file says nothing."""

    project: str
    customer: str = ""
    default_epic: str = ""
    branch_pattern: str = ""


@dataclass(frozen=True, slots=True)
class Map:
    """What there is, or what a file says: the customer of each project, each alias's project, and the repos."""

    projects: Mapping[str, str]
    """Empty: a file says nothing of the customer; a project has none."""
    aliases: Mapping[str, str]
    repos: Mapping[str, Repo]
    task_classes: tuple[ClassRule, ...] = ()
    """In the order in which they are tried."""


@dataclass(slots=True)
class _Reading:
    """A file on its way to a Map."""

    customers: Collection[str]
    there: Collection[str]
    """Projects that exist already."""
    mistakes: list[Mistake] = field(default_factory=list)
    projects: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    repos: dict[str, Repo] = field(default_factory=dict)
    task_classes: list[ClassRule] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    """Of repos, by their name as it is stored."""
    named: list[tuple[int, str]] = field(default_factory=list)
    """Projects that repos name."""

    def wrong(self, line: int, words: str) -> None:
        self.mistakes.append(Mistake(line, words))


def read_map(content: bytes, customers: Collection[str], projects: Collection[str]) -> Map:
    """What a file says. `customers` and `projects` are the keys of those that there are; raises BadMap.

    Projects that are not there yet may be named; customers may not.
    """
    if len(content) > LARGEST:
        raise BadMap([Mistake(1, f"the file has {len(content)} bytes: at most {LARGEST} are read")])
    try:
        root, refused = read(content)
    except BadYaml as error:
        raise BadMap(error.mistakes) from None
    reading = _Reading(customers, projects)
    parts = dict(_parts(reading, root, "the file", ("version", "projects", "repos", "task_classes")))
    _version(reading, parts.get("version"), root)
    for name, one in ((("projects", _project)), (("repos", _repo))):
        if name in parts:
            _each(reading, parts[name], name, one)
    if "task_classes" in parts:
        _task_classes(reading, parts["task_classes"])
    _no_alias_is_a_project(reading)
    if refused or reading.mistakes:
        raise BadMap(refused + reading.mistakes)
    return Map(reading.projects, reading.aliases, reading.repos, tuple(reading.task_classes))


def _version(reading: _Reading, found: Node | None, root: Node) -> None:
    if found is None:
        reading.wrong(root.line, f"`version` is missing: expected version: {VERSION}")
    elif (value := _text(reading, found, "version")) not in {VERSION, ""}:
        reading.wrong(found.line, f"version {value} is not known: expected {VERSION}")


def _each(reading: _Reading, node: Node, name: str, one: Callable[[_Reading, Text, Node], None]) -> None:
    if isinstance(node, Block):
        for key, value in node.entries:
            one(reading, key, value)
    elif not _is_empty(node):
        reading.wrong(node.line, f"`{name}` must be a mapping, one line for each")


def _project(reading: _Reading, key: Text, node: Node) -> None:
    if not _is_key(reading, key, "a project"):
        return
    parts = {} if _is_empty(node) else dict(_parts(reading, node, key.value, ("customer", "aliases")))
    reading.projects[key.value] = _customer(reading, parts.get("customer"))
    for alias in _texts(reading, parts.get("aliases"), "aliases"):
        if not _is_key(reading, alias, "an alias"):
            continue
        if alias.value in reading.aliases:
            reading.wrong(alias.line, f"{alias.value} is an alias of {reading.aliases[alias.value]} already")
        reading.aliases[alias.value] = key.value
        reading.lines[f"alias {alias.value}"] = alias.line


def _repo(reading: _Reading, key: Text, node: Node) -> None:
    repo = _stored(key.value)
    if repo is None:
        reading.wrong(
            key.line,
            f"{key.value!r} is no repo: expected a remote such as bitbucket.org/arctrade/hpc-billing, or a bare name",
        )
        return
    if repo in reading.lines:
        reading.wrong(key.line, f"{key.value} is mapped already, in line {reading.lines[repo]}, as {repo}")
    reading.lines[repo] = key.line
    if isinstance(node, Items):
        reading.wrong(
            node.line, f"{key.value} must be a project, or a mapping with the keys {', '.join(_OF_A_REPO)}"
        )
        return
    parts = (
        {"project": node} if isinstance(node, Text) else dict(_parts(reading, node, key.value, _OF_A_REPO))
    )
    reading.repos[repo] = Repo(
        _project_of(reading, key, parts.get("project")),
        _customer(reading, parts.get("customer")),
        _epic(reading, parts.get("default_epic")),
        _pattern(reading, parts.get("branch_pattern")),
    )


def _stored(repo: str) -> str | None:
    """The name under which a repo is mapped; None for what is none."""
    if "/" in repo or ":" in repo:
        return normalised(repo)
    bare = repo.lower().removesuffix(".git")
    return bare if _BARE.fullmatch(bare) and bare.strip(".") else None


def _project_of(reading: _Reading, repo: Text, node: Node | None) -> str:
    if node is None:
        reading.wrong(repo.line, f"{repo.value} has no project: expected {repo.value}: {{project: KEY}}")
        return ""
    value = _text(reading, node, "project")
    if not value or not _is_key(reading, Text(node.line, value), "a project"):
        return ""
    reading.named.append((node.line, value))
    return value


def _customer(reading: _Reading, node: Node | None) -> str:
    value = _text(reading, node, "customer") if node else ""
    if value and node and value not in reading.customers:
        reading.wrong(
            node.line, f"there is no customer {value}: add it with `vis customer add {value}`, or correct it"
        )
    return value


def _epic(reading: _Reading, node: Node | None) -> str:
    value = _text(reading, node, "default_epic") if node else ""
    if value and node and not (_EPIC.fullmatch(value) and len(value) <= 80):
        reading.wrong(node.line, f"{value!r} is no issue key: expected one such as HPC-100")
    return value


def _pattern(reading: _Reading, node: Node | None) -> str:
    value = _text(reading, node, "branch_pattern") if node else ""
    if value and node and (wrong := fault(value)):
        reading.wrong(node.line, f"the branch pattern {wrong}")
    return value


def _task_classes(reading: _Reading, node: Node) -> None:
    if not isinstance(node, Items):
        if not _is_empty(node):
            reading.wrong(node.line, "`task_classes` must be a list: - {class: NAME, when: {…}}")
        return
    if len(node.items) > MOST_RULES:
        reading.wrong(node.line, f"{len(node.items)} task classes: at most {MOST_RULES} rules are tried")
    for item in node.items:
        parts = dict(_parts(reading, item, "a task class", ("class", "when")))
        if isinstance(item, Block):
            _task_class(reading, item.line, parts)


def _task_class(reading: _Reading, line: int, parts: Mapping[str, Node]) -> None:
    name = _text(reading, parts["class"], "class") if "class" in parts else ""
    if "class" not in parts:
        reading.wrong(line, "a task class has no `class`: expected {class: NAME, when: {…}}")
    elif name and not NAME.fullmatch(name):
        expected = "a lower-case letter, then lower-case letters, digits, `_` or `-`, at most 40"
        reading.wrong(parts["class"].line, f"{name!r} cannot be a task class: expected {expected}")
    known = (*_CONDITIONS, "header")
    conditions = dict(_parts(reading, parts["when"], "when", known)) if "when" in parts else {}
    if not conditions:
        reading.wrong(
            line, f"a task class says nothing in `when`: expected one or more of {', '.join(known)}"
        )
    said = {
        condition: _shorter(reading, conditions[condition], condition, longest)
        for condition, longest in _CONDITIONS.items()
        if condition in conditions
    }
    headers = tuple(sorted(_headers(reading, conditions["header"]))) if "header" in conditions else ()
    reading.task_classes.append(ClassRule(name, headers=headers, **said))


def _headers(reading: _Reading, node: Node) -> Iterator[tuple[str, str]]:
    entries = node.entries if isinstance(node, Block) else ()
    if not 1 <= len(entries) <= MOST_HEADERS:
        reading.wrong(
            node.line, f"`header` must be a mapping of 1 to {MOST_HEADERS}: {{x-vis-team: billing}}"
        )
        return
    for key, value in entries:
        if not _HEADER.fullmatch(key.value):
            reading.wrong(
                key.line,
                f"{key.value!r} cannot be asked for: expected a header that begins with x-vis-, in lower case",
            )
        yield key.value, _shorter(reading, value, key.value, _LONGEST_HEADER)


def _shorter(reading: _Reading, node: Node, name: str, longest: int) -> str:
    value = _text(reading, node, name)
    if len(value) > longest:
        reading.wrong(node.line, f"`{name}` has {len(value)} characters: at most {longest} are compared")
    return value


def _no_alias_is_a_project(reading: _Reading) -> None:
    """Names are compared without their case: what a branch carries has lost it."""
    keys = {key.lower(): key for key in (*reading.there, *reading.projects)}
    taken: dict[str, str] = {}
    for alias, project in reading.aliases.items():
        line = reading.lines[f"alias {alias}"]
        if found := keys.get(alias.lower()):
            reading.wrong(line, f"{alias} cannot be an alias of {project}: there is a project {found}")
        if other := taken.get(alias.lower()):
            reading.wrong(line, f"{alias} is the alias {other} with another case")
        taken[alias.lower()] = alias
    for line, named in reading.named:
        if named in reading.aliases and named not in reading.there:
            project = reading.aliases[named]
            reading.wrong(line, f"{named} is an alias of {project}: name the project itself")


# ---------------------------------------------------------------- values


def _parts(reading: _Reading, node: Node, what: str, known: tuple[str, ...]) -> Iterator[tuple[str, Node]]:
    """The entries of a mapping with known keys; the others are mistakes."""
    if not isinstance(node, Block):
        reading.wrong(node.line, f"{what} must be a mapping with the keys {', '.join(known)}")
        return
    for key, value in node.entries:
        if key.value in known:
            yield key.value, value
        else:
            reading.wrong(key.line, f"{key.value!r} is not known here: expected {', '.join(known)}")


def _text(reading: _Reading, node: Node, name: str) -> str:
    """The text of a value; empty, with a mistake, where there is none."""
    if isinstance(node, Text) and node.value and node.value.isprintable():
        return node.value
    reading.wrong(node.line, f"`{name}` must be text on one line: leave it out to say nothing")
    return ""


def _texts(reading: _Reading, node: Node | None, name: str) -> Iterator[Text]:
    if node is None:
        return
    if not isinstance(node, Items):
        reading.wrong(node.line, f"`{name}` must be a list, such as [A, B]")
        return
    for item in node.items:
        if _text(reading, item, name) and isinstance(item, Text):
            yield item


def _is_key(reading: _Reading, key: Text, what: str) -> bool:
    if _KEY.fullmatch(key.value):
        return True
    reading.wrong(
        key.line,
        f"{key.value!r} cannot be {what}: expected letters, digits, `.`, `_` or `-`, at most 80, a letter or digit first",
    )
    return False


def _is_empty(node: Node) -> bool:
    return isinstance(node, Text) and not node.value
