"""What a mapping file changes (promise A2)."""

from visionality.core.change import Change, changes
from visionality.core.mapping_file import Map, Repo


def wanted(now: Map, file: Map) -> Map:
    """What there is once the file is applied: its repos and aliases alone; projects stay, and more are made."""
    named = {repo.project: "" for repo in file.repos.values()} | dict(file.projects)
    projects = {key: customer or now.projects.get(key, "") for key, customer in named.items()}
    return Map({**now.projects, **projects}, file.aliases, file.repos)


def map_changes(before: Map, after: Map) -> list[Change]:
    """Projects, then aliases, then repos; each by its name."""
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
    ]


def _parts(repo: Repo) -> dict[str, str]:
    return {
        "project": repo.project,
        "customer": repo.customer,
        "default epic": repo.default_epic,
        "branch pattern": repo.branch_pattern,
    }
