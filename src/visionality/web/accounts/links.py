"""A link that signs the local operator in, once. Made without Django, since every start of the product makes one."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

import psycopg

from visionality.runtime.sql import statements

VALID_FOR = timedelta(minutes=15)
KEPT_FOR = timedelta(days=1)
"""A link that no longer works is remembered this long, then swept up when the next one is made."""

_SQL = statements("visionality.web.accounts", "links.sql")


def make_link(connection: psycopg.Connection, org_id: UUID, actor: str, now: datetime, base_url: str) -> str:
    """A sign-in link for the local operator: good once, within 15 minutes. Only its token's SHA-256 is kept.

    `connection` is of `vis_web`; the link works once it has committed.
    """
    token = secrets.token_urlsafe(32)
    connection.execute(_SQL["forget"], {"before": now - KEPT_FOR})
    values = {"digest": digest(token), "org_id": org_id, "actor": actor, "expires_at": now + VALID_FOR}
    connection.execute(_SQL["make"], values)
    return f"{base_url.rstrip('/')}/login/{token}"


def digest(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).digest()
