"""`vis rollup check|rebuild`: the daily sums behind the pages, against the rows that they are of."""

import sys
from datetime import timedelta

import click

from visionality.cli.installation import Installation, as_json, installation, show
from visionality.cli.period import Period, period_options
from visionality.core.money import usd
from visionality.runtime.clock import utc_now

rollup_command = click.Group("rollup", help="The daily sums that pages read.")


@rollup_command.command("check", epilog="Example: vis rollup check --month 2026-11")
@period_options
@installation
@as_json
def _check(here: Installation, period: Period, *, in_json: bool) -> None:
    """Compare the daily sums of a period with the rows of the ledger, in every organisation.

    Exits 1 and names each sum that differs. `vis jobs` compares the last seven days by itself, once a day.
    """
    import psycopg

    from visionality.ledger.rollup import differences

    start, end = period
    days = (min(end, utc_now() + timedelta(days=1)) - start).days
    with psycopg.connect(here.access.dsn("vis_sealer"), autocommit=True) as connection:
        found = [
            one for n in range(days) for one in differences(connection, start.date() + timedelta(days=n))
        ]
    for one in found:
        told = {
            "org_id": str(one.org_id),
            "day": one.day.isoformat(),
            "dim": one.dim,
            "key": one.key,
            "key2": one.key2,
            "currency": one.currency,
            "source": one.source,
            "summed_usd": usd(one.summed_nusd),
            "ledger_usd": usd(one.ledger_nusd),
        }
        show(told) if in_json else click.echo(" ".join(f"{name}={value!r}" for name, value in told.items()))
    if not in_json:
        click.echo(
            f"{len(found)} sums differ: run `vis rollup rebuild`"
            if found
            else "every sum is that of its rows"
        )
    sys.exit(1 if found else 0)


@rollup_command.command("rebuild", epilog="Example: vis rollup rebuild")
@installation
def _rebuild(here: Installation) -> None:
    """Make every daily sum anew from the ledger.

    Safe while everything runs: pages read the ledger itself until it is done, which is slower.
    """
    import psycopg

    from visionality.ledger.rollup import rebuild

    with psycopg.connect(here.access.dsn("vis_sealer"), autocommit=True) as connection:
        rows = rebuild(connection)
    click.echo(f"{rows} rows were added up anew")
