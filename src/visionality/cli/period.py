"""`--month`, `--quarter` or `--from`/`--to`: a half-open range of UTC days."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from visionality.core import period as core

Period = tuple[datetime, datetime]

ALL_TIME: Period = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

_Command = TypeVar("_Command", bound=Callable[..., Any])
_Said = TypeVar("_Said")
_DAY = click.DateTime(["%Y-%m-%d"])


def period_options(command: _Command) -> _Command:
    """Give a command its `period`, from exactly one way of saying it."""
    return _with_period(command, None)


def any_period_options(command: _Command) -> _Command:
    """The same for a command that looks at all time when none is said."""
    return _with_period(command, ALL_TIME)


def _with_period(command: _Command, if_none: Period | None) -> _Command:
    @click.option("--month", help="A month, such as 2026-11.")
    @click.option("--quarter", help="A quarter, such as 2026-Q4.")
    @click.option("--from", "first", type=_DAY, help="First day, UTC.")
    @click.option("--to", "last", type=_DAY, help="Last day, included, UTC.")
    @functools.wraps(command)
    def wrapped(
        *args: Any, month: str | None, quarter: str | None, first: Any, last: Any, **options: Any
    ) -> Any:
        said = sum(way is not None for way in (month, quarter, first or last))
        if said == 0 and if_none:
            return command(*args, period=if_none, **options)
        if said != 1:
            raise click.UsageError(
                "say the period once: --month 2026-11, --quarter 2026-Q4, or --from and --to"
            )
        return command(*args, period=_period(month, quarter, first, last), **options)

    return wrapped  # type: ignore[return-value]


def _period(month: str | None, quarter: str | None, first: datetime | None, last: datetime | None) -> Period:
    if month is not None:
        found = _read("--month", month, core.month)
    elif quarter is not None:
        found = _read("--quarter", quarter, core.quarter)
    elif first is None or last is None or last < first:
        raise click.UsageError("--from and --to go together, and --to is not before --from")
    else:
        found = _read("--to", last.date(), lambda day: core.between(first.date(), day))
    return found.start, found.end


def _read(option: str, said: _Said, read: Callable[[_Said], core.Period]) -> core.Period:
    try:
        return read(said)
    except core.BadPeriod as error:
        raise click.UsageError(f"{option} {said}: {error}") from None
