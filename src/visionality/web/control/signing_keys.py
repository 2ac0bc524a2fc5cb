"""`/signing-keys`: what envelopes and tokens are signed with: which one signs, and its rotation and revocation."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.control.acting import ReasonGiven, Said, form_page, looked_up, may_change
from visionality.web.control.book import Book, Cell, Line, Step, heads, moment
from visionality.web.doing import doing
from visionality.web.issuing import signing_keys
from visionality.web.issuing.models import SigningKey
from visionality.web.plane import plane
from visionality.web.policy.acts import Act

_TAGS = {"signs": "good", "verifies": "", "revoked": "refused"}
_PUBLISH = "Whoever checks tokens offline needs `vis token keys` anew."


@for_roles(Role.OPERATOR, Role.SECURITY)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    with doing(request) as act:
        found = signing_keys.everything(act)
    book = Book(
        title="Of this organisation",
        heads=heads("Key", "State", "Made, UTC", "Believed until, UTC"),
        lines=[_line(one) for one in found],
        empty="No signing key is here yet: the first envelope or token makes one.",
        command="vis token keys",
        add=[Step("Rotate", reverse("signing_key_rotate"))] if found else [],
        about="Their private halves are sealed, and no page and no command shows them.",
    )
    shown = {"room": "signing_keys", "title": "Signing keys", "books": [book]}
    return render(request, "control/books.html", {**shown, "can_change": may_change(request)})


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def rotate(request: HttpRequest) -> HttpResponse:
    def do(act: Act, said: Said) -> list[str]:
        made = signing_keys.rotate(act, plane().keys, said["reason"])
        return [f"{signing_keys.kid(made)} signs from now on.", _PUBLISH]

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("signing_keys"),
        room="signing_keys",
        title="Rotate the signing key",
        button="Rotate",
        told=[
            "A new key signs.",
            f"What the one before signed is believed for {signing_keys.LONGEST_LIFE.days} more days, the longest that it can live.",
        ],
    )


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def revoke(request: HttpRequest, signing_key_id: UUID) -> HttpResponse:
    one = looked_up(request, lambda act: signing_keys.access_signing_key(act, str(signing_key_id)))
    kid = signing_keys.kid(one)

    def do(act: Act, said: Said) -> list[str]:
        signing_keys.revoke(act, plane().keys, str(signing_key_id), said["reason"])
        return [f"Nothing that {kid} signed is believed any more.", _PUBLISH]

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("signing_keys"),
        room="signing_keys",
        title=f"Revoke {kid}",
        button="Revoke the signing key",
        danger=True,
        told=[
            "Every envelope, token and link to a figure that it signed ends, and must be made again.",
            "Handles go on as before. Where it is the key that signs, a new one does from then on.",
        ],
    )


def _line(one: SigningKey) -> Line:
    state, kid = signing_keys.state(one), signing_keys.kid(one)
    steps = [Step("Revoke", reverse("signing_key_revoke", args=[one.id]), kid)]
    return Line(
        [
            Cell(kid, is_code=True),
            Cell(state, small=moment(one.revoked_at), tag=_TAGS[state]),
            Cell(moment(one.made_at)),
            Cell(moment(one.verify_until)),
        ],
        [] if state == "revoked" else steps,
    )
