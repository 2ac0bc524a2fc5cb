"""What a person reads when something broke. These pages ask nothing of the database: it may be what broke."""

import sys

import django.db
import psycopg
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from visionality.web.api.problem import Problem

_AWAY = (
    django.db.OperationalError,
    django.db.InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: 503 when the database is away, 500 for a fault of ours."""
    _, fault, _ = sys.exc_info()
    away = isinstance(fault, _AWAY)
    status = 503 if away else 500
    if request.path.startswith("/api/"):
        told = (
            "the ledger's database is away: ask again" if away else "the fault is ours, and it is in our log"
        )
        return Problem(status, told).response()
    return HttpResponse(render_to_string("fault.html", {"away": away, "path": request.path}), status=status)
