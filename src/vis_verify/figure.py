"""The checks of a signed figure (docs/audit/formats.md section 6)."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from vis_verify import shape
from vis_verify.asked import Asked
from vis_verify.canonical import canonical
from vis_verify.keys import Key, Keys
from vis_verify.pack import attestation as attestation_of
from vis_verify.pack import (
    must_be_days,
    must_be_fingerprint,
    must_be_fresh,
    must_be_of,
    must_be_org,
    must_be_statement,
    must_be_subjects,
    must_be_witnessed,
    not_checked,
    read_org,
)
from vis_verify.period import read_period
from vis_verify.statement import Statement
from vis_verify.verdict import Code, Refused, Verdict, approval

TYPE = "urn:visionality:figure:v1"
_PREDICATE = {
    "v", "id", "installation", "org", "period", "scope", "currency", "cost", "billed", "rows", "signed_at", "signed_by",
    "live_until", "checkpoint",
}  # fmt: skip
_SCOPES = {"project", "customer", "team", "agent", "person"}
_AMOUNT = re.compile(r"0|-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?", re.ASCII)


def check_figure(
    statement: Statement, fingerprint: str, key: Key, keys: Keys, asked: Asked, what: str
) -> Verdict:
    """The verdict on a figure whose payload is signed by `key`. Raises Refused."""
    said = must_be_statement(statement, TYPE)
    if said["v"] != 1 or said.get("critical"):
        raise Refused(
            Code.VERSION, "a figure of version 1", f"it is of version {said['v']}", "get a newer verifier"
        )
    said = shape.fields(said, _PREDICATE, "the figure")
    signed_at = shape.time(said["signed_at"], "signed_at")
    key.must_count(signed_at)
    must_be_fingerprint(fingerprint, asked.fingerprint)
    org, period = read_org(said["org"]), read_period(said["period"])
    must_be_of(shape.text(said["installation"], "the installation"), org, keys)
    must_be_org(org, asked.org)
    must_be_days(period, asked)
    scope = _scope(said["scope"], asked)
    must_be_fresh(signed_at, asked)
    must_be_subjects(
        statement.whole["subject"],
        {f"figure/{shape.text(said['id'], 'the id')}": hashlib.sha256(canonical(said).encode()).hexdigest()},
    )
    head, facts = _head(said, keys, asked)
    cost, billed = _amount(said["cost"], "the cost"), _amount(said["billed"], "the billed amount")
    rows, currency = shape.number(said["rows"], "the rows"), shape.text(said["currency"], "the currency")
    lines = [
        f"fingerprint   {fingerprint}",
        f"organisation  {org['name']} ({org['slug']}, {org['id']})",
        f"scope         {scope}",
        f"period        {period}",
        f"figure        cost {cost} {currency}, billed {billed} {currency}, {rows} rows",
        f"signed        {signed_at} by {shape.text(said['signed_by'], 'signed_by')}, pack key {key.fingerprint}",
        f"compared      with the ledger of the day until {shape.time(said['live_until'], 'live_until')}, on its page",
        head,
    ]
    amounts = {"billed": billed, "cost": cost, "currency": currency, "rows": rows}
    found = {
        **facts,
        "figure": amounts,
        "fingerprint": fingerprint,
        "keys": {"pack": key.fingerprint},
        "not_checked": [
            *not_checked(keys, asked),
            "the figure against rows: it carries none. A pack of the same scope and period does",
        ],
        "org": org,
        "period": {"from": period.first, "to": period.last},
        "scope": said["scope"],
        "signed_at": signed_at,
    }
    return approval(lines, found, what)


def _scope(value: Any, asked: Asked) -> str:
    scope = shape.has(value, (), "the scope")
    if not set(scope) <= _SCOPES:
        what = f"a scope of {', '.join(sorted(_SCOPES))}"
        raise Refused(Code.UNREADABLE, what, "it is something else", "get a newer verifier")
    for kind, name in (("project", asked.project), ("customer", asked.customer)):
        if name is not None and scope.get(kind) != name:
            came = f"it is of {scope.get(kind) or 'all'}"
            raise Refused(Code.SCOPE, f"a figure of {kind} {name}", came, "ask for one of the right scope")
    said = [f"{kind} {shape.text(name, 'the scope')}" for kind, name in sorted(scope.items())]
    return ", ".join(said) or "the whole organisation"


def _amount(value: Any, what: str) -> str:
    if not isinstance(value, str) or _AMOUNT.fullmatch(value) is None:
        raise Refused(Code.UNREADABLE, f"{what} to be a decimal amount", f"it is {value!r}", "refuse it")
    return value


def _head(said: dict[str, Any], keys: Keys, asked: Asked) -> tuple[str, dict[str, Any]]:
    """What is said of the head that the ledger had when the figure was signed."""
    if said["checkpoint"] is None:
        if asked.witnesses:
            what, came = "a head that witnesses can have signed", "the figure carries none"
            raise Refused(Code.WITNESS, what, came, "ask for a pack")
        return "checkpoint    none: nothing was sealed yet", {
            "attestation": "self-attested",
            "checkpoint": None,
        }
    note = shape.note(said["checkpoint"], "the checkpoint")
    note.must_be_of(keys, f"{said['installation']}/{said['org']['id']}/request_logs")
    must_be_witnessed(note, asked)
    head = {"origin": note.origin, "root": note.root.hex(), "size": note.size, "time": note.time}
    attestation = attestation_of(asked)
    line = f"checkpoint    {note.size} rows at {note.time}, root {note.root.hex()}; {attestation}"
    return line, {"attestation": attestation, "checkpoint": head}
