"""The museum of bad packs: `python -m packs.museum tests/fixtures/packs` makes every file of it again, with its README.

Each exhibit is one thing that somebody may try, and the exit code that it must get. Those that a dishonest operator would
make are signed with the true keys: no signature helps against them.
"""

import copy
import json
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packs import builder
from packs.builder import LOG, ORG, PACK, RECEIPT, STRANGER, Closed, Made, jcs, make, row, sealed

WITNESSED_BY = f"customer.example/witness={builder.vkey()}"


@dataclass(frozen=True)
class Exhibit:
    """One file, what it is, and what the verifier must say of it."""

    name: str
    code: int
    what: str
    content: bytes
    words: tuple[str, ...] = ()
    """Beside the file and --key keys.json; names of files are of the museum."""


EXHIBITS: list[Exhibit] = []
OTHERS: dict[str, bytes] = {}
"""Files that exhibits need: keys, heads, rows."""


def ledger() -> dict[str, list[Closed]]:
    hpc = [
        (
            "2026-11-21T05:00:05.000000Z",
            [
                row("HPC", 1, "2026-11-20T12:00:00.000000Z"),
                row("HPC", 2, "2026-11-20T12:00:01.000042Z", 250_000_000),
            ],
        ),
        ("2026-12-01T05:00:05.000000Z", [row("HPC", 4, "2026-11-30T23:00:00.000000Z", 5)]),
    ]
    return {
        "HPC": hpc,
        "OPS": [("2026-12-01T05:00:06.000000Z", [row("OPS", 3, "2026-11-30T22:00:00.000000Z", 7)])],
    }


def honest(**more: Any) -> Made:
    return make(ledger(), **more)


def both(**more: Any) -> Made:
    return make(ledger(), ("HPC", "OPS"), kind="customer", name="ACME", **more)


def show(name: str, code: int, what: str, content: bytes, *words: str) -> None:
    EXHIBITS.append(Exhibit(name, code, what, content, words))


def signed(
    name: str,
    code: int,
    what: str,
    change: Callable[[dict[str, Any]], Any],
    *words: str,
    of: Made | None = None,
) -> None:
    """An exhibit whose predicate was changed before it was signed with the true key."""
    made = of or honest()
    made.predicate = json.loads(json.dumps(made.predicate))  # nothing in it is one thing in two places
    change(made.predicate)
    show(name, code, what, made.envelope(), *words)


def payload(name: str, code: int, what: str, old: bytes, new: bytes) -> None:
    """An exhibit whose payload was spelled otherwise before it was signed with the true key."""
    plain = jcs(honest().statement())
    assert old in plain, old
    show(name, code, what, sealed(plain.replace(old, new, 1)))


def wrapped(name: str, code: int, what: str, old: str, new: str) -> None:
    """An exhibit whose envelope was changed after it was signed."""
    text = honest().envelope().decode()
    assert old in text, old
    show(name, code, what, text.replace(old, new, 1).encode())


def valid() -> None:
    made = honest(previous=4)
    show(
        "valid",
        0,
        "a project's month in two segments of three rows, with the proof from an earlier head",
        made.envelope(),
    )
    OTHERS["earlier.note"] = made.predicate["ledger"]["previous"]["checkpoint"].encode()
    show(
        "valid_extends",
        0,
        "the same, held against the head that was kept",
        made.envelope(),
        "--prev",
        "earlier.note",
    )
    made.predicate["ledger"]["checkpoint"] = builder.cosigned(made.predicate["ledger"]["checkpoint"])
    show(
        "valid_witnessed",
        0,
        "its head is signed by the customer's witness",
        made.envelope(),
        "--witness",
        WITNESSED_BY,
    )
    show("valid_customer", 0, "a customer of two projects", both().envelope(), "--customer", "ACME")
    show(
        "valid_no_rows", 0, "without rows: segments, totals and proofs alone", honest(rows="none").envelope()
    )
    made = honest(rows="apart")
    rows = [one for _, ones in ledger()["HPC"] for one in ones]
    OTHERS["rows.jsonl"] = builder.by_reference(made, rows)
    show("valid_apart", 0, "rows in a file of their own", made.envelope(), "--rows", "rows.jsonl")
    OTHERS["edited.jsonl"] = OTHERS["rows.jsonl"].replace(b'"250000000"', b'"150000000"')
    OTHERS["short.jsonl"] = OTHERS["rows.jsonl"].partition(b"\n")[2]
    show("apart_not_given", 2, "rows in a file of their own, which is not given", made.envelope())
    show(
        "apart_edited",
        50,
        "rows in a file of their own, one of them edited",
        made.envelope(),
        "--rows",
        "edited.jsonl",
    )
    show(
        "apart_left_out",
        50,
        "rows in a file of their own, one left out",
        made.envelope(),
        "--rows",
        "short.jsonl",
    )
    made.predicate["ledger"]["rows"]["sha256"] = "ab" * 32
    show(
        "apart_digest",
        30,
        "the pack names another digest of the file of rows",
        made.envelope(),
        "--rows",
        "rows.jsonl",
    )


def unreadable() -> None:
    whole = honest().envelope()
    show("empty", 10, "no bytes at all", b"")
    show("cut", 10, "the file was cut in its middle", whole[: len(whole) // 2])
    show(
        "trailing_bytes", 10, "a line feed behind the envelope: bytes that no signature covers", whole + b"\n"
    )
    show("not_json", 10, "something else than JSON", b"-----BEGIN PGP MESSAGE-----\n")
    show(
        "laid_out", 10, "the envelope laid out with spaces", json.dumps(json.loads(whole), indent=1).encode()
    )
    wrapped(
        "envelope_name_twice",
        10,
        "the name payloadType twice in the envelope",
        '"payloadType"',
        '"payloadType":"x","payloadType"',
    )
    text = whole.decode()
    body = text.partition('{"payload":"')[2].partition('"')[0]
    plain = body.rstrip("=")
    wrapped(
        "base64_space",
        10,
        "a line feed within the payload's base64, which lenient decoders skip",
        body[:40],
        body[:40] + "\\n",
    )
    wrapped(
        "base64_url",
        10,
        "the payload in base64url, of which a lenient decoder makes something",
        body,
        b64encode(b64decode(body) + b"\xff\xfe").decode().replace("/", "_").replace("+", "-"),
    )
    wrapped(
        "base64_no_padding",
        10,
        "the payload's padding left off or put on",
        body,
        plain if plain != body else body + "====",
    )
    letter = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    sig = json.loads(whole)["signatures"][0]["sig"]
    loose = sig[:-3] + letter[letter.index(sig[-3]) ^ 1] + sig[-2:]
    wrapped(
        "base64_loose_bits",
        10,
        "unused bits of the signature's base64 set: another text, the same bytes",
        sig,
        loose,
    )
    twice = json.loads(whole)
    twice["signatures"] *= 2
    show("two_signatures", 10, "two signatures, where one is all that is checked", jcs(twice))
    payload(
        "payload_name_twice",
        10,
        "the name billed twice in the totals: two readers, two amounts",
        b'"billed":"',
        b'"billed":"0","billed":"',
    )
    payload("payload_float", 10, "a count as the float 3.0", b'"passed":3,', b'"passed":3.0,')
    payload("payload_nan", 10, "a count that is NaN", b'"passed":3,', b'"passed":NaN,')
    payload(
        "payload_huge_number",
        10,
        "a number of 5,000 digits",
        b'"passed":3,',
        b'"passed":' + b"9" * 5000 + b",",
    )
    payload(
        "payload_beyond_2_53",
        10,
        "the number 2^53, which is not read alike everywhere",
        b'"passed":3,',
        b'"passed":9007199254740992,',
    )
    payload(
        "payload_deep",
        10,
        "lists nested 100,000 deep",
        b'"passed":3,',
        b'"passed":' + b"[" * 100_000 + b"]" * 100_000 + b",",
    )
    payload(
        "payload_deep_enough",
        10,
        "lists nested 40 deep",
        b'"passed":3,',
        b'"passed":' + b"[" * 40 + b"]" * 40 + b",",
    )
    payload(
        "payload_trailing",
        10,
        "a second object behind the statement",
        b'"subject":',
        b'"subject":[]}{"subject":',
    )
    payload("payload_not_utf8", 10, "a byte that is not UTF-8", b"visionality", b"visionalit\xff")


def versions_and_types() -> None:
    payload("newer_version", 11, "a pack of version 2", b'evidence-pack:v1"', b'evidence-pack:v2"')
    signed("newer_predicate", 11, "a predicate of version 2", lambda it: it.update(v=2))
    signed(
        "critical",
        11,
        "a field that this verifier does not know is marked critical",
        lambda it: it.update(critical=["escrow"], escrow=1),
    )

    def new_row(it: dict[str, Any]) -> None:
        it["ledger"]["chains"][0]["rows"][0][0]["v"] = 2

    signed("row_edited_form", 50, "a row of form 2 in place of the one that was sealed", new_row)
    text = honest().envelope().decode()
    show(
        "payload_type",
        12,
        "the payload type changed: what is signed covers it",
        text.replace("vnd.in-toto+json", "vnd.in-toto+text").encode(),
    )
    show(
        "payload_type_signed",
        12,
        "another payload type, signed as such",
        sealed(jcs(honest().statement()), kind="application/json"),
    )
    payload(
        "other_predicate",
        12,
        "an in-toto statement of something else",
        b"urn:visionality:evidence-pack:v1",
        b"https://slsa.dev/provenance/v1",
    )
    show(
        "figure_as_pack",
        12,
        "a signed figure where a pack is asked for",
        sealed(jcs(builder.figure())),
        "--command",
        "pack",
    )


def signatures() -> None:
    text = json.loads(honest().envelope())
    edited = copy.deepcopy(text)
    edited["payload"] = b64encode(
        b64decode(text["payload"]).replace(b'"cost":"2.072500005"', b'"cost":"1.072500005"')
    ).decode()
    assert edited != text
    show("edited_value", 20, "a total edited after it was signed", jcs(edited))
    other = copy.deepcopy(text)
    other["signatures"][0]["sig"] = json.loads(sealed(b"{}"))["signatures"][0]["sig"]
    show("other_signature", 20, "the signature of something else by the same key", jcs(other))
    raw = b64decode(text["signatures"][0]["sig"])
    order = 2**252 + 27742317777372353535851937790883648493
    bent = raw[:32] + (int.from_bytes(raw[32:], "little") + order).to_bytes(32, "little")
    wrapped(
        "malleated",
        20,
        "S of the signature plus the order of the group",
        b64encode(raw).decode(),
        b64encode(bent).decode(),
    )
    wrapped(
        "null_signature",
        20,
        "a signature of zeros, which small points make true elsewhere",
        b64encode(raw).decode(),
        b64encode(bytes(64)).decode(),
    )
    forged = sealed(jcs(honest().statement()), STRANGER).decode()
    show(
        "resigned_as_ours",
        20,
        "signed by a stranger under the name of the true key",
        forged.replace(builder.fingerprint(STRANGER), builder.fingerprint(PACK)).encode(),
    )
    unsigned = copy.deepcopy(text)
    unsigned["signatures"] = []
    show("unsigned", 10, "no signature", jcs(unsigned))
    alg = copy.deepcopy(text)
    alg["signatures"][0]["alg"] = "HS256"
    show("algorithm", 10, "a signature that names its own algorithm", jcs(alg))


def keys() -> None:
    made = honest()
    show("resigned", 21, "signed again by a stranger", made.envelope(STRANGER))
    made.predicate["keys"] = [
        {"fingerprint": builder.fingerprint(key), "role": role}
        for key, role in ((LOG, "log"), (STRANGER, "pack"))
    ]
    show("key_inside", 21, "signed by a stranger, whose key the pack itself names", made.envelope(STRANGER))
    show("receipt_key", 21, "signed by the organisation's receipt key", honest().envelope(RECEIPT))
    show("log_key", 21, "signed by the organisation's log key", honest().envelope(LOG))
    signed(
        "keys_left_out",
        21,
        "the list of keys in it leaves out the one that signed",
        lambda it: it.update(keys=it["keys"][:1]),
    )
    for name, code, what, changes in (
        ("revoked", 22, "its key is revoked", {"revoked_at": "2026-12-05T00:00:00.000000Z"}),
        ("expired", 22, "made after its key had ended", {"verify_until": "2026-12-01T00:00:00.000000Z"}),
        ("too_early", 22, "made before its key began", {"active_from": "2026-12-03T00:00:00.000000Z"}),
    ):
        OTHERS[f"keys_{name}.json"] = jcs(builder.key_list(**changes))
        show(name, code, what, honest().envelope(), "--key", f"keys_{name}.json")


def forms() -> None:
    show(
        "fingerprint",
        30,
        "not the file whose fingerprint was told",
        honest().envelope(),
        "--fingerprint",
        "ab" * 32,
    )
    other = honest().statement()
    other["subject"][0]["digest"]["sha256"] = "ab" * 32
    show("subject", 30, "a subject whose digest is of nothing in it", sealed(jcs(other)))
    none = honest().statement() | {"subject": []}
    show("no_subject", 30, "no subject: a statement about nothing", sealed(jcs(none)))
    payload("payload_space", 31, "a space within the payload", b'"limits":[', b'"limits": [')
    payload(
        "payload_order",
        31,
        "two names of an object the other way round",
        b'{"id":"0198a0c0-0000-7000-8000-0000000000bb","name":"ArcTrade",',
        b'{"name":"ArcTrade","id":"0198a0c0-0000-7000-8000-0000000000bb",',
    )
    payload(
        "payload_escape",
        31,
        "a letter spelled as an escape: other bytes, the same text",
        b'"name":"ArcTrade"',
        b'"name":"\\u0041rcTrade"',
    )
    payload("payload_slash", 31, "a slash spelled as an escape", b'"CC6.2/6.3"', b'"CC6.2\\/6.3"')
    payload("payload_minus_zero", 31, "the number -0", b'"passed":3,', b'"passed":-0,')
    payload(
        "row_space",
        31,
        "a space within a row, whose leaf would be another",
        b'"entry":"call",',
        b'"entry": "call",',
    )


def proofs() -> None:
    def of_log(it: dict[str, Any], leaves: list[bytes]) -> None:
        it["ledger"]["checkpoint"] = builder.note(
            f"{builder.INSTALLATION}/{ORG['id']}/segments", leaves, 1_796_117_400_000
        )

    signed(
        "unrelated_bundle",
        40,
        "a true head of the log, signed, which does not hold the segments",
        lambda it: of_log(it, [builder.leaf(b"%d" % n) for n in range(6)]),
    )

    def nudge(it: dict[str, Any]) -> None:
        it["ledger"]["chains"][0]["inclusion"]["index"] -= 1

    signed("index", 40, "a proof for another place in the log", nudge)
    signed(
        "no_path",
        40,
        "a proof without a path",
        lambda it: it["ledger"]["chains"][0]["inclusion"].update(path=[]),
    )
    made = both()
    chains = made.predicate["ledger"]["chains"]
    chains[0]["inclusion"], chains[1]["inclusion"] = chains[1]["inclusion"], chains[0]["inclusion"]
    show("proofs_swapped", 40, "the proofs of two projects swapped", made.envelope())

    def bend(it: dict[str, Any]) -> None:
        it["ledger"]["previous"]["path"][0] = "ab" * 32

    signed(
        "consistency", 41, "the proof from the earlier head is of another log", bend, of=honest(previous=4)
    )
    OTHERS["rewritten.note"] = builder.note(
        honest().origin, [builder.leaf(b"%d" % n) for n in range(4)], 1_793_600_000_000
    ).encode()
    show(
        "rewritten",
        41,
        "the head that was kept is of a ledger that was made anew since",
        honest(previous=4).envelope(),
        "--prev",
        "rewritten.note",
    )
    show(
        "prev_without_proof",
        41,
        "a head was kept, and the pack shows nothing of it",
        honest().envelope(),
        "--prev",
        "earlier.note",
    )
    made = honest()
    made.predicate["ledger"]["checkpoint"] = builder.note(
        made.origin, made.leaves, 1_796_117_400_000, STRANGER
    )
    show("head_of_stranger", 42, "its head is signed by a stranger under the log's name", made.envelope())
    made.predicate["ledger"]["checkpoint"] = builder.note(
        f"{builder.INSTALLATION}/0198a0c0-0000-7000-8000-0000000000ee/segments",
        made.leaves,
        1_796_117_400_000,
    )
    show("head_of_other_org", 42, "a head of another organisation", made.envelope())
    made.predicate["ledger"]["checkpoint"] = builder.note(
        f"{builder.INSTALLATION}/{ORG['id']}/request_logs", made.leaves, 1_796_117_400_000
    )
    show("head_of_other_log", 42, "a head of another log of the organisation", made.envelope())
    show(
        "not_witnessed",
        43,
        "the witness that was asked for signed nothing",
        honest().envelope(),
        "--witness",
        WITNESSED_BY,
    )
    made = honest()
    made.predicate["ledger"]["checkpoint"] = builder.cosigned(
        made.predicate["ledger"]["checkpoint"], key=STRANGER
    )
    show(
        "false_witness",
        43,
        "a stranger signed under the witness's name",
        made.envelope(),
        "--witness",
        WITNESSED_BY,
    )
    older = builder.cosigned(builder.note(made.origin, made.leaves[:4], 1_793_600_000_000)).splitlines(
        keepends=True
    )[-1]
    made.predicate["ledger"]["checkpoint"] = honest().predicate["ledger"]["checkpoint"] + older
    show(
        "witness_of_older",
        43,
        "the witness signed an earlier head, not this one",
        made.envelope(),
        "--witness",
        WITNESSED_BY,
    )


def omissions() -> None:
    def rows(it: dict[str, Any]) -> list[list[dict[str, Any]]]:
        found: list[list[dict[str, Any]]] = it["ledger"]["chains"][0]["rows"]
        return found

    def heads(it: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = it["ledger"]["chains"][0]["headers"]
        return found

    signed(
        "row_left_out",
        50,
        "one row left out, the totals made to fit",
        lambda it: (
            rows(it)[0].pop(),
            it.update(totals=builder.totals([one for ones in rows(it) for one in ones])),
        ),
    )
    signed(
        "row_edited",
        50,
        "one row edited, the totals made to fit",
        lambda it: (
            rows(it)[0][0].update(cost_nusd="1"),
            it.update(totals=builder.totals([one for ones in rows(it) for one in ones])),
        ),
    )
    signed("rows_moved", 50, "two rows in the other order", lambda it: rows(it)[0].reverse())
    signed("rows_hidden", 50, "the rows of a whole segment left out", lambda it: rows(it)[0].clear())
    signed(
        "segment_left_out", 50, "the first segment left out", lambda it: (heads(it).pop(0), rows(it).pop(0))
    )
    signed(
        "middle_unchecked",
        50,
        "the middle of the chain edited, its ends intact",
        lambda it: heads(it)[0].update(prev="ab" * 32),
    )
    signed(
        "root_edited",
        50,
        "a segment's root edited: the next one does not follow it",
        lambda it: heads(it)[0].update(root="ab" * 32),
    )
    stale = ledger()
    stale["HPC"] = stale["HPC"][:1]
    show("ends_early", 50, "the newest segment was closed before the period ended", make(stale).envelope())
    signed(
        "chain_left_out",
        50,
        "a project of the customer left out",
        lambda it: it["ledger"]["chains"].pop(),
        of=both(),
    )
    doubled = ledger()
    doubled["HPC"][0][1].append(doubled["HPC"][0][1][0])
    show("row_twice", 50, "one row sealed twice, everything else made to fit", make(doubled).envelope())
    signed("control_left_out", 50, "five controls", lambda it: it["controls"].pop())


def sums() -> None:
    signed(
        "total_differs",
        51,
        "a total that is not that of the rows",
        lambda it: it["totals"]["USD"].update(cost="2.0725"),
    )
    signed(
        "share_differs",
        51,
        "a share by usage source that is not that of the rows",
        lambda it: it["totals"]["USD"]["by_usage_source"]["provider_final"].update(rows=2),
    )
    signed("currency_left_out", 51, "no totals at all", lambda it: it.update(totals={}))
    signed(
        "prices",
        51,
        "other rates than the rows have",
        lambda it: it["prices"][0]["rates"].update(in_text="5"),
    )
    signed(
        "control_dressed_up",
        51,
        "a control with an exception that says satisfied",
        lambda it: it["controls"][0]["exceptions"].append({"detail": "no owner", "subject": "key 1"}),
    )
    false = ledger()
    made = make(false)
    header = made.chain["headers"][-1]
    header["totals"]["USD"]["cost_nusd"] = "4"
    leaves = [*made.leaves[:-2], builder.leaf(jcs(header)), made.leaves[-1]]
    made.chain["inclusion"]["path"] = [step.hex() for step in builder.inclusion(leaves, len(leaves) - 2)]
    made.predicate["ledger"]["checkpoint"] = builder.note(made.origin, leaves, 1_796_117_400_000)
    show(
        "segment_total_differs",
        51,
        "a segment that was sealed with another total than its rows have",
        made.envelope(),
    )
    signed(
        "total_without_rows",
        51,
        "without rows: a total that is not that of the segments",
        lambda it: it["totals"]["USD"].update(cost="2"),
        of=honest(rows="none"),
    )


def scopes() -> None:
    show(
        "other_project",
        60,
        "a pack of another project than was asked for",
        honest().envelope(),
        "--project",
        "OPS",
    )
    show(
        "other_period",
        60,
        "a pack of another month than was asked for",
        honest().envelope(),
        "--period",
        "2026-10",
    )
    show(
        "other_org_asked",
        60,
        "a pack of another organisation than was asked for",
        honest().envelope(),
        "--org",
        "globex",
    )
    signed(
        "other_org",
        60,
        "a pack of another organisation than the keys",
        lambda it: it["org"].update(id="0198a0c0-0000-7000-8000-0000000000ee"),
    )
    signed(
        "days_differ",
        60,
        "it says November and its moments are of October",
        lambda it: it.update(
            period={
                **builder.PERIOD,
                "starts_at": "2026-10-01T04:00:00.000000Z",
                "ends_at": "2026-11-01T04:00:00.000000Z",
            }
        ),
    )
    mixed = ledger()
    mixed["HPC"][1][1].append(row("OPS", 9, "2026-11-30T23:30:00.000000Z"))
    show("foreign_row", 60, "a row of another project sealed into this one's segment", make(mixed).envelope())
    made = both()
    chains = made.predicate["ledger"]["chains"]
    chains[0]["headers"], chains[1]["headers"] = chains[1]["headers"], chains[0]["headers"]
    chains[0]["rows"], chains[1]["rows"] = chains[1]["rows"], chains[0]["rows"]
    show("scopes_swapped", 60, "the segments of two projects swapped", made.envelope())
    show("stale", 61, "made longer ago than was asked for", honest().envelope(), "--fresh-within", "0")

    def fails(it: dict[str, Any]) -> None:
        it["controls"][0] = builder.control(
            "CC6.1", exceptions=[{"detail": "no owner", "subject": "key 1"}], passed=2, status="not_satisfied"
        )
        idle = [{"name": "detectors", "operating": False, "reason": "not built"}]
        it["controls"][3] = builder.control(
            "CC7.1/7.2", mechanisms=idle, passed=0, population=0, status="not_operating"
        )

    signed(
        "control_fails", 0, "intact, with a control that is not satisfied, which was not asked about", fails
    )
    signed(
        "control_fails_asked",
        80,
        "the same, where every control must be satisfied",
        fails,
        "--require-satisfied",
    )


def figures_and_receipts() -> None:
    show("figure", 0, "a signed figure", sealed(jcs(builder.figure())))
    edited = builder.figure()
    edited["predicate"]["cost"] = "2.25"
    show("figure_subject", 30, "a figure whose subject is of another amount", sealed(jcs(edited)))
    show("figure_key", 21, "a figure signed by the receipt key", sealed(jcs(builder.figure()), RECEIPT))
    show(
        "figure_head",
        42,
        "a figure with a head of another log",
        sealed(jcs(builder.figure(checkpoint=honest().predicate["ledger"]["checkpoint"]))),
    )
    show("figure_float", 10, "a figure whose amount is a number", sealed(jcs(builder.figure(cost=12))))
    one = ledger()["HPC"][0][1][0]
    leaves = [builder.leaf(b"another"), builder.leaf(jcs(one)), builder.leaf(b"a third")]
    OTHERS["proof.json"] = jcs(builder.proof_of(one, leaves, 1))
    OTHERS["proof_foreign.json"] = jcs(
        builder.proof_of(ledger()["HPC"][0][1][1], [builder.leaf(jcs(ledger()["HPC"][0][1][1]))], 0)
    )
    OTHERS["proof_stranger.json"] = jcs(builder.proof_of(one, leaves, 1, STRANGER))
    text = builder.receipt(one).encode()
    receipt = ("--command", "receipt")
    show("receipt", 0, "a spend receipt", text, *receipt)
    show(
        "receipt_sealed",
        0,
        "a spend receipt with the proof that its row was sealed",
        text,
        *receipt,
        "--proof",
        "proof.json",
    )
    show(
        "receipt_proof_foreign",
        40,
        "a spend receipt with the proof of another row",
        text,
        *receipt,
        "--proof",
        "proof_foreign.json",
    )
    show(
        "receipt_proof_stranger",
        42,
        "a spend receipt with a proof whose head a stranger signed",
        text,
        *receipt,
        "--proof",
        "proof_stranger.json",
    )
    show(
        "receipt_pack_key",
        21,
        "a receipt signed by the pack key",
        builder.receipt(one, PACK).encode(),
        *receipt,
    )
    cheaper = (
        builder.receipt(one | {"cost_nusd": "1"}).partition(".")[0]
        + "."
        + builder.receipt(one).partition(".")[2]
    )
    show(
        "receipt_cheaper",
        20,
        "a receipt whose cost was edited after it was signed",
        cheaper.encode(),
        *receipt,
    )
    show("receipt_padding", 10, "a receipt with padding", text.replace(b".", b"=."), *receipt)
    show("pack_as_receipt", 10, "a pack where a receipt is asked for", honest().envelope(), *receipt)


def made_all() -> None:
    """Fill EXHIBITS and OTHERS."""
    EXHIBITS.clear()
    OTHERS["keys.json"] = jcs(builder.key_list())
    for room in (
        valid,
        unreadable,
        versions_and_types,
        signatures,
        keys,
        forms,
        proofs,
        omissions,
        sums,
        scopes,
        figures_and_receipts,
    ):
        room()
    assert len({one.name for one in EXHIBITS}) == len(EXHIBITS)


def readme() -> str:
    lines = [
        "# Packs, and what must be said of them",
        "",
        "Made by `PYTHONPATH=src:tests python -m packs.museum tests/fixtures/packs`, the same bytes each time. Every exhibit is",
        "checked with `--key keys.json` unless it says otherwise. Those with the true signature are what a dishonest operator could make.",
        "",
        "| file | exit | what it is | checked with |",
        "|---|---|---|---|",
    ]
    for one in EXHIBITS:
        words = " ".join(f"`{word}`" for word in one.words)
        lines.append(f"| `{one.name}.json` | {one.code} | {one.what} | {words} |")
    return "\n".join(lines) + "\n"


def main(target: Path) -> None:
    made_all()
    for old in target.iterdir():
        old.unlink()
    for one in EXHIBITS:
        (target / f"{one.name}.json").write_bytes(one.content)
    for name, content in OTHERS.items():
        (target / name).write_bytes(content)
    (target / "README.md").write_text(readme())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
