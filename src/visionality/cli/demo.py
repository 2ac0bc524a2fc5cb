"""`vis demo load`."""

import sys
import time
from contextlib import AbstractContextManager
from typing import Any

import click

from visionality.cli.installation import DEFAULT_ORGANISATION, Installation, installation, report
from visionality.demo.story import FEWEST_ROWS, ROWS, SLUG
from visionality.runtime.clock import utc_now

demo_command = click.Group("demo", help="A month of a company to look at, in an organisation of its own.")


def _bar(rows: int) -> AbstractContextManager[Any]:
    bar: AbstractContextManager[Any] = click.progressbar(length=rows, label="loading", file=sys.stderr)
    return bar


@demo_command.command("load", epilog="Example: vis demo load arctrade")
@click.argument("name", type=click.Choice(["arctrade"]))
@click.option(
    "--month",
    help="Which month it is to be, such as 2026-11; the current one from its 14th on, else the last one.",
)
@click.option(
    "--rows",
    type=click.IntRange(FEWEST_ROWS, ROWS),
    default=ROWS,
    show_default=True,
    help="How many rows; fewer make the same sums of dearer calls.",
)
@installation
def _load(here: Installation, name: str, *, month: str | None, rows: int) -> None:  # noqa: ARG001
    """Fill the organisation demo-arctrade with a month of ArcTrade, a company of eleven who spend.

    No provider is called, and every row says that it is of the demo. Other organisations are not touched. It cannot be
    removed again: a ledger only grows. So try it in an installation of its own, with --data-dir.
    """
    if here.org_slug not in {DEFAULT_ORGANISATION, SLUG}:
        raise click.UsageError(
            f"the demo is loaded into {SLUG} and into no other organisation: leave --org out"
        )
    from visionality.web.start import start_django

    start_django({"default": here.access.dsn("vis_web")})
    from visionality.demo.load import Place, alone, begin, finish

    place = Place(here.access, here.settings, here.keys(), utc_now)
    with alone(place):
        begun = begin(place, month, rows)
        if not begun.is_new:
            report(f"a load of {begun.month.name} that was cut off is taken up again")
        started = time.monotonic()
        with _bar(begun.rows) as bar:
            finish(place, begun, bar.update)
        took = time.monotonic() - started
    click.echo(
        f"{begun.rows:,} rows of {begun.month.name} are in {SLUG}, {begun.rows / took:,.0f} a second. "
        f"Look with `vis login --org {SLUG}`; it stays, because a ledger only grows."
    )
