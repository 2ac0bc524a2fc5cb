"""A connector's address and credential, opened for the one who reads it."""

from typing import Any
from uuid import UUID

import psycopg

from visionality.connectors.services import Target
from visionality.runtime.sql import statements
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.purposes import connector_context, organisation_context
from visionality.vault.sealing import unseal

_SQL = statements("visionality.jobs", "sync.sql")


def opened(connection: psycopg.Connection[Any], keys: KeyProvider, connector_id: UUID) -> tuple[Target, str]:
    """Where the service stands, and its credential.

    Raises SealBroken, KeyDisabled, KeysAway, and what psycopg raises.
    """
    found = connection.execute(_SQL["sealed"], {"connector_id": connector_id}).fetchone()
    assert found is not None, "a connector is stored with its credential"
    org_id, kind, base_url, scope, account, ca_bundle, sealed, kek_id, generation, wrapped = found
    kek = keys.unwrap(organisation_context(org_id, kek_id, generation), bytes(wrapped))
    secret = unseal(kek, connector_context(org_id, connector_id, kek_id, generation), bytes(sealed))
    return Target(kind, base_url, tuple(scope), account, ca_bundle), secret.decode()
