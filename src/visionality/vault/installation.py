"""The installation's master key, held to the one that its database knows.

A first start makes it; any later start must bring the same one, told by a fingerprint in the database. So a lost
key is noticed at the start and not at the first call.

With a key service the master key never comes here. What the installation's own secrets follow from is then a root of 32
random bytes, made at the first start and stored wrapped by the service.
"""

import hmac
import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from visionality.runtime.ids import uuid7
from visionality.runtime.settings import BadSettings, Settings
from visionality.runtime.sql import statements
from visionality.vault.keyproviders import env
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.keyproviders._service import (
    KEY_BYTES,
    KeyService,
    ServiceKeyProvider,
    unwrapped,
    wrapped,
)
from visionality.vault.keyproviders.address import service_at
from visionality.vault.keyproviders.env import MasterKeyMissing
from visionality.vault.purposes import FINGERPRINT, installation_context
from visionality.vault.sealing import SealBroken

_SQL = statements("visionality.vault", "installation.sql")
_NO_MOVE = "an installation cannot be moved from one KeyProvider to another"


class _Stored(NamedTuple):
    installation_id: UUID
    fingerprint: bytes
    wrapped_root: bytes | None


def open_keys(
    settings: Settings,
    web_dsn: str,
    report: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> KeyProvider:
    """The KeyProvider of this installation; a key service's token comes from `environ`.

    Raises MasterKeyMissing when the key is absent or another one, BadSettings when its address cannot be used, and
    KeyDisabled or KeysAway when the service does not answer as it should.
    """
    service = _service(settings, environ)
    with psycopg.connect(web_dsn) as connection:
        found = connection.execute(_SQL["stored"]).fetchone()
        stored = None if found is None else _Stored(*found)
        if service is not None:
            return _by_service(service, connection, stored)
        return _by_master_key(settings, connection, stored, report)


def _service(settings: Settings, environ: Mapping[str, str]) -> KeyService | None:
    if settings.key_provider is None:
        return None
    if settings.master_key is not None:
        raise BadSettings(
            "VIS_KEY_PROVIDER and VIS_MASTER_KEY are both set, and only one can hold the keys: unset one"
        )
    return service_at(settings.key_provider, environ)


def _by_service(
    service: KeyService, connection: psycopg.Connection[Any], stored: _Stored | None
) -> KeyProvider:
    if stored is None:
        root, installation_id = os.urandom(KEY_BYTES), uuid7()
        keys = ServiceKeyProvider(service, root)
        blob = wrapped(service, installation_context(installation_id), root)
        _store(connection, installation_id, keys, blob)
        return keys
    if stored.wrapped_root is None:
        raise MasterKeyMissing(
            "VIS_KEY_PROVIDER is set, but this installation's secrets are under a master key of its own: unset it; "
            + _NO_MOVE
        )
    try:
        root = unwrapped(service, installation_context(stored.installation_id), bytes(stored.wrapped_root))
    except SealBroken as broken:
        raise MasterKeyMissing(
            f"the key that VIS_KEY_PROVIDER names does not open this installation's root ({broken}): name the one that "
            f"it was made with; {_NO_MOVE}"
        ) from None
    keys = ServiceKeyProvider(service, root)
    if not _fits(stored, keys):
        raise MasterKeyMissing(
            "the installation's root in the database is not the one that its secrets are under: restore the row of "
            "vis.installation from the backup that its other tables are from"
        )
    return keys


def _by_master_key(
    settings: Settings,
    connection: psycopg.Connection[Any],
    stored: _Stored | None,
    report: Callable[[str], None],
) -> KeyProvider:
    if stored is not None and stored.wrapped_root is not None:
        raise MasterKeyMissing(
            "this installation's secrets are under a key service, and VIS_KEY_PROVIDER does not name it: set it as it "
            f"was; {_NO_MOVE}"
        )
    keys = _master_key(settings, may_make=stored is None, report=report)
    if stored is None:
        _store(connection, uuid7(), keys, None)
    elif not _fits(stored, keys):
        where = "VIS_MASTER_KEY" if settings.master_key else str(settings.data_dir / env.FILE)
        raise MasterKeyMissing(
            f"the master key in {where} is not the one that this installation's secrets are under: put the right one back"
        )
    return keys


def _master_key(settings: Settings, *, may_make: bool, report: Callable[[str], None]) -> KeyProvider:
    if settings.master_key is not None:
        return env.from_text(settings.master_key)
    return env.from_data_dir(settings.data_dir, may_make, report)


def _fits(stored: _Stored, keys: KeyProvider) -> bool:
    return hmac.compare_digest(bytes(stored.fingerprint), keys.secret(FINGERPRINT))


def _store(
    connection: psycopg.Connection[Any], installation_id: UUID, keys: KeyProvider, wrapped_root: bytes | None
) -> None:
    values = {
        "id": installation_id,
        "fingerprint": keys.secret(FINGERPRINT),
        "wrapped_root": wrapped_root,
    }
    connection.execute(_SQL["store"], values)
