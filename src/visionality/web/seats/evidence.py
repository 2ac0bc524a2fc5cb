"""Evidence packs: those that were handed out, one that is made now, and the keys that they are checked with (S3).

A pack is made here while its rows are few: whoever asks waits for it. The command line makes those of any size.
"""

from datetime import date
from typing import Any, cast
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.core.pack import ScopeKind
from visionality.core.period import Period, month_of
from visionality.evidence.keys import everything, published
from visionality.evidence.packs import Asked, RowsMode
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role, may
from visionality.web.doing import doing
from visionality.web.issuing.pack_making import (
    CHECKED_AT_MOST,
    EMBEDDED_AT_MOST,
    NotMade,
    asked_here,
    make_here,
)
from visionality.web.issuing.packs import access_envelope, access_pack, access_packs, record_taken
from visionality.web.plane import plane
from visionality.web.policy.lists import records
from visionality.web.reading import reading
from visionality.web.seats.figures import counted, dollars
from visionality.web.seats.period import chooser, period_of

_ROLES = frozenset({Role.SECURITY})


class PackForm(forms.Form):
    """Of what, and whether its rows come along."""

    scope = forms.ChoiceField(label="Of")
    rows = forms.ChoiceField(
        label="Rows",
        choices=[("none", "Proofs and totals, without rows"), ("embedded", "With its rows, in the pack")],
        help_text="With them every total can be made again by whoever gets it; they name people, tasks and repos.",
    )

    def __init__(self, given: Any, projects: list[str], customers: list[str]) -> None:
        super().__init__(given)
        field = cast("forms.ChoiceField", self.fields["scope"])
        field.choices = [
            ("organisation:", "The whole organisation"),
            ("Projects", [(f"project:{key}", key) for key in projects]),
            ("Customers, by their projects", [(f"customer:{key}", key) for key in customers]),
        ]

    def asked(self, org_id: UUID, period: Period) -> Asked:
        kind, _, name = self.cleaned_data["scope"].partition(":")
        rows = cast("RowsMode", self.cleaned_data["rows"])
        return asked_here(org_id, cast("ScopeKind", kind), name, period, rows)


@for_roles(Role.SECURITY)
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """The list, and the form that makes one."""
    member, today = member_of(request), plane().clock().date()
    given = request.POST if request.method == "POST" else request.GET
    period = period_of(given, today)
    with doing(request) as act:
        names = {kind: [str(one["key"]) for one in records(act, kind)] for kind in ("project", "customer")}
    form = PackForm(request.POST if request.method == "POST" else None, names["project"], names["customer"])
    if request.method == "POST" and form.is_valid():
        made = _made(request, form, period)
        if made is not None:
            return HttpResponseRedirect(reverse("evidence_pack", args=[made]))
    with reading(member.org_id) as connection:
        packs = access_packs(connection, member.org_id)
    context = {
        "room": "evidence",
        "form": form,
        "can_make": may(member.roles, _ROLES, "POST"),
        "period": period,
        "chosen": chooser(period, today),
        "packs": [_line(one) for one in packs],
        "checked_at_most": counted(CHECKED_AT_MOST),
        "embedded_at_most": counted(EMBEDDED_AT_MOST),
    }
    return render(request, "evidence.html", context, status=422 if form.errors else 200)


@for_roles(Role.SECURITY)
@require_safe
def pack(request: HttpRequest, pack_id: UUID) -> HttpResponse:
    """What is in one, and how its receiver checks it."""
    member = member_of(request)
    with reading(member.org_id) as connection:
        found = access_pack(connection, member.org_id, pack_id)
    if found is None:
        raise Http404
    summary = found["summary"]
    totals = [
        {
            "currency": currency,
            "cost": dollars(total["cost"]),
            "billed": dollars(total["billed"]),
            "rows": counted(total["rows"]),
        }
        for currency, total in summary["totals"].items()
    ]
    context = {
        "room": "evidence",
        "of": _line(found),
        "controls": [{**one, "words": one["status"].replace("_", " ")} for one in summary["controls"]],
        "totals": totals,
        "limits": summary["limits"],
        "projects": found["projects"],
        "has_previous": summary["has_previous"],
        "checkpoint": found["checkpoint"],
        "checkpoint_size": counted(found["checkpoint_size"]),
    }
    return render(request, "evidence_pack.html", context)


@for_roles(Role.SECURITY)
@require_safe
def file(request: HttpRequest, pack_id: UUID) -> HttpResponse:
    """`pack.json`, as it was signed. That it was taken is an event of the audit log."""
    member = member_of(request)
    with reading(member.org_id) as connection:
        found = access_envelope(connection, member.org_id, pack_id)
    if found is None:
        raise Http404
    if request.method != "HEAD":
        with doing(request) as act:
            record_taken(act, pack_id)
    name = f"pack-{found['first_day']}-{found['last_day']}.json"
    return _as_file(bytes(found["envelope"]), name)


@for_roles(Role.SECURITY)
@require_safe
def keys(request: HttpRequest) -> HttpResponse:
    """`keys.json`: the public keys that packs, heads and receipts are checked with. 404 until the sealer has made them."""
    member = member_of(request)
    with reading(member.org_id) as connection:
        if not everything(connection, member.org_id):
            raise Http404
        return _as_file(published(connection, member.org_id, plane().clock()), "keys.json")


def _made(request: HttpRequest, form: PackForm, period: Period) -> UUID | None:
    """The id of the pack that was made; None when the form says by now why none was."""
    try:
        return make_here(form.asked(member_of(request).org_id, period), doing(request)).pack.pack_id
    except NotMade as refusal:
        form.add_error(None, f"No pack was made: {refusal}.")
        return None


def _as_file(content: bytes, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _line(found: dict[str, Any]) -> dict[str, Any]:
    """A pack as the list has it."""
    verdicts = [one["status"] for one in found["summary"]["controls"]]
    return {
        **found,
        "fingerprint": bytes(found["fingerprint"]).hex(),
        "about": "the whole organisation" if found["scope_kind"] == "organisation" else found["scope_name"],
        "title": _title(found["first_day"], found["last_day"]),
        "row_count": counted(found["row_count"]),
        "satisfied": verdicts.count("satisfied"),
        "not_satisfied": verdicts.count("not_satisfied"),
        "not_operating": verdicts.count("not_operating"),
        "rows_words": _ROWS[found["rows"]],
    }


def _title(first: date, last: date) -> str:
    """As the list of days has it, a whole month by its name."""
    month = month_of(first)
    return month.title if (month.first, month.last) == (first, last) else Period(first, last).title


_ROWS = {
    "embedded": "in the pack",
    "file": "in a file beside it",
    "none": "not in it",
}
