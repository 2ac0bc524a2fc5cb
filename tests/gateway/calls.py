"""Calls over a plain connection, byte by byte, and what the ledger says of them."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from product import Product

WITHIN = 30
MESSAGES = "/v1/messages"
CHAT = "/v1/chat/completions"
CLAUDE = "claude-sonnet-4-6"
GPT = "gpt-4o"

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Pairs
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def error(self) -> dict[str, Any]:
        return json.loads(self.body)["error"]


@contextmanager
def opened(
    address: str, method: str, path: str, headers: Pairs, body: bytes | None = None
) -> Iterator[HTTPResponse]:
    """An answer whose body is still to be read. Only these headers go out, in this order."""
    host = urlsplit(address)
    connection = HTTPConnection(host.hostname, host.port, timeout=WITHIN)
    try:
        names = {name.lower() for name, _ in headers}
        connection.putrequest(method, path, skip_host="host" in names, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None and "content-length" not in names:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        with connection.getresponse() as answer:
            yield answer
    finally:
        connection.close()


def ask(address: str, method: str, path: str, headers: Pairs, body: bytes | None = None) -> Reply:
    with opened(address, method, path, headers, body) as answer:
        return Reply(answer.status, answer.getheaders(), answer.read())


def body_of(path: str, **fields: object) -> bytes:
    """A request in the dialect of a path."""
    anthropic = path.endswith("messages")
    document = {
        "model": CLAUDE if anthropic else GPT,
        "messages": [{"role": "user", "content": "one two three"}],
    }
    return json.dumps(document | ({"max_tokens": 64} if anthropic else {}) | fields).encode()


@dataclass(frozen=True)
class Caller:
    """A client with a virtual key."""

    product: Product
    key: str

    def headers(self, path: str, call_id: str, **plan: object) -> Pairs:
        credential = (
            [("x-api-key", self.key)] if "messages" in path else [("authorization", f"Bearer {self.key}")]
        )
        version = [("anthropic-version", "2023-06-01")] if "messages" in path else []
        planned = [("x-sandbox-plan", json.dumps(plan))] if plan else []
        return [
            *credential,
            *version,
            ("content-type", "application/json"),
            ("x-client-request-id", call_id),
            *planned,
        ]

    def post(self, path: str, call_id: str, body: bytes | None = None, **plan: object) -> Reply:
        content = body_of(path) if body is None else body
        return ask(self.product.gateway, "POST", path, self.headers(path, call_id, **plan), content)

    def row(self, call_id: str) -> dict[str, Any]:
        """The one row of a call. Its hold is gone, and its events are there."""
        rows = self.product.rows_of(call_id)
        assert len(rows) == 1, f"{len(rows)} rows for one call"
        row = rows[0]
        events = self.product.query(
            """select kind, actual_nusd from vis.budget_events where request_id = %s
               union all select 'held', null from vis.budget_holds where request_id = %s and draft is not null""",
            row["request_id"],
            row["request_id"],
        )
        kinds = Counter(event["kind"] for event in events)
        assert kinds["held"] == 0
        if row["decision"] != "refused":
            has_rest = row["usage_source"] == "tokenizer_estimate" and row["price_state"] == "known"
            assert kinds == {"reserve": 2 if has_rest else 1, "settle": 1}
            assert [event["actual_nusd"] for event in events if event["kind"] == "settle"] == [
                row["cost_nusd"]
            ]
        return row

    def seen(self) -> dict[str, Any]:
        """The last request that reached the sandbox."""
        return json.loads(ask(self.product.sandbox, "GET", "/sandbox/last", []).body)

    def seen_ids(self) -> list[str]:
        return list(json.loads(ask(self.product.sandbox, "GET", "/sandbox/seen", []).body)["ids"])


def new_id() -> str:
    return str(uuid4())


def recomputed(row: dict[str, Any]) -> int:
    """The cost of a row from its own usage and rates, by plain arithmetic; a cost that its provider stated is no sum."""
    if row["rates"]["source"].startswith("stated by "):
        return row["cost_nusd"]
    exact = sum(count * Decimal(row["rates"][bucket]) for bucket, count in row["usage"].items())
    return int(exact * 1000)


def complaints(product: Product) -> list[str]:
    """What the gateway's log says that it must not: a traceback, or an error that the standard library told."""
    log = (product.data_dir / "logs" / "gateway.log").read_text()
    return [
        line
        for line in log.splitlines()
        if "Traceback" in line or "exception" in line or '"level": "error", "logger"' in line
    ]
