"""A ledger row as one line of the table: what stands in each cell, and what must not be taken for something else."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from visionality.ledger.reader import Record, shown
from visionality.web.seats.figures import Amount, counted, dollars, duration

SIMULATED = "sandbox"
"""The provider's name on rows that the simulated provider answered."""

DEMO = "demo"
"""The source of rows that `vis demo load` made up."""

ESTIMATES = {
    "provider_partial": "the answer broke off before the provider's final count",
    "tokenizer_estimate": "counted here, because the provider reported nothing",
    "reservation_ceiling": "the most the call can have cost, because nobody knows what happened",
}
"""Usage sources that are no final report, and why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. Empty text where the row holds nothing."""

    id: UUID
    at: datetime
    is_new: bool
    entry: str
    project: str
    task: str
    agent: str
    owner: str
    model: str
    asked: str
    """The model that was asked for, when another one answered."""
    family: str
    tokens_in: str
    tokens_in_split: str
    tokens_out: str
    tokens_out_split: str
    cost: Amount
    unpriced: bool
    estimate: str
    simulated: bool
    is_demo: bool
    decision: str
    status: str
    reason: str
    latency: str


def line(record: Record, seen_up_to: UUID | None = None) -> Line:
    """The line of a row; it is new when its id came after `seen_up_to`."""
    row = shown(record)
    used, asked = row["model_used"], row["model_requested"]
    fresh, read, write = row["input_tokens"], row["cache_read_tokens"], row["cache_write_tokens"]
    return Line(
        id=row["id"],
        at=row["created_at"],
        is_new=seen_up_to is not None and row["id"] > seen_up_to,
        entry=row["entry"],
        project=row["project_id"] or "",
        task=row["task"] or "",
        agent=row["agent_sub"] or "",
        owner=row["agent_owner"] or "",
        model=used or asked or "",
        asked=asked if used and asked and used != asked else "",
        family=row["model_family"] or "",
        tokens_in=counted(fresh + read + write),
        tokens_in_split=f"{fresh:,} fresh + {read:,} read from cache + {write:,} written to cache",
        tokens_out=counted(row["output_tokens"]),
        tokens_out_split=f"{row['output_tokens']:,}, of which {row['reasoning_tokens']:,} reasoning",
        cost=dollars(row["cost_usd"]),
        unpriced=row["price_state"] == "unknown",
        estimate=ESTIMATES.get(row["usage_source"], ""),
        simulated=row["provider"] == SIMULATED,
        is_demo=row["source"] == DEMO,
        decision=row["decision"],
        status=str(row["status_code"] or ""),
        reason=row["reason"] or ("client left" if row["finish"] == "client_abort" else ""),
        latency=duration(row["latency_ms"]),
    )


def places(lines: list[Line]) -> int:
    """How many digits stand behind the point at most, so that all points can stand under each other."""
    return max((len(one.cost.part) - 1 for one in lines if one.cost.part and not one.unpriced), default=0)
