"""Whether this process lives, and whether it can serve."""

from uuid import UUID

import django.db
import psycopg
from django.db import connection
from django.http import HttpRequest, HttpResponse

from visionality.runtime.away import MIGRATIONS, why
from visionality.web.accounts.members import open_to_all
from visionality.web.migrate import known_migrations
from visionality.web.reading import reading

_KNOWN = known_migrations()
_NOBODY = UUID(int=0)


@open_to_all
def livez(_request: HttpRequest) -> HttpResponse:
    return _said(200, "ok")


@open_to_all
def readyz(_request: HttpRequest) -> HttpResponse:
    """Ready when both of its roles can ask the database, and it has every migration that this code knows."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        with reading(_NOBODY) as ledger:
            applied = {
                row["migration"] for row in ledger.execute("select migration from vis.schema_migrations_v1")
            }
    except (django.db.Error, psycopg.Error) as error:
        return _said(503, why(error.__cause__ or error))
    return _said(200, "ok") if applied >= _KNOWN else _said(503, MIGRATIONS)


def _said(status: int, words: str) -> HttpResponse:
    return HttpResponse(words + "\n", status=status, content_type="text/plain; charset=utf-8")
