"""What a client is told that asks for a receipt which cannot be signed: a word in place of it, and never an error (S4)."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

import evidence_keys
from visionality.core.row import Row
from visionality.evidence.keys import ask_to_rotate, everything
from visionality.gateway.receipts.desk import FAILED, NO_KEY, NO_ROW, STANDS, NoKey, Receipts
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.vault.keyproviders.env import from_text
from visionality.vault.sealing import SealBroken

KEYS = from_text(base64.b64encode(bytes(range(32))).decode())
OTHERS = from_text(base64.b64encode(bytes(range(1, 33))).decode())


@pytest.fixture
def org_id(database) -> UUID:
    made = uuid7()
    with database.as_role("vis_web", made) as connection:
        connection.execute(
            "insert into vis_control.organisation (id, slug, name, created_at) values (%s, %s, 'ArcTrade', now())",
            [made, made.hex],
        )
    return made


@asynccontextmanager
async def desk(dsn: str, keys: Any = KEYS) -> AsyncIterator[Receipts]:
    made = Receipts(dsn, keys, utc_now, UUID(int=4))
    try:
        yield made
    finally:
        made.close()


def row_of(org_id: UUID) -> Row:
    return Row(org_id=org_id, request_id=uuid7(), id=uuid7(), created_at=utc_now(), provider="x", dialect="y")


def fingerprint(database, org_id: UUID) -> str:
    with database.as_role("vis_reader", org_id) as connection:
        (key,) = [key for key in everything(connection, org_id) if key.role == "receipt"]
    return key.fingerprint


async def test_until_a_key_is_made_a_client_is_told_so_and_then_it_has_its_receipt(database, org_id):
    async with desk(database.url("vis_writer")) as receipts:
        assert await receipts.of(row_of(org_id)) == (NO_KEY,)
        with pytest.raises(NoKey):
            await receipts.signer(org_id)
        evidence_keys.make(database, KEYS)
        ((name, text),) = await receipts.of(row_of(org_id))
        assert name == b"x-vis-receipt"
        assert text.isascii()
        assert (await receipts.signer(org_id)).keyid == fingerprint(database, org_id)


async def test_no_row_no_receipt(database):
    async with desk(database.url("vis_writer")) as receipts:
        assert await receipts.of(None) == (NO_ROW,)


async def test_a_key_that_does_not_open_is_no_error_of_the_call(database, org_id):
    evidence_keys.make(database, KEYS)
    async with desk(database.url("vis_writer"), OTHERS) as receipts:
        assert await receipts.of(row_of(org_id)) == (FAILED,)
        with pytest.raises(SealBroken):
            await receipts.signer(org_id)


async def test_a_database_that_is_away_is_no_error_of_the_call(org_id):
    async with desk("postgresql://vis_writer@127.0.0.1:1/vis") as receipts:
        assert await receipts.of(row_of(org_id)) == (FAILED,)


async def test_a_row_that_cannot_be_written_down_is_no_error_of_the_call(database, org_id):
    evidence_keys.make(database, KEYS)
    row = row_of(org_id)
    row.project_id = "\ud800"
    async with desk(database.url("vis_writer")) as receipts:
        assert await receipts.of(row) == (FAILED,)


async def test_a_key_is_looked_up_again_after_its_time_and_one_that_was_replaced_is_believed_that_long(
    database, org_id, monkeypatch
):
    evidence_keys.make(database, KEYS)
    async with desk(database.url("vis_writer")) as receipts:
        first = await receipts.signer(org_id)
        with database.as_role("vis_web", org_id) as connection, connection.cursor() as cursor:
            ask_to_rotate(cursor, org_id, "receipt", utc_now())
        evidence_keys.make(database, KEYS)
        assert await receipts.signer(org_id) is first
        with database.as_role("vis_reader", org_id) as connection:
            before, after = [key for key in everything(connection, org_id) if key.role == "receipt"]
        assert before.verify_until > utc_now() + timedelta(seconds=STANDS)
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: time.monotonic() + STANDS)
        assert (await receipts.signer(org_id)).keyid == after.fingerprint != first.keyid
