"""`vis chargeback`: the CSV that finance sends, by call or by cost center."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from visionality.chargeback import cost_centers, csv
from visionality.chargeback.filter import SELECTORS
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


@click.command(
    epilog="""\b
Example: vis chargeback --project HPC --month 2026-11 -o hpc-november.csv
  vis chargeback --by cost-center --quarter 2026-Q4 -o cost-centers.csv"""
)
@period_options
@_selectors
@click.option(
    "--by",
    type=click.Choice(["cost-center"]),
    help="One line a cost center, general-ledger code and project, with each row's cost split between them.",
)
@click.option("--include-sandbox", is_flag=True, help="Count rows of the simulated provider too.")
@click.option("--original", is_flag=True, help="Leave corrections out: rows as they were booked at first.")
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
    by: str | None,
    include_sandbox: bool,
    original: bool,
    in_json: bool,
    **selectors: str | None,
) -> None:
    """Write the chargeback CSV of a month, a quarter or a range.

    One line a call, or with --by one a cost center; the total at the bottom equals the ledger to the last digit.
    """
    start, end = period
    wanted = {name: value for name, value in selectors.items() if value}
    with here.reading(snapshot=True) as (connection, org_id), whole_file(output) as file:
        rows = (connection, org_id, start, end, wanted, file)
        if by:
            totals = [
                _of_cost_centers(total)
                for total in cost_centers.write(*rows, include_sandbox=include_sandbox, original=original)
            ]
        else:
            with _bar() as bar:
                totals = [
                    _of_calls(total)
                    for total in csv.write(
                        *rows, _progress(bar), include_sandbox=include_sandbox, original=original
                    )
                ]
    for record, told in totals:
        show(record | {"file": str(output)}) if in_json else click.echo(f"{output}: {told}")
    if not totals and not in_json:
        click.echo(f"{output}: no lines in this period")


def _progress(bar: Any) -> Callable[[int, int], None]:
    shown = 0

    def progress(written: int, in_all: int) -> None:
        nonlocal shown
        now = written * 1000 // in_all if in_all else 1000
        bar.update(now - shown)
        shown = now

    return progress


def _of_calls(total: csv.Total) -> tuple[dict[str, object], str]:
    """A total as JSON and as words."""
    cost_usd = usd(total.cost_nusd)
    record = {"currency": total.currency, "lines": total.lines, "cost_usd": cost_usd}
    return record, f"{total.lines} lines, total {cost_usd} {total.currency}"


def _of_cost_centers(total: cost_centers.Total) -> tuple[dict[str, object], str]:
    of = total.sum
    cost_usd, billed_usd = usd(of.cost_nusd), usd(of.billed_nusd)
    record = {"currency": total.currency, "lines": total.lines, "rows": of.rows, "cost_usd": cost_usd}
    told = f"{total.lines} lines of {of.rows} rows, total {cost_usd} {total.currency}, billed {billed_usd}"
    return record | {"billed_usd": billed_usd}, told
