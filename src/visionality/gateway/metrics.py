"""What this gateway process has seen since it started, for Prometheus (text format 0.0.4).

Rows are counted when they are durable, so the counters are sums of the ledger: of calls, tokens and dollars by provider,
model family and decision. No label names a person, a project, a key or an organisation.
"""

import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from ipaddress import ip_address

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from visionality.core.attribution import UNATTRIBUTED
from visionality.core.money import usd
from visionality.core.row import Row
from visionality.gateway.state import Gateway

PATH = "/metrics"
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
KINDS = 2000
"""Combinations of labels that are counted apart; what comes beyond is counted as `other`."""
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

_TOKENS = ("input", "cache_read", "cache_write", "output", "reasoning")
_CALLS = frozenset({"call", "attempt"})
_CODE = re.compile(r"[a-z0-9_]{1,60}")
_LABELS = ("provider", "model_family", "decision")
_Kind = tuple[str, str, str, str]


class _Sums:
    """What the rows of one kind add up to."""

    __slots__ = ("billed_nusd", "calls", "cost_nusd", "tokens", "unattributed_nusd")

    def __init__(self) -> None:
        self.calls = self.cost_nusd = self.billed_nusd = self.unattributed_nusd = 0
        self.tokens = [0, 0, 0, 0, 0]

    def add(self, row: Row) -> None:
        self.calls += int(row.tags["repeats"]) if row.tags and "repeats" in row.tags else 1
        self.cost_nusd += row.cost_nusd
        self.billed_nusd += row.billed_nusd
        if row.attribution_level == UNATTRIBUTED:
            self.unattributed_nusd += row.cost_nusd
        tokens = self.tokens
        tokens[0] += row.input_tokens
        tokens[1] += row.cache_read_tokens
        tokens[2] += row.cache_write_tokens
        tokens[3] += row.output_tokens
        tokens[4] += row.reasoning_tokens


class Metrics(Collector):
    """Counters of one process. The ledger's writer tells it of rows that are durable and of what they took."""

    def __init__(self) -> None:
        self._sums: dict[_Kind, _Sums] = {}
        self._trued_up_nusd = 0
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._commits = Histogram(
            "visionality_commit_seconds",
            "How long the ledger took for a batch of holds and rows.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._holds = Histogram(
            "visionality_hold_seconds",
            "How long a call waited until its hold was durable, or was refused.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._gauges: list[tuple[str, str, float]] = []

    def committed(self, rows: Sequence[Row], seconds: float) -> None:
        """Rows that are durable now, and how long their batch took.

        A model that nobody has a price for names no family: callers may invent any number of them.
        """
        self._commits.observe(seconds)
        sums = self._sums
        for row in rows:
            if row.entry not in _CALLS:
                self._trued_up_nusd += row.cost_nusd
                continue
            family = row.model_family if row.price_state == "known" else None
            kind = (row.provider, family or "", row.decision, row.reason or "")
            found = sums.get(kind)
            if found is None:
                found = self._new(kind)
            found.add(row)

    def held(self, seconds: float) -> None:
        """How long a caller waited for a hold."""
        self._holds.observe(seconds)

    def text(self, gateway: Gateway) -> bytes:
        """What Prometheus reads."""
        self._gauges = [
            ("writes_waiting", "Holds and rows that wait for the ledger.", gateway.writer.waiting),
            ("snapshot_age_seconds", "Since the control data was last read.", gateway.snapshots.age),
            (
                "ready",
                "1 while the ledger takes rows and the control data is fresh.",
                gateway.trouble is None,
            ),
            (
                "true_up_usd",
                "What later reports added to the cost of durable rows, or took from it.",
                _dollars([self._trued_up_nusd]),
            ),
            ("calls_draining", "Answers that are read on for clients that left.", gateway.draining),
        ]
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The sums as Prometheus has them: dollars as decimals in floats, of which each is right to 15 digits."""
        calls = CounterMetricFamily(
            "visionality_calls", "Calls with a durable row.", labels=[*_LABELS, "reason"]
        )
        tokens = CounterMetricFamily(
            "visionality_tokens", "Tokens as rows have them.", labels=[*_LABELS, "kind"]
        )
        cost = CounterMetricFamily("visionality_cost_usd", "Cost of durable rows.", labels=_LABELS)
        billed = CounterMetricFamily("visionality_billed_usd", "The same after markup.", labels=_LABELS)
        lost = CounterMetricFamily(
            "visionality_unattributed_cost_usd", "Cost of rows without a project.", labels=_LABELS
        )
        for (provider, family, decision, reason), sums in self._sums.items():
            calls.add_metric((provider, family, decision, reason), sums.calls)
        for labels, all_sums in _grouped(self._sums.items()).items():
            for place, kind in enumerate(_TOKENS):
                tokens.add_metric((*labels, kind), sum(one.tokens[place] for one in all_sums))
            cost.add_metric(labels, _dollars(one.cost_nusd for one in all_sums))
            billed.add_metric(labels, _dollars(one.billed_nusd for one in all_sums))
            lost.add_metric(labels, _dollars(one.unattributed_nusd for one in all_sums))
        yield from (calls, tokens, cost, billed, lost)
        for name, meaning, value in self._gauges:
            yield GaugeMetricFamily(f"visionality_{name}", meaning, value=float(value))

    def _new(self, kind: _Kind) -> _Sums:
        """A sentence is no label: only what is a code names a reason."""
        provider, family, decision, reason = kind
        known = (provider, family, decision, reason if _CODE.fullmatch(reason) else "")
        if known not in self._sums and len(self._sums) >= KINDS:
            known = ("other", "", decision, "")
        return self._sums.setdefault(known, _Sums())


def _grouped(items: Iterable[tuple[_Kind, _Sums]]) -> dict[tuple[str, str, str], list[_Sums]]:
    grouped: dict[tuple[str, str, str], list[_Sums]] = {}
    for (provider, family, decision, _), sums in items:
        grouped.setdefault((provider, family, decision), []).append(sums)
    return grouped


def _dollars(amounts: Iterable[int]) -> float:
    return float(Decimal(usd(sum(amounts))))


def may_read(token: str | None, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether somebody may read them: with the operator's token; without one only who is on this very machine."""
    given = dict(headers)
    if token is not None:
        return hmac.compare_digest(given.get(b"authorization", b""), b"Bearer " + token.encode())
    if b"x-forwarded-for" in given or b"forwarded" in given:
        return False
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False
