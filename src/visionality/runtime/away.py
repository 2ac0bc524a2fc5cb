"""Why a database does not serve, as a plain sentence: what an operator can act on, and nothing that tells a secret.

SQLSTATEs are from the PostgreSQL documentation, appendix A.
"""

AWAY = "the ledger's database is away"

_WHY = {
    "53100": "the disk of the ledger's database is full",
    "53200": "the ledger's database is out of memory",
    "53300": "the ledger's database has no connection left",
    "25006": "the ledger's database takes no writes: it is a standby, or was made read-only",
    "57P03": "the ledger's database is starting or stopping",
    "3D000": "the ledger's database is not there",
    "28P01": "the ledger's database does not let this process in",
    "28000": "the ledger's database does not let this process in",
    "42501": "the ledger's database does not let this process do its work: run `vis check`",
}
_SCHEMA = frozenset({"3F000", "42P01", "42703", "42883"})
"""A schema, a table, a column or a function that is not there."""
MIGRATIONS = "the ledger's database lacks migrations: run `vis migrate`"


def why(error: BaseException | None) -> str:
    """By the error that a driver raised, asyncpg's or psycopg's; without one, or with one that says little, it is away."""
    state = getattr(error, "sqlstate", None)
    return MIGRATIONS if state in _SCHEMA else _WHY.get(str(state), AWAY)
