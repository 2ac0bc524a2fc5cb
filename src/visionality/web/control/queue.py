"""`/queue`: calls of no project by likely cause, booked by corrections; and what became of the corrections (A6)."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.chargeback.queue import Choice, Group, Selection
from visionality.core.money import usd
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.control.acting import ControlForm, Said, form_page, looked_up, may_change
from visionality.web.control.book import Book, Cell, Line, Step, heads, moment
from visionality.web.control.fields import Line as LineField
from visionality.web.control.fields import Reason
from visionality.web.correcting import orders
from visionality.web.doing import doing
from visionality.web.plane import plane
from visionality.web.policy.acts import Act, BadName
from visionality.web.seats.figures import amount, counted
from visionality.web.seats.period import chooser, period_of, query
from visionality.web.seats.remembered import Remembered

_waiting: Remembered[list[Group]] = Remembered(least=5, times=30)
"""Made anew when a correction was carried out."""
ORDERS = 20
"""Corrections that are shown, the newest first."""
Range = tuple[datetime, datetime]


class AssignForm(ControlForm):
    """What waiting rows are booked on. `seen` is what was shown, so that nothing else is booked."""

    project = LineField(
        "Project", 80, required=True, help_text="What the rows are to be charged to, by its key."
    )
    customer = LineField("Customer", 80, help_text="By its key; the project's when empty.")
    task = LineField("Task", 80, help_text="The issue.")
    epic = LineField("Epic", 80)
    seen = forms.CharField(widget=forms.HiddenInput, required=False)
    reason = Reason(required=True)


@for_roles(Role.OPERATOR, Role.FINANCE)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    today = plane().clock().astimezone(UTC).date()
    period = period_of(request.GET, today)
    with doing(request) as act:
        known = orders.recent(act, ORDERS)
        carried_out = tuple((one["made_at"], one["missing"]) for one in known)
        groups = _waiting.get(
            (act.org_id, period.first, period.last, carried_out),
            lambda: orders.waiting(act, *_range(period.first, period.last), include_sandbox=False),
        )
    waiting = Book(
        title="Waiting, by likely cause",
        heads=heads("Cause", "Calls", "Cost", "From, UTC", "To, UTC", numbers=("Calls", "Cost")),
        lines=[_line(group, query(period)) for group in groups],
        empty="Nothing waits in these days: every served call has a project, and no evidence disagrees.",
        about="Served calls without a project, or whose evidence disagrees, the dearest cause first. "
        "What the simulated provider answers is no spend and does not wait.",
    )
    done = Book(
        title="Corrections",
        heads=heads("Ordered, UTC", "Rows", "Moved", "To", "By", "Why", numbers=("Rows", "Moved")),
        lines=[_order(one) for one in known],
        empty="Nothing was corrected yet. A correction takes rows off what they were booked on and books them again, by new rows; "
        "the rows stay as they were written.",
        about="The jobs carry an order out within seconds.",
    )
    shown = {
        "room": "queue",
        "title": "Attribution queue",
        "period": chooser(period, today),
        "books": [waiting, done],
        "can_change": may_change(request),
    }
    return render(request, "control/queue.html", shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def assign(request: HttpRequest) -> HttpResponse:
    """Book the rows of a cause. The money that moves is said before; when it is other money by then, nothing moves."""
    period = period_of(request.GET, plane().clock().astimezone(UTC).date())
    code = request.GET.get("cause", "")
    if not code:
        raise Http404("say which cause is meant")
    choice = Choice(cause=code)

    def chosen(act: Act) -> Selection:
        return orders.choose(act, *_range(period.first, period.last), choice, include_sandbox=False)

    def do(act: Act, said: Said) -> str:
        selection = chosen(act)
        if _mark(selection) != said["seen"]:
            form.data = {**form.data, "seen": _mark(selection)}
            raise BadName(
                f"other rows wait by now ({_told(selection)}): look at them again, and then book them"
            )
        to = orders.Booking(said["project"], said["customer"], said["task"], said["epic"])
        orders.order(act, selection.rows, to, said["reason"])
        return f"{_told(selection)} will be booked on {said['project']} by the jobs, within seconds while they run."

    selection = looked_up(request, chosen)
    given = {"project": request.GET.get("project", ""), "seen": _mark(selection)}
    form = AssignForm(request.POST.dict() or None, initial=given)
    return form_page(
        request,
        form,
        do,
        done=f"{reverse('queue')}?{query(period)}",
        room="queue",
        title="Book waiting rows",
        button="Book them so",
        told=[
            f"{_told(selection)}, from {period.title}, will be booked on what you say below.",
            (
                "Each row is reversed and booked again by new rows, and stays as it was written. Closed periods stay as they were "
                "issued: the new rows are of today. Budgets are not moved."
            ),
        ],
    )


def _range(first: date, last: date) -> Range:
    return datetime.combine(first, time(), UTC), datetime.combine(last + timedelta(days=1), time(), UTC)


def _line(group: Group, period: str) -> Line:
    cause = group.cause
    asked = {"cause": cause.code, "project": cause.project}
    more = urlencode({name: value for name, value in asked.items() if value})
    link = f"{reverse('queue_assign')}?{period}&{more}"
    return Line(
        [
            Cell(
                f"{cause.words[0].upper()}{cause.words[1:]}",
                small=f"likely {cause.project}" if cause.project else "",
            ),
            Cell(counted(group.calls)),
            Cell(str(amount(group.cost_nusd)), small=group.currency),
            Cell(moment(group.first)),
            Cell(moment(group.last)),
        ],
        [Step("Assign", link, cause.words)],
    )


def _order(one: Mapping[str, Any]) -> Line:
    moved = ", ".join(
        f"{usd(int(sums['rebooked_nusd']))} {currency}"
        for currency, sums in sorted((one["moved"] or {}).items())
    )
    state = (
        "waits for the jobs"
        if one["moved"] is None
        else f"{one['missing']} not found"
        if one["missing"]
        else "done"
    )
    target = ", ".join(part for part in (one["project"], one["task_id"]) if part)
    return Line(
        [
            Cell(moment(one["made_at"]), small=state),
            Cell(counted(one["rows"])),
            Cell(moved),
            Cell(target),
            Cell(one["author"]),
            Cell(one["reason"]),
        ]
    )


def _told(selection: Selection) -> str:
    rows = f"{counted(len(selection.rows))} row{'' if len(selection.rows) == 1 else 's'}"
    money = ", ".join(f"{amount(nusd)} {currency}" for currency, nusd in sorted(selection.cost_nusd.items()))
    return f"{rows}, {money}"


def _mark(selection: Selection) -> str:
    """Tells one selection from another: how many rows, and how much money."""
    return f"{len(selection.rows)}/{sorted(selection.cost_nusd.items())}"
