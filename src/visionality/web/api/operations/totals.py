"""What rows add up to, by one dimension, whole UTC days: equal to the ledger to the last nano-dollar at every moment."""

from typing import Annotated, Any

from ninja import Query
from pydantic import Field

from visionality.core.money import usd
from visionality.ledger.sums import Dim, Sum, daily, sums
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.reports import Days
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_LEDGER
from visionality.web.api.shapes import Day, Text400, Told
from visionality.web.reading import reading

_COUNTS = (
    *("calls", "asked", "refused", "failed", "unpriced", "unattributed", "members"),
    *("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"),
)
_AMOUNTS = ("cost", "billed", "final", "estimated")


class Total(Told):
    """One key in one currency; an empty key is what no row names, null the rest behind the first `top`."""

    day: Day | None
    key: str | None
    key2: str | None
    currency: str
    cost_usd: str
    billed_usd: str
    final_usd: str = Field(description="The part of the cost whose usage is the provider's last word.")
    estimated_usd: str
    calls: int = Field(description="Served work, as the chargeback counts it.")
    asked: int
    refused: int
    failed: int
    unpriced: int
    unattributed: int
    members: int = Field(description="How many keys the line sums up.")
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int


class Totals(Told):
    items: list[Total]


class AskedTotals(Days):
    by: Dim
    key: Text400 | None = Field(None, description="Only this key.")
    key2: Text400 | None = None
    top: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="The dearest; the rest is one line."
    )
    daily: bool = Field(False, description="A line for each day.")
    simulated: bool = Field(False, description="What the simulated provider answered, and nothing else.")


@API.on("GET", "totals", *READ_LEDGER, answer=Totals)
def totals(ask: Ask, asked: Query[AskedTotals]) -> dict[str, Any]:
    """The dearest first; by day, the oldest day first. One line a currency: never add two currencies up."""
    start, end = asked.range()
    narrowed: Any = {
        "keys": None if asked.key is None else [asked.key],
        "keys2": None if asked.key2 is None else [asked.key2],
    }
    given: Any = (ask.act.org_id, asked.by, start.date(), end.date())
    with reading(ask.act.org_id) as connection:
        if asked.daily:
            found = daily(connection, *given, **narrowed, simulated=asked.simulated)
        else:
            found = sums(connection, *given, **narrowed, top=asked.top, simulated=asked.simulated)
    return {"items": [_total(one) for one in found]}


def _total(one: Sum) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in ("day", "key", "key2", "currency", *_COUNTS)}
    return told | {f"{name}_usd": usd(getattr(one, f"{name}_nusd")) for name in _AMOUNTS}
