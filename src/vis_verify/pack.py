"""The checks of an evidence pack, in their order (docs/audit/formats.md section 5, docs/audit/verify.md).

Each check raises Refused; the first that does decides. What could not be checked is said in `not_checked`, and what must
be checked and cannot be is refused.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from vis_verify import merkle, shape
from vis_verify.asked import Asked
from vis_verify.canonical import canonical
from vis_verify.chain import Header, must_match, must_reach, read_headers
from vis_verify.keys import Key, Keys
from vis_verify.note import Note
from vis_verify.period import Period, read_period
from vis_verify.rows_file import read_rows
from vis_verify.spelling import spelled, units
from vis_verify.statement import Chain, Statement
from vis_verify.tally import Sum, Tally, Within
from vis_verify.verdict import Code, Refused, Verdict, approval

TYPE = "urn:visionality:evidence-pack:v1"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
CONTROLS = ("CC6.1", "CC6.2/6.3", "CC6.6/6.7", "CC7.1/7.2", "CC7.3/7.4", "CC8.1")
_PREDICATE = {
    "v", "pack_id", "generated_at", "generator", "installation", "org", "scope", "period", "policy_revision",
    "controls", "mappings", "ledger", "totals", "prices", "keys", "limits", "critical",
}  # fmt: skip
_CONTROL = {
    "control",
    "exceptions",
    "mechanisms",
    "passed",
    "population",
    "query",
    "rows_sha256",
    "status",
    "title",
}
_REFUSE = "refuse the pack and ask whoever made it"


@dataclass(frozen=True)
class Identity:
    """Who a pack is of, about what, for when."""

    installation: str
    org: dict[str, str]
    kind: str
    name: str
    projects: list[str]
    period: Period
    generated_at: str

    @property
    def scope(self) -> str:
        return "the whole organisation" if self.kind == "organisation" else f"{self.kind} {self.name}"


@dataclass
class Ledger:
    """The ledger part of a pack once it is checked."""

    chains: list[tuple[str, list[Header]]]
    checkpoint: Note
    log_key: Key
    rows: str
    """`embedded`, `none` or the name of the file."""
    checked: int
    within: Within | None
    """What the rows of the period come to; None without rows."""


def check_pack(
    statement: Statement, fingerprint: str, key: Key, keys: Keys, asked: Asked, what: str
) -> Verdict:
    """The verdict on a pack whose payload is signed by `key`. Raises Refused."""
    predicate = _predicate(statement)
    identity = read_identity(predicate)
    key.must_count(identity.generated_at)
    must_be_fingerprint(fingerprint, asked.fingerprint)
    must_be_of(identity.installation, identity.org, keys)
    _must_be_what_was_asked(identity, asked)
    must_be_fresh(identity.generated_at, asked)
    ledger = _ledger(statement, predicate, identity, keys, asked)
    _must_name_keys(predicate["keys"], key, ledger.log_key)
    _must_have_subjects(statement, predicate, ledger)
    controls = [_control(item) for item in shape.items(predicate["controls"], "the controls")]
    _must_be_six(controls)
    if asked.require_satisfied:
        _must_be_satisfied(controls)
    return _approved(predicate, identity, ledger, fingerprint, key, keys, controls, asked, what)


def must_be_statement(statement: Statement, kind: str) -> dict[str, Any]:
    """The predicate, when the statement is one of this kind. Raises Refused."""
    whole = shape.fields(statement.whole, {"_type", "predicate", "predicateType", "subject"}, "the statement")
    if whole["_type"] != STATEMENT_TYPE:
        raise Refused(
            Code.TYPE,
            f"a statement of type {STATEMENT_TYPE}",
            f"it is {str(whole['_type'])[:80]}",
            "refuse it",
        )
    if whole["predicateType"] != kind:
        found = str(whole["predicateType"])[:80]
        is_newer = found.rpartition(":v")[0] == kind.rpartition(":v")[0]
        do = "get a newer verifier" if is_newer else "use the command that is made for it"
        raise Refused(Code.VERSION if is_newer else Code.TYPE, kind, f"it is {found}", do)
    return shape.has(whole["predicate"], {"v"}, "the predicate")


def _predicate(statement: Statement) -> dict[str, Any]:
    predicate = must_be_statement(statement, TYPE)
    unknown = shape.texts(predicate.get("critical", []), "critical")
    if predicate["v"] != 1 or unknown:
        came = f"it is of version {predicate['v']}, with {', '.join(unknown) or 'nothing'} critical"
        raise Refused(
            Code.VERSION, "a pack of version 1 without critical fields", came, "get a newer verifier"
        )
    return shape.has(predicate, _PREDICATE, "the predicate")


def read_identity(predicate: dict[str, Any]) -> Identity:
    scope = shape.fields(predicate["scope"], {"kind", "name", "projects"}, "the scope")
    if scope["kind"] not in ("organisation", "project", "customer"):
        came = f"it is {scope['kind']!r}"
        raise Refused(Code.UNREADABLE, "a scope of an organisation, a project or a customer", came, _REFUSE)
    projects = shape.texts(scope["projects"], "the projects of the scope")
    if not projects or projects != sorted(set(projects)):
        raise Refused(
            Code.UNREADABLE, "the projects of the scope once each and in order", "they are not", _REFUSE
        )
    if scope["kind"] == "organisation" and "-" not in projects:
        what = 'an organisation with the scope "-" of rows without a project'
        raise Refused(Code.SCOPE, what, f"its projects are {projects}", _REFUSE)
    if scope["kind"] == "project" and projects != [scope["name"]]:
        raise Refused(Code.SCOPE, f"project {scope['name']} alone", f"its projects are {projects}", _REFUSE)
    return Identity(
        installation=shape.text(predicate["installation"], "the installation"),
        org=read_org(predicate["org"]),
        kind=scope["kind"],
        name=shape.text(scope["name"], "the name of the scope"),
        projects=projects,
        period=read_period(predicate["period"]),
        generated_at=shape.time(predicate["generated_at"], "generated_at"),
    )


def read_org(value: Any) -> dict[str, str]:
    org = shape.fields(value, {"id", "name", "slug"}, "the organisation")
    return {name: shape.text(part, f"the organisation's {name}") for name, part in org.items()}


def must_be_fingerprint(found: str, asked: str | None) -> None:
    if asked is not None and found != asked.lower():
        do = "compare with the fingerprint on the page of the pack: this is another file"
        raise Refused(Code.DIGEST, f"the fingerprint {asked.lower()}", f"it is {found}", do)


def must_be_of(installation: str, org: dict[str, str], keys: Keys) -> None:
    """Raises Refused when the list of keys is one of another organisation."""
    if keys.org is not None and (keys.installation, keys.org["id"]) != (installation, org["id"]):
        came = f"it is of {org['name']} ({org['id']}, installation {installation})"
        what = f"evidence of {keys.org['name']} ({keys.org['id']}, installation {keys.installation}), whose keys were given"
        raise Refused(Code.SCOPE, what, came, "give the keys of the organisation that you mean")


def must_be_fresh(made_at: str, asked: Asked) -> None:
    if asked.fresh_within_days is None:
        return
    assert asked.now is not None
    oldest = spelled(asked.now - timedelta(days=asked.fresh_within_days))
    if made_at < oldest:
        what = f"evidence that was made within {asked.fresh_within_days} days"
        raise Refused(Code.STALE, what, f"it was made at {made_at}", "ask for a new one")
    if made_at > spelled(asked.now + timedelta(hours=1)):
        raise Refused(
            Code.STALE, "evidence that was made before now", f"it says {made_at}", "look at both clocks"
        )


def must_be_org(org: dict[str, str], asked: str | None) -> None:
    if asked is not None and asked not in org.values():
        came = f"it is of {org['name']} ({org['slug']}, {org['id']})"
        raise Refused(Code.SCOPE, f"organisation {asked}", came, "ask for evidence of the right one")


def must_be_days(period: Period, asked: Asked) -> None:
    if asked.days is not None and asked.days != (period.first, period.last):
        do = "ask for a pack of the right period"
        raise Refused(Code.SCOPE, f"the days {asked.days[0]} to {asked.days[1]}", f"they are {period}", do)


def _must_be_what_was_asked(identity: Identity, asked: Asked) -> None:
    must_be_org(identity.org, asked.org)
    for kind, name in (("project", asked.project), ("customer", asked.customer)):
        if name is not None and (identity.kind, identity.name) != (kind, name):
            do = "ask for a pack of the right scope"
            raise Refused(Code.SCOPE, f"a pack of {kind} {name}", f"it is of {identity.scope}", do)
    must_be_days(identity.period, asked)


def _ledger(
    statement: Statement, predicate: dict[str, Any], identity: Identity, keys: Keys, asked: Asked
) -> Ledger:
    said = shape.fields(predicate["ledger"], {"checkpoint", "previous", "rows"}, "the ledger")
    if statement.chains is None:
        raise Refused(Code.UNREADABLE, "the ledger to have a list of chains", "it has none", _REFUSE)
    chains = _chains(statement.chains, identity)
    rows, checked, within = _rows(said["rows"], statement, chains, identity, asked)
    _must_be_totals(predicate, within, chains, identity.period)
    checkpoint = shape.note(said["checkpoint"], "the checkpoint")
    for chain, (project_id, headers) in zip(statement.chains, chains):
        _must_include(chain, project_id, headers[-1], checkpoint)
    origin = f"{identity.installation}/{identity.org['id']}/segments"
    log_key = checkpoint.must_be_of(keys, origin)
    _must_extend(said["previous"], checkpoint, keys, origin, asked)
    must_be_witnessed(checkpoint, asked)
    return Ledger(chains, checkpoint, log_key, rows, checked, within)


def _chains(chains: list[Chain], identity: Identity) -> list[tuple[str, list[Header]]]:
    """Project and headers of each chain. Raises Refused."""
    found = [shape.text(chain.project_id, "the project of a chain") for chain in chains]
    if found != identity.projects:
        came = f"there are chains of {', '.join(found) or 'none'}"
        raise Refused(Code.OMISSION, f"one chain each for {', '.join(identity.projects)}", came, _REFUSE)
    read = [(one, read_headers(chain.headers, identity.org["id"], one)) for one, chain in zip(found, chains)]
    for _, headers in read:
        must_reach(headers[-1], identity.period, identity.generated_at)
    return read


def _rows(
    said: Any, statement: Statement, chains: list[tuple[str, list[Header]]], identity: Identity, asked: Asked
) -> tuple[str, int, Within | None]:
    """How rows are carried, how many were checked, and what those of the period come to."""
    assert statement.chains is not None
    tallies = [chain.tally for chain in statement.chains]
    if said == "embedded" and None not in tallies:
        name, within, here = "embedded", statement.within, [tally for tally in tallies if tally is not None]
    elif said == "none" and not any(tallies):
        return "none", 0, None
    elif isinstance(said, dict) and not any(tallies):
        within = Within(identity.period.starts_at, identity.period.ends_at)
        name, here = _referenced(said, chains, within, identity, asked)
    else:
        raise Refused(Code.UNREADABLE, "rows as the pack says they are carried", "they are not", _REFUSE)
    for (_, headers), tally in zip(chains, here):
        must_match(headers, tally, identity.period)
    return name, sum(segment.tree.size for tally in here for segment in tally.segments), within


def _referenced(
    said: dict[str, Any],
    chains: list[tuple[str, list[Header]]],
    within: Within,
    identity: Identity,
    asked: Asked,
) -> tuple[str, list[Tally]]:
    file = shape.fields(said, {"bytes", "count", "name", "sha256"}, "the file of rows")
    name, digest = shape.text(file["name"], "its name"), shape.digest(file["sha256"], "its SHA-256").hex()
    if asked.rows is None:
        do = f"give it as --rows {name}"
        raise Refused(Code.USAGE, f"the file {name}, where the rows of this pack are", "it was not given", do)
    tallies, found = read_rows(asked.rows, identity.org["id"], chains, within, identity.period)
    count = sum(segment.tree.size for tally in tallies for segment in tally.segments)
    if found != digest or (file["bytes"], file["count"]) != (asked.rows.stat().st_size, count):
        for (_, headers), tally in zip(chains, tallies):
            must_match(headers, tally, identity.period)
        came = f"it has {asked.rows.stat().st_size} bytes, {count} rows, SHA-256 {found}"
        what = f"the file of rows to have {file['bytes']} bytes, {file['count']} rows, SHA-256 {digest}"
        raise Refused(Code.DIGEST, what, came, "get the file that came with the pack")
    return name, tallies


def _must_be_totals(
    predicate: dict[str, Any],
    within: Within | None,
    chains: list[tuple[str, list[Header]]],
    period: Period,
) -> None:
    said = shape.has(predicate["totals"], (), "the totals")
    if within is None:
        _must_be_sums_of_segments(said, chains, period)
        return
    made = within.totals()
    if said != made:
        currency = next(name for name in sorted({*said, *made}) if said.get(name) != made.get(name))
        what = (
            f"the totals of {currency} to be those of the rows of the period, {canonical(made.get(currency))}"
        )
        raise Refused(Code.TOTALS, what, f"they are {canonical(said.get(currency))}", _REFUSE)
    listed = [
        shape.fields(item, {"price_version", "rates"}, "a price")
        for item in shape.items(predicate["prices"], "prices")
    ]
    if [(item["price_version"], canonical(item["rates"])) for item in listed] != within.prices():
        raise Refused(
            Code.TOTALS, "the prices to be those that rows of the period name", "they are others", _REFUSE
        )


def _must_be_sums_of_segments(
    said: dict[str, Any], chains: list[tuple[str, list[Header]]], period: Period
) -> None:
    """Without rows, what segments say is added up, when none of them lies across an edge of the period."""
    meeting = [header for _, headers in chains for header in headers if header.is_within(period)]
    sums: dict[str, Sum] = {}
    for header in meeting:
        for currency, (cost, billed) in header.totals.items():
            sums.setdefault(currency, Sum()).add(0, cost, billed)
    made = {currency: (units(one.cost), units(one.billed)) for currency, one in sums.items()}
    found, rows = {}, 0
    for currency, value in said.items():
        total = shape.has(value, {"billed", "cost", "rows"}, f"the totals of {currency}")
        found[currency] = (total["cost"], total["billed"])
        rows += shape.number(total["rows"], f"the rows of {currency}")
    if not all(header.lies_inside(period) for header in meeting):
        return
    if found != made or rows != sum(header.count for header in meeting):
        what = f"the totals to be those of the segments of the period, {made}"
        raise Refused(Code.TOTALS, what, f"they are {found} over {rows} rows", _REFUSE)


def _must_include(chain: Chain, project_id: str, newest: Header, checkpoint: Note) -> None:
    proof = shape.fields(chain.inclusion, {"index", "path"}, f"the inclusion of {project_id}")
    index, path = shape.number(proof["index"], "its index"), shape.path(proof["path"], "its path")
    if not merkle.includes(checkpoint.root, checkpoint.size, index, merkle.leaf(newest.content), path):
        what = f"the path to show that {newest.name} stands in the checkpoint as number {index} of {checkpoint.size}"
        raise Refused(Code.INCLUSION, what, "it does not", _REFUSE)


def _must_extend(value: Any, checkpoint: Note, keys: Keys, origin: str, asked: Asked) -> None:
    """Raises Refused when a head of before is not one that the checkpoint extends."""
    kept = asked.previous
    if kept is not None and kept.origin != origin:
        do = "give the head of this organisation that you kept"
        raise Refused(Code.CONSISTENCY, f"--prev to be a head of {origin}", f"it is one of {kept.origin}", do)
    carried = None
    if value is not None:
        said = shape.fields(value, {"checkpoint", "path"}, "the previous head")
        carried = shape.note(said["checkpoint"], "the previous head")
        carried.must_be_of(keys, origin)
        path = shape.path(said["path"], "the path from the previous head")
        if not merkle.extends(carried.size, carried.root, checkpoint.size, checkpoint.root, path):
            what = f"the log of {checkpoint.size} to begin with the {carried.size} of the previous head"
            raise Refused(
                Code.CONSISTENCY, what, "the path does not show it", "ask what became of the earlier ledger"
            )
    if kept is None or (kept.size, kept.root) in [
        (one.size, one.root) for one in (carried, checkpoint) if one
    ]:
        return
    came = "it has none" if carried is None else f"it has one from the head of {carried.size}"
    if kept.size in [one.size for one in (carried, checkpoint) if one]:
        came = "its head of the same size has another root: the ledger was made anew"
    do = "ask for the proof between both heads, and do not rely on the pack before you have it"
    raise Refused(Code.CONSISTENCY, f"a proof that the log extends your head of {kept.size}", came, do)


def must_be_witnessed(checkpoint: Note, asked: Asked) -> None:
    for witness in asked.witnesses:
        if not checkpoint.is_witnessed_by(witness):
            do = "ask for a head that this witness signed, or ask the witness what it saw"
            raise Refused(Code.WITNESS, f"the head to be signed by witness {witness.name}", "it is not", do)


def _must_name_keys(value: Any, key: Key, log_key: Key) -> None:
    named = [
        shape.fields(item, {"fingerprint", "role"}, "a key of the pack")
        for item in shape.items(value, "keys")
    ]
    pairs = [(one["fingerprint"], one["role"]) for one in named]
    for used in (key, log_key):
        if (used.fingerprint, used.role) not in pairs:
            what = f"the pack to name {used.role} key {used.fingerprint[:16]}, which signed"
            raise Refused(Code.UNTRUSTED_KEY, what, "it does not", _REFUSE)


def _must_have_subjects(statement: Statement, predicate: dict[str, Any], ledger: Ledger) -> None:
    expected = {}
    for project_id, headers in ledger.chains:
        name = f"segment/{project_id}/{len(headers)}"
        expected[name] = hashlib.sha256(headers[-1].content).hexdigest()
    if ledger.rows not in ("embedded", "none") or isinstance(predicate["ledger"]["rows"], dict):
        expected[f"rows/{ledger.rows}"] = predicate["ledger"]["rows"]["sha256"]
    must_be_subjects(statement.whole["subject"], expected)


def must_be_subjects(value: Any, expected: dict[str, str]) -> None:
    """Raises Refused unless the subjects are these names with these digests, once each."""
    found = []
    for item in shape.items(value, "the subjects"):
        subject = shape.fields(item, {"digest", "name"}, "a subject")
        digest = shape.fields(subject["digest"], {"sha256"}, "the digest of a subject")
        found.append(
            (shape.text(subject["name"], "the name of a subject"), shape.digest(digest["sha256"], "it").hex())
        )
    if sorted(found) != sorted(expected.items()):
        came = "it has others"
        raise Refused(
            Code.DIGEST,
            f"the subjects to be {len(expected)} things that are in it, by their digests",
            came,
            _REFUSE,
        )


def _control(value: Any) -> dict[str, Any]:
    """One control, whose status follows from what it says."""
    control = shape.has(value, _CONTROL, "a control")
    name = shape.text(control["control"], "the name of a control")
    population, passed = shape.number(control["population"], name), shape.number(control["passed"], name)
    exceptions = [
        shape.has(one, {"detail", "subject"}, f"an exception of {name}")
        for one in shape.items(control["exceptions"], name)
    ]
    mechanisms = [
        shape.has(one, {"name", "operating", "reason"}, f"a mechanism of {name}")
        for one in shape.items(control["mechanisms"], name)
    ]
    operates = bool(mechanisms) and all(one["operating"] is True for one in mechanisms)
    status = "not_satisfied" if exceptions else "satisfied" if operates else "not_operating"
    if control["status"] != status or passed + len(exceptions) > population:
        came = (
            f"it says {control['status']!r}, {passed} passed and {len(exceptions)} exceptions of {population}"
        )
        raise Refused(Code.TOTALS, f"control {name} to be {status}, as its own parts have it", came, _REFUSE)
    return control


def _must_be_six(controls: list[dict[str, Any]]) -> None:
    names = [control["control"] for control in controls]
    if tuple(names) != CONTROLS:
        raise Refused(
            Code.OMISSION, f"the controls {', '.join(CONTROLS)}", f"they are {', '.join(names)}", _REFUSE
        )


def _must_be_satisfied(controls: list[dict[str, Any]]) -> None:
    unsatisfied = [f"{one['control']} is {one['status']}" for one in controls if one["status"] != "satisfied"]
    if unsatisfied:
        do = "read the exceptions and mechanisms in the pack"
        raise Refused(Code.UNSATISFIED, "every control to be satisfied", "; ".join(unsatisfied), do)


def _approved(
    predicate: dict[str, Any], identity: Identity, ledger: Ledger, fingerprint: str, key: Key, keys: Keys,
    controls: list[dict[str, Any]], asked: Asked, what: str,
) -> Verdict:  # fmt: skip
    """The verdict on a pack that passed."""
    period, note = identity.period, ledger.checkpoint
    segments = sum(len(headers) for _, headers in ledger.chains)
    attested = attestation(asked)
    of_period = "" if ledger.within is None else f"; {ledger.within.rows} of the period"
    lines = [
        f"fingerprint   {fingerprint}",
        f"organisation  {identity.org['name']} ({identity.org['slug']}, {identity.org['id']})",
        f"installation  {identity.installation}",
        f"scope         {identity.scope}: {', '.join(identity.projects)}",
        f"period        {period} ({period.starts_at} until before {period.ends_at})",
        f"made          {identity.generated_at}",
        f"signed by     pack key {key.fingerprint}",
        f"              log key  {ledger.log_key.fingerprint}",
        f"checkpoint    {note.size} segments at {note.time}, root {note.root.hex()}",
        f"segments      {segments} in {len(ledger.chains)} chains, without a gap",
        f"rows          {ledger.rows}: {ledger.checked} checked{of_period}",
        *_totals_said(predicate["totals"]),
        *(_control_said(control) for control in controls),
        attested,
    ]
    facts = {
        "attestation": attested,
        "checkpoint": {"origin": note.origin, "root": note.root.hex(), "size": note.size, "time": note.time},
        "controls": [_control_facts(control) for control in controls],
        "fingerprint": fingerprint,
        "generated_at": identity.generated_at,
        "installation": identity.installation,
        "keys": {"log": ledger.log_key.fingerprint, "pack": key.fingerprint},
        "not_checked": not_checked(keys, asked) + _not_checked(predicate, identity, ledger, asked),
        "org": identity.org,
        "period": {"from": period.first, "to": period.last},
        "rows": {"carried": ledger.rows, "checked": ledger.checked},
        "scope": {"kind": identity.kind, "name": identity.name, "projects": identity.projects},
        "segments": segments,
        "totals": predicate["totals"],
    }
    return approval(lines, facts, what)


def attestation(asked: Asked) -> str:
    names = ", ".join(witness.name for witness in asked.witnesses)
    return f"witnessed by {names}" if names else "self-attested"


def _totals_said(totals: dict[str, Any]) -> list[str]:
    return [
        f"total {currency:<8}cost {one['cost']}, billed {one['billed']}, {one['rows']} rows"
        for currency, one in sorted(totals.items())
    ] or ["total         nothing in the period"]


def _control_said(control: dict[str, Any]) -> str:
    counts = f"{control['passed']} of {control['population']} passed, {len(control['exceptions'])} exceptions"
    return f"control       {control['control']:<10}{control['status'].replace('_', ' '):<15}{counts}"


def _control_facts(control: dict[str, Any]) -> dict[str, Any]:
    counts = {name: control[name] for name in ("control", "passed", "population", "status")}
    return {**counts, "exceptions": len(control["exceptions"])}


def not_checked(keys: Keys, asked: Asked) -> list[str]:
    """What no check of this program shows, and what was not asked for."""
    said = ["that the keys are those of the organisation: compare their fingerprints on a path of your own"]
    if keys.org is None:
        said.append("whose the keys are: bare keys name no organisation")
    if asked.org is None:
        said.append("that this is the organisation you mean: compare the name above, or say --org")
    if asked.days is None:
        said.append("that this is the period you mean: compare the days above, or say --period")
    if asked.fingerprint is None:
        said.append(
            "that this is the file you were told of: compare the fingerprint above, or say --fingerprint"
        )
    return said


def _not_checked(predicate: dict[str, Any], identity: Identity, ledger: Ledger, asked: Asked) -> list[str]:
    said = []
    if identity.kind != "project":
        said.append(f"that {identity.scope} has no other projects than these")
    if asked.project is None and asked.customer is None:
        said.append(
            "that this is the scope you mean: compare the scope above, or say --project or --customer"
        )
    if not asked.witnesses:
        said.append(
            "that others saw the same ledger: whoever holds the keys can make another, unless a witness signs its heads"
        )
    if asked.previous is None:
        said.append("that it extends a head you kept: say --prev with the head of an earlier pack")
    if asked.fresh_within_days is None:
        said.append("that it is recent: say --fresh-within")
    if ledger.rows == "none":
        said.append("the rows, which the pack does not carry")
        meeting = [
            header for _, headers in ledger.chains for header in headers if header.is_within(identity.period)
        ]
        if not all(header.lies_inside(identity.period) for header in meeting):
            said.append("the totals: a segment lies across an edge of the period, and its rows are not here")
        else:
            said.append("the shares of the totals by usage source and price state, and the prices")
    said += [
        "that every call went through the gateway, and every row was numbered",
        "rows that were sealed after the newest segment of their project was closed",
        "rows of segments that lie outside of the period, as their sealed times say",
        "that each row's cost follows from its usage and rates, and its usage from what the provider said",
        "what the controls say of populations that are not in the pack",
        "when it was made, but by the clocks of whoever made it",
    ]
    unknown = sorted(set(predicate) - _PREDICATE)
    if unknown:
        said.append(f"the fields {', '.join(unknown)}, which this verifier does not know")
    return said + [f"(the pack says) {limit}" for limit in shape.texts(predicate["limits"], "limits")]
