"""Makes evidence as docs/audit/formats.md says, by another hand than the product and the verifier (rfc8785, cryptography).

Everything is made of fixed seeds and times, so the same call makes the same bytes.
"""

import hashlib
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

INSTALLATION = "0198a0c0-0000-7000-8000-0000000000aa"
ORG = {"id": "0198a0c0-0000-7000-8000-0000000000bb", "name": "ArcTrade", "slug": "arctrade"}
PERIOD = {
    "ends_at": "2026-12-01T05:00:00.000000Z",
    "from": "2026-11-01",
    "starts_at": "2026-11-01T04:00:00.000000Z",
    "to": "2026-11-30",
}
"""November in New York, where the clocks change within."""
GENERATED_AT = "2026-12-02T09:30:00.000000Z"
LOG, PACK, RECEIPT, WITNESS, STRANGER = (
    Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(1, 6)
)
EMPTY = hashlib.sha256(b"").digest()
CONTROLS = {
    "CC6.1": "Keys and access",
    "CC6.2/6.3": "Joiners, movers, leavers",
    "CC6.6/6.7": "Boundary and data out",
    "CC7.1/7.2": "Monitoring",
    "CC7.3/7.4": "Incidents",
    "CC8.1": "Changes",
}
NULLS = [
    "agent_owner",
    "agent_sub",
    "attribution_level",
    "branch",
    "caller",
    "commit_sha",
    "confidence",
    "corrects",
    "cost_center",
    "customer_id",
    "epic_id",
    "finish",
    "gl_code",
    "key_id",
    "latency_ms",
    "memo",
    "model_family",
    "model_requested",
    "pii",
    "pr_url",
    "raw_usage",
    "reason",
    "repo",
    "request_sha256",
    "resolver_version",
    "served_tier",
    "spend_token_id",
    "sso_sub",
    "task_class",
    "task_id",
    "team_id",
    "ttft_ms",
    "upstream_request_id",
    "url",
]


def jcs(value: Any) -> bytes:
    return rfc8785.dumps(value)


def leaf(content: bytes) -> bytes:
    return hashlib.sha256(b"\0" + content).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def split(size: int) -> int:
    """The largest power of two below the size."""
    return 1 << (size - 1).bit_length() - 1


def root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, as it is written there."""
    if len(leaves) < 2:
        return leaves[0] if leaves else EMPTY
    k = split(len(leaves))
    return node(root(leaves[:k]), root(leaves[k:]))


def inclusion(leaves: list[bytes], index: int) -> list[bytes]:
    """RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*inclusion(leaves[:k], index), root(leaves[k:])]
    return [*inclusion(leaves[k:], index - k), root(leaves[:k])]


def consistency(leaves: list[bytes], first: int, is_whole: bool = True) -> list[bytes]:
    """RFC 6962 section 2.1.2."""
    if first == len(leaves):
        return [] if is_whole else [root(leaves)]
    k = split(len(leaves))
    if first <= k:
        return [*consistency(leaves[:k], first, is_whole), root(leaves[k:])]
    return [*consistency(leaves[k:], first - k, False), root(leaves[:k])]


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def fingerprint(key: Ed25519PrivateKey) -> str:
    return hashlib.sha256(public(key)).hexdigest()


def key_list(**changes: Any) -> dict[str, Any]:
    """The list of keys; `changes` are of the pack key."""
    pairs = ((LOG, "log"), (PACK, "pack"), (RECEIPT, "receipt"))
    keys = [
        {
            "active_from": "2026-01-01T00:00:00.000000Z",
            "alg": "Ed25519",
            "fingerprint": fingerprint(key),
            "public": b64encode(public(key)).decode(),
            "revoked_at": None,
            "role": role,
            "verify_until": None,
        }
        for key, role in pairs
    ]
    keys[1].update(changes)
    return {
        "installation": INSTALLATION,
        "issued_at": "2026-12-02T09:00:00.000000Z",
        "keys": keys,
        "org": dict(ORG),
        "type": "visionality verification keys",
        "v": 1,
    }


def row(
    project: str, wseq: int, created_at: str, cost: int = 1_822_500_000, **columns: Any
) -> dict[str, Any]:
    """A row of `request_logs` in its form 1."""
    return {
        **dict.fromkeys(NULLS),
        "attempt": 1,
        "billed_nusd": str(columns.pop("billed", cost)),
        "binding_status": "not_required",
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "cost_nusd": str(cost),
        "created_at": created_at,
        "currency": "USD",
        "decision": "allowed",
        "dialect": "messages",
        "entry": "call",
        "id": f"0198a0c0-0000-7000-8000-{wseq:012x}",
        "input_tokens": 300_000,
        "model_used": "claude-sonnet-4-5-20250929",
        "org_id": ORG["id"],
        "output_tokens": 1_000,
        "policy_revision": 7,
        "price_state": "known",
        "price_version": 1,
        "project_id": None if project == "-" else project,
        "provider": "anthropic",
        "rates": {"in_text": "6", "out_text": "22.5", "source": "genai-prices"},
        "reasoning_tokens": 0,
        "request_id": f"0198a0c0-0000-7000-9000-{wseq:012x}",
        "source": "gateway",
        "status_code": 200,
        "tags": {},
        "usage": {"in_text": 300_000, "out_text": 1_000},
        "usage_source": "provider_final",
        "v": 1,
        "writer_no": 1,
        "wseq": wseq,
        **columns,
    }


def units(amount: int) -> str:
    """Nano-units as units, by another hand."""
    digits = str(abs(amount)).rjust(10, "0")
    text = (digits[:-9] + "." + digits[-9:]).rstrip("0").rstrip(".")
    return "-" + text if amount < 0 else text


Closed = tuple[str, list[dict[str, Any]]]
"""When a segment was closed, and its rows."""


def headers(project: str, segments: list[Closed]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    prev, first_seq = "0" * 64, 1
    for number, (closed_at, rows) in enumerate(segments, 1):
        totals: dict[str, Any] = {}
        for currency in sorted({one["currency"] for one in rows}):
            mine = [one for one in rows if one["currency"] == currency]
            totals[currency] = {
                name: str(sum(int(one[name]) for one in mine)) for name in ("billed_nusd", "cost_nusd")
            }
        times = sorted(one["created_at"] for one in rows)
        header = {
            "closed_at": closed_at,
            "count": len(rows),
            "first_at": times[0] if times else None,
            "first_seq": first_seq,
            "last_at": times[-1] if times else None,
            "last_seq": first_seq + len(rows) - 1,
            "org_id": ORG["id"],
            "prev": prev,
            "project_id": project,
            "root": root([leaf(jcs(one)) for one in rows]).hex(),
            "segment_no": number,
            "totals": totals,
            "type": "segment",
            "v": 1,
        }
        found.append(header)
        prev, first_seq = leaf(jcs(header)).hex(), first_seq + len(rows)
    return found


def note(
    origin: str, leaves: list[bytes], at_ms: int, key: Ed25519PrivateKey = LOG, prev: bytes = EMPTY
) -> str:
    size, top = len(leaves), b64encode(root(leaves)).decode()
    body = f"{origin}\n{size}\n{top}\ntime {at_ms}\nprev {b64encode(prev).decode()}\n"
    number = hashlib.sha256(origin.encode() + b"\n\x01" + public(key)).digest()[:4]
    line = b64encode(number + key.sign(body.encode())).decode()
    return f"{body}\n\u2014 {origin} {line}\n"


def cosigned(text: str, name: str = "customer.example/witness", key: Ed25519PrivateKey = WITNESS) -> str:
    body = text.partition("\n\n")[0] + "\n"
    seconds = 1_796_200_000
    number = hashlib.sha256(name.encode() + b"\n\x04" + public(key)).digest()[:4]
    signed = key.sign(f"cosignature/v1\ntime {seconds}\n{body}".encode())
    return text + f"\u2014 {name} {b64encode(number + seconds.to_bytes(8, 'big') + signed).decode()}\n"


def vkey(name: str = "customer.example/witness", key: Ed25519PrivateKey = WITNESS, kind: int = 4) -> str:
    number = hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public(key)).digest()[:4]
    return f"{name}+{number.hex()}+{b64encode(bytes([kind]) + public(key)).decode()}"


def within(one: dict[str, Any]) -> bool:
    """Whether a row or a segment's header has anything of the period."""
    first, last = one.get("first_at", one.get("created_at")), one.get("last_at", one.get("created_at"))
    return first is not None and first < PERIOD["ends_at"] and last >= PERIOD["starts_at"]


def total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    cost, billed = (units(sum(int(one[name]) for one in rows)) for name in ("cost_nusd", "billed_nusd"))
    return {"billed": billed, "cost": cost, "rows": len(rows)}


def totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = {}
    for currency in sorted({one["currency"] for one in rows}):
        mine = [one for one in rows if one["currency"] == currency]
        found[currency] = total(mine)
        for by in ("price_state", "usage_source"):
            names = {one[by] for one in mine}
            found[currency][f"by_{by}"] = {
                name: total([one for one in mine if one[by] == name]) for name in names
            }
    return found


def prices(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = {
        (one["price_version"], jcs(one["rates"])): one for one in rows if one["price_version"] is not None
    }
    return [{"price_version": key[0], "rates": lines[key]["rates"]} for key in sorted(lines)]


def control(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "control": name,
        "exceptions": [],
        "mechanisms": [{"name": "the product", "operating": True, "reason": ""}],
        "passed": 3,
        "population": 3,
        "query": f"{name}.sql sha256:{'ab' * 32}",
        "rows_sha256": "cd" * 32,
        "status": "satisfied",
        "title": CONTROLS[name],
        **changes,
    }


def small_ledger() -> dict[str, list[Closed]]:
    """Two projects: one with an edge of the period in a segment, an empty segment, and a late row; one with one row."""
    hpc = [
        ("2026-11-01T04:00:05.000000Z", [row("HPC", 1, "2026-10-31T23:00:00.000000Z")]),
        (
            "2026-11-20T05:00:05.000000Z",
            [
                row("HPC", 2, "2026-11-19T12:00:00.000000Z"),
                row("HPC", 4, "2026-11-01T03:59:59.999999Z", 5, memo="late, of October"),
                row(
                    "HPC",
                    5,
                    "2026-11-19T13:00:00.000042Z",
                    0,
                    price_state="free",
                    price_version=None,
                    rates=None,
                ),
            ],
        ),
        ("2026-11-21T05:00:05.000000Z", []),
        ("2026-12-01T05:00:05.000000Z", [row("HPC", 7, "2026-12-01T04:59:59.999999Z", -500, billed=-700)]),
    ]
    ops = [
        (
            "2026-12-01T05:00:06.000000Z",
            [row("OPS", 6, "2026-11-30T10:00:00.000000Z", memo="Brücke \U0001f30a")],
        )
    ]
    return {"HPC": hpc, "OPS": ops}


@dataclass
class Made:
    """A pack before it is signed, and the log of segments that it is of."""

    predicate: dict[str, Any]
    leaves: list[bytes] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return f"{INSTALLATION}/{ORG['id']}/segments"

    @property
    def chain(self) -> dict[str, Any]:
        return self.predicate["ledger"]["chains"][0]

    def statement(self) -> dict[str, Any]:
        subject = []
        for chain in self.predicate["ledger"]["chains"]:
            newest = chain["headers"][-1]
            name = f"segment/{chain['project_id']}/{newest['segment_no']}"
            subject.append({"digest": {"sha256": hashlib.sha256(jcs(newest)).hexdigest()}, "name": name})
        if isinstance(file := self.predicate["ledger"]["rows"], dict):
            subject.append({"digest": {"sha256": file["sha256"]}, "name": f"rows/{file['name']}"})
        return {
            "_type": "https://in-toto.io/Statement/v1",
            "predicate": self.predicate,
            "predicateType": "urn:visionality:evidence-pack:v1",
            "subject": subject,
        }

    def envelope(self, key: Ed25519PrivateKey = PACK) -> bytes:
        return sealed(jcs(self.statement()), key)


def make(
    ledger: dict[str, list[Closed]] | None = None,
    projects: tuple[str, ...] = ("HPC",),
    rows: str = "embedded",
    kind: str = "project",
    name: str = "HPC",
    others: int = 3,
    previous: int | None = None,
) -> Made:
    """A pack of these projects. `others` segments of nobody here stand in the log too; `previous` is an earlier size of it."""
    ledger = small_ledger() if ledger is None else ledger
    made = {project: headers(project, segments) for project, segments in ledger.items()}
    sealed_at = sorted(
        (header["closed_at"], project, jcs(header)) for project, ones in made.items() for header in ones
    )
    leaves = [leaf(b"of nobody here %d" % n) for n in range(others)] + [leaf(one[2]) for one in sealed_at]
    places = {one[2]: others + n for n, one in enumerate(sealed_at)}
    chains = []
    shown: list[dict[str, Any]] = []
    for project in projects:
        index = places[jcs(made[project][-1])]
        carried = [
            ones if within(head) else []
            for head, (_, ones) in zip(made[project], ledger[project], strict=True)
        ]
        shown += [one for ones in carried for one in ones if within(one)]
        chains.append(
            {
                "headers": made[project],
                "inclusion": {"index": index, "path": [step.hex() for step in inclusion(leaves, index)]},
                "project_id": project,
                "rows": carried if rows == "embedded" else None,
            }
        )
    origin = f"{INSTALLATION}/{ORG['id']}/segments"
    before = None
    if previous is not None:
        before = {
            "checkpoint": note(origin, leaves[:previous], 1_793_600_000_000),
            "path": [step.hex() for step in consistency(leaves, previous)],
        }
    predicate = {
        "controls": [control(one) for one in CONTROLS],
        "critical": [],
        "generated_at": GENERATED_AT,
        "generator": {"name": "visionality", "version": "0.1.0"},
        "installation": INSTALLATION,
        "keys": [
            {"fingerprint": fingerprint(key), "role": role} for key, role in ((LOG, "log"), (PACK, "pack"))
        ],
        "ledger": {
            "chains": chains,
            "checkpoint": note(origin, leaves, 1_796_117_400_000),
            "previous": before,
            "rows": rows,
        },
        "limits": ["It shows nothing of calls that did not go through the gateway."],
        "mappings": {"entries": {}, "reviewed_by": None, "version": 1, "wording": "supports"},
        "org": dict(ORG),
        "pack_id": "0198a0c0-0000-7000-8000-0000000000cc",
        "period": dict(PERIOD),
        "policy_revision": 7,
        "prices": prices(shown),
        "scope": {"kind": kind, "name": name, "projects": sorted(projects)},
        "totals": totals(shown),
        "v": 1,
    }
    return Made(predicate, leaves)


def by_reference(made: Made, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> bytes:
    """The file of these rows, which the pack then refers to."""
    content = b"".join(jcs(one) + b"\n" for one in rows)
    made.predicate["ledger"]["rows"] = {
        "bytes": len(content),
        "count": len(rows),
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return content


def sealed(
    payload: bytes, key: Ed25519PrivateKey = PACK, kind: str = "application/vnd.in-toto+json"
) -> bytes:
    """The DSSE envelope around a payload."""
    signature = key.sign(b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload))
    return jcs(
        {
            "payload": b64encode(payload).decode(),
            "payloadType": kind,
            "signatures": [{"keyid": fingerprint(key), "sig": b64encode(signature).decode()}],
        }
    )


def figure(**changes: Any) -> dict[str, Any]:
    """The statement of a signed figure."""
    predicate = {
        "billed": "12.5",
        "checkpoint": note(f"{INSTALLATION}/{ORG['id']}/request_logs", [leaf(b"a row")], 1_796_117_400_000),
        "cost": "12.25",
        "currency": "USD",
        "id": "0198a0c0-0000-7000-8000-0000000000dd",
        "installation": INSTALLATION,
        "live_until": "2027-03-02T09:30:00.000000Z",
        "org": dict(ORG),
        "period": dict(PERIOD),
        "rows": 3,
        "scope": {"person": "alice@arctrade.example", "project": "HPC"},
        "signed_at": GENERATED_AT,
        "signed_by": "fin@arctrade.example",
        "v": 1,
        **changes,
    }
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "predicate": predicate,
        "predicateType": "urn:visionality:figure:v1",
        "subject": [
            {
                "digest": {"sha256": hashlib.sha256(jcs(predicate)).hexdigest()},
                "name": f"figure/{predicate['id']}",
            }
        ],
    }


def receipt(of: dict[str, Any], key: Ed25519PrivateKey = RECEIPT, **changes: Any) -> str:
    """The receipt of a row."""
    content = {
        **{
            name: of[name]
            for name in ("billed_nusd", "cost_nusd", "created_at", "currency", "org_id", "price_version")
        },
        "installation": INSTALLATION,
        "keyid": fingerprint(key),
        "leaf": leaf(jcs(of)).hex(),
        "project_id": of["project_id"],
        "request_id": of["request_id"],
        "row_id": of["id"],
        "signed_at": of["created_at"],
        "type": "receipt",
        "v": 1,
        **changes,
    }
    return receipt_of(jcs(content), key)


def receipt_of(content: bytes, key: Ed25519PrivateKey = RECEIPT) -> str:
    signature = key.sign(b"visionality receipt v1\0" + content)
    return ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in (content, signature))


def proof_of(
    of: dict[str, Any], leaves: list[bytes], index: int, key: Ed25519PrivateKey = LOG
) -> dict[str, Any]:
    """The proof that a row stands at an index of the log of rows."""
    assert leaves[index] == leaf(jcs(of))
    return {
        "checkpoint": note(f"{INSTALLATION}/{ORG['id']}/request_logs", leaves, 1_796_117_400_000, key),
        "inclusion": {"index": index, "path": [step.hex() for step in inclusion(leaves, index)]},
        "leaf": leaves[index].hex(),
        "type": "inclusion",
        "v": 1,
    }
