"""How a Django migration wraps a migration file of the ledger or the registry."""

from django.db.migrations.operations import RunSQL

from visionality.runtime.sql import text


def forward(package: str, name: str) -> RunSQL:
    """One forward-only operation that runs the file whole."""
    return RunSQL(text(package, name))
