"""The option that says why: it stands in the audit of keys."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

NONE_GIVEN = "none given"
_LONGEST = 400


class Reason(click.ParamType[str]):
    """Some words."""

    name = "TEXT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip()
        if not text or len(text) > _LONGEST or not text.isprintable():
            self.fail(f"expected 1 to {_LONGEST} printable characters", param, ctx)
        return text


def reason_needed(command: _Command) -> _Command:
    """`--reason`, which has to be said."""
    return click.option("--reason", type=Reason(), required=True, help="Why, for the audit.")(command)


def reason_welcome(command: _Command) -> _Command:
    """`--reason`, which may be left out."""
    return click.option("--reason", type=Reason(), default=NONE_GIVEN, help="Why, for the audit.")(command)
