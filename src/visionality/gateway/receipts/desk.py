"""The receipts of one gateway process: its organisations' keys, opened when they are first needed, and the rows behind them.

Nothing here is done for a client that does not ask, and nothing that fails here fails a call.
"""

import asyncio
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from visionality.core.call import Headers
from visionality.core.receipt import Signer, Stood, receipt
from visionality.core.row import Row
from visionality.ledger.batch import row_leaf
from visionality.ledger.desk import Desk
from visionality.runtime.clock import Clock
from visionality.runtime.ids import made_at
from visionality.runtime.sql import statements
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.purposes import EVIDENCE_KEYS, evidence_context
from visionality.vault.sealing import unseal

log = structlog.get_logger()

HEADER = b"x-vis-receipt"
ASKED = (HEADER, b"1")
ABSENT = b"x-vis-receipt-absent"
LATER = (ABSENT, b"stream")
"""A stream's head goes out before its row stands: its receipt is asked for afterwards."""
NO_ROW = (ABSENT, b"no_row")
NO_KEY = (ABSENT, b"no_key")
FAILED = (ABSENT, b"unavailable")

STANDS = 5.0
"""Seconds for which a key is used without another look at whether it still signs."""
WAIT = 2.0
"""Seconds that a call's answer waits for its receipt at most."""
TURN = 5.0
"""Seconds that whoever fetches one waits for those before and for the search: a search takes long for what is not there."""
CLOCK_STEPS = timedelta(seconds=5)
"""How far the clock of a gateway may have gone back between the coming of a call and its end."""
ANSWERED_WITHIN = timedelta(hours=2)
"""How long after its coming a call's row is looked for."""

_SQL = statements("visionality.gateway.receipts", "receipts.sql")


class NoKey(Exception):
    """Nobody signs receipts of this organisation yet."""


class _Known(NamedTuple):
    until: float
    signer: Signer


class Receipts:
    """`dsn` reaches the database as `vis_writer`; `installation` is named in each receipt."""

    def __init__(self, dsn: str, keys: KeyProvider, clock: Clock, installation: UUID) -> None:
        self._keys, self._clock, self._installation = keys, clock, installation
        self._of_keys = Desk(dsn, "visionality receipt keys")
        self._of_rows = Desk(dsn, "visionality receipts")
        self._known: dict[UUID, _Known] = {}

    async def of(self, row: Row | None) -> Headers:
        """What a client is told that asked for the receipt of a row that stands, or of none. Never raises for a fault."""
        if row is None:
            return (NO_ROW,)
        try:
            signer = self._at_hand(row.org_id)
            if signer is None:
                async with asyncio.timeout(WAIT):
                    signer = await self.signer(row.org_id)
            return ((HEADER, self._signed(_stood(row), signer).encode()),)
        except NoKey:
            return (NO_KEY,)
        except Exception as error:
            log.exception("receipt_failed", request_id=str(row.request_id), error_type=type(error).__name__)
            return (FAILED,)

    async def of_call(self, org_id: UUID, request_id: UUID, key_id: UUID, token_id: str | None) -> str | None:
        """The receipt of a call of this key, or with a token's id of this token; None when it has no such row.

        Raises NoKey, SealBroken, and one of ledger.connection.AWAY.
        """
        came = made_at(request_id)
        if came is None:
            return None
        given = (org_id, request_id, key_id, token_id, came - CLOCK_STEPS, came + ANSWERED_WITHIN)
        async with asyncio.timeout(TURN):
            found = await self._of_rows.ask(lambda live: live.fetchrow(_SQL["call"], *given))
        if found is None:
            return None
        return self._signed(Stood(*found), await self.signer(org_id))

    def close(self) -> None:
        self._of_keys.close()
        self._of_rows.close()

    def _signed(self, row: Stood, signer: Signer) -> str:
        return receipt(row, signer, self._installation, self._clock())

    async def signer(self, org_id: UUID) -> Signer:
        """What signs an organisation's receipts now. Raises like `of_call`."""
        signer = self._at_hand(org_id)
        if signer is None:
            record = await self._of_keys.ask(lambda live: live.fetchrow(_SQL["key"], org_id))
            if record is None:
                raise NoKey
            signer = self._opened(org_id, *record)
            self._known[org_id] = _Known(asyncio.get_running_loop().time() + STANDS, signer)
        return signer

    def _at_hand(self, org_id: UUID) -> Signer | None:
        """The key that was looked up a moment ago."""
        known = self._known.get(org_id)
        if known is None or known.until < asyncio.get_running_loop().time():
            return None
        return known.signer

    def _opened(self, org_id: UUID, key_id: UUID, sealed: bytes) -> Signer:
        context = evidence_context(org_id, key_id, "receipt")
        seed = unseal(self._keys.secret(EVIDENCE_KEYS), context, sealed)
        return Signer.of(Ed25519PrivateKey.from_private_bytes(seed))


def _stood(row: Row) -> Stood:
    whose = (row.org_id, row.id, row.request_id, row.created_at, row.project_id)
    money = (row.currency, row.cost_nusd, row.billed_nusd, row.price_version)
    return Stood(*whose, *money, row_leaf(row))
