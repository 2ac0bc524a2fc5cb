"""Anthropic's Message Batches.

Sources: the types of the official Python SDK (2.12); docs.claude.com, "Batch processing" and "Message Batches". A
request that is no request of Messages is errored when the batch has ended, as the service does it. The address of the
results is absolute, at the host that was asked. A batch that a plan has fail ends with every request errored.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec

from visionality.sandbox.batch import WINDOW_S, Batch, Download, Json, Line, Result, answer_about, written
from visionality.sandbox.dialect import Call
from visionality.sandbox.exchange import Exchange, Header
from visionality.sandbox.messages import Messages, invalid
from visionality.sandbox.plan import Plan
from visionality.sandbox.seen import SeenLog
from visionality.sandbox.shelf import Shelf

PATH: Final = "/v1/messages/batches"
MOST_REQUESTS: Final = 100_000
FAILED: Final = {"type": "error", "error": {"type": "api_error", "message": "Internal server error"}}
JSONL: Final[tuple[Header, ...]] = ((b"content-type", b"application/x-jsonl"),)
CUSTOM_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class Asked(msgspec.Struct):
    custom_id: str
    params: msgspec.Raw


class Submission(msgspec.Struct):
    """The body of `POST /v1/messages/batches`."""

    requests: list[Asked]


class BatchedMessages(Messages):
    """Messages whose usage names the tier of batches."""

    def read(self, body: bytes) -> Call:
        call = super().read(body)
        return Call(call.model, call.streams, call.input_tokens, call.max_tokens, service_tier="batch")


@dataclass(frozen=True, slots=True)
class Submitted:
    """A batch, and its results to be fetched, which have lines once it has ended."""

    batch: Batch
    results: Download

    @property
    def id(self) -> str:
        return f"msgbatch_{self.batch.serial}"


class MessageBatches:
    """The batches of one sandbox."""

    def __init__(self, seen: SeenLog) -> None:
        self._dialect = BatchedMessages()
        self._seen = seen
        self._shelf: Shelf[Submitted] = Shelf()

    async def answer(self, exchange: Exchange) -> None:
        """Answer a request about batches. Raises ClientGone and ConnectionBroken."""
        await answer_about(exchange, self._dialect, self._seen, partial(self._tell, exchange))

    def _tell(self, exchange: Exchange, body: bytes, plan: Plan) -> Json | Download:
        name, _, verb = exchange.path.removeprefix(PATH).removeprefix("/").partition("/")
        match exchange.method, name, verb:
            case "POST", "", "":
                self._seen.record(exchange)
                return told(self._submit(body, plan), exchange)
            case "GET", _, "" if name:
                submitted = self._find(name)
                submitted.batch.look()
                return told(submitted, exchange)
            case "GET", _, "results":
                return self._results(name)
            case "POST", _, "cancel":
                submitted = self._find(name)
                if submitted.batch.ended_s is not None:
                    raise invalid(f"Batch {name} cannot be canceled: its processing has ended.")
                submitted.batch.cancel()
                return told(submitted, exchange)
            case "DELETE", _, "" if name:
                if self._find(name).batch.ended_s is None:
                    raise invalid(f"Batch {name} cannot be deleted while it is in progress.")
                self._shelf.drop(name)
                return {"id": name, "type": "message_batch_deleted"}
        raise self._dialect.invalid(f"{exchange.method} {exchange.path}", 404)

    def _find(self, name: str) -> Submitted:
        submitted = self._shelf.get(name)
        if submitted is None:
            raise self._dialect.invalid(f"message_batch: {name}", 404)
        return submitted

    def _results(self, name: str) -> Download:
        submitted = self._find(name)
        batch, download = submitted.batch, submitted.results
        if batch.ended_s is None:
            raise self._dialect.invalid(f"message_batch: {name} has no results yet", 404)
        if not download.lines:
            download.lines = [written(result, result_line(result), batch.plan) for result in batch.results]
        return download

    def _submit(self, body: bytes, plan: Plan) -> Submitted:
        try:
            requests = msgspec.json.decode(body, type=Submission).requests
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid(f"requests: {error}") from error
        if not 0 < len(requests) <= MOST_REQUESTS:
            raise invalid(f"requests: List should have 1 to {MOST_REQUESTS} items")
        for at, asked in enumerate(requests):
            if CUSTOM_ID.fullmatch(asked.custom_id) is None:
                raise invalid(f"requests.{at}.custom_id: String should match pattern '^{CUSTOM_ID.pattern}$'")
        if len({asked.custom_id for asked in requests}) < len(requests):
            raise invalid("requests: custom_id must be unique")
        lines = [Line(asked.custom_id, bytes(asked.params)) for asked in requests]
        submitted = Submitted(Batch(lines, self._dialect, plan), Download([], plan, JSONL))
        self._shelf.put(submitted.id, submitted, len(body))
        return submitted


def result_line(result: Result) -> bytes:
    """A line of the results, without its end."""
    said: Json = {"type": result.outcome}
    if result.outcome == "succeeded":
        said["message"] = msgspec.Raw(result.body)
    elif result.outcome == "errored":
        said["error"] = msgspec.Raw(result.body) if result.body else FAILED
    return msgspec.json.encode({"custom_id": result.custom_id, "result": said})


def told(submitted: Submitted, exchange: Exchange) -> Json:
    """The batch object."""
    batch = submitted.batch
    ended = batch.ended_s is not None
    status = "in_progress" if batch.cancelled_s is None else "canceling"
    host = exchange.headers.get(b"host", b"").decode("latin-1")
    return {
        "id": submitted.id,
        "type": "message_batch",
        "processing_status": "ended" if ended else status,
        "request_counts": {
            "processing": 0 if ended else len(batch.lines),
            "succeeded": batch.count("succeeded"),
            "errored": batch.count("errored"),
            "canceled": batch.count("canceled"),
            "expired": batch.count("expired"),
        },
        "created_at": at(batch.created_s),
        "expires_at": at(batch.created_s + WINDOW_S),
        "ended_at": at(batch.ended_s),
        "cancel_initiated_at": at(batch.cancelled_s),
        "archived_at": None,
        "results_url": f"http://{host}{PATH}/{submitted.id}/results" if ended else None,
    }


def at(seconds: int | None) -> str | None:
    """A moment as the vendor writes it."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
