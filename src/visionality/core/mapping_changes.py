"""What a mapping file changes (promise A2)."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from visionality.core.change import Change, changes
from visionality.core.mapping_file import Map, Repo
from visionality.core.task_class_rules import ClassRule


def wanted(now: Map, file: Map) -> Map:
    """What there is once the file is applied: its repos, aliases and rules alone; projects stay, and more are made."""
    named = {repo.project: "" for repo in file.repos.values()} | dict(file.projects)
    projects = {key: customer or now.projects.get(key, "") for key, customer in named.items()}
    return Map({**now.projects, **projects}, file.aliases, file.repos, file.task_classes)


def map_changes(before: Map, after: Map) -> list[Change]:
    """Projects, then aliases, then repos, each by its name; then the rules for task classes in their order."""
    return [
        *changes(
            "project",
            *({key: {"customer": one} for key, one in map_.projects.items()} for map_ in (before, after)),
        ),
        *changes(
            "alias",
            *({key: {"project": one} for key, one in map_.aliases.items()} for map_ in (before, after)),
        ),
        *changes(
            "repo", *({key: _parts(one) for key, one in map_.repos.items()} for map_ in (before, after))
        ),
        *_rule_changes(before.task_classes, after.task_classes),
    ]


def _rule_changes(before: Sequence[ClassRule], after: Sequence[ClassRule]) -> Iterator[Change]:
    for number, rules in enumerate(zip_longest(before, after), 1):
        yield from changes("task class rule", *({str(number): _rule(one)} if one else {} for one in rules))


def _rule(rule: ClassRule) -> dict[str, str]:
    return {"class": rule.task_class, **rule.parts()}


def _parts(repo: Repo) -> dict[str, str]:
    return {
        "project": repo.project,
        "customer": repo.customer,
        "default epic": repo.default_epic,
        "branch pattern": repo.branch_pattern,
    }
