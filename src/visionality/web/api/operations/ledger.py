"""Rows of the ledger, the newest first, and each with its evidence."""

from typing import Any, Literal
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from django.http import StreamingHttpResponse
from ninja import Query
from pydantic import ConfigDict, Field, create_model

from visionality.chargeback.pull_requests import PullRequest, pull_requests_of
from visionality.chargeback.rows import write
from visionality.core.canonical import leaf_hash
from visionality.core.row import Row
from visionality.evidence import row_proofs
from visionality.ledger import reader
from visionality.ledger.filter import COLUMNS, Filter
from visionality.web.api.bearer import Ask
from visionality.web.api.cursor import place_in_time
from visionality.web.api.operations.reports import CSV, Days, whole_file
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_LEDGER
from visionality.web.api.shapes import Listed, Moment, Page, Text400, Told
from visionality.web.reading import reading

_SHOWN_AS = {"cost_nusd": "cost_usd", "billed_nusd": "billed_usd", "task_id": "task", "team_id": "team"}


def _shape() -> dict[str, Any]:
    """Every column of `reader.shown`, by its type in the row."""
    kinds: dict[str, Any] = {"cost_nusd": str, "billed_nusd": str, "created_at": Moment}
    columns: dict[str, Any] = {}
    for field in msgspec.structs.fields(Row):
        kind: Any = kinds.get(field.name, field.type)
        if field.name == "request_sha256":
            kind = str | None
        elif "dict" in str(kind):
            kind = dict[str, Any] | None
        columns[_SHOWN_AS.get(field.name, field.name)] = (kind, ...)
    return columns | {"leaf_hash": (str, ...)}


RowShown = create_model("Row", __config__=ConfigDict(extra="forbid"), **_shape())
"""Columns as docs/reference/columns.md has them; money as decimal dollars."""


class RowPage(
    create_model(  # type: ignore[misc]
        "Selected", __base__=Page, **dict.fromkeys(COLUMNS, (Text400 | None, None))
    )
):
    """Each selector must be as it is said; `-` is a row that has none."""

    since: Moment | None = None
    until: Moment | None = Field(None, description="Rows from then on are left out.")
    original: bool = Field(False, description="Leave corrections out: rows as they were booked at first.")


class RowDays(
    create_model(  # type: ignore[misc]
        "SelectedDays", __base__=Days, **dict.fromkeys(COLUMNS, (Text400 | None, None))
    )
):
    """Each selector must be as it is said; `-` is a row that has none."""

    original: bool = Field(False, description="Leave corrections out: rows as they were booked at first.")


class PullRequestTold(Told):
    number: int
    title: str
    url: str
    state: str


class Evidence(Told):
    row: RowShown  # type: ignore[valid-type]
    leaf_hash_agrees: bool = Field(
        description="Whether the row, read back, still hashes to the leaf stored with it."
    )
    corrections: list[RowShown]  # type: ignore[valid-type]
    pull_request: PullRequestTold | None


class Call(Told):
    items: list[Evidence]


@API.on("GET", "rows", *READ_LEDGER, answer=Listed[RowShown])  # type: ignore[valid-type]
def rows(ask: Ask, page: Query[RowPage]) -> dict[str, Any]:
    """The newest first. A walk over the pages repeats none, and leaves none out that was there when it began."""
    named = page.model_dump(include=set(COLUMNS))
    wanted = Filter.of(named, page.since, page.until, original=page.original)
    place = place_in_time(page.after)
    with reading(ask.act.org_id) as connection:
        found = reader.newest(connection, ask.act.org_id, wanted, page.limit + 1, place)
    following = None
    if len(found) > page.limit:
        last = found[page.limit - 1]
        following = ask.next(last["created_at"].isoformat(), last["id"])
    return {"items": [reader.shown(row) for row in found[: page.limit]], "next": following}


@API.on("GET", "rows.csv", *READ_LEDGER, answer=None, extra=CSV)
def rows_file(ask: Ask, asked: Query[RowDays]) -> StreamingHttpResponse:
    """The rows of some days as a file for people, the oldest first, with their total. That it was taken is in the audit."""
    start, end = asked.range()
    named = asked.model_dump(include=set(COLUMNS))
    wanted = Filter.of(named, start, end, original=asked.original)
    response = whole_file(
        ask, "rows", lambda connection, file: write(connection, ask.act.org_id, wanted, file)
    )
    said = urlencode(wanted.named)
    detail = {"asked": said or "everything", "from": f"{asked.first}", "to": f"{asked.last}"}
    ask.act.record("ledger_exported", detail)
    return response


@API.on("GET", "rows/{row_id}", *READ_LEDGER, answer=Call)
def row(ask: Ask, row_id: UUID) -> dict[str, Any]:
    """The row of this id, or all rows of the call with this request id; each with what shows that it is right."""
    with reading(ask.act.org_id) as connection:
        found = reader.one(connection, ask.act.org_id, row_id)
        kept = [one for one in found if one["entry"] != "correction" or one["id"] == row_id]
        corrections = reader.corrections(connection, ask.act.org_id, [one["id"] for one in kept])
        pulls = pull_requests_of(connection, ask.act.org_id, kept)
    if not kept:
        raise Problem(404, f"there is no row {row_id}")
    return {"items": [_evidence(one, corrections.get(one["id"], []), pulls.get(one["id"])) for one in kept]}


class Inclusion(Told):
    index: int
    path: list[str]


class RowProof(Told):
    """As docs/audit/formats.md section 7 has it: what `vis-verify receipt --proof` takes."""

    checkpoint: str
    inclusion: Inclusion
    leaf: str
    type: Literal["inclusion"]
    v: Literal[1]


@API.on("GET", "rows/{row_id}/proof", *READ_LEDGER, answer=RowProof)
def row_proof(ask: Ask, row_id: UUID) -> dict[str, Any]:
    """That the row of this id was sealed: its place under the newest head of the ledger. 404 until it is, within seconds."""
    with reading(ask.act.org_id) as connection:
        try:
            proof = row_proofs.row_proof(connection, ask.act.org_id, row_id)
        except row_proofs.NotSealed as missing:
            raise Problem(404, str(missing)) from None
    found: dict[str, Any] = msgspec.json.decode(proof)
    return found


def _evidence(
    row: reader.Record, corrections: list[reader.Record], pull: PullRequest | None
) -> dict[str, Any]:
    stored: bytes = row["leaf_hash"]
    told = {name: getattr(pull, name) for name in PullRequestTold.model_fields} if pull else None
    return {
        "row": reader.shown(row),
        "leaf_hash_agrees": leaf_hash({name: value for name, value in row.items() if name != "leaf_hash"})
        == stored,
        "corrections": [reader.shown(one) for one in corrections],
        "pull_request": told,
    }
