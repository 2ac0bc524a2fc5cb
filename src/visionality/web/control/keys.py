"""`/keys`: issued, rotated and revoked. A handle is shown once, on the answer to the form that made it.

Binding keys are not made here: the second factor of a service never passes through a browser (`vis binding-key`).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.core.level import LEVELS, OBSERVED
from visionality.core.vendors import TITLES
from visionality.core.window import PERIODS
from visionality.ledger.sums import sums
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.control.acting import (
    ControlForm,
    ReasonGiven,
    Said,
    carried_out,
    form_page,
    form_shown,
    looked_up,
    may_change,
)
from visionality.web.control.book import Book, Cell, Line, Step, heads, moment
from visionality.web.control.fields import LEVEL_WORDS, Dollars, Duration, Reason, Words
from visionality.web.control.fields import Line as LineField
from visionality.web.doing import doing
from visionality.web.issuing import keys as issuing
from visionality.web.issuing.bindings import Bindings
from visionality.web.issuing.caps import is_capped
from visionality.web.issuing.envelopes import envelope
from visionality.web.issuing.events import events
from visionality.web.issuing.models import CALL, EXCHANGE, MINT, VirtualKey
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.reading import reading

SHOWN = 200
"""Keys of one page, the newest first."""
USED_WITHIN = timedelta(days=92)
"""How far back the last use of a key is looked for."""
STATES = ("live", "expired", "revoked")
_SCOPES = {
    CALL: "call models",
    MINT: "mint narrower tokens",
    EXCHANGE: "be exchanged, as a device's credential",
}


class SearchForm(forms.Form):
    """Which keys the page shows."""

    q = forms.CharField(label="Person, agent or project", required=False, max_length=255)
    state = forms.ChoiceField(
        label="State", required=False, choices=[("", "any"), *((one, one) for one in STATES)]
    )


class IssueForm(ControlForm):
    """What a key is bound to; what is left out is not bound."""

    seldom = (
        "claims",
        "customer",
        "task_class",
        "memo",
        "url",
        "level",
        "scopes",
        "models",
        "providers",
        "networks",
        "callers",
        "service",
        "envelope",
        "aws_pair",
    )
    agent = LineField("Agent", 255, required=True, help_text="Who spends, by the agent's subject.")
    project = LineField(
        "Project", 80, help_text="What its calls are charged to, by its key; read off each call when empty."
    )
    task = LineField("Task", 80, help_text="An issue's or an epic's key.")
    expires = Duration("Lives for", 8, help_text="90d at most, less at higher levels; the most when empty.")
    cap = Dollars("Cap, USD", help_text="A hard budget of its own.")
    period = forms.ChoiceField(
        label="Cap for",
        choices=[(one, "in total" if one == "total" else f"a {one}") for one in PERIODS],
        initial="month",
    )
    claims = Words("Projects that its calls may name", 1000, help_text="By their keys; any when empty.")
    customer = LineField("Customer", 80, help_text="By its key; the project's when empty.")
    task_class = LineField("Kind of work", 40, help_text="chat, refactor, review, agent, …")
    memo = LineField("Memo", 200, help_text="Stands on every row.")
    url = LineField("URL", 400, help_text="Stands on every row; https://…")
    level = forms.TypedChoiceField(
        label="Level", coerce=int, choices=[(level, LEVEL_WORDS[level]) for level in LEVELS], initial=0
    )
    scopes = forms.MultipleChoiceField(
        label="May",
        choices=[*_SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
        initial=[CALL],
    )
    models = Words("Models", 2000, help_text="Only these; * stands for any text.")
    providers = Words("Providers", 400, help_text=f"Only these: {', '.join(TITLES)}, or a name of your own.")
    networks = Words("Networks", 1000, help_text="Only from these, as 203.0.113.0/24.")
    callers = Words("Callers", 1000, help_text="Who may sign its proofs.")
    service = LineField("Service", 80, help_text="Whose binding keys prove its requests.")
    envelope = forms.BooleanField(label="Also as a signed envelope, to be checked offline", required=False)
    aws_pair = forms.BooleanField(
        label="Also as an AWS key pair, for clients of Bedrock that sign", required=False
    )

    def is_unfolded(self) -> bool:
        given = {"level": 0, "scopes": [CALL]}
        return any(
            field.errors or (field.value() and str(field.value()) != str(given.get(field.name)))
            for field in self.seldom_said()
        )

    def clean(self) -> Said:
        said: Said = super().clean() or {}
        if said.get("cap") == 0:
            raise ValidationError({"cap": "Expected an amount above zero, or nothing."})
        return said


class RotateForm(ControlForm):
    """How a handle is replaced."""

    overlap = Duration(
        "The old handle goes on for", 8, initial="24h", help_text="At most 7d; 0m ends it at once."
    )
    envelope = forms.BooleanField(label="Also as a signed envelope", required=False)
    reason = Reason(required=True)


@for_roles(Role.OPERATOR, Role.SECURITY)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The newest keys that the search lets through, with their last use."""
    search = SearchForm(request.GET)
    search.is_valid()
    wanted, state = search.cleaned_data.get("q", ""), search.cleaned_data.get("state", "")
    with doing(request) as act:
        found = [
            (key, issuing.state(key, act.now))
            for key in issuing.everything(act)
            if _is_of(key, wanted) and (not state or issuing.state(key, act.now) == state)
        ]
        now = act.now
    shown = found[:SHOWN]
    used = _last_used(member_of(request).org_id, [str(key.id) for key, _ in shown], now)
    book = Book(
        title="Keys",
        heads=heads("Key", "Agent", "Project", "State", "Last call, UTC", "Ends, UTC"),
        lines=[_line(key, now_is, used.get(str(key.id)), now) for key, now_is in shown],
        empty="No key is like this. A virtual key is what a client holds instead of a provider's key: it says who spends and "
        "on what, and ends by itself.",
        command="vis key issue --agent alice@example --project HPC --cap 50/month",
        add=[Step("Issue a key", reverse("key_issue"))],
        more=f"The newest {SHOWN} of {len(found)}: narrow the search for others."
        if len(found) > SHOWN
        else "",
    )
    context = {
        "room": "keys",
        "title": "Keys",
        "search": list(search),
        "books": [book],
        "can_change": may_change(request),
    }
    return render(request, "control/books.html", context)


@for_roles(Role.OPERATOR, Role.SECURITY)
@require_safe
def one(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """One key: its bindings, its last use, and its life so far."""

    def look(act: Act) -> tuple[VirtualKey, str, list[dict[str, object]], datetime]:
        key = issuing.access_virtual_key(act, key_id)
        return key, issuing.state(key, act.now), events(act, key_id), act.now

    key, state, life, now = looked_up(request, look)
    used = _last_used(member_of(request).org_id, [str(key_id)], now)
    book = Book(
        title="Its life",
        heads=heads("When, UTC", "What", "By", "Why"),
        lines=[
            Line(
                [
                    Cell(moment(event["created_at"])),  # type: ignore[arg-type]
                    Cell(str(event["kind"]).replace("_", " ")),
                    Cell(str(event["actor"])),
                    Cell(_why(event["detail"])),
                ]
            )
            for event in life
        ],
        empty="Nothing is on record.",
    )
    context = {
        "room": "keys",
        "title": f"{key.shown}…",
        "key": key,
        "state": state,
        "facts": _facts(key),
        "used": moment(used.get(str(key_id))),
        "books": [book],
        "is_live": state == "live",
        "can_change": may_change(request),
    }
    return render(request, "control/key.html", context)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def issue(request: HttpRequest) -> HttpResponse:
    """A new key. Its handle is on the answer, and nowhere else."""
    given = {name: request.GET[name] for name in ("agent", "project", "task") if name in request.GET}
    form = IssueForm(request.POST or None, initial=given)
    if request.method == "POST":
        made = carried_out(request, form, _issued)
        if made is not None:
            return render(request, "control/shown_once.html", made)
    shown = {
        "room": "keys",
        "title": "Issue a key",
        "button": "Issue the key",
        "back": reverse("keys"),
        "about": "The key is shown once, on the next page. What is left empty is not bound.",
    }
    return form_shown(request, form, shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def rotate(request: HttpRequest, key_id: UUID) -> HttpResponse:
    """A new handle for the same key."""
    key = looked_up(request, lambda act: issuing.access_virtual_key(act, key_id))
    form = RotateForm(request.POST or None)
    if request.method == "POST":
        made = carried_out(request, form, lambda act, said: _rotated(act, key_id, said))
        if made is not None:
            return render(request, "control/shown_once.html", made)
    shown = {
        "room": "keys",
        "title": f"Rotate {key.shown}…",
        "button": "Rotate the key",
        "back": reverse("key", args=[key_id]),
        "told": [
            (
                f"{key.agent.sub} gets a new handle, shown once on the next page. The bindings of the key, its budgets and what they "
                "have counted go on, and so does the old handle for the time below."
            )
        ],
    }
    return form_shown(request, form, shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def revoke(request: HttpRequest, key_id: UUID) -> HttpResponse:
    key = looked_up(request, lambda act: issuing.access_virtual_key(act, key_id))

    def do(act: Act, said: Said) -> str:
        revoked = issuing.revoke(act, str(key_id), said["reason"])
        return f"Key {revoked.shown}… of {revoked.agent.sub} is revoked."

    return form_page(
        request,
        ReasonGiven(request.POST or None),
        do,
        done=reverse("key", args=[key_id]),
        room="keys",
        title=f"Revoke {key.shown}…",
        button="Revoke the key",
        danger=True,
        told=[
            (
                f"The key of {key.agent.sub}{f' on {key.project.key}' if key.project else ''} ends for good: every gateway refuses it, "
                "and every token minted below it, within two seconds. Calls under way are finished."
            )
        ],
    )


def _issued(act: Act, said: Said) -> dict[str, Any]:
    keys = plane().keys
    bound = Bindings(
        agent=said["agent"],
        project=said["project"],
        customer=said["customer"],
        task=said["task"],
        task_class=said["task_class"],
        memo=said["memo"],
        url=said["url"],
        lifetime=said["expires"],
        level=said["level"],
        claims=said["claims"],
        scopes=tuple(said["scopes"]) or (CALL,),
        models=said["models"],
        providers=said["providers"],
        networks=said["networks"],
        callers=said["callers"],
        service=said["service"],
        cap=None if said["cap"] is None else (said["cap"], said["period"]),
    )
    key, handle = issuing.issue(act, keys, bound, said["reason"])
    is_uncapped = key.scopes != [MINT] and key.level <= OBSERVED and not is_capped(act, key)
    secrets = [("Key", handle)]
    if said["envelope"]:
        secrets.append(("Envelope", envelope(act, keys, key)))
    if said["aws_pair"]:
        access, secret = issuing.aws_pair(keys, handle)
        secrets += [("AWS access key id", access), ("AWS secret access key", secret)]
    doubts = [
        "No hard budget covers this key, so whoever has it spends without end: set a cap."
    ] * is_uncapped
    return _shown_once("The key is issued", key, secrets, doubts)


def _rotated(act: Act, key_id: UUID, said: Said) -> dict[str, Any]:
    overlap = said["overlap"] if said["overlap"] is not None else timedelta(0)
    key, handle = issuing.rotate(act, plane().keys, str(key_id), overlap, said["reason"])
    secrets = [("Key", handle)]
    if said["envelope"]:
        secrets.append(("Envelope", envelope(act, plane().keys, key)))
    return _shown_once("The key is rotated", key, secrets, [])


def _shown_once(
    title: str, key: VirtualKey, secrets: list[tuple[str, str]], doubts: list[str]
) -> dict[str, Any]:
    on = f", on {key.project.key}" if key.project else ""
    return {
        "room": "keys",
        "title": title,
        "told": [f"For {key.agent.sub}{on}. It ends on {key.expires_at:%Y-%m-%d %H:%M} UTC."],
        "warnings": doubts,
        "secrets": secrets,
        "back": reverse("key", args=[key.id]),
    }


def _is_of(key: VirtualKey, wanted: str) -> bool:
    person = key.agent.person
    names = (
        key.agent.sub,
        key.project and key.project.key,
        person and person.sso_sub,
        person and person.name,
    )
    return not wanted or any(name and wanted.lower() in name.lower() for name in names)


def _last_used(org_id: UUID, ids: list[str], now: datetime) -> Mapping[str, datetime | None]:
    """When each key was last called with, of those that were."""
    if not ids:
        return {}
    today = now.astimezone(UTC).date()
    since, until = today - USED_WITHIN, today + timedelta(days=1)
    used: dict[str, datetime | None] = {}
    with reading(org_id) as connection:
        for simulated in (True, False) if plane().sandbox else (False,):
            for line in sums(connection, org_id, "key", since, until, keys=ids, simulated=simulated):
                if line.key and line.last_at and line.last_at > (used.get(line.key) or _NEVER):
                    used[line.key] = line.last_at
    return used


_NEVER = datetime.min.replace(tzinfo=UTC)


def _line(key: VirtualKey, state: str, used: datetime | None, now: datetime) -> Line:
    about = f"{key.shown}… of {key.agent.sub}"
    steps = [
        Step("Rotate", reverse("key_rotate", args=[key.id]), about),
        Step("Revoke", reverse("key_revoke", args=[key.id]), about),
    ]
    ends_soon = state == "live" and key.expires_at - now <= timedelta(days=7)
    return Line(
        [
            Cell(f"{key.shown}…", small=f"level {key.level}", link=reverse("key", args=[key.id])),
            Cell(key.agent.sub, small=str(key.agent.person.name) if key.agent.person else ""),
            Cell(key.project.key if key.project else "any", small=key.task_id),
            Cell(state, tag={"live": "", "revoked": "refused"}.get(state, "mind")),
            Cell(moment(used) or "not in three months"),
            Cell(moment(key.expires_at), small="soon" if ends_soon else ""),
        ],
        steps if state == "live" else [],
    )


def _facts(key: VirtualKey) -> list[tuple[str, str]]:
    found = [
        ("Agent", key.agent.sub),
        ("Person", str(key.agent.person or "")),
        ("Project", key.project.key if key.project else ""),
        ("May claim", ", ".join(key.projects)),
        ("Customer", str(key.customer or "")),
        ("Task", key.task_id),
        ("Kind of work", key.task_class),
        ("Memo", key.memo),
        ("URL", key.url),
        ("Level", str(key.level)),
        ("May", ", ".join(_SCOPES.get(one, one) for one in key.scopes)),
        ("Models", ", ".join(key.model_globs)),
        ("Providers", ", ".join(key.providers)),
        ("Networks", ", ".join(key.networks)),
        ("Callers", ", ".join(key.callers)),
        ("Service", str(key.service or "")),
        ("Issued, UTC", moment(key.issued_at)),
        ("Rotated, UTC", moment(key.rotated_at)),
        ("Old handle ends, UTC", moment(key.previous_until)),
        ("Ends, UTC", moment(key.expires_at)),
        ("Id", str(key.id)),
    ]
    return [(name, value) for name, value in found if value]


def _why(detail: object) -> str:
    return str(detail.get("reason", "")) if isinstance(detail, dict) else ""
