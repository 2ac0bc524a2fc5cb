"""`/allocation`: what an end customer is billed for a cost, and which cost centers share it."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.core.allocation import BadShares, Part, part_of
from visionality.core.scope import MARKED_UP, SPLIT
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.control.acting import ControlForm, Said, form_page, may_change
from visionality.web.control.book import Book, Cell, Line, Step, heads
from visionality.web.control.fields import Day, Listed, Number, ScopeKind, ScopeName, scope_in
from visionality.web.doing import doing
from visionality.web.policy import allocation, lists
from visionality.web.policy.acts import Act


class MarkupForm(ControlForm):
    scope_kind = ScopeKind(MARKED_UP)
    scope_name = ScopeName(with_each=False)
    multiplier = Number(
        "Cost times", 12, required=True, help_text="1.25 bills a quarter more; 1 bills the cost."
    )
    effective = Day("From", help_text="First day, UTC; now when empty. A day that has passed cannot be said.")

    def clean_multiplier(self) -> Decimal:
        multiplier: Decimal = self.cleaned_data["multiplier"]
        if multiplier >= 1000 or multiplier != multiplier.quantize(Decimal("0.000001")):
            raise ValidationError(
                f"{multiplier} is no factor: expected less than 1000, with at most 6 decimals."
            )
        return multiplier

    def clean(self) -> Said:
        said: Said = super().clean() or {}
        if "scope_kind" in said:
            said["scope"] = scope_in(said, MARKED_UP)
        return said


class SplitForm(ControlForm):
    scope_kind = ScopeKind(SPLIT)
    scope_name = ScopeName(with_each=False)
    parts = Listed(
        "Cost centers",
        2000,
        help_text="CC-410=60%, CC-420:6100=40%: with a GL code after the colon, 100% in all. Empty ends the split.",
    )
    effective = Day("From", help_text="First day, UTC; now when empty.")

    def clean_parts(self) -> list[Part]:
        try:
            return [part_of(said) for said in self.cleaned_data["parts"]]
        except BadShares as error:
            raise ValidationError(f"{error}.") from None

    def clean(self) -> Said:
        said: Said = super().clean() or {}
        if "scope_kind" in said:
            said["scope"] = scope_in(said, SPLIT)
        return said


@for_roles(Role.OPERATOR, Role.FINANCE)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    with doing(request) as act:
        records = lists.records(act, "allocation")
    markups = Book(
        title="Markups",
        heads=heads("Of", "Cost times", "From, UTC", "State", numbers=("Cost times",)),
        lines=[_line(one, Cell(str(one["markup"]))) for one in records if "markup" in one],
        empty="Nothing is marked up: an end customer is billed what their calls cost.",
        command="vis allocation set customer:client_drpatel --markup 1.25",
        about="What later rows are billed is their cost times this. A project's goes before its customer's.",
        add=[Step("Set a markup", reverse("markup_set"))],
    )
    splits = Book(
        title="Splits",
        heads=heads("Of", "Cost centers", "From, UTC", "State"),
        lines=[_line(one, Cell(_parts(one["parts"]))) for one in records if "parts" in one],
        empty="Nothing is split: the cost center of a row's team pays for all of it.",
        command="vis allocation set project:HPC --split CC-410=60% --split CC-420:6100=40%",
        about="Reports divide the cost of rows so; the rows stay as they are. A project's goes before its team's, and that before its "
        "customer's.",
        add=[Step("Set a split", reverse("split_set"))],
    )
    shown = {
        "room": "allocation",
        "title": "Allocation",
        "books": [markups, splits],
        "can_change": may_change(request),
    }
    return render(request, "control/books.html", shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def set_markup(request: HttpRequest) -> HttpResponse:
    def do(act: Act, said: Said) -> str:
        start: datetime = said["effective"] or act.now
        allocation.set_markup(act, said["scope"], said["multiplier"], start)
        return f"{said['scope']} is billed its cost times {said['multiplier']:f} from {start:%Y-%m-%d %H:%M} UTC on."

    return form_page(
        request,
        MarkupForm(request.POST or None),
        do,
        done=reverse("allocation"),
        room="allocation",
        title="Set a markup",
        button="Set the markup",
        about="A rule is appended, never changed. Rows keep what they were billed.",
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def set_split(request: HttpRequest) -> HttpResponse:
    def do(act: Act, said: Said) -> str:
        start: datetime = said["effective"] or act.now
        allocation.set_split(act, said["scope"], said["parts"], start)
        since = f"from {start:%Y-%m-%d %H:%M} UTC on"
        if not said["parts"]:
            return f"The cost of {said['scope']} is not split {since}."
        told = ", ".join(f"{part.cost_center} {(100 * part.share).normalize():f}%" for part in said["parts"])
        return f"The cost of {said['scope']} is split {since}: {told}."

    return form_page(
        request,
        SplitForm(request.POST or None),
        do,
        done=reverse("allocation"),
        room="allocation",
        title="Set a split",
        button="Set the split",
        about="A rule is appended, never changed. It changes what reports show of the rows since its day.",
    )


def _line(one: Mapping[str, object], what: Cell) -> Line:
    state = str(one["state"])
    return Line(
        [
            Cell(str(one["scope"])),
            what,
            Cell(str(one["from"])),
            Cell(state, tag="" if state == "in force" else "mind"),
        ]
    )


def _parts(parts: object) -> str:
    if not isinstance(parts, list) or not parts:
        return "not split any more"
    return ", ".join(
        f"{part['cost_center']}{':' + part['gl_code'] if part.get('gl_code') else ''} "
        f"{(100 * Decimal(part['share'])).normalize():f}%"
        for part in parts
    )
