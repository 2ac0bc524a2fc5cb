"""`/names`: the names that rows take from here (projects, customers, teams, people, agents), added and set."""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.core.identity_table import Identity
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.control.acting import ControlForm, Said, form_page, looked_up, may_change
from visionality.web.control.book import Book, Line, Step, cells, heads
from visionality.web.control.fields import Day
from visionality.web.control.fields import Line as LineField
from visionality.web.doing import doing
from visionality.web.policy import acts, lists
from visionality.web.policy.acts import Act, found
from visionality.web.policy.identities import identity_of, set_identity
from visionality.web.policy.models import Project, Team

_KEY = "Letters, digits, `.`, `_` or `-`; stands on every row, and cannot be changed."
_UNIT = "For budgets and reports of a business unit."


class ProjectForm(ControlForm):
    key = LineField("Key", 80, required=True, help_text=_KEY)
    name = LineField("Name", 200, help_text="For people; the key when empty.")
    customer = LineField("Customer", 80, help_text="The end customer who is billed, by its key.")
    gl_code = LineField("GL code", 80, help_text="The general-ledger code of its rows.")
    business_unit = LineField("Business unit", 80, help_text=f"{_UNIT} The team's when empty.")


class CustomerForm(ControlForm):
    key = LineField("Key", 80, required=True, help_text=_KEY)
    name = LineField("Name", 200, help_text="For people; the key when empty.")


class TeamForm(ControlForm):
    key = LineField("Key", 80, required=True, help_text=_KEY)
    name = LineField("Name", 200, help_text="For people; the key when empty.")
    cost_center = LineField("Cost center", 80, help_text="Who pays for the team.")
    business_unit = LineField("Business unit", 80, help_text=_UNIT)


class PersonForm(ControlForm):
    sso_sub = LineField("Subject", 255, required=True, help_text="As the company's single sign-on has it.")
    name = LineField("Name", 200, help_text="For people; the subject when empty.")


class AgentForm(ControlForm):
    sub = LineField("Subject", 255, required=True, help_text="Such as alice@arctrade; stands on every row.")
    owner = LineField("Owner", 200, required=True, help_text="Whose it is, for people.")
    team = LineField("Team", 80, help_text="By its key.")
    person = LineField("Person", 255, help_text="By the subject of the single sign-on.")


class UnitForm(ControlForm):
    business_unit = LineField("Business unit", 80, help_text="Empty for none of its own.")


class IdentityForm(ControlForm):
    owner = LineField("Owner", 200, required=True)
    sso_sub = LineField("Person", 255, help_text="By the subject of the single sign-on; empty for none.")
    team = LineField("Team", 80, help_text="By its key; empty for none.")
    cost_center = LineField("Cost center", 80, help_text="The team's when empty.")
    gl_code = LineField("GL code", 80, help_text="Of rows whose project has none.")
    first_day = Day("From", help_text="First day, UTC; now when empty. Rows that exist stay as they are.")


@dataclass(frozen=True, slots=True)
class Kind:
    """A table of names: what it is called, its columns in lists.records, its form and the act that adds one."""

    title: str
    columns: tuple[tuple[str, str], ...]
    form: type[ControlForm]
    add: Callable[[Act, Said], object]
    settable: str
    empty: str


def _add_project(act: Act, said: Said) -> object:
    return acts.add_project(
        act, said["key"], said["name"], said["customer"] or None, said["gl_code"], said["business_unit"]
    )


def _add_team(act: Act, said: Said) -> object:
    return acts.add_team(act, said["key"], said["name"], said["cost_center"], said["business_unit"])


def _add_agent(act: Act, said: Said) -> object:
    return acts.add_agent(act, said["sub"], said["owner"], said["team"] or None, said["person"] or None)


KINDS = {
    "project": Kind(
        "Projects",
        (
            ("key", "Key"),
            ("name", "Name"),
            ("customer", "Customer"),
            ("gl_code", "GL code"),
            ("business_unit", "Business unit"),
        ),
        ProjectForm,
        _add_project,
        "project_set",
        "No project is here yet. A project is what spend is charged to; add one, or have the mapping file make it.",
    ),
    "customer": Kind(
        "Customers",
        (("key", "Key"), ("name", "Name")),
        CustomerForm,
        lambda act, said: acts.add_customer(act, said["key"], said["name"]),
        "",
        "No end customer is here yet: whom the work is for, and who is billed in the end.",
    ),
    "team": Kind(
        "Teams",
        (
            ("key", "Key"),
            ("name", "Name"),
            ("cost_center", "Cost center"),
            ("business_unit", "Business unit"),
        ),
        TeamForm,
        _add_team,
        "team_set",
        "No team is here yet. A team has the cost center that pays for its agents.",
    ),
    "agent": Kind(
        "Agents",
        (("sub", "Agent"), ("owner", "Owner"), ("team", "Team"), ("person", "Person")),
        AgentForm,
        _add_agent,
        "identity_set",
        "No agent is here yet: who spends, and whose that is. The identity table of the company can be imported as a CSV.",
    ),
    "person": Kind(
        "People",
        (("sso_sub", "Subject"), ("name", "Name")),
        PersonForm,
        lambda act, said: acts.add_person(act, said["sso_sub"], said["name"]),
        "",
        "Nobody is here yet. A person is known by the subject of the company's single sign-on.",
    ),
}


@for_roles(Role.OPERATOR)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """All names, a table a kind."""
    with doing(request) as act:
        books = [_book(act, kind) for kind in KINDS]
    shown = {"room": "names", "title": "Names", "books": books, "can_change": may_change(request)}
    return render(request, "control/books.html", shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest, kind: str) -> HttpResponse:
    of = KINDS[kind]

    def do(act: Act, said: Said) -> str:
        of.add(act, said)
        return f"{kind.capitalize()} {said[of.columns[0][0]]} is added."

    return form_page(
        request,
        of.form(request.POST or None),
        do,
        done=reverse("names"),
        room="names",
        title=f"Add {'an' if kind == 'agent' else 'a'} {kind}",
        button=f"Add the {kind}",
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def set_project(request: HttpRequest, key: str) -> HttpResponse:
    one = looked_up(request, lambda act: found(act, Project, "project", key=key))
    return _set_unit(
        request, f"project {key}", one.business_unit, lambda act, unit: acts.set_project(act, key, unit)
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def set_team(request: HttpRequest, key: str) -> HttpResponse:
    one = looked_up(request, lambda act: found(act, Team, "team", key=key))
    return _set_unit(
        request, f"team {key}", one.business_unit, lambda act, unit: acts.set_team(act, key, unit)
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
def set_agent(request: HttpRequest, sub: str) -> HttpResponse:
    """What is said of an agent, from a day on."""
    now_is: Identity = looked_up(request, lambda act: identity_of(act, sub))
    names = ("owner", "sso_sub", "team", "cost_center", "gl_code")

    def do(act: Act, said: Said) -> list[str]:
        done = set_identity(act, sub, {name: said[name] for name in names}, said["first_day"])
        if not done.changes:
            return [f"Agent {sub} is so already: nothing changes."]
        return [f"{one.words}, from {done.valid_from:%Y-%m-%d %H:%M} UTC on." for one in done.changes]

    return form_page(
        request,
        IdentityForm(request.POST or None, initial={name: getattr(now_is, name) for name in names}),
        do,
        done=reverse("names"),
        room="names",
        title=f"Agent {sub}",
        button="Save",
        about="A row keeps what was true when it was written; what is said here holds from a day on.",
    )


def _set_unit(
    request: HttpRequest, what: str, now_is: str, change: Callable[[Act, str], None]
) -> HttpResponse:
    def do(act: Act, said: Said) -> str:
        unit = said["business_unit"]
        change(act, unit)
        return (
            f"{_title(what)} is of {f'the business unit {unit}' if unit else 'no business unit of its own'}."
        )

    return form_page(
        request,
        UnitForm(request.POST or None, initial={"business_unit": now_is}),
        do,
        done=reverse("names"),
        room="names",
        title=_title(what),
        button="Save",
        about="Later rows take it from here; rows that exist stay as they are.",
    )


def _title(what: str) -> str:
    return what[0].upper() + what[1:]


def _book(act: Act, kind: str) -> Book:
    of = KINDS[kind]
    first = of.columns[0][0]
    records = lists.records(act, kind)
    add = [Step(f"Add {'an' if kind == 'agent' else 'a'} {kind}", reverse(f"{kind}_add"))]
    if kind == "agent":
        add.append(Step("Import a CSV", reverse("identity_import")))
    return Book(
        title=of.title,
        heads=heads(*(title for _, title in of.columns)),
        lines=[
            Line(
                cells(*(one[name] or "" for name, _ in of.columns)),
                [Step("Set", reverse(of.settable, args=[str(one[first])]), str(one[first]))]
                if of.settable
                else [],
            )
            for one in records[:SHOWN]
        ],
        empty=of.empty,
        add=add,
        more=f"The first {SHOWN} of {len(records)}; `vis {kind} list` has all."
        if len(records) > SHOWN
        else "",
    )


SHOWN = 500
"""Names of a kind on the page."""
