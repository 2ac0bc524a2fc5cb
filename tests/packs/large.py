"""A pack as large as the reference story's month: `python -m packs.large TARGET [ROWS] [--apart]`.

Rows differ in their numbers, times and costs only, so they are written by filling in a template, one day a segment.
With --apart the rows stand in TARGET.rows.
"""

import hashlib
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

from packs import builder

DAYS = 29
_MARKS = {
    "wseq": 987_654_321,
    "created_at": "CREATED",
    "cost_nusd": "COST",
    "billed_nusd": "BILLED",
    "id": "ID",
    "request_id": "REQUEST",
}


def template() -> bytes:
    """A row of about 1,650 bytes, as a real one with its usage, rates and attribution."""
    filled = (
        builder.row("HPC", 1, "x")
        | _MARKS
        | {"raw_usage": '{"input_tokens":300000,"output_tokens":1000}' * 4}
    )
    filled |= {
        "agent_sub": "alice@arctrade.example",
        "branch": "HPC-1234-add-pjm-rebill-rules",
        "task_id": "HPC-1234",
    }
    text = builder.jcs(filled).replace(b"%", b"%%").replace(b"987654321", b"%(seq)d")
    for name in ("CREATED", "COST", "BILLED", "ID", "REQUEST"):
        text = text.replace(f'"{name}"'.encode(), f'"%({name})b"'.encode())
    return text


def days(count: int) -> Any:
    """The rows of each day: their bytes and costs."""
    text, seq = template(), 0
    for day in range(1, DAYS + 1):
        rows, costs = [], []
        for n in range(count // DAYS + (day <= count % DAYS)):
            seq += 1
            costs.append(1_000_000 + seq * 37 % 900_001)
            at, cost = (
                b"2026-11-%02dT%02d:%02d:%02d.%06dZ" % (day, 5 + n // 3600 % 18, n // 60 % 60, n % 60, n),
                b"%d" % costs[-1],
            )
            number = b"0198a0c0-0000-7000-8000-%012x" % seq
            rows.append(
                text
                % {
                    b"seq": seq,
                    b"CREATED": at,
                    b"COST": cost,
                    b"BILLED": cost,
                    b"ID": number,
                    b"REQUEST": number,
                }
            )
        yield rows, costs


def write(target: Path, count: int, is_apart: bool) -> None:
    heads: list[dict[str, Any]] = []
    parts: list[bytes] = []
    every: list[int] = []
    prev, first_seq = "0" * 64, 1
    for number, (rows, costs) in enumerate(days(count), 1):
        amount = str(sum(costs))
        stamps = sorted(one.partition(b'"created_at":"')[2][:27].decode() for one in rows)
        header = {
            "closed_at": f"2026-11-{number + 1:02d}T05:00:05.000000Z"
            if number < DAYS
            else "2026-12-01T05:00:05.000000Z",
            "count": len(rows),
            "first_at": stamps[0],
            "first_seq": first_seq,
            "last_at": stamps[-1],
            "last_seq": first_seq + len(rows) - 1,
            "org_id": builder.ORG["id"],
            "prev": prev,
            "project_id": "HPC",
            "root": builder.root([builder.leaf(one) for one in rows]).hex(),
            "segment_no": number,
            "totals": {"USD": {"billed_nusd": amount, "cost_nusd": amount}},
            "type": "segment",
            "v": 1,
        }
        heads.append(header)
        prev, first_seq = builder.leaf(builder.jcs(header)).hex(), first_seq + len(rows)
        every += costs
        parts.append(b"".join(one + b"\n" for one in rows) if is_apart else b"[" + b",".join(rows) + b"]")
    made = builder.make()
    leaves = [builder.leaf(builder.jcs(header)) for header in heads]
    chain = made.chain
    chain["headers"], chain["rows"] = heads, None if is_apart else "ROWS"
    chain["inclusion"] = {
        "index": DAYS - 1,
        "path": [step.hex() for step in builder.inclusion(leaves, DAYS - 1)],
    }
    ledger = made.predicate["ledger"]
    ledger["checkpoint"] = builder.note(made.origin, leaves, 1_796_117_400_000)
    total = {"billed": builder.units(sum(every)), "cost": builder.units(sum(every)), "rows": len(every)}
    made.predicate["totals"] = {
        "USD": {**total, "by_price_state": {"known": total}, "by_usage_source": {"provider_final": total}}
    }
    if is_apart:
        digest, size = hashlib.sha256(), 0
        with Path(f"{target}.rows").open("wb") as file:
            for part in parts:
                digest.update(part)
                size += file.write(part)
        ledger["rows"] = {
            "bytes": size,
            "count": count,
            "name": f"{target.name}.rows",
            "sha256": digest.hexdigest(),
        }
        parts = []
    payload = builder.jcs(made.statement()).replace(b'"ROWS"', b"[" + b",".join(parts) + b"]")
    del parts
    kind = "application/vnd.in-toto+json"
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signature = b64encode(builder.PACK.sign(signed)).decode()
    del signed
    with target.open("wb") as file:
        file.write(b'{"payload":"')
        for at in range(0, len(payload), 3 * 2**20):
            file.write(b64encode(payload[at : at + 3 * 2**20]))
        end = [{"keyid": builder.fingerprint(builder.PACK), "sig": signature}]
        file.write(b'",' + builder.jcs({"payloadType": kind, "signatures": end})[1:])


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 487_000, "--apart" in sys.argv)
