"""`--month`, `--quarter` or `--from`/`--to`: a half-open range of UTC days."""

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import click

Period = tuple[datetime, datetime]

ALL_TIME: Period = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

_Command = TypeVar("_Command", bound=Callable[..., Any])
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
        if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
            raise click.UsageError(f"--month {month}: expected a month such as 2026-11")
        return _months(int(month[:4]), int(month[5:]), 1)
    if quarter is not None:
        if not re.fullmatch(r"\d{4}-?Q[1-4]", quarter):
            raise click.UsageError(f"--quarter {quarter}: expected a quarter such as 2026-Q4")
        return _months(int(quarter[:4]), int(quarter[-1]) * 3 - 2, 3)
    if first is None or last is None or last < first:
        raise click.UsageError("--from and --to go together, and --to is not before --from")
    return first.replace(tzinfo=UTC), last.replace(tzinfo=UTC) + timedelta(days=1)


def _months(year: int, month: int, count: int) -> Period:
    if not 1 <= year < 9999:
        raise click.UsageError(f"the year {year:04d} is out of range: expected 0001 to 9998")
    start = datetime(year, month, 1, tzinfo=UTC)
    passed = month - 1 + count
    return start, datetime(year + passed // 12, passed % 12 + 1, 1, tzinfo=UTC)
