"""Chargebacks and coverage."""

from collections.abc import AsyncIterator
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, Any, BinaryIO, cast

import psycopg
from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from ninja import Query
from pydantic import BaseModel, Field

from visionality.chargeback import cost_centers, csv
from visionality.chargeback.coverage import coverage as coverage_of
from visionality.chargeback.coverage import percent
from visionality.chargeback.filter import SELECTORS
from visionality.core.money import usd
from visionality.core.period import Period, month_of
from visionality.web.api.bearer import Ask
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_LEDGER
from visionality.web.api.shapes import Day, Text255, Told
from visionality.web.export import Write
from visionality.web.reading import reading

BLOCK = 1 << 16
"""Bytes of a file that are sent at once."""
CSV = {"responses": {"200": {"content": {"text/csv": {"schema": {"type": "string"}}}}}}


class Days(BaseModel):
    """UTC days, the last one included."""

    first: Day = Field(examples=["2026-11-01"])
    last: Day = Field(examples=["2026-11-30"])

    def range(self) -> tuple[datetime, datetime]:
        """Half open. Raises Problem."""
        period = self.period()
        return period.start, period.end

    def period(self) -> Period:
        """A whole month is one. Raises Problem."""
        if self.last < self.first:
            told = f"{self.last} is before {self.first}"
            raise Problem(422, f"`last`: {told}", [{"field": "last", "detail": told}])
        month = month_of(self.first)
        return (
            month if (month.first, month.last) == (self.first, self.last) else Period(self.first, self.last)
        )


class AskedRows(Days):
    include_sandbox: bool = Field(False, description="Count rows of the simulated provider too.")
    original: bool = Field(False, description="Leave corrections out: rows as they were booked at first.")


class AskedChargeback(AskedRows):
    project: Text255 | None = None
    task: Text255 | None = None
    epic: Text255 | None = None
    team: Text255 | None = None
    agent: Text255 | None = None
    owner: Text255 | None = None
    customer: Text255 | None = None


class Share(Told):
    """A part of what was spent in one currency, and which part of its whole it is."""

    part: str
    currency: str
    client: str | None
    level: int | None
    calls: int
    cost_usd: str
    percent: str | None


class Coverage(Told):
    shares: list[Share]
    conflicts: int = Field(description="Calls whose evidence disagrees, and that no correction has settled.")
    denied: int = Field(description="Calls whose evidence leads to a project that their key may not claim.")


@API.on("GET", "chargeback.csv", *READ_LEDGER, answer=None, extra=CSV)
def chargeback(ask: Ask, asked: Query[AskedChargeback]) -> StreamingHttpResponse:
    """One line a call with the total at the bottom, equal to the ledger to the last digit.

    The file is whole before its first byte is sent: what arrives with 200 is never a part of it.
    """
    return _file(ask, asked, is_by_call=True)


@API.on("GET", "chargeback-by-cost-center.csv", *READ_LEDGER, answer=None, extra=CSV)
def chargeback_by_cost_center(ask: Ask, asked: Query[AskedChargeback]) -> StreamingHttpResponse:
    """One line a cost center, general-ledger code and project, with each row's cost split between them."""
    return _file(ask, asked, is_by_call=False)


@API.on("GET", "coverage", *READ_LEDGER, answer=Coverage)
def coverage(ask: Ask, asked: Query[AskedRows]) -> dict[str, Any]:
    """How much of the spend is attributed: the whole, by level, by client."""
    start, end = asked.range()
    only: Any = {"include_sandbox": asked.include_sandbox, "original": asked.original}
    with reading(ask.act.org_id) as connection:
        shares, flagged = coverage_of(connection, ask.act.org_id, start, end, **only)
    told = [
        {
            "part": one.part,
            "currency": one.currency,
            "client": one.client,
            "level": one.level,
            "calls": one.sum.calls,
            "cost_usd": usd(one.sum.cost_nusd),
            "percent": percent(one.sum.cost_nusd, one.whole.cost_nusd),
        }
        for one in shares
    ]
    return {"shares": told, "conflicts": flagged.conflicts, "denied": flagged.denied}


def _file(ask: Ask, asked: AskedChargeback, *, is_by_call: bool) -> StreamingHttpResponse:
    start, end = asked.range()
    wanted = {name: value for name in SELECTORS if (value := getattr(asked, name))}
    only: Any = {"include_sandbox": asked.include_sandbox, "original": asked.original}

    def write(connection: psycopg.Connection[Any], file: BinaryIO) -> None:
        if is_by_call:
            csv.write(connection, ask.act.org_id, start, end, wanted, file, _unseen, **only)
        else:
            cost_centers.write(connection, ask.act.org_id, start, end, wanted, file, **only)

    return whole_file(ask, "chargeback", write)


def whole_file(ask: Ask, name: str, write: Write) -> StreamingHttpResponse:
    """A CSV that is whole before its first byte is sent."""
    file = TemporaryFile()  # noqa: SIM115 -- closed with the answer
    try:
        with reading(ask.act.org_id) as connection:
            write(connection, cast("BinaryIO", file))
    except BaseException:
        file.close()
        raise
    length = file.tell()
    file.seek(0)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"', "Content-Length": str(length)}
    response = StreamingHttpResponse(_blocks(file), content_type="text/csv; charset=utf-8", headers=headers)
    response._resource_closers.append(file.close)  # type: ignore[attr-defined]  # noqa: SLF001 -- as Django's FileResponse does
    return response


def _unseen(_written: int, _in_all: int) -> None:
    """Nobody looks at the progress: the answer begins when the file is whole."""


async def _blocks(file: IO[bytes]) -> AsyncIterator[bytes]:
    """The file, without ever holding more of it than a block."""
    read = sync_to_async(file.read, thread_sensitive=False)
    while block := await read(BLOCK):
        yield block
