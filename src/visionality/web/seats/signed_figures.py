"""Signing one figure, the list of those that were signed, and the page that whoever has the link sees without an account (F6).

A link holds its statement and signature and nothing else: no secret, and no right to any other figure.
"""

import time
from collections.abc import Mapping
from threading import Lock
from typing import Any
from uuid import UUID

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.core.money import NANO
from visionality.core.period import Period
from visionality.core.rate_limit import Limit, RateLimiter
from visionality.core.signed_figure import BadFigure, Signed, read
from visionality.evidence.keys import NoKeyYet
from visionality.web.accounts.members import for_roles, member_of, open_to_all
from visionality.web.accounts.roles import Role
from visionality.web.addresses import absolute
from visionality.web.doing import doing
from visionality.web.issuing.figures import (
    LIVE_FOR,
    BadScope,
    Figure,
    Signer,
    access_signed,
    access_signer,
    figure,
    sign_figure,
)
from visionality.web.plane import plane
from visionality.web.reading import reading
from visionality.web.seats.figures import amount, counted, dollars
from visionality.web.seats.period import chooser, period_of
from visionality.web.seats.remembered import Remembered

A_MINUTE = Limit(requests=120)
"""Signed figures that one address may look at."""

_live: Remembered[Figure] = Remembered(least=30, times=100)
_looks: RateLimiter[str] = RateLimiter()
_looking = Lock()


class SignForm(forms.Form):
    """What the figure is about; all of it when nothing is said."""

    project = forms.CharField(label="Project", max_length=80, required=False)
    customer = forms.CharField(label="Customer", max_length=80, required=False)
    team = forms.CharField(label="Team", max_length=80, required=False)
    agent = forms.CharField(label="Agent", max_length=255, required=False)
    person = forms.CharField(
        label="Person", max_length=255, required=False, help_text="The subject at your sign-on."
    )

    @property
    def scope(self) -> dict[str, str]:
        return {name: value for name, value in self.cleaned_data.items() if value}


@for_roles(Role.FINANCE)
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """The figure that a form asks for, which a POST without `show` signs; below it those that were signed."""
    member, today = member_of(request), plane().clock().date()
    given = request.POST if request.method == "POST" else request.GET
    period, form = period_of(given, today), SignForm(given)
    with reading(member.org_id) as connection:
        found = None
        if form.is_valid():
            try:
                found = figure(connection, member.org_id, period, form.scope)
            except BadScope as mistake:
                form.add_error(None, f"{mistake}.".capitalize())
        signed = access_signed(connection, member.org_id)
    signs = request.method == "POST" and "show" not in given
    if found == Figure() and (signs or form.scope):
        form.add_error(
            None, f"The ledger has no spend of this in {period.title}. Check how the names are written."
        )
    if signs and found and not form.errors:
        try:
            with reading(member.org_id) as connection, doing(request) as act:
                found = figure(connection, member.org_id, period, form.scope)
                statement, _ = sign_figure(act, connection, plane().keys, period, form.scope, found)
        except (BadFigure, NoKeyYet) as mistake:
            form.add_error(None, f"It was not signed: {mistake}.")
        else:
            return HttpResponseRedirect(f"{reverse('signed_figures')}?signed={statement.id}#signed")
    context = {
        "room": "finance",
        "form": form,
        "period": period,
        "chosen": chooser(period, today, **{name: given.get(name, "") for name in form.fields}),
        "found": found and _written(found),
        "about": _about(form.scope) if form.is_valid() else "",
        "signed": [_line(request, one, request.GET.get("signed", "")) for one in signed],
        "days": LIVE_FOR.days,
    }
    return render(request, "signed_figures.html", context, status=422 if signs else 200)


@open_to_all
@require_safe
def show(request: HttpRequest, text: str) -> HttpResponse:
    """One figure, whether its signature holds, and whether the ledger still gives it. 404 for what we never signed."""
    if wait := _wait(request):
        return wait
    signed, signer = _believed(text)
    said, now = signed.statement, plane().clock()
    period, org_id = said.period, UUID(said.organisation.id)
    is_live = signer.revoked_at is None and now < said.live_until
    today = None
    if is_live:
        today = _live.get(said.id, lambda: _today(org_id, period, said.scope))
    context = {
        "room": "",
        "said": said,
        "key": signer.name,
        "is_pack": signed.kid is None,
        "text": text,
        "period": period,
        "about": _about(said.scope),
        "cost": dollars(said.cost_usd),
        "billed": dollars(said.billed_usd),
        "calls": counted(said.calls),
        "was_running": period.end > said.signed_at,
        "revoked_at": signer.revoked_at,
        "is_live": is_live,
        "today": today and _written(today),
        "difference": today and _difference(signed, today),
    }
    return _unlisted(render(request, "figure.html", context))


@open_to_all
@require_safe
def file(request: HttpRequest, text: str) -> HttpResponse:
    """`figure.json`: the envelope, for checking without us."""
    if wait := _wait(request):
        return wait
    signed, signer = _believed(text)
    response = HttpResponse(signed.as_file(signer.public), content_type="application/json")
    response["Content-Disposition"] = 'attachment; filename="figure.json"'
    return _unlisted(response)


def _believed(text: str) -> tuple[Signed, Signer]:
    try:
        signed = read(text)
        org_id = UUID(signed.statement.organisation.id)
    except (BadFigure, ValueError):
        raise Http404 from None
    with reading(org_id) as connection:
        signer = access_signer(connection, signed)
    if signer is None:
        raise Http404
    return signed, signer


def _today(org_id: UUID, period: Period, scope: Mapping[str, str]) -> Figure:
    with reading(org_id) as connection:
        return figure(connection, org_id, period, scope)


def _difference(signed: Signed, today: Figure) -> dict[str, str]:
    """What the ledger gives more or less than was signed: "+1.2", by what; empty where it gives the same."""
    said = signed.statement
    changes = {
        "cost": today.cost_nusd - _nusd(said.cost_usd),
        "billed": today.billed_nusd - _nusd(said.billed_usd),
    }
    found = {name: f"{'+' if nusd > 0 else ''}{amount(nusd)} USD" for name, nusd in changes.items() if nusd}
    if calls := today.calls - said.calls:
        found["calls"] = f"{calls:+,}"
    return found


def _nusd(usd: str) -> int:
    whole, _, part = usd.lstrip("-").partition(".")
    found = int(whole) * NANO + int(part.ljust(9, "0"))
    return -found if usd.startswith("-") else found


def _wait(request: HttpRequest) -> HttpResponse | None:
    """A refusal for an address that asks too often."""
    with _looking:
        wait = _looks.take(time.monotonic(), {request.META.get("REMOTE_ADDR", ""): A_MINUTE}, 0)
    if wait is None:
        return None
    told = "too many looks from this address: wait a minute\n"
    return HttpResponse(
        told, status=429, content_type="text/plain", headers={"Retry-After": str(wait.seconds)}
    )


def _unlisted(response: HttpResponse) -> HttpResponse:
    response["X-Robots-Tag"] = "noindex"
    return response


def _about(scope: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in scope.items()) or "all of it"


def _written(found: Figure) -> dict[str, object]:
    return {
        "cost": amount(found.cost_nusd),
        "billed": amount(found.billed_nusd),
        "calls": counted(found.calls),
    }


def _line(request: HttpRequest, event: dict[str, Any], newest: str) -> dict[str, object]:
    """One of the list, out of its audit row."""
    detail = event["detail"]
    scope = {name: detail[name] for name in SignForm.base_fields if name in detail}
    path = reverse("figure", args=[detail["signed"]])
    return {
        "at": event["created_at"],
        "actor": event["actor"],
        "about": _about(scope),
        "first": detail["from"],
        "last": detail["to"],
        "cost": dollars(detail["cost_usd"]),
        "path": path,
        "url": absolute(request, path),
        "is_newest": detail["figure"] == newest,
    }
