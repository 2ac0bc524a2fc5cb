"""`/budgets`: what may be spent, what it stands at and where it goes; set, edited, removed."""

from collections.abc import Iterator, Mapping
from datetime import UTC
from typing import cast
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.core.money import usd
from visionality.core.scope import KINDS, Scope, words
from visionality.core.window import Period
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.charts.shares import Share, shares
from visionality.web.control.acting import ControlForm, ReasonGiven, Said, form_page, looked_up, may_change
from visionality.web.control.book import Book, Cell, Line, Step, heads, moment
from visionality.web.control.called import called, key_names
from visionality.web.control.fields import Dollars, Percents, ScopeKind, ScopeName, scope_in
from visionality.web.control.outlook import outlook
from visionality.web.doing import doing
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.policy.budgets import (
    Balance,
    Standing,
    Terms,
    access_standing,
    remove_budget,
    set_budget,
    standings,
)
from visionality.web.policy.standing import per, sentence, warnings
from visionality.web.reading import reading
from visionality.web.seats.figures import amount, cents, percent

SHOWN_OF_EACH = 10
"""Values of a budget that is for each, in the list of all budgets."""

_PERIODS = {"day": "a day", "week": "a week", "month": "a month", "quarter": "a quarter", "total": "in total"}
_NEAR = {"refuse": "refuse it", "clamp": "let it have a shorter answer"}


class TermsForm(ControlForm):
    """What a budget says beside its scope and period."""

    seldom = ("near_cap", "ceiling")
    cap = Dollars("Cap, USD", required=True)
    hard = forms.BooleanField(
        label="Refuse what does not fit",
        required=False,
        help_text="A hard budget answers 402 before a provider sees the call. Without it the budget only counts.",
    )
    soft = Percents("Tell the operator at", 80, help_text="Parts of the cap, such as 60%, 80%.")
    near_cap = forms.ChoiceField(label="A call that does not fit near the cap", choices=[*_NEAR.items()])
    ceiling = Dollars(
        "Hold for an unknown price, USD",
        help_text="What a call whose price nobody knows is held at; it is refused when this is empty.",
    )

    def clean_ceiling(self) -> int | None:
        ceiling: int | None = self.cleaned_data["ceiling"]
        if ceiling == 0:
            raise ValidationError("Expected an amount above zero, or nothing.")
        return ceiling


class BudgetForm(TermsForm):
    """A budget that may be new."""

    scope_kind = ScopeKind(KINDS)
    scope_name = ScopeName()
    period = forms.ChoiceField(label="Period", choices=[*_PERIODS.items()], initial="month")
    field_order = ("scope_kind", "scope_name", "cap", "period", "hard", "soft")

    def clean(self) -> Said:
        said: Said = super().clean() or {}
        if "scope_kind" in said:
            said["scope"] = scope_in(said, KINDS)
        return said


@for_roles(Role.FINANCE)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Every budget, and what it stands at in the period of the moment."""
    with doing(request) as act:
        found = standings(act)
    names = key_names(member_of(request).org_id, found)
    book = Book(
        title="In force",
        heads=heads("Budget", "Cap, USD", "Spent", "Held", "Left", "Used", "Resets", numbers=_FIGURES),
        lines=[line for standing in found for line in _lines(standing, names)],
        empty="No budget is set: nothing is capped, and nobody is told what burns. A budget says what a project, an agent "
        "or the organisation may spend in a period; a hard one refuses what does not fit before a provider sees it.",
        command="vis budget set org --cap 20000/month --soft 80%",
        add=[Step("Set a budget", reverse("budget_set"))],
        about="Spent is settled cost, held the worst case of calls under way, left the cap less both.",
    )
    shown = {"room": "budgets", "title": "Budgets", "books": [book], "can_change": may_change(request)}
    return render(request, "control/books.html", shown)


_FIGURES = ("Cap, USD", "Spent", "Held", "Left")


@for_roles(Role.FINANCE)
@require_safe
def one(request: HttpRequest, budget_id: UUID) -> HttpResponse:
    """One budget: where it stands, where it goes and who drives it; of one that is for each, its values."""
    standing = looked_up(request, lambda act: access_standing(act, budget_id))
    wanted = request.GET.get("value", "")
    balance = next((one for one in standing.balances if one.value == wanted), None)
    if balance is None and standing.balances:
        balance = standing.balances[0]
    now, burn = plane().clock(), None
    names = key_names(member_of(request).org_id, [standing])
    if balance is not None:
        with reading(member_of(request).org_id) as connection:
            burn = outlook(connection, member_of(request).org_id, standing, balance, now)
    shown = {
        "room": "budgets",
        "title": called(standing, names),
        "standing": standing,
        "balance": balance,
        "value": names.get(balance.value, balance.value) if balance else "",
        "cap": cents(standing.cap_nusd),
        "per": per(standing),
        "spent": cents(balance.spent_nusd) if balance else cents(0),
        "used": _used(standing, balance) if balance else percent(0, 1),
        "is_past": balance is not None and balance.spent_nusd >= standing.cap_nusd,
        "held": amount(balance.held_nusd) if balance else amount(0),
        "left": amount(standing.left_nusd(balance)) if balance else amount(standing.cap_nusd),
        "rule": sentence(standing),
        "warnings": list(warnings(standing)),
        "burn": burn,
        "hint": f"{reverse('hint_add')}?{urlencode(burn.selectors)}" if burn and burn.selectors else "",
        "books": [_values(standing, names)] if standing.scope.is_each else [],
        "ledger": _ledger(standing, balance.value) if balance else "",
        "can_change": may_change(request),
    }
    return render(request, "control/budget.html", shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def set_one(request: HttpRequest) -> HttpResponse:
    """Make a budget, or edit the one of this scope and period."""
    given = {name: request.GET[name] for name in ("scope_kind", "scope_name") if name in request.GET}

    def do(act: Act, said: Said) -> list[str]:
        return _set(act, said["scope"], said["period"], said)

    return form_page(
        request,
        BudgetForm(request.POST or None, initial=given),
        do,
        done=reverse("budgets"),
        room="budgets",
        title="Set a budget",
        button="Set the budget",
        about="In force at once. What was spent in the period counts. A budget that is there for the same scope and period is edited.",
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def edit(request: HttpRequest, budget_id: UUID) -> HttpResponse:
    """Other terms for a budget."""
    standing = looked_up(request, lambda act: access_standing(act, budget_id))
    given = {
        "cap": usd(standing.cap_nusd),
        "hard": standing.hard,
        "soft": ", ".join(f"{part}%" for part in standing.soft),
        "near_cap": standing.near_cap,
        "ceiling": "" if standing.ceiling_nusd is None else usd(standing.ceiling_nusd),
    }

    def do(act: Act, said: Said) -> list[str]:
        return _set(act, standing.scope, standing.period, said)

    return form_page(
        request,
        TermsForm(request.POST or None, initial=given),
        do,
        done=reverse("budget", args=[budget_id]),
        room="budgets",
        title=f"{_called(request, standing)}, {_PERIODS[standing.period]}",
        button="Save",
        about="What was spent still counts, and the new cap holds for the next call.",
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def remove(request: HttpRequest, budget_id: UUID) -> HttpResponse:
    """Retire a budget, after saying what that means."""
    standing = looked_up(request, lambda act: access_standing(act, budget_id))

    def do(act: Act, _said: Said) -> str:
        removed = remove_budget(act, standing.scope, standing.period)
        return f"{removed.scope} has no budget {per(removed)} any more; it was {usd(removed.cap_nusd)} USD."

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("budgets"),
        room="budgets",
        title=f"Remove the budget of {_called(request, standing)}",
        button="Remove the budget",
        danger=True,
        told=[
            f"Now: {sentence(standing)}.",
            "Once it is removed nothing is counted or refused for it any more. What it counted stays on record.",
        ],
    )


def _called(request: HttpRequest, standing: Standing) -> str:
    return called(standing, key_names(member_of(request).org_id, [standing]))


def _set(act: Act, scope: Scope, period: str, said: Said) -> list[str]:
    terms: Terms = {
        "hard": said["hard"],
        "soft": said["soft"],
        "near_cap": said["near_cap"],
        "ceiling_nusd": said["ceiling"],
    }
    standing, doubts = set_budget(act, scope, cast("Period", period), said["cap"], terms)
    return [_as_sentence(one) for one in (sentence(standing), *doubts, *warnings(standing))]


def _as_sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _lines(standing: Standing, names: Mapping[str, str]) -> Iterator[Line]:
    name = Cell(
        called(standing, names),
        small=f"{per(standing)}{', hard' if standing.hard else ', counts only'}{_told_at(standing)}",
        link=reverse("budget", args=[standing.budget_id]),
    )
    about = f"{called(standing, names)} {per(standing)}"
    steps = [
        Step("Edit", reverse("budget_edit", args=[standing.budget_id]), about),
        Step("Remove", reverse("budget_remove", args=[standing.budget_id]), about),
    ]
    cap = Cell(str(amount(standing.cap_nusd)))
    if standing.scope.is_each:
        each = f"{len(standing.balances)} of them spent" if standing.balances else "nobody spent yet"
        yield Line([name, cap, *[Cell("")] * 3, Cell(each), Cell(_end(standing))], steps)
    for balance in standing.balances[:SHOWN_OF_EACH] if standing.scope.is_each else standing.balances:
        figures = [amount(balance.spent_nusd), amount(balance.held_nusd), amount(standing.left_nusd(balance))]
        told = [*(Cell(str(one)) for one in figures), used_cell(standing, balance)]
        if standing.scope.is_each:
            link = f"{reverse('budget', args=[standing.budget_id])}?{urlencode({'value': balance.value})}"
            yield Line(
                [Cell(f"· {names.get(balance.value, balance.value)}", link=link), Cell(""), *told, Cell("")]
            )
        else:
            yield Line([name, cap, *told, Cell(_end(standing))], steps)


def _values(standing: Standing, names: Mapping[str, str]) -> Book:
    return Book(
        title="Each in this period",
        heads=heads(
            words(standing.scope.kind).capitalize(),
            "Spent, USD",
            "Held",
            "Left",
            "Used",
            numbers=("Spent, USD", "Held", "Left"),
        ),
        lines=[
            Line(
                [
                    Cell(
                        names.get(balance.value, balance.value),
                        link=f"?{urlencode({'value': balance.value})}",
                    ),
                    Cell(str(amount(balance.spent_nusd))),
                    Cell(str(amount(balance.held_nusd))),
                    Cell(str(amount(standing.left_nusd(balance)))),
                    used_cell(standing, balance),
                ]
            )
            for balance in standing.balances
        ],
        empty="Nobody has spent anything in this period yet.",
    )


def used_cell(standing: Standing, balance: Balance) -> Cell:
    return Cell(_used(standing, balance), small=_past(standing, balance), bar=used_bar(standing, balance))


def used_bar(standing: Standing, balance: Balance) -> list[Share]:
    """What is spent and held of the cap."""
    spent, held = max(0, balance.spent_nusd), max(0, balance.held_nusd)
    parts = [(f"spent {usd(spent)} USD", spent), (f"held {usd(held)} USD", held)]
    return shares(parts, max(standing.cap_nusd, spent + held))


def _used(standing: Standing, balance: Balance) -> str:
    return percent(balance.spent_nusd, standing.cap_nusd) if standing.cap_nusd else percent(1, 1)


def _past(standing: Standing, balance: Balance) -> str:
    past = [part for part in standing.soft if balance.spent_nusd * 100 >= standing.cap_nusd * part]
    return f"past {past[-1]}%" if past else ""


def _told_at(standing: Standing) -> str:
    return f", told at {', '.join(f'{part}%' for part in standing.soft)}" if standing.soft else ""


def _end(standing: Standing) -> str:
    return "never" if standing.period == "total" else f"{moment(standing.ends_at)} {standing.ends_at:%Z}"


def _ledger(standing: Standing, value: str) -> str:
    """The ledger's rows of the UTC days of this window, where the ledger's filter knows the kind."""
    name = _FILTERS.get(standing.scope.kind)
    if name is None or standing.period == "total":
        return ""
    days = {"from": f"{standing.starts_at.astimezone(UTC):%Y-%m-%d}", "to": f"{plane().clock():%Y-%m-%d}"}
    return f"{reverse('ledger')}?{urlencode(({name: value} if name else {}) | days)}"


_FILTERS = {
    "organisation": "",
    "project": "project",
    "customer": "customer",
    "team": "team",
    "person": "person",
    "agent": "agent",
    "task_class": "class",
    "model_family": "family",
    "key": "key",
}
"""What the ledger page calls a kind of scope in its address."""
