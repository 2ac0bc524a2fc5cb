"""The option that says how long."""

import re
from datetime import timedelta

import click

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Duration(click.ParamType[timedelta]):
    """90d, 12h or 30m."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = re.fullmatch(r"(\d{1,6})([mhd])", str(value))
        if found is None:
            self.fail(f"{value!r} is no duration: expected a number with m, h or d, such as 90d", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
