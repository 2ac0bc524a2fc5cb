"""Prices above the bundled catalogue, and providers with their keys, which go in and never come out."""

import re
from dataclasses import replace
from decimal import Decimal
from itertools import islice
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from ninja import Query
from pydantic import BaseModel, Field

from visionality.core.usage import INPUT, OUTPUT
from visionality.pricebook.book import PriceBook
from visionality.runtime.destination import is_refused
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.names import listed, numbered, the_one
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_POLICY, WRITE_POLICY
from visionality.web.api.shapes import Given, Key, Listed, Moment, Page, Rate, Reason, Removing, Text200, Told
from visionality.web.control.prices import in_force
from visionality.web.plane import plane
from visionality.web.policy import acts, lists
from visionality.web.policy.models import PriceOverride
from visionality.web.policy.prices import access_overrides, access_prices

_BUCKETS = (*INPUT, *OUTPUT, "chars", "seconds_in", "images", "code_session", "web_search", "file_search")
Bucket = Annotated[str, Field(pattern=f"^({'|'.join(_BUCKETS)})$")]
ProviderName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,39}$")]
Secret = Annotated[str, Field(min_length=1, max_length=8000, pattern=r"^[!-~]+$", examples=["sk-example"])]


class Price(Told):
    version: int
    provider: str
    model: str
    effective_from: Moment
    rates_usd: dict[str, str] = Field(description="US dollars a million units, by usage bucket.")
    source: str


class AskedModel(BaseModel):
    model: Annotated[str, Field(min_length=1, max_length=100, examples=["claude"])]


class PriceNow(Told):
    provider: str
    model: str
    rates_usd: dict[str, str] = Field(description="US dollars a million units, by usage bucket.")
    source: str


class InForce(Told):
    items: list[PriceNow]
    is_whole: bool = Field(description="False when there are more: say more of the name.")


class NewPrice(Given):
    provider: ProviderName = Field(examples=["anthropic"])
    model: Annotated[str, Field(min_length=1, max_length=200, examples=["claude-sonnet-4-6"])]
    rates_usd: Annotated[
        dict[Bucket, Rate],
        Field(
            min_length=1,
            max_length=40,
            examples=[{"in_text": "2.70"}],
            description="By usage bucket (docs/metering.md).",
        ),
    ]
    effective_from: Moment | None = Field(None, description="Now when it is left out.")
    source: Text200 = "operator"
    reason: Reason | None = None


class Provider(Told):
    provider: str
    state: Literal["live", "retired"]
    on_abort: str
    base_url: str
    options: dict[str, Any]


class Providers(Told):
    items: list[Provider]


class NewProvider(Given):
    base_url: Annotated[str, Field(min_length=8, max_length=400, examples=["https://api.anthropic.com"])]
    secret: Secret = Field(description="Its key: sealed at once, and never shown.")
    on_abort: Literal["drain", "cancel"] = "drain"
    deployments: Annotated[dict[Text200, Text200], Field(max_length=200)] = Field({})
    retries: Annotated[int, Field(ge=0, le=2)] = 0
    reason: Reason | None = None


@API.on("GET", "prices", *READ_POLICY, answer=Listed[Price])
def prices(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    """In the order of their versions."""
    found = map(_price, access_prices(ask.act))
    return listed(ask, found, numbered, page)


@API.on("GET", "prices/in-force", *READ_POLICY, answer=InForce)
def prices_in_force(ask: Ask, asked: Query[AskedModel]) -> dict[str, Any]:
    """What models whose name holds a text cost now, your own prices before the bundled list; a hundred at most."""
    overrides = access_overrides(ask.act)
    found = in_force(PriceBook(overrides), overrides, asked.model, ask.act.now)
    items = [
        {
            "provider": provider,
            "model": model,
            "rates_usd": {bucket: f"{rate.normalize():f}" for bucket, rate in card.usd_per_million.items()},
            "source": card.source,
        }
        for provider, model, card in islice(found, 101)
    ]
    return {"items": items[:100], "is_whole": len(items) <= 100}


@API.on("POST", "prices", *WRITE_POLICY, answer=Price, status=201)
def set_price(ask: Ask, body: NewPrice) -> dict[str, Any]:
    """A dated price is appended; earlier rows keep the price that they had."""
    rates = {bucket: Decimal(rate) for bucket, rate in body.rates_usd.items()}
    act = replace(ask.act, reason=body.reason or "")
    start = body.effective_from or act.now
    return _price(acts.set_price(act, body.provider, body.model, rates, start, body.source))


@API.on("GET", "providers", *READ_POLICY, answer=Providers)
def providers(ask: Ask) -> dict[str, Any]:
    """In the order of their making, those that were retired too. No key is in it."""
    return {"items": lists.records(ask.act, "provider")}


@API.on("GET", "providers/{provider}", *READ_POLICY, answer=Provider)
def provider(ask: Ask, provider: Key) -> dict[str, Any]:
    """The live one of this name."""
    return the_one(lists.records(ask.act, "provider"), "provider", provider=provider, state="live")


@API.on("PUT", "providers/{provider}", *WRITE_POLICY, answer=Provider)
def set_provider(ask: Ask, provider: ProviderName, body: NewProvider) -> dict[str, Any]:
    """Where its calls go from now on, and the key that pays for them; an earlier one is retired."""
    options: dict[str, Any] = {"models": body.deployments} if body.deployments else {}
    if body.retries:
        options["retries"] = body.retries
    act = replace(ask.act, reason=body.reason or "")
    address = _address(body.base_url)
    acts.add_provider(act, plane().keys, provider, address, body.on_abort, body.secret.encode(), options)
    return the_one(lists.records(ask.act, "provider"), "provider", provider=provider, state="live")


@API.on("DELETE", "providers/{provider}", *WRITE_POLICY, answer=Provider)
def remove_provider(ask: Ask, provider: Key, asked: Query[Removing]) -> dict[str, Any]:
    """Retire its key; its calls are refused."""
    found = the_one(lists.records(ask.act, "provider"), "provider", provider=provider, state="live")
    acts.remove_provider(replace(ask.act, reason=asked.reason or ""), provider)
    return found | {"state": "retired"}


def _price(one: PriceOverride) -> dict[str, Any]:
    names = ("version", "provider", "model", "effective_from", "source")
    return {name: getattr(one, name) for name in names} | {"rates_usd": one.rates}


def _address(url: str) -> str:
    """Raises Problem for what no call may go to."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    is_plain = url.isprintable() and not re.search(r"[ ?#@]", url)
    told = ""
    if not (is_plain and parts.scheme in {"https", "http"} and parts.hostname):
        told = "expected an address that starts with https://, without key, query or space"
    elif is_refused(parts.hostname):
        told = "no call may go to a machine's metadata service"
    if told:
        raise Problem(422, f"`base_url`: {told}", [{"field": "base_url", "detail": told}])
    return url.rstrip("/")
