"""What a client's own answers tell of a batch: that it has begun, that it has ended, and where its results are."""

import re

import msgspec

from visionality.core.allocation import bill
from visionality.core.call import Headers
from visionality.core.row import Row, from_draft
from visionality.core.usage import Metered
from visionality.gateway import settle
from visionality.gateway.admit import Upstream
from visionality.gateway.batches.results import ENDED
from visionality.gateway.dialects import MESSAGE_BATCHES
from visionality.gateway.dialects._core import NOT_JSON
from visionality.gateway.dialects.member import member_of, members_of
from visionality.gateway.forward import Exchange
from visionality.gateway.later import BATCH_ID, hold_id
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.ledger.writer import Hold

_NOT_SENT = frozenset({"upstream_unreachable"})
_PATH = "/v1/messages/batches/"
_HOST = re.compile(rb"[A-Za-z0-9.\-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(str | None).decode


def begun(row: Row, hold: Hold, exchange: Exchange) -> None:
    """Write into the row of a submission which batch it began.

    An answer that was lost may have begun one of which nobody knows the name: it is charged at its worst case.
    """
    if exchange.metered.answer_id is not None:
        row.tags = {**(row.tags or {}), BATCH_ID: exchange.metered.answer_id}
    elif exchange.failure is not None and exchange.failure[1] not in _NOT_SENT and exchange.status < 300:
        row.usage_source = "reservation_ceiling"
        row.price_state = from_draft(hold.draft).price_state if hold.draft else "unknown"
        row.cost_nusd = hold.amount_nusd
        bill(row)


def seen(gateway: Gateway, row: Row, upstream: Upstream, exchange: Exchange) -> None:
    """Have a batch collected that this answer says has ended. It is no usage of the call that asked."""
    metered: Metered
    metered, exchange.metered = exchange.metered, settle.NOTHING
    if metered.answer_id is not None and metered.finish in ENDED:
        gateway.ended.add(hold_id(row.org_id, upstream.name, metered.answer_id))


def addressed(target: Target, body: bytes, headers: Headers, path: str) -> bytes:
    """The answer with the address of the results here, where Anthropic's SDK will ask for them with its virtual key.

    `path` is the one that the client asked. Where the address cannot be told, nothing is changed.
    """
    if target.route.dialect is not MESSAGE_BATCHES:
        return body
    sent = dict(headers)
    host = sent.get(b"host", b"")
    if not _HOST.fullmatch(host):
        return body
    try:
        members = members_of(body)
        url = _decode(members["results_url"])
        _, start, end = member_of(body, members, "results_url")
    except (KeyError, *NOT_JSON):
        return body
    if url is None or _PATH not in url:
        return body
    scheme = "https" if sent.get(b"x-forwarded-proto", b"").split(b",")[0].strip() == b"https" else "http"
    before = path.partition(_PATH.removesuffix("/"))[0]
    here = f"{scheme}://{host.decode()}{before}{_PATH}{url.partition(_PATH)[2]}"
    return body[:start] + _encode(here) + body[end:]
