"""What a witness decides: whether a log went on from where it was seen last, or shows somebody else another past.

A witness co-signs a head only after it has checked that the log's own key signed it and that it extends the last one it saw.
So a head that a witness signed is one that was not rewritten since, whoever holds the database or the log's key
(C2SP tlog-witness). A witness reads files; it needs neither our database nor our network.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Literal

import msgspec

from visionality.core.checkpoint import Checkpoint, Note
from visionality.core.proven_head import ProvenHead, extends

AHEAD = timedelta(minutes=5)
"""How far a head may be dated after the witness's clock."""

_COSIGNATURE = b"\x04"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPELLED = re.compile(r"([^\s+\x00-\x1f\x7f]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})")

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class NotWitnessed(Exception):
    """The head is not co-signed; the message says why, in one sentence."""


class BadKeys(Exception):
    """A list of keys, or a witness's key, that cannot be used; the message says why."""


class LogKey(msgspec.Struct, frozen=True):
    """A key of an organisation, as the list of keys has it (docs/audit/formats.md, section 4)."""

    role: str
    public: str
    active_from: Moment
    verify_until: Moment | None
    revoked_at: Moment | None


class _Keys(msgspec.Struct, frozen=True):
    type: Literal["visionality verification keys"]
    v: Literal[1]
    keys: list[LogKey]


@dataclass(frozen=True, slots=True)
class Trusted:
    """A key that heads of this time may be signed with."""

    public: bytes
    since: datetime
    until: datetime | None


def log_keys(content: bytes) -> list[Trusted]:
    """Those that sign heads, of a list of keys; revoked ones are believed for nothing. Raises BadKeys."""
    try:
        found = msgspec.json.decode(content, type=_Keys)
        return [
            Trusted(b64decode(key.public, validate=True), key.active_from, key.verify_until)
            for key in found.keys
            if key.role == "log" and key.revoked_at is None
        ]
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BadKeys(f"this is no list of keys as `vis evidence keys` prints it: {error}") from None


def is_signed(note: Note, keys: Sequence[Trusted]) -> bool:
    """Whether a key signed it that is believed at the note's time, which is cut to milliseconds."""
    at = note.checkpoint.time_ms
    return any(
        _ms(key.since) <= at and (key.until is None or at <= _ms(key.until)) and note.is_by(key.public)
        for key in keys
    )


def followed(
    seen: Checkpoint | None, heads: Sequence[ProvenHead], keys: Sequence[Trusted], now: datetime
) -> ProvenHead:
    """The last of these heads of one log, once each has been shown to extend the one before, from the one seen last on.

    Heads below the one that was seen are passed over. Raises NotWitnessed, checkpoint.BadNote, proven_head.BadHead.
    """
    if not heads:
        raise NotWitnessed("there is no head in this file")
    for head in heads:
        note = head.note()
        _check_itself(note, seen, keys, now)
        if seen is not None and note.checkpoint.size < seen.size and head is not heads[-1]:
            continue
        _check_extends(seen, note.checkpoint, head)
        seen = note.checkpoint
    return heads[-1]


def _check_itself(note: Note, seen: Checkpoint | None, keys: Sequence[Trusted], now: datetime) -> None:
    head = note.checkpoint
    if seen is not None and head.origin != seen.origin:
        raise NotWitnessed(f"this is a head of {head.origin}, and the last one seen was of {seen.origin}")
    if not is_signed(note, keys):
        raise NotWitnessed(
            f"no log key of the given list signed this head of {head.size} leaves at its time; "
            "see that the list is of this organisation and not older than its keys"
        )
    if head.time_ms > _ms(now + AHEAD):
        raise NotWitnessed("the head is dated later than now: one of the two clocks is wrong")


def _check_extends(seen: Checkpoint | None, head: Checkpoint, proof: ProvenHead) -> None:
    if seen is None:
        return
    if head.size < seen.size:
        raise NotWitnessed(
            f"SMALLER: the log has {head.size} leaves, and {seen.size} were seen before: "
            "leaves were taken away, or an older database was restored"
        )
    if head.size == seen.size:
        if head.root != seen.root:
            raise NotWitnessed(
                f"FORK: at {head.size} leaves the log had another root when it was seen before"
            )
        return
    if seen.size and proof.start != seen.size:
        raise NotWitnessed(
            f"the last head seen has {seen.size} leaves, and this file proves from {proof.start} on: "
            f"ask for `vis evidence heads --proof-from {seen.size}`, or for the log's history"
        )
    if not extends(seen, head, proof.path() if seen.size else []):
        raise NotWitnessed(
            f"FORK: nothing shows that the log of {head.size} leaves extends the {seen.size} leaves that were "
            "seen before; its past was rewritten, or the proof is not of this log"
        )


def spelled_key(name: str, public: bytes) -> str:
    """A witness's public key in the form of C2SP signed-note: `NAME+ID+KEY`. Raises BadKeys."""
    text = f"{name}+{key_id(name, public).hex()}+{b64encode(_COSIGNATURE + public).decode()}"
    if _SPELLED.fullmatch(text) is None:
        raise BadKeys(f"{name!r} cannot be the name of a witness: it has a space or a +, or is too long")
    return text


def read_key(text: str) -> tuple[str, bytes]:
    """The name and the 32 bytes of a witness's public key. Raises BadKeys."""
    found = _SPELLED.fullmatch(text.strip())
    if found is None:
        raise BadKeys("a witness's key is `NAME+ID+KEY` on one line, as `vis evidence witness-key` prints it")
    name, said, spelled = found.groups()
    kind, public = (content := b64decode(spelled))[:1], content[1:]
    if kind != _COSIGNATURE or b64encode(content).decode() != spelled or said != key_id(name, public).hex():
        raise BadKeys(f"the key of {name} does not fit its own id: it was cut or changed on its way")
    return name, public


def key_id(name: str, public: bytes) -> bytes:
    """What a witness's line begins with: 4 bytes (C2SP tlog-cosignature)."""
    return sha256(name.encode() + b"\n" + _COSIGNATURE + public).digest()[:4]


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
