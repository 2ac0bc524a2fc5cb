"""The chargeback as a download: the same bytes as `vis chargeback` writes (F1)."""

from datetime import datetime
from typing import Any, BinaryIO
from uuid import UUID

import psycopg
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from visionality.chargeback import cost_centers, csv
from visionality.chargeback.filter import SELECTORS
from visionality.web import export
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.plane import plane
from visionality.web.seats.period import any_period_of

BY_COST_CENTER = "cost-center"
ORIGINAL = "original"


@for_roles(Role.FINANCE, Role.PROJECTS)
@require_GET
def download(request: HttpRequest) -> HttpResponseBase:
    """A month, a quarter or any days, narrowed by selectors; `by=cost-center` divides, `booked=original` leaves corrections out."""
    member, given = member_of(request), request.GET
    period = any_period_of(given, plane().clock().date())
    wanted = {name: given[name] for name in SELECTORS if given.get(name)}
    if any("\0" in value for value in wanted.values()):
        raise BadRequest("a filter cannot hold NUL")
    by, booked = given.get("by", ""), given.get("booked", "")
    if by not in ("", BY_COST_CENTER) or booked not in ("", ORIGINAL):
        raise BadRequest(f"expected by={BY_COST_CENTER} or none, and booked={ORIGINAL} or none")
    if export.is_full():
        told = "many downloads are being made: ask again in a minute\n"
        return HttpResponse(told, status=503, content_type="text/plain", headers={"Retry-After": "60"})
    write = _writer(member.org_id, period.start, period.end, wanted, by, original=booked == ORIGINAL)
    name = "-".join(["chargeback", *([by] if by else []), *period.said.values()])
    return StreamingHttpResponse(
        export.blocks(member.org_id, write),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _writer(
    org_id: UUID, start: datetime, end: datetime, wanted: dict[str, str], by: str, *, original: bool
) -> export.Write:
    def write(connection: psycopg.Connection[Any], file: BinaryIO) -> object:
        if by:
            return cost_centers.write(connection, org_id, start, end, wanted, file, original=original)
        return csv.write(connection, org_id, start, end, wanted, file, _silent, original=original)

    return write


def _silent(_written: int, _in_all: int) -> None:
    """A download shows no progress of its own."""
