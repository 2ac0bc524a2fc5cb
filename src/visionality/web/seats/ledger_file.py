"""`/rows.csv`: the rows of the ledger page's filter as a file. That it was taken is an event of the audit log."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, BinaryIO
from uuid import UUID

import psycopg
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from visionality.chargeback import rows
from visionality.ledger.filter import Filter
from visionality.ledger.sums import midnight
from visionality.web import export
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.doing import doing
from visionality.web.plane import plane
from visionality.web.seats.ledger import FILE_ROLES, asked_in, span_of


@for_roles(*FILE_ROLES)
@require_GET
def download(request: HttpRequest) -> HttpResponseBase:
    """The days that were chosen, else the month so far, as the sums of the page are."""
    member, asked = member_of(request), asked_in(request.GET)
    if export.is_full():
        told = "many downloads are being made: ask again in a minute\n"
        return HttpResponse(told, status=503, content_type="text/plain", headers={"Retry-After": "60"})
    start, end = span_of(asked, plane().clock())
    wanted = replace(asked.wanted, since=midnight(start), until=midnight(end))
    last = end - timedelta(days=1)
    with doing(request) as act:
        detail = {"asked": asked.query() or "everything", "from": f"{start}", "to": f"{last}"}
        act.record("ledger_exported", detail)
    return StreamingHttpResponse(
        export.blocks(member.org_id, _writer(member.org_id, wanted)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="rows-{start}-{last}.csv"'},
    )


def _writer(org_id: UUID, wanted: Filter) -> export.Write:
    def write(connection: psycopg.Connection[Any], file: BinaryIO) -> None:
        rows.write(connection, org_id, wanted, file)

    return write
