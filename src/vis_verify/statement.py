"""The signed statement, read in one pass: small parts as values, rows as nothing but what they come to.

Names stand in order in the one form, so the ledger is read before the period that its rows are counted for. The period
is looked up near the end of the text first; when what was found there is not the period, the text is read once more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from vis_verify.cursor import Cursor
from vis_verify.envelope import Envelope
from vis_verify.tally import Tally, Within
from vis_verify.verdict import Code, Refused

_PERIOD = re.compile(rb',"period":\{"ends_at":"([^"]{27})","from":"[^"]{10}","starts_at":"([^"]{27})","to":"')


@dataclass
class Chain:
    """One chain of a pack as it stands there, and what its rows come to. Nothing of it is checked yet."""

    headers: list[Any] = field(default_factory=list)
    inclusion: Any = None
    project_id: Any = None
    tally: Tally | None = None
    """None when the chain carries no rows."""


@dataclass
class Statement:
    """An in-toto statement. `chains` are those of a pack; everything else stands in `whole` as it is."""

    whole: dict[str, Any]
    chains: list[Chain] | None
    within: Within


def read_statement(envelope: Envelope, fingerprint: str) -> Statement:
    """The statement of a signed payload. Raises Refused."""
    hint = _PERIOD.search(envelope.payload_end())
    starts_at, ends_at = (
        (hint[2].decode("ascii", "replace"), hint[1].decode("ascii", "replace")) if hint else ("", "")
    )
    found = _read(envelope, fingerprint, Within(starts_at, ends_at))
    truly = _period(found.whole)
    if truly not in (None, (starts_at, ends_at)) and any(chain.tally for chain in found.chains or ()):
        assert truly is not None
        found = _read(envelope, fingerprint, Within(*truly))
    return found


def _read(envelope: Envelope, fingerprint: str, within: Within) -> Statement:
    cursor = Cursor(envelope.payload())
    found = Statement({}, None, within)
    if cursor.peek() != "{":
        raise Refused(Code.UNREADABLE, "the payload to be a JSON object", "it is something else", "refuse it")
    for name in cursor.names():
        is_predicate = name == "predicate" and cursor.peek() == "{"
        found.whole[name] = _predicate(cursor, found) if is_predicate else cursor.value()[1]
    if cursor.end() != fingerprint:
        raise Refused(
            Code.DIGEST, "the file to stay as it is", "it changed while it was read", "check it once more"
        )
    return found


def _predicate(cursor: Cursor, found: Statement) -> dict[str, Any]:
    predicate: dict[str, Any] = {}
    for name in cursor.names():
        is_ledger = name == "ledger" and cursor.peek() == "{"
        predicate[name] = _ledger(cursor, found) if is_ledger else cursor.value()[1]
    return predicate


def _ledger(cursor: Cursor, found: Statement) -> dict[str, Any]:
    ledger: dict[str, Any] = {}
    for name in cursor.names():
        if name == "chains" and cursor.peek() == "[":
            found.chains = [_chain(cursor, found.within) for _ in cursor.items()]
        else:
            ledger[name] = cursor.value()[1]
    return ledger


def _chain(cursor: Cursor, within: Within) -> Chain:
    chain = Chain()
    read = []
    for name in cursor.names():
        read.append(name)
        if name == "headers":
            chain.headers = [cursor.value()[1] for _ in cursor.items()]
        elif name == "inclusion":
            chain.inclusion = cursor.value()[1]
        elif name == "project_id":
            chain.project_id = cursor.value()[1]
        elif name == "rows" and cursor.peek() == "[":
            chain.tally = _rows(cursor, chain, within)
        else:
            value = cursor.value()[1]
            if name != "rows" or value is not None:
                read.append("")
    if read != ["headers", "inclusion", "project_id", "rows"]:
        what = "a chain to have headers, inclusion, project_id and rows"
        raise Refused(Code.UNREADABLE, what, "one has something else", "refuse it")
    return chain


def _rows(cursor: Cursor, chain: Chain, within: Within) -> Tally:
    org_id = chain.headers[0].get("org_id") if chain.headers and isinstance(chain.headers[0], dict) else None
    tally = Tally(org_id, chain.project_id, within)
    for _ in cursor.items():
        tally.begin()
        for _ in cursor.items():
            found = cursor.look(tally.look)
            if found is not None and tally.add_alike(found):
                cursor.pass_over(found)
            else:
                tally.add(*cursor.value())
    return tally


def _period(whole: dict[str, Any]) -> tuple[str, str] | None:
    predicate = whole.get("predicate")
    period = predicate.get("period") if isinstance(predicate, dict) else None
    if not isinstance(period, dict):
        return None
    starts_at, ends_at = period.get("starts_at"), period.get("ends_at")
    return (starts_at, ends_at) if isinstance(starts_at, str) and isinstance(ends_at, str) else None
