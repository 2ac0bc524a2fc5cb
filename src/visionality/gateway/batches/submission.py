"""Before a batch is submitted: what all of its lines together can cost at most, at the price of batches.

The input file of a batch at OpenAI is read from OpenAI itself, line by line: what is weighed is what will run, whoever
uploaded it. Anthropic's requests are in the body. A line that cannot be weighed is refused with its number, and then
nothing was submitted.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from visionality.core.body import BadBody, parsed
from visionality.core.budget import input_tokens, worst_case_nusd
from visionality.core.call import Ask, Refusal, Weighed
from visionality.core.family import model_family
from visionality.core.money import LARGEST_NUSD
from visionality.core.row import Row
from visionality.gateway.admit import Upstream
from visionality.gateway.batches.endpoints import AT_ANTHROPIC, AT_OPENAI, INPUT_LIMIT, MOST_LINES
from visionality.gateway.batches.lines import Lines
from visionality.gateway.client import Client
from visionality.gateway.deadline import NEVER
from visionality.gateway.providers import ANTHROPIC
from visionality.gateway.routes import Target
from visionality.gateway.state import Gateway
from visionality.gateway.upstream import Answer, UpstreamBroke, UpstreamSilent, UpstreamUnreachable
from visionality.pricebook.book import UPLIFTS, PriceBook, context_window
from visionality.registry.snapshot import Organisation

PURPOSE = "batch"
MODEL_FAMILY = "model_family"

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
_HEADERS = ((b"accept", b"*/*"), (b"user-agent", b"visionality"))
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_AT_ONCE = 64 * 1024
"""Bytes of lines that are weighed before others may go on."""


def check_upload(document: Mapping[str, Any]) -> None:
    """Raise Refusal for a file that is for something else than a batch: that has no meter."""
    if document.get("purpose") != PURPOSE:
        raise Refusal(
            400,
            "bad_request",
            f"the field `purpose` must be `{PURPOSE}`: files for other purposes are not metered here",
        )


async def weighed(
    gateway: Gateway,
    organisation: Organisation,
    row: Row,
    target: Target,
    upstream: Upstream,
    client: Client,
    document: dict[str, Any],
) -> tuple[Ask, set[str | None]]:
    """What a submission asks for, and of which models. Its row learns of its lines what it would of a single call.

    Raises Refusal.
    """
    weight = Weight(gateway.books[row.org_id], _lines_go_to(target, document), upstream, gateway.clock())
    deadline, presence = client.deadline, client.presence
    cut = deadline.cut
    presence.watchers.add(cut)
    deadline.at = gateway.now() + gateway.settings.call_timeout
    try:
        if presence.gone:
            cut()
        if weight.target is AT_ANTHROPIC:
            await _weigh_requests(weight, document["requests"])
        else:
            await _weigh_file(gateway, weight, document)
    except asyncio.CancelledError:
        if not deadline.caught():
            raise
        if presence.gone:
            raise Refusal(499, "client_abort", "the client left before the batch was submitted") from None
        raise Refusal(504, "upstream_timeout", "the input of the batch took longer than it may") from None
    finally:
        deadline.at = NEVER
        presence.watchers.discard(cut)
    _describe(row, weight, organisation)
    weighed_all = Weighed(min(weight.nusd, LARGEST_NUSD), weight.unpriced)
    return Ask(None, stream=False, output_limit=None, batch=weighed_all), weight.models


def _describe(row: Row, weight: "Weight", organisation: Organisation) -> None:
    """Write into the row what all lines have in common. Raises Refusal."""
    if not weight.custom_ids:
        raise Refusal(400, "batch_line_invalid", "the batch has no requests")
    families = {model_family(model) for model in weight.models}
    if len(families) > 1 and any(budget.scope_kind == MODEL_FAMILY for budget in organisation.budgets):
        raise Refusal(
            400,
            "batch_models_mixed",
            "there are budgets for families of models, and the batch has models of several: submit one batch for each",
        )
    row.dialect = weight.target.route.dialect.name
    row.model_requested = _only(weight.models)
    row.model_family = _only(families)
    row.price_state = "unknown" if weight.unpriced else "known"


def _only(values: set[str | None]) -> str | None:
    """The only one of these values; None where there are several."""
    return next(iter(values)) if len(values) == 1 else None


@dataclass(slots=True)
class Weight:
    """The lines so far: what they can cost at most, in nano-USD."""

    book: PriceBook
    target: Target
    """Where the lines go."""
    upstream: Upstream
    at: datetime
    nusd: int = 0
    unpriced: int = 0
    """How many of them have a price that nobody knows."""
    custom_ids: set[str] = field(default_factory=set)
    models: set[str | None] = field(default_factory=set)
    _tier: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Whatever else may change the price of a batch's line is taken to do so."""
        vendor = self.target.provider.price_list
        self._tier = {name: said for whose, name, said in UPLIFTS if whose == vendor}
        self._tier["processing"] = "batch"

    def add(self, custom_id: object, asked: object, size: int) -> None:
        """Weigh one line of so many bytes. Raises Refusal."""
        if not isinstance(custom_id, str) or not custom_id:
            raise _invalid("`custom_id` must be a text, and not empty")
        if custom_id in self.custom_ids:
            raise _invalid("its `custom_id` was there before: each must be another")
        if len(self.custom_ids) >= MOST_LINES[self.target.provider.name]:
            raise _invalid(f"a batch has at most {MOST_LINES[self.target.provider.name]} requests")
        if not isinstance(asked, dict):
            raise _invalid("what it asks must be an object")
        self.custom_ids.add(custom_id)
        self._add(self.target.route.dialect.ask(asked), size)

    def _add(self, ask: Ask, size: int) -> None:
        self.models.add(ask.model)
        if self.target.route.kind == "free":
            return
        prices, card, window = self.target.provider.price_list, None, 0
        model = self.target.provider.model_of(ask.model, self.upstream.models) if ask.model else None
        if model is not None:
            window = context_window(prices, model)
            most = input_tokens(ask, size, window)
            card = self.book.card(prices, model, self.at, self._tier, most)
            card = card or self.book.dearest(prices, model, self.at)
        self.unpriced += card is None
        self.nusd += worst_case_nusd(card, ask, size, window)


async def _weigh_requests(weight: Weight, written: msgspec.Raw) -> None:
    try:
        requests = _elements(written)
    except msgspec.DecodeError as error:
        raise Refusal(400, "bad_request", f"`requests` must be a list: {error}") from None
    read = 0
    for number, raw in enumerate(requests, 1):
        text = bytes(raw)
        read += len(text)
        if read > _AT_ONCE:
            read = 0
            await asyncio.sleep(0)
        try:
            line = parsed(text)
            weight.add(line.get("custom_id"), line.get("params"), len(text))
        except (BadBody, Refusal) as refused:
            raise _numbered("request", number, refused) from None


def _lines_go_to(target: Target, document: Mapping[str, Any]) -> Target:
    """Raises Refusal for what has no meter."""
    if target.provider is ANTHROPIC:
        return AT_ANTHROPIC
    named = document.get("endpoint")
    endpoint = AT_OPENAI.get(named) if isinstance(named, str) else None
    if endpoint is None:
        known = ", ".join(AT_OPENAI)
        raise Refusal(400, "batch_endpoint_not_metered", f"`endpoint` must be one that is metered: {known}")
    return endpoint


async def _weigh_file(gateway: Gateway, weight: Weight, document: Mapping[str, Any]) -> None:
    file_id = document.get("input_file_id")
    if not isinstance(file_id, str) or not _FILE.fullmatch(file_id):
        raise Refusal(400, "batch_input_unreadable", "`input_file_id` must be the id of an uploaded file")
    lines = Lines(gateway.settings.max_body_bytes)
    number = 0
    async with aclosing(_content(gateway, weight.upstream, file_id)) as chunks:
        async for chunk in chunks:
            for line in lines.feed(chunk):
                number += 1
                _weigh_line(weight, number, line)
            await asyncio.sleep(0)
    for line in lines.finish():
        _weigh_line(weight, number + 1, line)


def _weigh_line(weight: Weight, number: int, text: bytes | None) -> None:
    try:
        if text is None:
            raise _invalid("it is longer than a request's body may be")
        if not text.strip():
            return
        line = parsed(text)
        if (line.get("method"), line.get("url")) != ("POST", weight.target.route.path):
            raise _invalid(f"it must be a POST to the batch's endpoint, {weight.target.route.path}")
        weight.add(line.get("custom_id"), line.get("body"), len(text))
    except (BadBody, Refusal) as refused:
        raise _numbered("line", number, refused) from None


async def _content(gateway: Gateway, upstream: Upstream, file_id: str) -> AsyncGenerator[bytes]:
    """The bytes of an input file, as they come. Raises Refusal."""
    path, answer, size = f"/files/{file_id}/content", None, 0
    try:
        answer = await gateway.upstream.send(
            upstream.base_url, upstream.credential, "GET", path, _HEADERS, b""
        )
        _check(answer, file_id)
        while chunk := await answer.read():
            size += len(chunk)
            if size > INPUT_LIMIT:
                raise Refusal(
                    400, "batch_input_unreadable", f"the input file is larger than {INPUT_LIMIT} bytes"
                )
            yield chunk
        answer.release()
    except UpstreamUnreachable as error:
        raise Refusal(
            502, "upstream_unreachable", f"the provider could not be reached for the input file: {error}"
        ) from None
    except UpstreamSilent as error:
        raise Refusal(504, "upstream_timeout", f"the input file could not be read: {error}") from None
    except UpstreamBroke as error:
        raise Refusal(502, "upstream_broke", f"the input file could not be read: {error}") from None
    finally:
        if answer is not None:
            answer.close()


def _check(answer: Answer, file_id: str) -> None:
    """Raise Refusal unless the provider gives the file."""
    told = f"the provider answered {answer.status} for the input file {file_id}: nothing was submitted"
    if answer.status in {408, 429} or answer.status >= 500:
        raise Refusal(502, "upstream_broke", told)
    if answer.status != 200:
        raise Refusal(400, "batch_input_unreadable", told)


def _invalid(message: str) -> Refusal:
    return Refusal(400, "batch_line_invalid", message)


def _numbered(what: str, number: int, refused: BadBody | Refusal) -> Refusal:
    """The refusal of a line, with its place."""
    told = refused.message if isinstance(refused, Refusal) else str(refused)
    return _invalid(f"{what} {number} cannot be weighed: {told}")
