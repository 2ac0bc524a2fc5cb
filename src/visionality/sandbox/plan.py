"""The `x-sandbox-plan` header: what the simulated provider is told to do with one request.

The header is a JSON object of the fields below, in ASCII (JSON escapes carry the
rest). Each field is bounded, so that a plan cannot make the sandbox run away.
"""

from functools import lru_cache
from typing import Annotated, Final, Literal

import msgspec

HEADER: Final = b"x-sandbox-plan"
NEVER: Final = 1 << 31  # more deltas than any plan can have

Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=60_000)]
Deltas = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Words = Annotated[str, msgspec.Meta(max_length=200_000)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class PlanError(ValueError):
    """The plan cannot be carried out. The text is a sentence for the person who wrote it."""


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that the simulated model asks its client to run."""

    name: Name
    arguments: dict[str, object] = msgspec.field(default_factory=dict)


class BatchPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What becomes of a batch and of its lines, which are named by their `custom_id`.

    The plan around it rules what each line is answered, and how the bytes of the results lie on the wire.
    """

    # How often a look at the batch is answered 503, and then finds it unfinished, before it has ended.
    outages: Count = 0
    polls: Count = 0

    # How it ends, and how many of its lines were done by then: none, when it does not say. One that is completed did all.
    ends: Literal["completed", "failed", "expired", "cancelled"] = "completed"
    done: Count = 0

    # Its results: lines answered with an error, without usage, or with half a line that is no JSON; in another order
    # each time they are fetched; and how many fetches of them break off half way.
    errored: tuple[Name, ...] = ()
    unreported: tuple[Name, ...] = ()
    malformed: tuple[Name, ...] = ()
    shuffled: bool = False
    breaks: Count = 0


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything is optional; a plan of nothing is the sandbox's ordinary answer."""

    # What the model says. With `chunks` alone, the text has that many words.
    text: Words | None = None
    reasoning: Words = ""
    tool_call: ToolCall | None = None
    chunks: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None

    # What the provider reports, in the dialect's own field names.
    usage: dict[str, object] | None = None
    omit_usage: bool = False
    served_model: Name | None = None
    service_tier: Name | None = None
    extra: dict[str, object] = msgspec.field(default_factory=dict)
    reject_stream_options: bool = False
    ignore_stream_options: bool = False

    # When it comes: before the first byte, and between two deltas.
    first_delay_ms: Milliseconds = 0
    chunk_delay_ms: Milliseconds = 0

    # What comes instead of an answer.
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    error_type: Name | None = None
    retry_after: Annotated[int, msgspec.Meta(ge=0, le=3600)] | None = None
    garbage: bool = False
    hang: bool = False
    content_length_lie: bool = False

    # How a stream ends before its time.
    break_after_chunks: Deltas | None = None
    truncate: bool = False
    stream_error_after_chunks: Deltas | None = None

    # How a stream's bytes lie on the wire.
    split_bytes: Annotated[int, msgspec.Meta(ge=1, le=65_536)] | None = None
    crlf: bool = False
    comments: bool = False

    # What becomes of a batch, where the request submits one.
    batch: BatchPlan = BatchPlan()

    def __post_init__(self) -> None:
        at_most_one(
            {
                "status": self.status is not None,
                "garbage": self.garbage,
                "hang": self.hang,
                "content_length_lie": self.content_length_lie,
            }
        )
        at_most_one(
            {
                "break_after_chunks": self.break_after_chunks is not None,
                "truncate": self.truncate,
                "stream_error_after_chunks": self.stream_error_after_chunks is not None,
            }
        )
        if self.text is not None and self.chunks is not None and self.chunks > len(self.text):
            raise PlanError(f"`chunks` is {self.chunks}, but `text` has only {len(self.text)} characters")

    @property
    def stop_after(self) -> int | None:
        """The number of deltas after which a stream ends early; None when it ends as it should."""
        if self.truncate:
            return NEVER
        if self.break_after_chunks is not None:
            return self.break_after_chunks
        return self.stream_error_after_chunks


def at_most_one(chosen: dict[str, bool]) -> None:
    names = [f"`{name}`" for name, is_chosen in chosen.items() if is_chosen]
    if len(names) > 1:
        raise PlanError(f"{' and '.join(names)} exclude each other; keep one")


NO_PLAN: Final = Plan()
_DECODER: Final = msgspec.json.Decoder(Plan)


@lru_cache(maxsize=256)  # a load test sends the same few plans again and again
def parse(header: bytes) -> Plan:
    """The plan in a header. Raises PlanError when it is not one."""
    try:
        return _DECODER.decode(header)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PlanError(f"x-sandbox-plan: {error}") from error
