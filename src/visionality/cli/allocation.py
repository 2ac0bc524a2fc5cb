"""`vis allocation set|list`."""

import re
from datetime import UTC, datetime
from decimal import Decimal

import click

from visionality.cli.installation import Installation, installation
from visionality.cli.listing import add_list
from visionality.cli.scope import ScopeName
from visionality.core.allocation import BadShares, Part, part_of
from visionality.core.scope import SPLIT, Scope
from visionality.runtime.clock import utc_now

allocation_command = click.Group(
    "allocation", help="Allocation rules: markups and splits between cost centers."
)

_NONE = "none"
_MULTIPLIER = re.compile(r"[0-9]{1,3}(\.[0-9]{1,6})?")


class Multiplier(click.ParamType[Decimal]):
    """1.25: exact, with at most six decimals."""

    name = "FACTOR"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        if not _MULTIPLIER.fullmatch(str(value)):
            self.fail(
                f"{value!r} is no factor: expected what the cost is multiplied with, such as 1.25 for a quarter more; "
                "below 1000, with at most 6 decimals",
                param,
                ctx,
            )
        return Decimal(str(value))


class SplitPart(click.ParamType[Part | None]):
    """CC-410=60%, or CC-410:6100=0.6 with a general-ledger code; None for the word `none`."""

    name = "COST_CENTER[:GL]=SHARE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Part | None:
        if isinstance(value, Part):
            return value
        if value == _NONE:
            return None
        try:
            return part_of(str(value))
        except BadShares as error:
            self.fail(f"{error}, or none", param, ctx)


@allocation_command.command(
    "set",
    epilog="""\b
Example: vis allocation set customer:client_drpatel --markup 1.25
  vis allocation set customer:client_drpatel --markup 1.3 --from 2027-01-01
  vis allocation set project:HPC --split CC-410=60% --split CC-420:6100=40%""",
)
@click.argument("scope", type=ScopeName(SPLIT))
@click.option(
    "--markup",
    type=Multiplier(),
    help="What the cost of its rows is multiplied with to be billed; 1 for nothing.",
)
@click.option(
    "--split",
    "parts",
    type=SplitPart(),
    multiple=True,
    help="A cost center and its share, 60% or 0.6; once for each, 1 in all. none ends the split.",
)
@click.option(
    "--from", "effective", type=click.DateTime(["%Y-%m-%d"]), help="First day, UTC; now when left out."
)
@installation
def _set(
    here: Installation,
    scope: Scope,
    *,
    markup: Decimal | None,
    parts: tuple[Part | None, ...],
    effective: datetime | None,
) -> None:
    """Mark costs up for an end customer or a project, or split a project's, a team's or a customer's between cost centers.

    A rule is appended, never changed. A markup changes what later rows are billed; a split what reports show of the rows
    since its day, which stay as they are. A project's rule goes before its team's, and that before its customer's.
    """
    if (markup is None) == (not parts):
        raise click.UsageError("say either --markup or --split")
    if None in parts and len(parts) > 1:
        raise click.UsageError("--split none stands alone")
    start = effective.replace(tzinfo=UTC) if effective else utc_now()
    shares = [part for part in parts if part is not None]
    with here.control() as act:
        from visionality.web.policy import allocation

        if markup is not None:
            allocation.set_markup(act, scope, markup, start)
        else:
            allocation.set_split(act, scope, shares, start)
    since = f"from {start:%Y-%m-%d %H:%M} UTC on"
    if markup is not None:
        click.echo(f"{scope} is billed its cost times {markup:f} {since}")
    elif shares:
        told = ", ".join(f"{part.cost_center} {(100 * part.share).normalize():f}%" for part in shares)
        click.echo(f"the cost of {scope} is split {since}: {told}")
    else:
        click.echo(f"the cost of {scope} is not split {since}")


add_list(allocation_command, "allocation")
