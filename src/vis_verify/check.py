"""What a program calls: a file or bytes, the keys that are believed, and what is asked; a verdict comes back, always."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vis_verify import figure, pack, receipt
from vis_verify.asked import Asked
from vis_verify.envelope import Held, InMemory, OnDisk, read_envelope
from vis_verify.keys import BadKeys, Keys, read_list
from vis_verify.statement import read_statement
from vis_verify.verdict import Code, Refused, Verdict, refusal

PACK, FIGURE = pack.TYPE, figure.TYPE


def verify_pack(
    envelope: bytes | Path,
    keys: bytes | Keys,
    asked: Asked | None = None,
    what: str = "the pack",
) -> Verdict:
    """The verdict on a pack. `keys` is the list that the installation gives out, or what was read of it."""
    return verify_envelope(envelope, keys, asked, what, PACK)


def verify_figure(
    envelope: bytes | Path,
    keys: bytes | Keys,
    asked: Asked | None = None,
    what: str = "the figure",
) -> Verdict:
    """The verdict on a signed figure."""
    return verify_envelope(envelope, keys, asked, what, FIGURE)


def verify_receipt(
    text: str, keys: bytes | Keys, proof: str | None = None, asked: Asked | None = None
) -> Verdict:
    """The verdict on a receipt and, when it is given, on the proof that its row was sealed."""

    def judge() -> Verdict:
        believed = _read(keys)
        _must_be_others(asked, believed)
        return receipt.check_receipt(text, believed, proof, asked or Asked())

    return _judged(judge, "the receipt", {})


def verify_envelope(
    envelope: bytes | Path,
    keys: bytes | Keys,
    asked: Asked | None = None,
    what: str = "the file",
    kind: str | None = None,
) -> Verdict:
    """The verdict on a pack or a figure; `kind` says which it must be, None that either will do."""
    facts: dict[str, Any] = {}

    def judge() -> Verdict:
        if isinstance(envelope, bytes):
            return _checked(InMemory(envelope), _read(keys), asked or Asked(), what, kind, facts)
        try:
            with envelope.open("rb") as file:
                return _checked(OnDisk(file), _read(keys), asked or Asked(), what, kind, facts)
        except OSError as error:
            came = f"it cannot be read ({error.strerror})"
            raise Refused(Code.UNREADABLE, "a file", came, "give the path of the file") from None

    return _judged(judge, what, facts)


def _checked(
    held: Held, keys: Keys, asked: Asked, what: str, kind: str | None, facts: dict[str, Any]
) -> Verdict:
    _must_be_others(asked, keys)
    envelope = read_envelope(held)
    key, fingerprint = envelope.must_be_signed(keys, "pack")
    facts["fingerprint"] = fingerprint
    statement = read_statement(envelope, fingerprint)
    if kind == FIGURE or (kind is None and statement.whole.get("predicateType") == FIGURE):
        return figure.check_figure(statement, fingerprint, key, keys, asked, what)
    return pack.check_pack(statement, fingerprint, key, keys, asked, what)


def _read(keys: bytes | Keys) -> Keys:
    if isinstance(keys, Keys):
        return keys
    try:
        return read_list(keys.decode())
    except (BadKeys, UnicodeDecodeError) as bad:
        came = str(bad) if isinstance(bad, BadKeys) else "it is not UTF-8"
        raise Refused(
            Code.USAGE, "the list of keys that `vis evidence keys` prints", came, "get it again"
        ) from None


def _must_be_others(asked: Asked | None, keys: Keys) -> None:
    """Raises Refused when a witness is the organisation itself."""
    own = {key.public for key in keys.keys}
    for witness in asked.witnesses if asked else ():
        if witness.public in own:
            came = "its key is one of the organisation's own"
            do = "name a witness who is somebody else"
            raise Refused(Code.USAGE, f"witness {witness.name} to be somebody else", came, do)


def _judged(judge: Callable[[], Verdict], what: str, facts: dict[str, Any]) -> Verdict:
    """The verdict of a check, whatever happens in it: what is not known to be well is refused."""
    try:
        return judge()
    except Refused as refused:
        return refusal(refused, what, facts)
    except Exception as error:  # noqa: BLE001 - a verifier that fails must not be taken for one that agrees
        came = f"{type(error).__name__} came"
        do = "rely on nothing in it, and send it to whoever keeps this program"
        return refusal(Refused(Code.INTERNAL, "this program to come to a verdict", came, do), what, facts)
