"""Who this installation is to those who check its tokens."""

from django.db import connection

from visionality.web.issuing.events import SQL


def issuer() -> str:
    """What tokens and proofs name as the one that issued them, and as the one that they are for."""
    with connection.cursor() as cursor:
        cursor.execute(SQL["installation"])
        found = cursor.fetchone()
    assert found is not None  # the master key was opened before, which makes it
    return f"vis:{found[0]}"
