"""A span for each row, for whoever runs an OpenTelemetry collector.

Names and attributes follow the semantic conventions for generative AI
(opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans, attribute registry 0.66b2). A span says what
its row says and is sent once that is durable: no prompt, no answer, no key and nobody's name. Where a client sends
`traceparent`, its span is the parent (W3C Trace Context). Nothing here is loaded where no exporter is configured.
"""

import asyncio
import os
import re
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_SERVICE_NAME
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from visionality.core.call import Headers
from visionality.core.money import usd
from visionality.core.row import Row
from visionality.gateway.admit import SANDBOX
from visionality.gateway.state import Gateway
from visionality.ledger.writer import Witness

log = structlog.get_logger()

WAITING = 20_000
"""Rows that may wait to become spans, and callers whose parent is remembered; beyond that, spans are left out."""
PATIENCE = 2.0
"""Seconds that a gateway which stops gives its last spans."""
CODE = re.compile(r"[a-z0-9_]{1,60}")

_CALLS = frozenset({"call", "attempt"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""Ours that the conventions call something else."""
_OPERATIONS = {
    "messages": "chat",
    "chat_completions": "chat",
    "responses": "chat",
    "converse": "chat",
    "invoke_model": "chat",
    "gemini": "generate_content",
    "gemini_stream": "generate_content",
    "gemini_embeddings": "embeddings",
}
"""By dialect. What the conventions have no name for is called what the row calls it, as they allow."""

_W3C = TraceContextTextMapPropagator()


class Spans:
    """Made of what the ledger's writer says is durable, and told on to `beside`, who counts it too.

    The call's thread only queues: spans are made in a second thread, sent in the exporter's own.
    """

    def __init__(self, beside: Witness, gateway: Gateway) -> None:
        self._beside = beside
        self._gateway = gateway
        self._parents: dict[UUID, tuple[str, str]] = {}
        named = {} if os.environ.get(OTEL_SERVICE_NAME) else {SERVICE_NAME: "visionality-gateway"}
        self._provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("visionality.gateway")
        self._queue: SimpleQueue[list[tuple[Row, Mapping[str, str]]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def heard(self, call_id: UUID, headers: Headers) -> None:
        """Remember what a client says its own span is. Two that differ say nothing."""
        said = [value for name, value in headers if name == b"traceparent"]
        if len(said) != 1:
            return
        if len(self._parents) >= WAITING:
            del self._parents[next(iter(self._parents))]
        state = b",".join(value for name, value in headers if name == b"tracestate")
        self._parents[call_id] = said[0].decode("latin-1"), state.decode("latin-1")

    def held(self, seconds: float) -> None:
        self._beside.held(seconds)

    def committed(self, rows: Sequence[Row], seconds: float) -> None:
        """Queue these rows, with the parents that their callers named."""
        self._beside.committed(rows, seconds)
        told = [(row, self._parent(row)) for row in rows if row.entry in _CALLS]
        if told and self._queue.qsize() < WAITING:
            self._queue.put(told)

    async def close(self) -> None:
        """Send what waits, within PATIENCE; a collector that is away holds nobody up."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join, PATIENCE)

    def _parent(self, row: Row) -> Mapping[str, str]:
        parents = self._parents
        said = parents.get(row.request_id) if row.entry == "attempt" else parents.pop(row.request_id, None)
        return {} if said is None else {"traceparent": said[0], "tracestate": said[1]}

    def _run(self) -> None:
        while (told := self._queue.get()) is not None:
            for row, parent in told:
                try:
                    self._tell(row, parent)
                except Exception:
                    log.exception("span_failed", request_log_id=str(row.id))
        self._provider.shutdown()

    def _tell(self, row: Row, parent: Mapping[str, str]) -> None:
        ended = (row.created_at - _EPOCH) // _MICROSECOND * 1000
        address = None if row.decision == "refused" else self._address(row)
        span = self._tracer.start_span(
            name_of(row),
            _W3C.extract(parent, Context()),
            SpanKind.INTERNAL if row.decision == "refused" else SpanKind.CLIENT,
            attributes_of(row, address),
            start_time=ended - (row.latency_ms or 0) * 1_000_000,
        )
        if row.decision != "allowed":
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    def _address(self, row: Row) -> str | None:
        """Where calls to this provider go, as the control data was last read."""
        if row.provider == SANDBOX:
            return self._gateway.settings.sandbox_url
        organisation = self._gateway.snapshots.latest.organisations.get(row.org_id)
        record = organisation.providers.get(row.provider) if organisation else None
        return record.base_url if record else None


def operation_of(row: Row) -> str:
    return _OPERATIONS.get(row.dialect, row.dialect)


def name_of(row: Row) -> str:
    """What a span is called: the operation, and the model where one was asked for."""
    return f"{operation_of(row)} {row.model_requested}" if row.model_requested else operation_of(row)


def attributes_of(row: Row, address: str | None) -> dict[str, Any]:
    """The conventions' attributes, then ours. Input tokens are all of them, those of a cache too, as the conventions have it."""
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": operation_of(row),
        "gen_ai.provider.name": _PROVIDERS.get(row.provider, row.provider),
        "gen_ai.request.model": row.model_requested,
        "gen_ai.response.model": row.model_used,
        "gen_ai.response.finish_reasons": (row.finish,) if row.finish else None,
        "http.response.status_code": row.status_code or None,
        "error.type": _error(row),
        "visionality.project_id": row.project_id,
        "visionality.request_log_id": str(row.id),
        "visionality.request_id": str(row.request_id),
        "visionality.attempt": row.attempt,
        "visionality.decision": row.decision,
        "visionality.price_state": row.price_state,
        "visionality.cost_usd": None if row.price_state == "unknown" else usd(row.cost_nusd),
    }
    if row.usage_source != "none":
        attributes |= {
            "gen_ai.usage.input_tokens": row.input_tokens + row.cache_read_tokens + row.cache_write_tokens,
            "gen_ai.usage.output_tokens": row.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": row.cache_read_tokens,
            "gen_ai.usage.cache_creation.input_tokens": row.cache_write_tokens,
            "gen_ai.usage.reasoning.output_tokens": row.reasoning_tokens,
        }
    if row.ttft_ms is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = row.ttft_ms / 1000
    if address is not None:
        url = urlsplit(address)
        attributes["server.address"] = url.hostname
        attributes["server.port"] = url.port or (80 if url.scheme == "http" else 443)
    return {name: value for name, value in attributes.items() if value is not None}


def _error(row: Row) -> str | None:
    """A code; a sentence is no label. What a provider refuses is known by its status, as the conventions have it."""
    if row.decision == "allowed":
        return None
    if row.reason == "upstream_refused":
        return str(row.status_code)
    return row.reason if row.reason and CODE.fullmatch(row.reason) else "_OTHER"
