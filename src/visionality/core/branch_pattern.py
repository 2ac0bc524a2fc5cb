"""The regular expressions that find an issue key in a branch, as an operator may write them.

They run on every call, over text that a client chose, so that none may take long: one that could is refused when it is said.
"""

import re
from collections.abc import Iterator
from re import _constants, _parser  # type: ignore[attr-defined]  # no public name tells what a pattern consists of
from typing import Any

LONGEST = 200
MOST_REPEATS = 3
"""Of unlimited length. A search takes at most the length of the branch to the power of one more."""
MOST_OPTIONAL = 6
_REPEATS = {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}
_SINGLE = {_constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN}
_FORBIDDEN = {
    _constants.ASSERT: "looks ahead or behind",
    _constants.ASSERT_NOT: "looks ahead or behind",
    _constants.GROUPREF: "refers back to a group",
    _constants.GROUPREF_EXISTS: "refers back to a group",
}


def fault(pattern: str) -> str | None:
    """What is wrong with a branch pattern, as the end of a sentence about it; None for one that may run."""
    if len(pattern) > LONGEST:
        return f"has {len(pattern)} characters: at most {LONGEST} are allowed"
    try:
        compiled, parsed = re.compile(pattern), _parser.parse(pattern)
    except (re.error, OverflowError) as error:
        return f"is no regular expression: {error}"
    if compiled.groups != 1:
        return f"has {compiled.groups} groups: expected exactly one, around the issue key; (?:…) is none"
    parts = list(_parts(parsed))
    for op, _ in parts:
        if op in _FORBIDDEN:
            return f"{_FORBIDDEN[op]}, which is not allowed"
    return _fault_of_repeats([argument for op, argument in parts if op in _REPEATS])


def _fault_of_repeats(repeats: list[Any]) -> str | None:
    if any(most > 1 and not _is_single(repeated) for _, most, repeated in repeats):
        return "has nested quantifiers: only a character or a [class] may be repeated, a group may only be optional"
    if sum(least != most and most > 1 for least, most, _ in repeats) > MOST_REPEATS:
        return f"repeats more than {MOST_REPEATS} times with *, + or {{m,n}}: say it with fewer"
    if sum(most == 1 for _, most, _ in repeats) > MOST_OPTIONAL:
        return f"has more than {MOST_OPTIONAL} optional parts: say it with fewer"
    return None


def _is_single(repeated: Any) -> bool:
    """Whether it is one character, however it is said."""
    parts = list(repeated)
    if len(parts) != 1:
        return False
    ((op, argument),) = parts
    return op in _SINGLE or (op is _constants.SUBPATTERN and _is_single(argument[-1]))


def _parts(pattern: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of a parsed pattern, and every part of those."""
    for op, argument in pattern:
        yield op, argument
        for inner in _inner(op, argument):
            yield from _parts(inner)


def _inner(op: Any, argument: Any) -> list[Any]:
    if op in _REPEATS:
        return [argument[2]]
    if op is _constants.SUBPATTERN:
        return [argument[-1]]
    if op is _constants.BRANCH:
        return list(argument[1])
    if op is _constants.ATOMIC_GROUP:
        return [argument]
    return []
