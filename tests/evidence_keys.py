"""The sealer's work where no sealer runs: keys are made and logs sealed by what it does that with."""

import psycopg

from conftest import Database
from visionality.evidence.keys import make_missing
from visionality.evidence.sealing import step
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.vault.keyproviders._core import KeyProvider

_HOLDER = uuid7()


def make(database: Database, keys: KeyProvider) -> None:
    """The keys that organisations lack, and those that were asked for."""
    with psycopg.connect(database.dsn("vis_sealer")) as connection:
        make_missing(connection, keys, utc_now())


def seal(database: Database, keys: KeyProvider) -> None:
    """Everything that waits."""
    with psycopg.connect(database.dsn("vis_sealer"), autocommit=True) as connection:
        while not step(connection, keys, _HOLDER, utc_now()).is_all:
            pass
