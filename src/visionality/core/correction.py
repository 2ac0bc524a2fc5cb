"""Corrections: a row that was booked on nobody, or on the wrong project, is reversed and booked again (promises A6, L1).

No row is touched. A correction of a row is a reversal, with the negative amounts and the booking that stands, and a
re-booking with the positive ones and the new booking; together they are zero, but for what is billed: the re-booking has
the markup that a call of the new project, or end customer, had at the row's moment. What belongs to the row by then, its
true-ups included, is moved as a whole. A true-up that comes afterwards is booked as the row was at first; the next
correction of the row, which jobs/afterwards.py orders, reverses it there by a row of its own, of the kind `late`, and its
re-booking has the whole again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from msgspec.structs import replace

from visionality.core.allocation import MULTIPLIER, Dated, Markup, billed_nusd, multiplier_at
from visionality.core.canonical import timestamp
from visionality.core.row import Row

AMOUNTS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_nusd",
    "billed_nusd",
)
CORRECTABLE = frozenset({"call", "attempt", "import"})
NOTHING = (0,) * len(AMOUNTS)
REVERSAL, REBOOKING, LATE = "reversal", "rebooking", "late"
BUSINESS_UNIT = "business_unit"
RESOLVER = "resolver"
"""The author of what became known later; everybody else is a person."""
MOST_ROWS = 10_000
"""In one order."""
BY_AN_OPERATOR = (8, 100)
"""Level and confidence of what a person said: the level of what waited in the queue, and no doubt."""

_OWN_TAGS = ("correction", "correction_id", "author", "reason", "of", "entry")
_LEFT_BEHIND = frozenset({*_OWN_TAGS, "evidence", "attribution_conflict", "project_denied"})
NOT_COPIED = ("usage", "raw_usage", "rates", "pii", "latency_ms", "ttft_ms", "request_sha256")
"""What an amount came from, and how the call went: it stays with the row that is corrected."""

Amounts = tuple[int, ...]
"""As AMOUNTS names them."""


@dataclass(frozen=True, slots=True)
class Order:
    """What rows are to be booked on. None is what was not said."""

    org_id: UUID
    correction_id: UUID
    author: str
    reason: str
    project_id: str
    customer_id: str | None
    project_customer_id: str | None
    """The project's own, like the two that follow."""
    gl_code: str | None
    business_unit: str | None
    task_id: str | None
    epic_id: str | None
    repo: str | None
    branch: str | None
    level: int
    confidence: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A row with all that belongs to it."""

    row: Row
    true_ups: Amounts
    booked: Row | None = None
    """Its last re-booking."""
    project_gl_code: str | None = None
    """Of the row's own project, like the unit."""
    project_business_unit: str | None = None
    corrections: Amounts = NOTHING
    """What its corrections add up to, which is nothing but what another markup bills more or less."""
    exact: Decimal | None = None
    """The row's own cost in nano-dollars before it was rounded, where the row tells."""
    markups: Dated[Markup] = field(default_factory=Dated)

    @property
    def whole(self) -> Amounts:
        """What the row and its true-ups add up to."""
        return _sum(amounts(self.row), self.true_ups)


def amounts(row: Row) -> Amounts:
    return tuple(getattr(row, name) for name in AMOUNTS)


def corrected(standing: Standing, order: Order, now: datetime) -> list[Row]:
    """The rows that carry an order out on a row, but for their ids. They add up to zero in every amount but what is billed.

    Those of one row are in the order of their times, whatever the clocks of two machines say.
    """
    own, booked = standing.row, standing.booked or standing.row
    assert own.entry in CORRECTABLE
    assert own.org_id == order.org_id
    at = now if standing.booked is None else max(now, standing.booked.created_at + timedelta(microseconds=1))
    whole = standing.whole
    moved = amounts(booked) if standing.booked else whole
    late = _sum(_sum(whole, standing.corrections), _negative(moved)) if standing.booked else NOTHING
    made = [_entry(booked, own, order, REVERSAL, _negative(moved), at)]
    if any(late):
        made.append(_entry(own, own, order, LATE, _negative(late), at))
    rebooked = _billed(_rebooked(standing, booked, order), standing)
    made.append(_entry(rebooked, own, order, REBOOKING, amounts(rebooked), at))
    return made


def is_overtaken(standing: Standing, order: Order) -> bool:
    """Whether the row was booked elsewhere since the resolver ordered this: then what is booked stands."""
    booked = standing.booked
    if order.author != RESOLVER or booked is None:
        return False
    customer_id = order.customer_id or booked.customer_id
    meant = (order.project_id, customer_id, order.task_id, order.epic_id, order.level)
    is_now = (booked.project_id, booked.customer_id, booked.task_id, booked.epic_id)
    return meant != (*is_now, booked.attribution_level)


def _entry(booked: Row, own: Row, order: Order, kind: str, of: Amounts, at: datetime) -> Row:
    """A correction row with that booking and those amounts."""
    left_behind = _LEFT_BEHIND if kind == REBOOKING else _OWN_TAGS
    said = {name: text for name, text in (booked.tags or {}).items() if name not in left_behind}
    values = (
        kind,
        str(order.correction_id),
        order.author,
        order.reason,
        timestamp(own.created_at),
        own.entry,
    )
    columns = {
        "created_at": at,
        "entry": "correction",
        "corrects": own.id,
        "tags": said | dict(zip(_OWN_TAGS, values, strict=True)),
    }
    return replace(booked, **columns, **dict(zip(AMOUNTS, of, strict=True)), **dict.fromkeys(NOT_COPIED))


def _rebooked(standing: Standing, booked: Row, order: Order) -> Row:
    """The row as it is booked from now on. What is not said stays, as far as it is not the old project's."""
    own = standing.row
    is_same = booked.project_id == order.project_id
    task_id = order.task_id or (booked.task_id if is_same else None)
    keeps_epic = is_same and task_id == booked.task_id
    bound = own.customer_id if own.project_id is None else None
    paying = booked.customer_id if is_same else bound or order.project_customer_id
    own_code = own.gl_code if own.gl_code != standing.project_gl_code else None
    return replace(
        booked,
        project_id=order.project_id,
        customer_id=order.customer_id or paying,
        task_id=task_id,
        epic_id=order.epic_id or (booked.epic_id if keeps_epic else None),
        repo=order.repo or booked.repo,
        branch=order.branch or booked.branch,
        gl_code=booked.gl_code if is_same else order.gl_code or own_code,
        attribution_level=order.level,
        confidence=order.confidence,
        tags=booked.tags if is_same else _with_unit(booked.tags, own.tags, standing, order),
    )


def _billed(rebooked: Row, standing: Standing) -> Row:
    """With the whole amounts, billed as a call of that project and end customer was at the row's moment.

    Where the markup is the row's own, all is billed as it was.
    """
    own, whole = standing.row, replace(rebooked, **dict(zip(AMOUNTS, standing.whole, strict=True)))
    of_own = Decimal((own.tags or {}).get(MULTIPLIER, "1"))
    multiplier = of_own
    if (own.project_id, own.customer_id) != (rebooked.project_id, rebooked.customer_id):
        whose = {"project_id": rebooked.project_id, "customer_id": rebooked.customer_id}
        multiplier = multiplier_at(standing.markups, at=own.created_at, **whose)
    if multiplier != of_own:
        exact = standing.exact if standing.true_ups == NOTHING else None
        whole.billed_nusd = billed_nusd(whole.cost_nusd if exact is None else exact, multiplier)
    rest = {name: text for name, text in (rebooked.tags or {}).items() if name != MULTIPLIER}
    whole.tags = rest if multiplier == 1 else rest | {MULTIPLIER: f"{multiplier.normalize():f}"}
    return whole


def _with_unit(
    booked: Mapping[str, str] | None, own: Mapping[str, str] | None, standing: Standing, order: Order
) -> dict[str, str]:
    unit = (own or {}).get(BUSINESS_UNIT)
    unit = order.business_unit or (unit if unit != standing.project_business_unit else None)
    rest = {name: text for name, text in (booked or {}).items() if name != BUSINESS_UNIT}
    return rest | ({BUSINESS_UNIT: unit} if unit else {})


def _sum(one: Amounts, other: Amounts) -> Amounts:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _negative(of: Amounts) -> Amounts:
    return tuple(-amount for amount in of)
