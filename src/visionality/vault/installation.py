"""The installation's master key, held to the one that its database knows.

A first start makes it; any later start must bring the same one, told by a fingerprint in the database. So a lost
key is noticed at the start and not at the first call.
"""

import hmac
from collections.abc import Callable

import psycopg

from visionality.runtime.ids import uuid7
from visionality.runtime.settings import Settings
from visionality.runtime.sql import statements
from visionality.vault.keyproviders import env
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.keyproviders.env import MasterKeyMissing
from visionality.vault.purposes import FINGERPRINT

_SQL = statements("visionality.vault", "installation.sql")


def open_keys(settings: Settings, web_dsn: str, report: Callable[[str], None]) -> KeyProvider:
    """The KeyProvider of this installation. Raises MasterKeyMissing when the key is absent or another one."""
    with psycopg.connect(web_dsn) as connection:
        stored = connection.execute(_SQL["stored"]).fetchone()
        keys = _provider(settings, may_make=stored is None, report=report)
        fingerprint = keys.secret(FINGERPRINT)
        if stored is None:
            connection.execute(_SQL["store"], {"id": uuid7(), "fingerprint": fingerprint})
        elif not hmac.compare_digest(bytes(stored[0]), fingerprint):
            where = "VIS_MASTER_KEY" if settings.master_key else str(settings.data_dir / env.FILE)
            raise MasterKeyMissing(
                f"the master key in {where} is not the one that this installation's secrets are under: "
                "put the right one back"
            )
    return keys


def _provider(settings: Settings, *, may_make: bool, report: Callable[[str], None]) -> KeyProvider:
    if settings.master_key is not None:
        return env.from_text(settings.master_key)
    return env.from_data_dir(settings.data_dir, may_make, report)
