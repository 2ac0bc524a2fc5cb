"""`GET /receipts/REQUEST_ID`: the receipt of a call that was made with the same key, whatever its answer carried."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog

from visionality.core.call import Refusal
from visionality.gateway import allowed, client
from visionality.gateway.asking import asker
from visionality.gateway.client import Send
from visionality.gateway.dialects import CHAT_COMPLETIONS
from visionality.gateway.receipts.desk import NoKey
from visionality.gateway.refusals import refuse
from visionality.gateway.state import Gateway
from visionality.gateway.strangers import Stranger
from visionality.ledger.connection import AWAY
from visionality.ledger.ids import uuid7
from visionality.vault.sealing import SealBroken

log = structlog.get_logger()

PATH = "/receipts/"
_PLAIN = [(b"content-type", b"text/plain; charset=us-ascii"), (b"cache-control", b"no-store")]


async def fetch(gateway: Gateway, path: str, scope: Mapping[str, Any], send: Send) -> None:
    """Answer one request for a receipt."""
    try:
        text = await _receipt(gateway, path.removeprefix(PATH), scope)
    except Refusal as refusal:
        if isinstance(refusal, Stranger):
            await gateway.stranger(refusal, scope["method"], PATH, allowed.peer_of(scope))
        await refuse(send, CHAT_COMPLETIONS, refusal, str(uuid7()))
        return
    content = b"" if scope["method"] == "HEAD" else f"{text}\n".encode()
    await client.answer(send, 200, _PLAIN, content)


async def _receipt(gateway: Gateway, name: str, scope: Mapping[str, Any]) -> str:
    """Raises Refusal."""
    _, principal = await asker(gateway, scope, gateway.clock())
    grant, request_id = principal.grant, _request_id(name)
    try:
        text = await gateway.receipts.of_call(grant.org_id, request_id, grant.key_id, principal.token_id)
    except NoKey:
        raise Refusal(
            503, "receipt_unavailable", "no key signs receipts of this organisation yet: try again later"
        ) from None
    except (SealBroken, *AWAY) as error:
        log.warning("receipt_unreadable", error=str(error), error_type=type(error).__name__)
        raise Refusal(503, "receipt_unavailable", "the receipt cannot be made now: try again later") from None
    if text is None:
        raise _nothing()
    return text


def _request_id(name: str) -> UUID:
    """Raises Refusal for what no call of ours is called."""
    try:
        request_id = UUID(name)
    except ValueError:
        raise _nothing() from None
    if str(request_id) != name:
        raise _nothing()
    return request_id


def _nothing() -> Refusal:
    return Refusal(
        404,
        "receipt_not_found",
        "this key has no call of this id: it is what `x-vis-request-id` said in the answer of a call",
    )
