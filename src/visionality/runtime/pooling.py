"""Connections of the planes that answer calls: to PostgreSQL itself, or through a pooler in transaction mode.

Behind such a pooler each transaction may meet another session of the server. So nothing is prepared by name and nothing is
set for a session there; asyncpg then sends a statement whole, between two syncs, which any pooler keeps together
(pgbouncer documentation, "pool_mode"; asyncpg documentation, "Frequently Asked Questions").
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

CACHE = 100
"""Statements that a connection to PostgreSQL itself keeps prepared: asyncpg's own default."""


class Pooled(str):
    """The address of a pooler in transaction mode."""

    __slots__ = ()


async def connect(
    dsn: str, *, opens_within: float, answers_within: float, name: str | None = None, **session: str
) -> "asyncpg.Connection":
    """A connection, called `name` at the server, with so many seconds for its opening and for each answer.

    `session` is set where the session is ours: it changes speed and no result. A pooler lets clients in while its
    database is away, so the database is asked too. Raises what asyncpg raises.
    """
    import asyncpg  # noqa: PLC0415 -- who only names an address does without

    named = {"application_name": name} if name else {}
    pooled = isinstance(dsn, Pooled)
    made = await asyncpg.connect(
        dsn,
        timeout=opens_within,
        command_timeout=answers_within,
        statement_cache_size=0 if pooled else CACHE,
        server_settings=named if pooled else named | session,
    )
    if pooled:
        try:
            await made.execute("select 1", timeout=opens_within)
        except BaseException:
            made.terminate()
            raise
    return made
