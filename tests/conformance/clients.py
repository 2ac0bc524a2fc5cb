"""`make clients`: every client SDK against the running product, and what its ledger says of each call.

Expected is what client_cases.py says, found is what the rows say. Ends with 1 when anything differs.
"""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from conformance import client_batches
from conformance import client_calls as by
from conformance.client_cases import CASES, Case
from conformance.tables import table
from gateway.calls import new_id
from gateway.terminator import terminated
from product import Product, running, set_up
from visionality.core.money import usd

CALLS = 5

HEAD = ("client", "dialect", "answer", "calls", "rows", "units expected", "found", "USD expected", "found", "equal")  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What came of the calls of one case."""

    case: Case
    calls: int
    rows: int
    """All that the ledger gained, whosoever they are."""
    own: list[dict[str, Any]]
    """Those of the calls."""

    @property
    def units(self) -> int:
        return sum(sum((row["usage"] or {}).values()) for row in self.own)

    @property
    def nusd(self) -> int:
        return sum(row["cost_nusd"] for row in self.own)

    @property
    def equal(self) -> bool:
        told = {(row["dialect"], row["price_state"], row["decision"]) for row in self.own}
        return (
            self.calls == self.rows == len(self.own)
            and told == {(self.case.dialect, self.case.state, "allowed")}
            and all((row["usage"] or {}) == self.case.units for row in self.own)
            and all(row["cost_nusd"] == self.case.nusd for row in self.own)
        )

    def cells(self) -> tuple[str, ...]:
        case = self.case
        return (
            case.name, case.dialect, "free" if case.state == "free" else "stream" if case.streamed else "whole", str(self.calls), str(self.rows),
            f"{self.calls * sum(case.units.values()):,}", f"{self.units:,}",
            usd(self.calls * case.nusd), usd(self.nusd), "yes" if self.equal else "NO",
        )  # fmt: skip


def played(product: Product, place: by.Place, case: Case) -> Found:
    """Make the calls of a case, and look up their rows."""
    ids = [new_id() for _ in range(CALLS)]
    before = rows_in(product)
    by.run(
        case.client,
        case.ask,
        place,
        [by.sending(call_id, case.plan) for call_id in ids],
        streamed=case.streamed,
    )
    own = product.query("select * from vis.request_logs where tags->>'client_request_id' = any(%s)", ids)
    return Found(case, CALLS, rows_in(product) - before, own)


def rows_in(product: Product) -> int:
    return int(product.query("select count(*) as rows from vis.request_logs")[0]["rows"])


def totalled(found: list[Found]) -> tuple[str, ...]:
    equal = all(one.equal for one in found)
    return (
        "all", "", "", str(sum(one.calls for one in found)), str(sum(one.rows for one in found)),
        f"{sum(one.calls * sum(one.case.units.values()) for one in found):,}", f"{sum(one.units for one in found):,}",
        usd(sum(one.calls * one.case.nusd for one in found)), usd(sum(one.nusd for one in found)), "yes" if equal else "NO",
    )  # fmt: skip


# ---------------------------------------------------------------- a stream that its client leaves

ABORT_HEAD = ("the stream", "finish", "usage_source", "input", "output", "USD", "still held", "must be", "is")
LONG = {"chunks": 40, "chunk_delay_ms": 20}


def aborted(product: Product, place: by.Place) -> tuple[list[tuple[str, ...]], bool]:
    """The same stream read to its end; left, and drained by the gateway; left, at a provider that then stops billing."""
    whole = streamed(product, place, leaves=False)
    drained = streamed(product, place, leaves=True)
    product.run(
        "provider",
        "add",
        "anthropic",
        "--base-url",
        product.sandbox,
        "--on-abort",
        "cancel",
        stdin="sk-any\n",
    )
    product.until(lambda: streamed(product, place, leaves=False)["provider"] == "anthropic")
    cancelled = streamed(product, place, leaves=True)
    same = ("input_tokens", "output_tokens", "cost_nusd", "usage_source")
    verdicts = [
        ("read to its end", whole, "final", whole["usage_source"] == "provider_final"),
        ("left, drained by the gateway", drained, "the same cost", all(whole[name] == drained[name] for name in same)),
        ("left, hung up on the provider", cancelled, "a smaller estimate, the rest held", is_estimate(product, cancelled, whole)),
    ]  # fmt: skip
    lines = [
        (
            name, row["finish"], row["usage_source"], str(row["input_tokens"]), str(row["output_tokens"]),
            usd(row["cost_nusd"]), usd(held(product, row)), must_be, "yes" if holds else "NO",
        )
        for name, row, must_be, holds in verdicts
    ]  # fmt: skip
    return lines, all(holds for *_, holds in verdicts)


def streamed(product: Product, place: by.Place, *, leaves: bool) -> dict[str, Any]:
    """The row of one stream, whose client leaves after some events or reads on."""
    call_id = new_id()
    with by.Anthropic().made(place) as client:
        events = by.message(by.CLAUDE, stream=True)(client, by.sending(call_id, LONG))
        for number, _ in enumerate(events):
            if leaves and number == 12:
                break
        events.close()
    product.until(lambda: product.rows_of(call_id))
    (row,) = product.rows_of(call_id)
    return row


def is_estimate(product: Product, row: dict[str, Any], whole: dict[str, Any]) -> bool:
    return (
        row["usage_source"] == "tokenizer_estimate"
        and 0 < row["cost_nusd"] < whole["cost_nusd"]
        and held(product, row) > 0
    )


def held(product: Product, row: dict[str, Any]) -> int:
    """What of a call's hold still stands, in nano-USD."""
    sql = "select coalesce(sum(amount_nusd), 0)::bigint as held from vis.budget_holds where request_id = %s"
    return int(product.query(sql, row["request_id"])[0]["held"])


# ---------------------------------------------------------------- all of it


def prepare(product: Product) -> str:
    """The control tables, a resource of Azure's, and a key."""
    set_up(product)
    words = [word for name, model in by.DEPLOYMENTS.items() for word in ("--deployment", f"{name}={model}")]
    product.run("provider", "add", "azure", "--base-url", product.sandbox, *words, stdin="azure-any")
    return product.issue()


def main() -> int:
    began = time.monotonic()
    with running() as product, TemporaryDirectory() as made:
        folder = Path(made)
        key = prepare(product)
        with terminated(product.gateway, folder) as secure:
            os.environ["AWS_CA_BUNDLE"] = str(folder / "authority.pem")
            os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
            place = by.Place(product.gateway, secure, key)
            found = [played(product, place, case) for case in CASES]
            batches = [client_batches.played(product, place, case) for case in client_batches.CASES]
            lines, honest = aborted(product, place)
    print(table(HEAD, [*(one.cells() for one in found), totalled(found)], 3))
    print()
    print(table(client_batches.HEAD, [cells for cells, _ in batches], 2))
    print()
    print(table(ABORT_HEAD, lines, 3))
    print(f"\n{time.monotonic() - began:.0f} s")
    all_equal = all(one.equal for one in found) and all(equal for _, equal in batches)
    return 0 if honest and all_equal else 1


if __name__ == "__main__":
    sys.exit(main())
