"""Where a page ended: a list of texts that only we read, as one word of an address."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from visionality.web.api.problem import Problem

_Item = TypeVar("_Item")
Place = tuple[str, ...]


def written(place: Sequence[object]) -> str:
    text = json.dumps([str(part) for part in place], ensure_ascii=False)
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def read(text: str | None) -> Place | None:
    """The texts of the place; None for the beginning. Raises Problem for a word that is not ours."""
    if text is None:
        return None
    try:
        parts = json.loads(urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
        if not isinstance(parts, list) or "\0" in "".join(parts):
            raise not_ours()
    except (ValueError, TypeError, RecursionError):
        raise not_ours() from None
    return tuple(parts)


def not_ours() -> Problem:
    """What a word is answered with that no `next` of ours says."""
    told = "expected the `after` of a page's `next`"
    return Problem(422, f"`after`: {told}", [{"field": "after", "detail": told}])


def place_in_time(text: str | None) -> tuple[datetime, UUID] | None:
    """A place in what is ordered by time and id. Raises Problem."""
    place = read(text)
    if place is None:
        return None
    try:
        at, row_id = place
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise not_ours()
        return moment, UUID(row_id)
    except ValueError:
        raise not_ours() from None


def place_in_numbers(text: str | None) -> int | None:
    """A place in what is numbered. Raises Problem."""
    place = read(text)
    if place is None:
        return None
    (number,) = place if len(place) == 1 else ("",)
    if not re.fullmatch("[0-9]{1,18}", number):
        raise not_ours()
    return int(number)


def behind(
    items: Iterable[_Item],
    place_of: Callable[[_Item], Place],
    after: Place | None,
    *,
    newest_first: bool = False,
) -> list[_Item]:
    """What of a whole list lies behind a place, in the order of its places. An item that went meanwhile is no matter."""
    ordered = sorted(items, key=place_of, reverse=newest_first)
    if after is None:
        return ordered
    return [one for one in ordered if (place_of(one) < after if newest_first else place_of(one) > after)]
