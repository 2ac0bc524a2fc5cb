"""Calls that go on after their request was answered: one request begins them, the answer to another says their usage.

The row of the request that begins such a call says that nothing is known yet, and with it a hold for the call's worst
case is made. The hold's id follows from the answer's own, and its draft is a row to come: a true-up of the first.
Whoever sees the answer complete takes the hold and writes that row, in one transaction. A hold can be taken once, so
the call is charged once, however often its answer is fetched and whichever gateway fetches it. When nobody does before
the hold expires, the reaper charges the worst case in its place (docs/metering.md). A batch begins in the same way, and is
charged line by line (gateway/batches).
"""

from datetime import timedelta
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from visionality.core.row import Row, draft_text, from_draft
from visionality.core.usage import Metered
from visionality.gateway import settle
from visionality.gateway.admit import Upstream
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.ledger.ids import uuid7
from visionality.ledger.writer import Hold, LedgerAway

STANDS = timedelta(hours=24)
"""How long a call may go on, and its answer be fetched, before it is charged at its worst case."""
BATCH_STANDS = timedelta(hours=72)
"""A batch has 24 hours, and may take longer to stop; then its results must be read."""
BATCH_ID = "batch_id"
"""The tag of a batch's rows."""


def hold_for(row: Row, hold: Hold, metered: Metered, gateway: Gateway) -> Hold | None:
    """What stays held of a call that goes on, by the finished row of the request that began it; None for any other."""
    if metered.answer_id is None or metered.source != "none":
        return None
    to_come = msgspec.structs.replace(
        row, entry="true_up", corrects=row.id, decision="allowed", reason=None, finish=None, latency_ms=None
    )
    is_batch = row.tags is not None and BATCH_ID in row.tags
    expires = gateway.clock() + (BATCH_STANDS if is_batch else STANDS)
    held = hold_id(row.org_id, row.provider, metered.answer_id)
    draft = draft_text(to_come)
    return Hold(row.org_id, held, row.request_id, hold.amount_nusd, expires, draft, hold.windows)


async def settle_begun(
    gateway: Gateway, org_id: UUID, target: Target, upstream: Upstream, metered: Metered
) -> bool:
    """Charge the call that an answer completes, if it waits for that. False when its row is not durable yet."""
    if metered.answer_id is None or metered.source != "provider_final":
        return True
    try:
        hold = await gateway.writer.standing(org_id, hold_id(org_id, upstream.name, metered.answer_id))
    except LedgerAway:
        return False
    if hold is None or hold.draft is None:
        return True
    row = from_draft(hold.draft)
    row.created_at, row.id = gateway.clock(), uuid7()
    settle.price(gateway, row, target, upstream, metered, row.created_at)
    return await gateway.writer.settle_within(row, hold) is not None


def hold_id(org_id: UUID, provider: str, answer_id: str) -> UUID:
    """Of the hold that waits for an answer; of a batch, the first of its holds."""
    return uuid5(NAMESPACE_URL, f"{org_id}/{provider}/{answer_id}")
