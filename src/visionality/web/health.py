"""Whether this process lives, and whether it can serve."""

from uuid import UUID

import django.db
import psycopg
from django.db import connection
from django.http import HttpRequest, HttpResponse

from visionality.web.accounts.members import open_to_all
from visionality.web.reading import reading

_NOBODY = UUID(int=0)


@open_to_all
def livez(_request: HttpRequest) -> HttpResponse:
    return _said(200, "ok")


@open_to_all
def readyz(_request: HttpRequest) -> HttpResponse:
    """Ready when both of its roles can ask the database."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        with reading(_NOBODY) as ledger:
            ledger.execute("select 1")
    except (django.db.Error, psycopg.Error):
        return _said(503, "the ledger's database is away")
    return _said(200, "ok")


def _said(status: int, words: str) -> HttpResponse:
    return HttpResponse(words + "\n", status=status, content_type="text/plain; charset=utf-8")
