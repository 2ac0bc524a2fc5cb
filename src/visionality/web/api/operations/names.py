"""Projects, end customers, teams and people: the tables that rows take their names from."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from ninja import Query
from pydantic import Field

from visionality.web.api.bearer import Ask
from visionality.web.api.cursor import behind, read
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_POLICY, WRITE_KEYS, WRITE_POLICY
from visionality.web.api.shapes import Given, Key, Listed, Page, Reasoned, Sub, Text80, Text200, Told, Usd
from visionality.web.issuing.revocation import revoke_person
from visionality.web.policy import acts, lists


class Customer(Told):
    key: str
    name: str


class Team(Told):
    key: str
    name: str
    cost_center: str
    business_unit: str


class Person(Told):
    sso_sub: str
    name: str


class Project(Told):
    key: str
    name: str
    customer: str = Field(description="The end customer's key; empty for none.")
    gl_code: str
    business_unit: str
    passthrough: dict[str, str | None] = Field(
        description="Providers whose paths without a meter are open, and US dollars a request; null is an unknown price."
    )


class NewCustomer(Given):
    key: Key = Field(examples=["acme"])
    name: Text200 = ""


class NewTeam(Given):
    key: Key = Field(examples=["desk-tools"])
    name: Text200 = ""
    cost_center: Text80 = ""
    business_unit: Text80 = ""


class NewPerson(Given):
    sso_sub: Sub = Field(examples=["00u-alice"])
    name: Text200 = ""


class NewProject(Given):
    key: Key = Field(examples=["HPC"])
    name: Text200 = ""
    customer: Key | None = None
    gl_code: Text80 = ""
    business_unit: Text80 = ""


class BusinessUnit(Given):
    business_unit: Text80 = Field(examples=["power"], description="Empty for none.")


class Passthrough(Given):
    usd_per_request: Usd | None = Field(None, description="Null is an unknown price.")


def by(*names: str) -> Callable[[dict[str, Any]], tuple[str, ...]]:
    """The place of an item in a list that is in the order of these columns."""
    return lambda one: tuple(str(one[name]) for name in names)


def numbered(one: dict[str, Any]) -> tuple[str]:
    """The place of an item in a list that is in the order of its versions."""
    return (f"{one['version']:012d}",)


def page_of(ask: Ask, kind: str, name: str, page: Page) -> dict[str, Any]:
    """A page of what `policy.lists` has of a kind, by its name."""
    return listed(ask, lists.records(ask.act, kind), by(name), page)


def listed(
    ask: Ask,
    items: Iterable[dict[str, Any]],
    place_of: Callable[[dict[str, Any]], tuple[str, ...]],
    page: Page,
    *,
    newest_first: bool = False,
) -> dict[str, Any]:
    """A page of a whole list, in the order of the places of its items; each has another one."""
    after = read(page.after)
    found = behind(items, place_of, after, newest_first=newest_first)
    following = ask.next(*place_of(found[page.limit - 1])) if len(found) > page.limit else None
    return {"items": found[: page.limit], "next": following}


def the_one(items: Iterable[dict[str, Any]], what: str, **named: object) -> dict[str, Any]:
    """The item that is so named. Raises Problem."""
    for one in items:
        if all(one[name] == value for name, value in named.items()):
            return one
    raise Problem(404, f"there is no {what} {', '.join(map(str, named.values()))}")


@API.on("GET", "projects", *READ_POLICY, answer=Listed[Project])
def projects(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    return page_of(ask, "project", "key", page)


@API.on("POST", "projects", *WRITE_POLICY, answer=Project, status=201)
def add_project(ask: Ask, body: NewProject) -> dict[str, Any]:
    acts.add_project(ask.act, body.key, body.name, body.customer, body.gl_code, body.business_unit)
    return project(ask, body.key)


@API.on("GET", "projects/{project_key}", *READ_POLICY, answer=Project)
def project(ask: Ask, project_key: str) -> dict[str, Any]:
    return the_one(lists.records(ask.act, "project"), "project", key=project_key)


@API.on("PATCH", "projects/{project_key}", *WRITE_POLICY, answer=Project)
def change_project(ask: Ask, project_key: str, body: BusinessUnit) -> dict[str, Any]:
    """Which business unit its rows are of from now on."""
    acts.set_project(ask.act, project_key, body.business_unit)
    return project(ask, project_key)


@API.on("PUT", "projects/{project_key}/passthrough/{provider}", *WRITE_POLICY, answer=Project)
def open_passthrough(ask: Ask, project_key: str, provider: Key, body: Passthrough) -> dict[str, Any]:
    """Let its keys call paths of a provider that have no meter."""
    declared = None if body.usd_per_request is None else Decimal(body.usd_per_request)
    acts.open_passthrough(ask.act, project_key, provider, declared)
    return project(ask, project_key)


@API.on("DELETE", "projects/{project_key}/passthrough/{provider}", *WRITE_POLICY, answer=Project)
def close_passthrough(ask: Ask, project_key: str, provider: Key) -> dict[str, Any]:
    acts.close_passthrough(ask.act, project_key, provider)
    return project(ask, project_key)


@API.on("GET", "customers", *READ_POLICY, answer=Listed[Customer])
def customers(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    return page_of(ask, "customer", "key", page)


@API.on("POST", "customers", *WRITE_POLICY, answer=Customer, status=201)
def add_customer(ask: Ask, body: NewCustomer) -> dict[str, Any]:
    acts.add_customer(ask.act, body.key, body.name)
    return customer(ask, body.key)


@API.on("GET", "customers/{customer_key}", *READ_POLICY, answer=Customer)
def customer(ask: Ask, customer_key: str) -> dict[str, Any]:
    return the_one(lists.records(ask.act, "customer"), "customer", key=customer_key)


@API.on("GET", "teams", *READ_POLICY, answer=Listed[Team])
def teams(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    return page_of(ask, "team", "key", page)


@API.on("POST", "teams", *WRITE_POLICY, answer=Team, status=201)
def add_team(ask: Ask, body: NewTeam) -> dict[str, Any]:
    acts.add_team(ask.act, body.key, body.name, body.cost_center, body.business_unit)
    return team(ask, body.key)


@API.on("GET", "teams/{team_key}", *READ_POLICY, answer=Team)
def team(ask: Ask, team_key: str) -> dict[str, Any]:
    return the_one(lists.records(ask.act, "team"), "team", key=team_key)


@API.on("PATCH", "teams/{team_key}", *WRITE_POLICY, answer=Team)
def change_team(ask: Ask, team_key: str, body: BusinessUnit) -> dict[str, Any]:
    """Which business unit its rows are of from now on, where their project has none."""
    acts.set_team(ask.act, team_key, body.business_unit)
    return team(ask, team_key)


@API.on("GET", "people", *READ_POLICY, answer=Listed[Person])
def people(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    return page_of(ask, "person", "sso_sub", page)


@API.on("POST", "people", *WRITE_POLICY, answer=Person, status=201)
def add_person(ask: Ask, body: NewPerson) -> dict[str, Any]:
    acts.add_person(ask.act, body.sso_sub, body.name)
    return person(ask, body.sso_sub)


@API.on("POST", "people/{path:sso_sub}/revoke", *WRITE_KEYS, answer=Person)
def revoke_keys_of_person(ask: Ask, sso_sub: str, body: Reasoned) -> dict[str, Any]:
    """End every key and token of a person; those issued after it work."""
    act = replace(ask.act, reason=body.reason)
    revoke_person(act, sso_sub, body.reason)
    act.record("access_revoked", {"person": sso_sub})
    return person(ask, sso_sub)


@API.on("GET", "people/{path:sso_sub}", *READ_POLICY, answer=Person)
def person(ask: Ask, sso_sub: str) -> dict[str, Any]:
    return the_one(lists.records(ask.act, "person"), "person", sso_sub=sso_sub)
