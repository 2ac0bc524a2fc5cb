"""One figure of the ledger under a signature, so that whoever gets it can check it without an account (promise F6).

It is a pack of one figure (docs/audit/formats.md section 6): an in-toto Statement under a DSSE signature. The file is the
envelope; the link carries the same payload and signature in fewer characters:

    text = B64URL(payload) "." B64URL(signature)

Figures that were signed before have a form of their own (figure_before_packs.py), which is still read. The text is decoded,
encoded again and compared, since base64 and JSON have several spellings of the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from visionality.core import dsse, figure_before_packs
from visionality.core.canonical import timestamp
from visionality.core.figure_before_packs import Moment
from visionality.core.key_document import bytes_of, spelled
from visionality.core.period import Period

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:visionality:figure:v1"
LONGEST = 4096
"""Characters of a text. Addresses must stay what mail and browsers carry."""
_SIGNATURE = 64


class BadFigure(Exception):
    """A text that is no signed figure; the message says why."""


class Organisation(NamedTuple):
    id: str
    name: str
    slug: str
    """Empty in a figure that was signed before packs."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is said: of these UTC days and this scope the ledger gave this cost, when it was signed."""

    id: str
    installation: str
    organisation: Organisation
    period: Period
    scope: Mapping[str, str]
    """Which rows: all of them, or those of a project, a customer, a team, an agent, a person (by the sign-on's subject)."""
    currency: str
    cost_usd: str
    billed_usd: str
    calls: int
    signed_at: datetime
    signed_by: str
    live_until: datetime
    """Until then its page compares it with the ledger of the day."""
    checkpoint: str | None
    """The newest head of the ledger then, as a note."""


class Signed(NamedTuple):
    """A statement, the bytes that were signed, and the signature. Nothing is believed before `is_by` says so."""

    statement: Statement
    content: bytes
    signature: bytes
    kid: str | None = None
    """The key that a figure from before packs names; None for a pack of one figure, which is under a pack key."""

    def is_by(self, public: bytes) -> bool:
        """Whether the key with these 32 bytes signed it."""
        covered = dsse.pae(self.content) if self.kid is None else figure_before_packs.DOMAIN + self.content
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(self.signature, covered)
        except (InvalidSignature, ValueError):
            return False
        return True

    def as_file(self, public: bytes) -> bytes:
        """The file for checking it without us."""
        if self.kid is None:
            return dsse.put_together(self.content, sha256(public).hexdigest(), self.signature)
        return figure_before_packs.as_file(self.content, self.signature, public)


_encode = msgspec.json.Encoder(order="sorted").encode


def sign(statement: Statement, private: Ed25519PrivateKey) -> str:
    """The text. Raises BadFigure when its names are too long for an address."""
    content = payload(statement)
    text = f"{spelled(content)}.{spelled(private.sign(dsse.pae(content)))}"
    if len(text) > LONGEST:
        raise BadFigure(f"the names in it are too long for a link of {LONGEST} characters")
    return text


def read(text: str) -> Signed:
    """What a text says, believed or not. Raises BadFigure."""
    if len(text) > LONGEST:
        raise BadFigure(f"it has more than {LONGEST} characters")
    said, point, signature = text.partition(".")
    try:
        found = _signed(bytes_of(said), bytes_of(signature))
    except (
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        RecursionError,
    ) as error:  # msgspec's errors are ValueErrors
        raise BadFigure(f"this is no signed figure: {error}") from None
    if not point or len(found.signature) != _SIGNATURE:
        raise BadFigure("this is no signed figure in its one spelling")
    return found


def payload(statement: Statement) -> bytes:
    """The bytes that are signed: JCS."""
    predicate = _predicate(statement)
    digest = {"sha256": sha256(_encode(predicate)).hexdigest()}
    return _encode(
        {
            "_type": TYPE,
            "predicate": predicate,
            "predicateType": PREDICATE_TYPE,
            "subject": [{"digest": digest, "name": f"figure/{statement.id}"}],
        }
    )


def _predicate(said: Statement) -> dict[str, Any]:
    period = said.period
    return {
        "billed": said.billed_usd,
        "checkpoint": said.checkpoint,
        "cost": said.cost_usd,
        "currency": said.currency,
        "id": said.id,
        "installation": said.installation,
        "live_until": timestamp(said.live_until),
        "org": said.organisation._asdict(),
        "period": {
            "ends_at": timestamp(period.end),
            "from": period.first.isoformat(),
            "starts_at": timestamp(period.start),
            "to": period.last.isoformat(),
        },
        "rows": said.calls,
        "scope": dict(said.scope),
        "signed_at": timestamp(said.signed_at),
        "signed_by": said.signed_by,
        "v": 1,
    }


class _Predicate(msgspec.Struct, frozen=True):
    """As it is read: what a statement keeps of it. That nothing else is there shows when it is written again."""

    billed: str
    checkpoint: str | None
    cost: str
    currency: str
    id: str
    installation: str
    live_until: Moment
    org: dict[str, str]
    period: dict[str, str]
    rows: int
    scope: dict[str, str]
    signed_at: Moment
    signed_by: str


class _Payload(msgspec.Struct, frozen=True):
    predicate: _Predicate


_decode = msgspec.json.Decoder(_Payload).decode


def _signed(content: bytes, signature: bytes) -> Signed:
    """Raises ValueError, TypeError or KeyError."""
    if not content.startswith(b'{"_type":'):
        before = figure_before_packs.said(content)
        return Signed(_of_before(before), content, signature, before.kid)
    statement = _of(_decode(content).predicate)
    if payload(statement) != content:
        raise ValueError("it has another spelling")
    return Signed(statement, content, signature)


def _of(read: _Predicate) -> Statement:
    return Statement(
        id=read.id,
        installation=read.installation,
        organisation=Organisation(**read.org),
        period=Period(date.fromisoformat(read.period["from"]), date.fromisoformat(read.period["to"])),
        scope=read.scope,
        currency=read.currency,
        cost_usd=read.cost,
        billed_usd=read.billed,
        calls=read.rows,
        signed_at=read.signed_at,
        signed_by=read.signed_by,
        live_until=read.live_until,
        checkpoint=read.checkpoint,
    )


def _of_before(said: figure_before_packs.Statement) -> Statement:
    return Statement(
        id=said.id,
        installation=said.iss.removeprefix("vis:"),
        organisation=Organisation(said.org, said.organisation, ""),
        period=Period(said.first, said.last),
        scope=said.scope,
        currency=said.currency,
        cost_usd=said.cost_usd,
        billed_usd=said.billed_usd,
        calls=said.calls,
        signed_at=said.signed_at,
        signed_by=said.signed_by,
        live_until=said.live_until,
        checkpoint=None,
    )
