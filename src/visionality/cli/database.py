"""`vis check` and `vis migrate`."""

import sys

import click

from visionality.cli.installation import Installation, as_json, installation, report, show


@click.command(epilog="Example: vis check --data-dir ./data")
@installation
@as_json
def check_command(here: Installation, *, in_json: bool) -> None:
    """Check that no application role can change the ledger.

    Reads every privilege on the audit tables and all their partitions, and tries to change them as each real role.
    Exits 1 and names each finding when history could be changed.
    """
    from visionality.ledger.privileges import findings

    found = findings(here.access.dsn)
    if in_json:
        show({"ok": not found, "findings": found})
    else:
        for finding in found:
            click.echo(finding)
        click.echo(
            f"{len(found)} findings" if found else "append-only: no role of the product can change the ledger"
        )
    sys.exit(1 if found else 0)


@click.command(epilog="Example: vis migrate --database-url postgresql://admin@db.internal/vis")
@installation
def migrate_command(here: Installation) -> None:
    """Make roles, bring the schema up to date, add partitions, and check the result.

    Safe to run again and while everything runs. `vis up` does this by itself.
    """
    from visionality.cli.prepare import prepare
    from visionality.runtime.clock import utc_now

    prepare(here.access, utc_now, report)
    here.keys()
    click.echo("the schema is up to date and the ledger is append-only")
