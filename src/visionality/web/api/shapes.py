"""The texts and numbers of requests and answers, each with its form; and what all requests and lists have in common.

Bodies are strict and refuse what they do not name, so that nothing is set by accident or by force. Answers refuse it too:
a column that nobody meant to show is a fault of ours and not an answer.
"""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from visionality.core.money import NANO

_Item = TypeVar("_Item")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d:\d\d)")
_YEARS = (1970, 9998)
_AMOUNT = r"^[0-9]{1,9}(\.[0-9]{1,9})?$"
_PLAIN = r"^[^\x00-\x1f\x7f]*$"


def _utc(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            found = datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            found = None
        if found is not None and _YEARS[0] <= found.year <= _YEARS[1]:
            return found
    raise ValueError("expected a time such as 2026-12-01T00:00:00Z")


def _day(value: Any) -> Any:
    if isinstance(value, date):
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        try:
            found = date.fromisoformat(value)
        except ValueError:
            found = None
        if found is not None and _YEARS[0] <= found.year <= _YEARS[1]:
            return found
    raise ValueError("expected a day such as 2026-12-01")


def _uuid(value: Any) -> Any:
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value)
    except (ValueError, AttributeError, TypeError):
        raise ValueError("expected a UUID") from None


Id = Annotated[UUID, BeforeValidator(_uuid)]
Moment = Annotated[datetime, BeforeValidator(_utc)]
Day = Annotated[date, BeforeValidator(_day)]
Usd = Annotated[str, Field(pattern=_AMOUNT, examples=["12.50"], description="US dollars, a decimal text")]
Rate = Annotated[str, Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,12})?$", examples=["2.70"])]
Reason = Annotated[str, Field(min_length=1, max_length=400, pattern=_PLAIN, examples=["a test of the API"])]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
Sub = Annotated[str, Field(pattern=r"^[A-Za-z0-9][^\s\x00-\x1f]{0,254}$")]
ScopeName = Annotated[str, Field(min_length=1, max_length=300, pattern=_PLAIN)]
Text80 = Annotated[str, Field(max_length=80, pattern=_PLAIN)]
Text200 = Annotated[str, Field(max_length=200, pattern=_PLAIN)]
Text255 = Annotated[str, Field(max_length=255, pattern=_PLAIN)]
Text400 = Annotated[str, Field(max_length=400, pattern=_PLAIN)]
Level = Annotated[int, Field(ge=0, le=4)]
Rule = Annotated[int, Field(ge=0, le=2**31 - 1)]
PeriodName = Literal["day", "week", "month", "quarter", "total"]


class Given(BaseModel):
    """What a body says."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Told(BaseModel):
    """What an answer says."""

    model_config = ConfigDict(extra="forbid")


class Reasoned(Given):
    reason: Reason


class Because(Given):
    """A body that may say why."""

    reason: Reason | None = None


class Removing(BaseModel):
    """A query that may say why; what is removed has no body."""

    reason: Reason | None = None


class Page(BaseModel):
    """How much of a list, and behind which place."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    after: Annotated[str, Field(max_length=2000)] | None = None


class Listed(Told, Generic[_Item]):
    items: list[_Item]
    next: str | None = Field(description="The path of the next page; null at the end.")


class Done(Told):
    """That it was done, and what to look at."""

    warnings: list[str] = Field([])


def nusd(text: str) -> int:
    """Nano-USD of an amount that has the form of Usd, which the ledger's columns hold."""
    return int(Decimal(text) * NANO)
