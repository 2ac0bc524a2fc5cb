"""Budgets as an operator makes them, gateways beside the first one, and whether the books of all windows agree."""

import json
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from gateway.calls import CHAT, Caller, Reply, ask, body_of, new_id, opened
from product import PATIENCE, VIS, Product
from visionality.core.money import usd
from visionality.core.window import bounds
from visionality.runtime.clock import utc_now

HOUSE = "house-1"
"""A model with one price for all input and one for all output, so that a call can cost exactly what is held for it."""
INPUT_NUSD, OUTPUT_NUSD = 2_000, 8_000
"""What a token of it costs."""
LIMIT = 64
"""Tokens of output that a question asks for, where it does not matter."""
SMALL = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
SMALL_NUSD = 10 * INPUT_NUSD + 5 * OUTPUT_NUSD
NOTHING_NUSD = 1
"""A cap that no call fits in."""


def question(limit: int = LIMIT, **fields: object) -> bytes:
    return body_of(CHAT, model=HOUSE, max_tokens=limit, **fields)


def worst(limit: int = LIMIT, **fields: object) -> int:
    """What is held for that question, in nano-USD."""
    return len(question(limit, **fields)) * INPUT_NUSD + limit * OUTPUT_NUSD


def usage_at_worst(limit: int = LIMIT) -> dict[str, int]:
    """The usage with which it costs that much."""
    tokens = len(question(limit))
    return {"prompt_tokens": tokens, "completion_tokens": limit, "total_tokens": tokens + limit}


WORST = worst()
STREAMED_WORST = worst(stream=True)


@dataclass(frozen=True)
class Spender(Caller):
    """A client whose key is known by its id."""

    key_id: str


def spender(product: Product, *words: str, agent: str, project: str) -> Spender:
    """A client with a fresh key, once the gateway knows it."""
    issued = json.loads(product.run("key", "issue", "--agent", agent, "--project", project, *words, "--json"))
    product.until(lambda: product.status(issued["handle"]) != 401)
    return Spender(product, issued["handle"], issued["id"])


def somebody(product: Product) -> Spender:
    """A client with a key of their own, so that what a test sets meets nobody else."""
    return spender(product, agent="alice@arctrade", project="HPC")


def at_worst(who: Spender, limit: int = LIMIT, address: str = "") -> Reply:
    """A call that costs exactly what is held for it."""
    headers = who.headers(CHAT, new_id(), usage=usage_at_worst(limit))
    return ask(address or who.product.gateway, "POST", CHAT, headers, question(limit))


@contextmanager
def streaming(
    who: Spender, call_id: str, path: str = CHAT, address: str = "", **plan: object
) -> Iterator[Any]:
    headers, body = who.headers(CHAT, call_id, **plan), question(stream=True)
    with opened(address or who.product.gateway, "POST", path, headers, body) as answer:
        yield answer


def row_of(who: Spender, call_id: str) -> dict[str, Any]:
    """The only row of a call, as soon as it is there."""
    who.product.until(lambda: who.product.rows_of(call_id))
    (row,) = who.product.rows_of(call_id)
    return row


def cap(who: Spender, cap_nusd: int, *words: str, period: str = "total") -> str:
    """A hard budget for their key."""
    return set_budget(who, f"key:{who.key_id}", cap_nusd, "--hard", *words, period=period)


def price_house(product: Product, *words: str) -> None:
    prices = ("--input", str(INPUT_NUSD / 1000), "--output", str(OUTPUT_NUSD / 1000))
    product.run("price", "set", "openai", HOUSE, *prices, "--yes", *words)


def set_budget(caller: Caller, scope: str, cap_nusd: int, *words: str, period: str = "total") -> str:
    """Make or edit a budget, and wait until the gateway knows of it. Returns its id."""
    budget = said(caller.product, scope, cap_nusd, *words, period=period)
    in_force(caller, caller.product.gateway)
    return budget


def said(product: Product, scope: str, cap_nusd: int, *words: str, period: str = "total") -> str:
    """Make or edit a budget of which no gateway may know yet. Returns its id."""
    cap = f"{usd(cap_nusd)}/{period}"
    made = json.loads(product.run("budget", "set", scope, "--cap", cap, *words, "--json"))
    return str(made["budget_id"])


def remove_budget(caller: Caller, scope: str) -> None:
    caller.product.run("budget", "remove", scope)
    in_force(caller, caller.product.gateway)


def in_force(caller: Caller, *gateways: str) -> None:
    """Wait until each of these gateways decides by what was set last."""
    for address in gateways:
        caller.product.until(lambda address=address: _is_known(caller, address))


def _is_known(caller: Caller, address: str) -> bool:
    headers = caller.headers("/v1/models", new_id())
    call = ask(address, "GET", "/v1/models", headers).header("x-vis-request-id")
    return caller.product.query(
        """select 1 from vis.request_logs l join vis.org_revisions r using (org_id)
            where l.request_id = %s and l.policy_revision >= r.revision""",
        call,
    ) != []  # fmt: skip


def windows(product: Product, budget_id: str) -> dict[str, dict[str, Any]]:
    """The windows of a budget of which each value has one, by that value."""
    found = product.query(
        "select * from vis.budget_windows where budget_id = %s and window_id <> budget_id", budget_id
    )
    assert len({window["scope_value"] for window in found}) == len(found)
    return {window["scope_value"]: window for window in found}


def window(product: Product, budget_id: str) -> tuple[int, int]:
    """What is spent and what is held in a budget's only window; nothing where it has none yet."""
    found = list(windows(product, budget_id).values())
    assert len(found) <= 1
    return (found[0]["spent_nusd"], found[0]["reserved_nusd"]) if found else (0, 0)


def by_period(product: Product, budget_id: str) -> dict[datetime, tuple[int, int]]:
    """What is spent and held in each window of a budget, by when it began."""
    found = product.query(
        "select * from vis.budget_windows where budget_id = %s and window_id <> budget_id", budget_id
    )
    return {window["starts_at"]: (window["spent_nusd"], window["reserved_nusd"]) for window in found}


def next_month(zone: str = "UTC") -> datetime:
    """A midnight to come: holds that have expired by the machine's own clock belong to the reaper."""
    _, ends_at = bounds("month", ZoneInfo(zone), utc_now())
    return ends_at


def check_books(product: Product) -> None:
    """Every window is what its events, its rows and its standing holds add up to, and no hard cap was ever passed.

    A call of unknown price is no sum of rows: its windows have what was held for it.
    """
    wrong = product.query(
        """select w.*, events.spent, rows.spent as by_rows, holds.held
             from vis.budget_windows w,
             lateral (select coalesce(sum(actual_nusd), 0) as spent, coalesce(sum(actual_nusd) filter (where request_id not in (
                        select request_id from vis.request_logs where price_state = 'unknown')), 0) as known
                        from vis.budget_events e
                       where e.org_id = w.org_id and w.window_id = any(e.windows) and e.kind in ('settle', 'expire')) events,
             lateral (select coalesce(sum(cost_nusd), 0) as spent from vis.request_logs r
                       where r.org_id = w.org_id and r.price_state <> 'unknown' and r.request_id in (
                             select request_id from vis.budget_events e
                              where e.org_id = w.org_id and w.window_id = any(e.windows) and e.kind = 'reserve')) rows,
             lateral (select coalesce(sum(amount_nusd), 0) as held from vis.budget_holds h
                       where h.org_id = w.org_id and w.window_id = any(h.windows)) holds
            where w.spent_nusd <> w.opening_nusd + events.spent or rows.spent <> events.known
               or w.reserved_nusd <> holds.held or w.reserved_nusd < 0
               or (w.window_id = w.budget_id and (w.spent_nusd, w.reserved_nusd) <> (0, 0))"""
    )
    assert wrong == []


def refused(spender: Spender) -> int:
    """How many calls of a key were refused: each has a row, or is one of those that a row stands for."""
    (found,) = spender.product.query(
        """select sum(coalesce((tags->>'repeats')::int, 1)) as n
             from vis.request_logs where key_id = %s and decision = 'refused'""",
        spender.key_id,
    )
    return int(found["n"] or 0)


# ---------------------------------------------------------------- gateways beside the first one


CLOCKED = """
import sys
from datetime import datetime
from datetime import datetime
from pathlib import Path
from visionality.cli import main, serve
stands_at = Path(sys.argv.pop(1))
serve.utc_now = lambda: datetime.fromisoformat(stands_at.read_text())
main()
"""


@dataclass(frozen=True)
class Watch:
    """What time it is for a gateway that looks at this file."""

    file: Path

    def show(self, moment: datetime) -> None:
        following = self.file.with_suffix(".next")
        following.write_text(moment.isoformat())
        following.replace(self.file)


@dataclass
class Gateway:
    """A `vis gateway` on the product's database. It keeps its address when it is started again."""

    product: Product
    listener: socket.socket
    watch: "Watch | None" = None
    settings: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def start(self) -> None:
        command = VIS if self.watch is None else [VIS[0], "-c", CLOCKED, str(self.watch.file)]
        command = [*command, "gateway", "--data-dir", str(self.product.data_dir)]
        handed_down = self.listener.fileno()
        environment = self.product.environment | {"VIS_SOCKET_FD": str(handed_down), **self.settings}
        with (self.product.data_dir / "logs" / "other-gateways.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--sandbox-url", self.product.sandbox],
                env=environment,
                pass_fds=[handed_down],
                stdout=log,
                stderr=log,
            )

    def is_ready(self) -> bool:
        with suppress(OSError), urllib.request.urlopen(f"{self.address}/readyz", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
        return False

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(PATIENCE)


@contextmanager
def gateways(
    product: Product,
    count: int,
    watch: Watch | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[list[Gateway]]:
    """As many gateways more, ready."""
    made: list[Gateway] = []
    try:
        for _ in range(count):
            listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
            made.append(Gateway(product, listener, watch, settings))
            made[-1].start()
        for one in made:
            product.until(one.is_ready)
        yield made
    finally:
        for one in made:
            one.stop()
            one.listener.close()
