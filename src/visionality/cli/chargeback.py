"""`vis chargeback`: the CSV that finance sends."""

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from visionality.chargeback.csv import SELECTORS, write
from visionality.cli.installation import Installation, as_json, installation, show
from visionality.cli.output import whole_file
from visionality.cli.period import Period, period_options
from visionality.core.money import usd


def _selectors(command: click.decorators.FC) -> click.decorators.FC:
    for name in reversed(SELECTORS):
        command = click.option(f"--{name}", help=f"Only this {name}.")(command)
    return command


def _bar() -> AbstractContextManager[Any]:
    bar: AbstractContextManager[Any] = click.progressbar(length=1000, label="writing", file=sys.stderr)
    return bar


@click.command(epilog="Example: vis chargeback --project HPC --month 2026-11 -o hpc-november.csv")
@period_options
@_selectors
@click.option("--include-sandbox", is_flag=True, help="Count rows of the simulated provider too.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The CSV file to write.",
)
@installation
@as_json
def chargeback_command(
    here: Installation,
    period: Period,
    output: Path,
    *,
    include_sandbox: bool,
    in_json: bool,
    **selectors: str | None,
) -> None:
    """Write the chargeback CSV of a month, a quarter or a range.

    One line a call, the total at the bottom; the total equals the ledger to the last digit.
    """
    start, end = period
    wanted = {name: value for name, value in selectors.items() if value}
    with (
        here.reading(snapshot=True) as (connection, org_id),
        whole_file(output) as file,
        _bar() as bar,
    ):
        shown = 0

        def progress(written: int, in_all: int) -> None:
            nonlocal shown
            now = written * 1000 // in_all if in_all else 1000
            bar.update(now - shown)
            shown = now

        totals = write(
            connection, org_id, start, end, wanted, file, progress, include_sandbox=include_sandbox
        )
    for total in totals:
        record = {
            "currency": total.currency,
            "lines": total.lines,
            "cost_usd": usd(total.cost_nusd),
            "file": str(output),
        }
        show(record) if in_json else click.echo(
            f"{output}: {total.lines} lines, total {usd(total.cost_nusd)} {total.currency}"
        )
    if not totals and not in_json:
        click.echo(f"{output}: no lines in this period")
