"""OpenAI's Batch API, with the Files that it reads and writes.

Sources: the types of openai-python (3.54); platform.openai.com, "Batch API", for the lines of the output and the error
file. A file that cannot be run makes a batch that has failed by the first look, as the service does; its codes
`invalid_json_line`, `duplicate_custom_id`, `mismatched_url` and `empty_file` name the line. What was not done when a
batch was cancelled stands in neither file.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

import msgspec

from visionality.sandbox.batch import (
    MOST_LINES,
    WINDOW_S,
    Batch,
    Json,
    Line,
    Outcome,
    Result,
    answer_about,
    written,
)
from visionality.sandbox.chat_completions import ChatCompletions, invalid
from visionality.sandbox.dialect import Dialect
from visionality.sandbox.embeddings import Embeddings, Moderations
from visionality.sandbox.exchange import Exchange
from visionality.sandbox.files import PATH as FILES_PATH
from visionality.sandbox.files import File, Files
from visionality.sandbox.images import Images
from visionality.sandbox.plan import Plan
from visionality.sandbox.responses import Responses
from visionality.sandbox.seen import SeenLog
from visionality.sandbox.shelf import Shelf

PATH: Final = "/v1/batches"
ENDPOINTS: Final[dict[str, Dialect]] = {
    "/v1/chat/completions": ChatCompletions(),
    "/v1/responses": Responses(),
    "/v1/embeddings": Embeddings(),
    "/v1/moderations": Moderations(),
    "/v1/images/generations": Images("image_generation"),
}
EXPIRED: Final = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}

ENDS: Final = ("completed_at", "failed_at", "expired_at", "cancelled_at")
TOO_MUCH: Final[Json] = {
    "code": "token_limit_exceeded",
    "line": None,
    "message": "Enqueued token limit reached (simulated).",
    "param": None,
}


class Submission(msgspec.Struct):
    """The body of `POST /v1/batches`."""

    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None


class Asked(msgspec.Struct):
    """One line of an input file."""

    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


@dataclass(slots=True)
class Submitted:
    """A batch and what it was made of. The two files are there once it has ended, if they have lines."""

    batch: Batch
    asked: Submission
    errors: list[Json]
    output: File | None = None
    error: File | None = None

    @property
    def id(self) -> str:
        return f"batch_{self.batch.serial}"

    @property
    def status(self) -> str:
        batch = self.batch
        if batch.ended_s is not None:
            return "failed" if self.errors else batch.ends
        if batch.cancelled_s is not None:
            return "cancelling"
        return "in_progress" if batch.looks else "validating"


class OpenAIBatches:
    """The batches and the files of one sandbox."""

    def __init__(self, seen: SeenLog) -> None:
        self._dialect = ChatCompletions()
        self._seen = seen
        self._files = Files()
        self._shelf: Shelf[Submitted] = Shelf()

    async def answer(self, exchange: Exchange) -> None:
        """Answer a request about files or batches. Raises ClientGone and ConnectionBroken."""
        tell = self._files.tell if exchange.path.startswith(FILES_PATH) else self._tell
        await answer_about(exchange, self._dialect, self._seen, partial(tell, exchange))

    def _tell(self, exchange: Exchange, body: bytes, plan: Plan) -> Json:
        batch_id, _, verb = exchange.path.removeprefix(PATH).removeprefix("/").partition("/")
        match exchange.method, batch_id, verb:
            case "POST", "", "":
                self._seen.record(exchange)
                return told(self._submit(body, plan))
            case "GET", _, "" if batch_id:
                submitted = self._find(batch_id)
                submitted.batch.look()
                self._write_files(submitted)
                return told(submitted)
            case "POST", _, "cancel":
                submitted = self._find(batch_id)
                if submitted.batch.ended_s is not None:
                    raise invalid(f"Cannot cancel a batch with status '{submitted.status}'.", status=409)
                submitted.batch.cancel()
                return told(submitted)
        raise invalid(f"Invalid URL ({exchange.method} {exchange.path}).", status=404)

    def _find(self, batch_id: str) -> Submitted:
        submitted = self._shelf.get(batch_id)
        if submitted is None:
            raise invalid(f"No batch found with id '{batch_id}'.", status=404)
        return submitted

    def _submit(self, body: bytes, plan: Plan) -> Submitted:
        try:
            asked = msgspec.json.decode(body, type=Submission)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid(f"Invalid request: {error}.") from error
        dialect = ENDPOINTS.get(asked.endpoint)
        if dialect is None:
            raise invalid(f"Invalid value: '{asked.endpoint}'.", param="endpoint", code="invalid_value")
        if asked.completion_window != "24h":
            raise invalid("Invalid value: expected '24h'.", param="completion_window", code="invalid_value")
        lines, errors = read_lines(self._files.find(asked.input_file_id), asked.endpoint)
        if plan.batch.ends == "failed":
            errors.append(TOO_MUCH)
        submitted = Submitted(Batch([] if errors else lines, dialect, plan), asked, errors)
        self._shelf.put(submitted.id, submitted, sum(len(line.body) for line in lines))
        return submitted

    def _write_files(self, submitted: Submitted) -> None:
        """The output file and the error file of a batch that has ended, where they have a line."""
        if submitted.batch.ended_s is not None and not (submitted.output or submitted.error):
            submitted.output = self._file(submitted, "output", {"succeeded"})
            submitted.error = self._file(submitted, "error", {"errored", "expired"})

    def _file(self, submitted: Submitted, name: str, outcomes: set[Outcome]) -> File | None:
        batch = submitted.batch
        results = [result for result in batch.results if result.outcome in outcomes]
        if not results:
            return None
        lines = [written(result, output_line(result), batch.plan) for result in results]
        return self._files.keep(f"{submitted.id}_{name}.jsonl", "batch_output", lines, batch.plan)


def read_lines(file: File, endpoint: str) -> tuple[list[Line], list[Json]]:
    """The requests of an input file, and what is wrong with it."""
    lines: list[Line] = []
    errors: list[Json] = []
    known: set[str] = set()

    def wrong(number: int | None, code: str, message: str) -> None:
        errors.append({"code": code, "line": number, "message": message, "param": None})

    for number, text in enumerate(file.content.lines, start=1):
        if not text.strip():
            continue
        try:
            asked = msgspec.json.decode(text, type=Asked)
        except (msgspec.DecodeError, UnicodeDecodeError):
            wrong(number, "invalid_json_line", "This line is not parseable as valid JSON.")
            continue
        if asked.custom_id in known:
            wrong(number, "duplicate_custom_id", f"The custom_id '{asked.custom_id}' is used more than once.")
        if (asked.method, asked.url) != ("POST", endpoint):
            wrong(number, "mismatched_url", f"The URL must be the batch's endpoint, '{endpoint}'.")
        known.add(asked.custom_id)
        lines.append(Line(asked.custom_id, bytes(asked.body)))
    if not lines and not errors:
        wrong(None, "empty_file", "The input file is empty.")
    if len(lines) > MOST_LINES:
        wrong(None, "too_many_tasks", f"The input file has more than {MOST_LINES} requests.")
    return lines, errors


def output_line(result: Result) -> bytes:
    """A line of the output or the error file, without its end."""
    line: Json = {"id": f"batch_req_{result.serial}", "custom_id": result.custom_id}
    if result.outcome == "expired":
        return msgspec.json.encode(line | {"response": None, "error": EXPIRED})
    answered = {
        "status_code": result.status,
        "request_id": f"req_{result.serial}",
        "body": msgspec.Raw(result.body),
    }
    return msgspec.json.encode(line | {"response": answered, "error": None})


def told(submitted: Submitted) -> Json:
    """The batch object."""
    batch, asked, status = submitted.batch, submitted.asked, submitted.status
    has_failed, has_ended = status == "failed", batch.ended_s is not None
    times = dict.fromkeys((*ENDS, "finalizing_at"))
    if has_ended:
        times |= {f"{status}_at": batch.ended_s} | ({} if has_failed else {"finalizing_at": batch.ended_s})
    return {
        "id": submitted.id,
        "object": "batch",
        "endpoint": asked.endpoint,
        "errors": {"object": "list", "data": submitted.errors} if has_failed else None,
        "input_file_id": asked.input_file_id,
        "completion_window": asked.completion_window,
        "status": status,
        "output_file_id": submitted.output.id if submitted.output else None,
        "error_file_id": submitted.error.id if submitted.error else None,
        "created_at": batch.created_s,
        "in_progress_at": batch.created_s if batch.looks and not has_failed else None,
        "expires_at": batch.created_s + WINDOW_S,
        "cancelling_at": batch.cancelled_s,
        "request_counts": {
            "total": len(batch.lines),
            "completed": batch.count("succeeded"),
            "failed": batch.count("errored"),
        },
        "usage": usage_of(batch.results) if has_ended else None,
        "metadata": asked.metadata,
    } | times


def usage_of(results: list[Result]) -> Json:
    """The sum of what the lines report, as the batch itself says it."""
    answered = [msgspec.json.decode(result.body) for result in results if result.outcome == "succeeded"]
    reported = [body["usage"] for body in answered if body.get("usage")]
    read = sum(usage.get("input_tokens", usage.get("prompt_tokens", 0)) for usage in reported)
    said = sum(usage.get("output_tokens", usage.get("completion_tokens", 0)) for usage in reported)
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + said,
    }
