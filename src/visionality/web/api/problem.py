"""Errors as a program reads them: application/problem+json (RFC 9457), with every mistake by its line and field."""

import json
from collections.abc import Iterable, Mapping, Sequence

from django.http import HttpResponse

from visionality.core.mistake import Mistake

TITLES = {
    401: "Not signed in",
    403: "Not allowed",
    404: "Not there",
    405: "Not done here",
    409: "There already",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Not a format that is read",
    422: "Not as it must be",
    428: "Needs a precondition",
    429: "Too many requests",
    500: "Failed",
    503: "Not available",
}

LISTED = 1000
"""Mistakes that one answer lists: a body of one MiB can hold half a million."""


class Problem(Exception):
    """A request that is not served."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Iterable[Mapping[str, object]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})

    def response(self) -> HttpResponse:
        """The answer that tells it."""
        told: dict[str, object] = {"title": TITLES[self.status], "status": self.status, "detail": self.detail}
        if self.errors:
            told["errors"] = self.errors
        return answered(told, self.status, self.headers, "application/problem+json")


def of_mistakes(mistakes: Sequence[Mistake], place: str, what: str = "identity table") -> Problem:
    """What is wrong in a table: `place` is what its lines are called, `line` or `item`."""
    errors = [
        {place: one.line, **({"field": one.field} if one.field else {}), "detail": one.words}
        for one in mistakes[:LISTED]
    ]
    count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    which = f"; the first {LISTED} are listed" if len(mistakes) > LISTED else ""
    return Problem(422, f"the {what} has {count}, and nothing of it was applied{which}", errors)


def answered(
    content: object,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json",
) -> HttpResponse:
    """An answer in JSON; times in ISO 8601."""
    return HttpResponse(written(content), content_type=content_type, status=status, headers=headers)


def written(content: object) -> str:
    """JSON; times in ISO 8601, ids and decimals as text."""
    return json.dumps(content, default=_told, ensure_ascii=False)


def _told(value: object) -> str:
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if isoformat else str(value)
