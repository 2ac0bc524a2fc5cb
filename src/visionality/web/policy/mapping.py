"""The mapping file: looked at, applied whole, and kept (promise A2). Run inside `web.start.organisation_context`."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet

from visionality.core.change import Change
from visionality.core.mapping_changes import map_changes, wanted
from visionality.core.mapping_file import Map, Repo, read_map
from visionality.core.remote import last_segment
from visionality.core.task_class_rules import ClassRule
from visionality.web.policy.acts import Act, BadName, Unknown, add_project, alone, told
from visionality.web.policy.models import (
    EndCustomer,
    MappedRepo,
    MappingFile,
    Project,
    ProjectAlias,
    TaskClassRule,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What applying a file would do."""

    before: Map
    after: Map
    changes: tuple[Change, ...]
    is_in_force: bool
    """Whether this very file is the newest one that was applied."""

    @property
    def new_projects(self) -> list[str]:
        return sorted(set(self.after.projects) - set(self.before.projects))


def plan(act: Act, content: bytes) -> Plan:
    """What the file would change. Raises BadMap with every mistake and its line."""
    before = current(act)
    customers = frozenset(EndCustomer.objects.filter(org_id=act.org_id).values_list("key", flat=True))
    after = wanted(before, read_map(content, customers, before.projects))
    newest = _files(act).first()
    is_in_force = newest is not None and bytes(newest.sha256) == _sha256(content)
    return Plan(before, after, tuple(map_changes(before, after)), is_in_force)


def apply(act: Act, content: bytes, agreed: Sequence[Change]) -> MappingFile:
    """Make the map say what the file says, and keep the file.

    `agreed` are the changes that were shown; raises BadName when they are others by now, and BadMap.
    """
    alone(act)
    found = plan(act, content)
    if found.changes != tuple(agreed):
        raise BadName("the map was changed by somebody else meanwhile: look at the changes again")
    _make_projects(act, found)
    _move_customers(act, found)
    projects = {project.key: project for project in Project.objects.filter(org_id=act.org_id)}
    _replace_aliases(act, found, projects)
    _replace_repos(act, found, projects)
    _replace_task_classes(act, found)
    newest = _files(act).first()
    made = MappingFile.objects.create(
        org_id=act.org_id,
        version=newest.version + 1 if newest else 1,
        content=content,
        sha256=_sha256(content),
        applied_by=act.actor,
        applied_at=act.now,
    )
    counted = Counter(change.kind for change in found.changes)
    detail = _file(made) | {kind: str(count) for kind, count in counted.items()}
    act.record("map_applied", told(_file(newest) if newest else {}, detail))
    return made


def current(act: Act) -> Map:
    """The map that gateways go by."""
    mine = {"org_id": act.org_id}
    projects = Project.objects.filter(**mine).values_list("key", "customer__key")
    aliases = ProjectAlias.objects.filter(**mine).values_list("alias", "project__key")
    columns = ("repo", "project__key", "customer__key", "default_epic", "branch_pattern")
    repos = MappedRepo.objects.filter(**mine).values_list(*columns)
    return Map(
        {key: customer or "" for key, customer in projects},
        dict(aliases),
        {
            name: Repo(project, customer or "", epic, pattern)
            for name, project, customer, epic, pattern in repos
        },
        tuple(_rule(one) for one in TaskClassRule.objects.filter(**mine).order_by("number")),
    )


def history(act: Act) -> list[MappingFile]:
    """Every file that was applied, the newest first."""
    return list(_files(act))


def applied(act: Act, version: int | None) -> MappingFile:
    """The file of this version, or the one in force. Raises Unknown."""
    files = _files(act) if version is None else _files(act).filter(version=version)
    found = files.first()
    if found is None:
        which = "mapping file" if version is None else f"version {version}"
        raise Unknown(
            f"no {which} was applied: `vis map history` lists what was, `vis map apply FILE` applies one"
        )
    return found


def _make_projects(act: Act, found: Plan) -> None:
    for key in found.new_projects:
        add_project(act, key, "", found.after.projects[key] or None, "")


def _move_customers(act: Act, found: Plan) -> None:
    customers = {one.key: one for one in EndCustomer.objects.filter(org_id=act.org_id)}
    for key, customer in found.before.projects.items():
        if found.after.projects[key] != customer:
            Project.objects.filter(org_id=act.org_id, key=key).update(
                customer=customers[found.after.projects[key]]
            )
            detail = {"project": key, "customer": found.after.projects[key]}
            act.record("project_set", told({"customer": customer}, detail))


def _replace_aliases(act: Act, found: Plan, projects: dict[str, Project]) -> None:
    before, after = found.before.aliases, found.after.aliases
    ProjectAlias.objects.filter(org_id=act.org_id, alias__in=set(before) - set(after)).delete()
    for alias in _moved(before.items(), after.items()):
        ProjectAlias.objects.update_or_create(
            org_id=act.org_id, alias=alias, defaults={"project": projects[after[alias]]}
        )


def _replace_repos(act: Act, found: Plan, projects: dict[str, Project]) -> None:
    customers = {one.key: one for one in EndCustomer.objects.filter(org_id=act.org_id)}
    before, after = found.before.repos, found.after.repos
    MappedRepo.objects.filter(org_id=act.org_id, repo__in=set(before) - set(after)).delete()
    for name in _moved(before.items(), after.items()):
        repo = after[name]
        MappedRepo.objects.update_or_create(
            org_id=act.org_id,
            repo=name,
            defaults={
                "name": last_segment(name),
                "project": projects[repo.project],
                "customer": customers.get(repo.customer),
                "default_epic": repo.default_epic,
                "branch_pattern": repo.branch_pattern,
            },
        )


def _replace_task_classes(act: Act, found: Plan) -> None:
    if found.before.task_classes == found.after.task_classes:
        return
    TaskClassRule.objects.filter(org_id=act.org_id).delete()
    TaskClassRule.objects.bulk_create(
        TaskClassRule(
            org_id=act.org_id,
            number=number,
            task_class=rule.task_class,
            client=rule.client,
            tool=rule.tool,
            model=rule.model,
            path=rule.path,
            system_starts=rule.system_starts,
            headers=dict(rule.headers),
        )
        for number, rule in enumerate(found.after.task_classes, 1)
    )


def _rule(one: TaskClassRule) -> ClassRule:
    return ClassRule(
        one.task_class,
        one.client,
        one.tool,
        one.model,
        one.path,
        one.system_starts,
        tuple(sorted(one.headers.items())),
    )


def _moved(before: Iterable[tuple[str, object]], after: Iterable[tuple[str, object]]) -> list[str]:
    """The names that are new, or that another thing stands under."""
    were = dict(before)
    return [name for name, value in after if name not in were or were[name] != value]


def _file(one: MappingFile) -> dict[str, str]:
    return {"version": str(one.version), "sha256": bytes(one.sha256).hex()}


def _files(act: Act) -> QuerySet[MappingFile]:
    return MappingFile.objects.filter(org_id=act.org_id).order_by("-version")


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
