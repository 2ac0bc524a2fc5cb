"""The installation's master key, held to the one that its database knows.

A first start makes it; any later start must bring the same one, told by a fingerprint in the database. So a lost
key is noticed at the start and not at the first call.

With a key service the master key never comes here. What the installation's own secrets follow from is then a root of 32
random bytes, made at the first start and stored wrapped by the service.
"""

import hmac
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

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

if TYPE_CHECKING:
    import psycopg

_SQL = statements("visionality.vault", "installation.sql")
_NO_MOVE = "an installation cannot be moved from one KeyProvider to another"


class Stored(NamedTuple):
    """What the database knows of an installation's keys: no secret."""

    installation_id: UUID
    fingerprint: bytes
    wrapped_root: bytes | None


def open_keys(
    settings: Settings,
    web_dsn: str,
    report: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> KeyProvider:
    """The KeyProvider of this installation, whose keys are made if it has none; a key service's token comes from `environ`.

    Raises MasterKeyMissing when the key is absent or another one, BadSettings when its address cannot be used, and
    KeyDisabled or KeysAway when the service does not answer as it should.
    """
    import psycopg  # noqa: PLC0415 -- a gateway only asks for known keys, and would keep it for life

    service = _service(settings, environ)
    with psycopg.connect(web_dsn) as connection:
        known = stored(connection)
        if known is None:
            return _made(settings, service, connection, report)
    return _held_to(settings, service, known, report)


def stored(connection: "psycopg.Connection[Any]") -> Stored | None:
    """What is known of the keys; None before the first start."""
    found = connection.execute(_SQL["stored"]).fetchone()
    return None if found is None else Stored(*found)


def known_keys(
    settings: Settings,
    known: Stored,
    report: Callable[[str], None],
    environ: Mapping[str, str] = os.environ,
) -> KeyProvider:
    """The same for an installation whose keys are known, without its database."""
    return _held_to(settings, _service(settings, environ), known, report)


def _service(settings: Settings, environ: Mapping[str, str]) -> KeyService | None:
    if settings.key_provider is None:
        return None
    if settings.master_key is not None:
        raise BadSettings(
            "VIS_KEY_PROVIDER and VIS_MASTER_KEY are both set, and only one can hold the keys: unset one"
        )
    return service_at(settings.key_provider, environ)


def _made(
    settings: Settings,
    service: KeyService | None,
    connection: "psycopg.Connection[Any]",
    report: Callable[[str], None],
) -> KeyProvider:
    installation_id, blob = uuid7(), None
    if service is None:
        keys = _master_key(settings, may_make=True, report=report)
    else:
        root = os.urandom(KEY_BYTES)
        keys = ServiceKeyProvider(service, root)
        blob = wrapped(service, installation_context(installation_id), root)
    values = {"id": installation_id, "fingerprint": keys.secret(FINGERPRINT), "wrapped_root": blob}
    connection.execute(_SQL["store"], values)
    return keys


def _held_to(
    settings: Settings, service: KeyService | None, known: Stored, report: Callable[[str], None]
) -> KeyProvider:
    return _by_master_key(settings, known, report) if service is None else _by_service(service, known)


def _by_service(service: KeyService, known: Stored) -> KeyProvider:
    if known.wrapped_root is None:
        raise MasterKeyMissing(
            "VIS_KEY_PROVIDER is set, but this installation's secrets are under a master key of its own: unset it; "
            + _NO_MOVE
        )
    try:
        root = unwrapped(service, installation_context(known.installation_id), bytes(known.wrapped_root))
    except SealBroken as broken:
        raise MasterKeyMissing(
            f"the key that VIS_KEY_PROVIDER names does not open this installation's root ({broken}): name the one that "
            f"it was made with; {_NO_MOVE}"
        ) from None
    keys = ServiceKeyProvider(service, root)
    if not _fits(known, keys):
        raise MasterKeyMissing(
            "the installation's root in the database is not the one that its secrets are under: restore the row of "
            "vis.installation from the backup that its other tables are from"
        )
    return keys


def _by_master_key(settings: Settings, known: Stored, report: Callable[[str], None]) -> KeyProvider:
    if known.wrapped_root is not None:
        raise MasterKeyMissing(
            "this installation's secrets are under a key service, and VIS_KEY_PROVIDER does not name it: set it as it "
            f"was; {_NO_MOVE}"
        )
    keys = _master_key(settings, may_make=False, report=report)
    if not _fits(known, keys):
        where = "VIS_MASTER_KEY" if settings.master_key else str(settings.data_dir / env.FILE)
        raise MasterKeyMissing(
            f"the master key in {where} is not the one that this installation's secrets are under: put the right one back"
        )
    return keys


def _master_key(settings: Settings, *, may_make: bool, report: Callable[[str], None]) -> KeyProvider:
    if settings.master_key is not None:
        return env.from_text(settings.master_key)
    return env.from_data_dir(settings.data_dir, may_make, report)


def _fits(known: Stored, keys: KeyProvider) -> bool:
    return hmac.compare_digest(bytes(known.fingerprint), keys.secret(FINGERPRINT))
