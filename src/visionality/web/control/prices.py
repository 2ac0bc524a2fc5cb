"""`/prices`: what a model costs now, from the bundled list or by an operator's own dated price; and the setting of one."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from visionality.core.pricing import RateCard
from visionality.core.usage import INPUT, OUTPUT
from visionality.pricebook.book import SNAPSHOT, Override, PriceBook, snapshot
from visionality.pricebook.said import rates_of
from visionality.web.accounts.members import for_roles
from visionality.web.accounts.roles import Role
from visionality.web.accounts.step_up import needs_step_up
from visionality.web.control.acting import ControlForm, Said, form_page, may_change
from visionality.web.control.book import Book, Cell, Line, Step, heads
from visionality.web.control.fields import Day, Number, Words
from visionality.web.control.fields import Line as LineField
from visionality.web.doing import doing
from visionality.web.policy import lists
from visionality.web.policy.acts import Act, checked_provider, set_price
from visionality.web.policy.prices import access_overrides

FOUND = 40
"""Models of a search that are shown."""
LISTED = ("anthropic", "openai", "google", "aws", "azure", "openrouter")
"""Providers of the bundled list that are searched; Bedrock's prices stand there under aws."""
_SAID = {
    "input_usd": ("Input", "Fresh input, USD per million tokens."),
    "output_usd": ("Output", "Reasoning included, USD per million tokens; unpriced when empty."),
    "cache_read": ("Cached input", "The input price when empty."),
    "cache_write": ("Writing the cache", "For 5 minutes; the input price when empty."),
    "cache_write_1h": ("Writing the cache for an hour", "As above when empty."),
    "characters": ("Speech", "A million characters."),
    "audio_hour": ("Audio that comes in", "An hour."),
    "image": ("An image", "Billed by the piece."),
    "code_session": ("A code session", "A container that ran the model's code."),
    "web_search": ("Web searches", "A thousand."),
    "file_search": ("File searches", "A thousand."),
}
_FIGURES = ("Input", "Output", "Cached input", "Writing the cache")


class PriceForm(ControlForm):
    """A dated price of one model. The fields of `_SAID` are added below."""

    provider = LineField("Provider", 40, required=True)
    model = LineField("Model", 200, required=True, help_text="As its provider names it.")
    rates = Words(
        "Single buckets",
        1000,
        help_text="in_image=10: USD per million tokens of that bucket, divided by commas.",
    )
    effective = Day("From", help_text="First day, UTC; now when empty.")
    source = LineField(
        "Source",
        200,
        required=True,
        initial="operator",
        help_text="Where this price is from: words such as contract 2026-11, or an https:// address.",
    )

    def __init__(self, *given: object, **options: object) -> None:
        super().__init__(*given, **options)
        for name, (label, about) in _SAID.items():
            self.fields[name] = Number(f"{label}, USD", 20, help_text=about)
        self.seldom = (*[*_SAID][2:], "rates")
        self.order_fields(["provider", "model", *_SAID, "rates", "effective", "source", "reason"])

    def is_unfolded(self) -> bool:
        return any(field.errors or field.value() for field in self.seldom_said())

    def clean_source(self) -> str:
        source: str = self.cleaned_data["source"]
        if "://" in source and not source.startswith("https://"):
            raise ValidationError("Expected an address that starts with https://, or words.")
        return source

    def clean_rates(self) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for said in self.cleaned_data["rates"]:
            bucket, _, price = said.partition("=")
            if bucket not in INPUT + OUTPUT:
                raise ValidationError(
                    f"{bucket} is no bucket of tokens: expected one of {', '.join(INPUT + OUTPUT)}."
                )
            found[bucket] = Number("", 20, required=True).clean(price)
        return found

    def clean(self) -> Said:
        said: Said = super().clean() or {}
        prices = {name: said.get(name) for name in _SAID}
        said["priced"] = rates_of(prices) | said.get("rates", {})
        if not said["priced"] and not self.errors:
            raise ValidationError("Say at least one price: input and output, or what else this model bills.")
        return said


class SearchForm(forms.Form):
    q = forms.CharField(label="Model", required=False, max_length=100)


@for_roles(Role.OPERATOR, Role.FINANCE)
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The operator's own prices, and what a search finds in force now."""
    search = SearchForm(request.GET)
    search.is_valid()
    wanted = search.cleaned_data.get("q", "").strip()
    with doing(request) as act:
        own, overrides, now = lists.records(act, "price"), access_overrides(act), act.now
    book = PriceBook(overrides)
    found = [_priced(*one) for one in in_force(book, overrides, wanted, now)] if wanted else []
    current = Book(
        title="In force now",
        heads=heads("Model", "Provider", *_FIGURES, "Source", numbers=_FIGURES),
        lines=found[:FOUND],
        empty=f"No model of the list is named like {wanted}: its calls have an unknown price until you set one."
        if wanted
        else f"Search for a model to see what it costs now, in USD per million tokens. The bundled list is {SNAPSHOT}; your own "
        "prices go before it.",
        more=f"The first {FOUND} of {len(found)}: write more of the name." if len(found) > FOUND else "",
    )
    ours = Book(
        title="Your own prices",
        heads=heads("Model", "Provider", "Input", "Output", "From", "Source", numbers=("Input", "Output")),
        lines=[
            Line(
                [
                    Cell(str(one["model"]), small=f"version {one['version']}"),
                    Cell(str(one["provider"])),
                    Cell(str(one["input"])),
                    Cell(str(one["output"])),
                    Cell(str(one["from"])),
                    Cell(
                        str(one["source"]),
                        link=str(one["source"]) if str(one["source"]).startswith("https://") else "",
                    ),
                ]
            )
            for one in reversed(own)
        ],
        empty="No price of your own is set: the bundled list prices every call. Set one for a contract, or for a model that the list "
        "does not know.",
        command="vis price set anthropic claude-sonnet-4-6 --input 2.70 --output 13.50 --source 'contract 2026-11'",
        about="USD per million tokens. A price is appended, never changed: rows keep the price that they had.",
        add=[Step("Set a price", reverse("price_set"))],
    )
    shown = {
        "room": "prices",
        "title": "Prices",
        "search": list(search),
        "books": [current, ours],
        "can_change": may_change(request),
    }
    return render(request, "control/books.html", shown)


@for_roles(Role.OPERATOR)
@require_http_methods(["GET", "HEAD", "POST"])
@needs_step_up
def set_one(request: HttpRequest) -> HttpResponse:
    """Append a dated price."""

    def do(act: Act, said: Said) -> list[str]:
        name = checked_provider(said["provider"])
        start: datetime = said["effective"] or act.now
        made = set_price(act, name, said["model"], said["priced"], start, said["source"])
        told = [
            f"{name} {said['model']} has a price from {start:%Y-%m-%d %H:%M} UTC on: version {made.version}."
        ]
        if not lists.is_set_up(act, name):
            told.append(f"{name} is not set up here; this price waits for its key.")
        return told

    given = {name: request.GET[name] for name in ("provider", "model") if name in request.GET}
    return form_page(
        request,
        PriceForm(request.POST or None, initial=given),
        do,
        done=reverse("prices"),
        room="prices",
        title="Set a price",
        button="Save this price",
        about="It goes before the bundled list from its day on. Earlier rows keep the price they had.",
    )


def in_force(
    book: PriceBook, overrides: list[Override], wanted: str, now: datetime
) -> Iterator[tuple[str, str, RateCard]]:
    """Models whose name holds what was searched, the operator's own first."""
    seen = set()
    own = [(one.provider, one.model) for one in overrides]
    listed = [(one.id, model.id) for one in snapshot().providers if one.id in LISTED for model in one.models]
    for provider, model in [*own, *listed]:
        name = (provider, model.lower())
        if name in seen or wanted.lower() not in model.lower():
            continue
        seen.add(name)
        card = book.card(provider, model, now, {}, 0)
        if card is not None:
            yield provider, model, card


def _priced(provider: str, model: str, card: RateCard) -> Line:
    rates = [
        card.usd_per_million.get(bucket) for bucket in ("in_text", "out_text", "cache_read", "cache_write_5m")
    ]
    told = [Cell("" if rate is None else f"{rate.normalize():f}") for rate in rates]
    return Line([Cell(model), Cell(provider), *told, Cell(card.source)])
