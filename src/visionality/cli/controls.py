"""`vis evidence controls|oscal`: the six controls, for people and for machines."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from visionality.cli.installation import Installation, as_json, installation, report, show
from visionality.cli.output import whole_file
from visionality.cli.period import ALL_TIME, Period, any_period_options
from visionality.core import period as core

if TYPE_CHECKING:
    from visionality.core.control import Control

_LISTED = 20
"""Exceptions of a control that are printed; `--json` has all."""
_STATUS = {"satisfied": "satisfied", "not_satisfied": "NOT SATISFIED", "not_operating": "not operating"}


@click.command("controls", epilog="Example: vis evidence controls --month 2026-11")
@any_period_options
@click.option(
    "--rows",
    "rows_of",
    metavar="CONTROL",
    help="Print the rows that this control is judged by, such as CC6.1.",
)
@installation
@as_json
def controls_command(here: Installation, period: Period, *, rows_of: str | None, in_json: bool) -> None:
    """Judge six SOC 2 controls by everything the ledger and the control plane have of a period; without one, of this month.

    A control is satisfied when what carries it operates and nothing failed. It is no audit opinion. The SHA-256 of what --rows
    prints is the rows_sha256 of --json and of packs.
    """
    from visionality.runtime.clock import utc_now

    now = utc_now()
    asked = _days(period, now.date())
    if rows_of is not None:
        _print_rows(here, rows_of, asked, now)
        return
    found = _collect(here, asked, now)
    if in_json:
        for one in found:
            show(one)
        return
    report(f"{asked.title}, {here.org_slug}: what the product's own records show, and no audit opinion")
    for one in found:
        for line in _told(one):
            click.echo(line)


@click.command(
    "oscal", epilog="Example: vis evidence oscal --from 2026-11-01 --to 2026-11-30 -o results.json"
)
@any_period_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write.",
)
@installation
def oscal_command(here: Installation, period: Period, output: Path) -> None:
    """Write the controls of a period as OSCAL assessment results; without a period, of this month.

    The same period and the same content give the same file.
    """
    from visionality.evidence.oscal import assessment_results
    from visionality.runtime.clock import utc_now

    now = utc_now()
    asked = _days(period, now.date())
    found = _collect(here, asked, now)
    with whole_file(output) as file:
        file.write(assessment_results(str(here.org_id), here.org_slug, asked, found, min(now, asked.end)))
    report(f"{output}: {len(found)} controls of {asked.title}")


def _collect(here: Installation, asked: core.Period, now: datetime) -> "list[Control]":
    from visionality.evidence.controls import collect

    with here.reading(snapshot=True) as (connection, org_id):
        return collect(connection, org_id, asked, now)


def _print_rows(here: Installation, control: str, asked: core.Period, now: datetime) -> None:
    from visionality.core.canonical import row_bytes
    from visionality.evidence.controls import COLLECTORS, Asked, rows_of

    collector = next((one for one in COLLECTORS if control in {one.control, one.slug}), None)
    if collector is None:
        raise click.UsageError(
            f"--rows {control}: expected one of {', '.join(one.control for one in COLLECTORS)}"
        )
    with here.reading(snapshot=True) as (connection, org_id):
        for row in rows_of(connection, org_id, collector, Asked(asked, now)):
            click.echo(row_bytes(row))


def _days(period: Period, today: date) -> core.Period:
    """The period in days; this month when none was said."""
    if period == ALL_TIME:
        return core.month_of(today)
    asked = core.between(period[0].date(), (period[1] - timedelta(days=1)).date())
    whole = (core.month_of(asked.first), core.quarter_of(asked.first))
    return next((one for one in whole if (one.first, one.last) == (asked.first, asked.last)), asked)


def _told(one: "Control") -> Iterator[str]:
    unjudged = f", {one.not_judged} not judged" if one.not_judged else ""
    yield f"{one.control:<10} {_STATUS[one.status]:<14} {one.title}"
    yield f"           {one.passed} of {one.population} passed, {len(one.exceptions)} exceptions{unjudged}"
    for failed in one.exceptions[:_LISTED]:
        yield f"           ! {failed.subject}: {failed.detail}"
    if (more := len(one.exceptions) - _LISTED) > 0:
        yield f"           ! and {more} more"
    for each in one.mechanisms:
        if not each.operating:
            yield f"           – {each.name}: {each.reason}"
