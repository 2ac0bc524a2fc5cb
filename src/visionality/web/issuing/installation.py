"""Who this installation is to those who check its tokens."""

from django.db import connection

from visionality.web.issuing.events import SQL


def issuer() -> str:
    """What tokens and proofs name as the one that issued them, and as the one that they are for."""
    return f"vis:{installation_id()}"


def installation_id() -> str:
    """Who it is in evidence."""
    with connection.cursor() as cursor:
        cursor.execute(SQL["installation"])
        found = cursor.fetchone()
    assert found is not None  # the master key was opened before, which makes it
    return str(found[0])
