"""`vis queue list|assign`: what waits for somebody to say whose it is, and the saying of it."""

import shlex
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from visionality.cli.agreement import agree
from visionality.cli.installation import Installation, NotRunning, as_json, installation, show
from visionality.cli.period import Period, any_period_options
from visionality.cli.reason import Reason
from visionality.core.money import usd

if TYPE_CHECKING:
    from visionality.chargeback.queue import Group, Selection
    from visionality.web.correcting.orders import Done

ASK_AGAIN_AFTER = 0.2
PATIENCE = 120
"""Seconds for the jobs to carry an order out."""

queue_command = click.Group("queue", help="What waits for somebody to say whose it is.")

_include_sandbox = click.option(
    "--include-sandbox", is_flag=True, help="Count rows of the simulated provider too."
)


@queue_command.command("list", epilog="Example: vis queue list --month 2026-11")
@any_period_options
@_include_sandbox
@installation
@as_json
def _list(here: Installation, period: Period, *, include_sandbox: bool, in_json: bool) -> None:
    """List calls without a project, or with evidence that disagrees, by likely cause, the dearest first.

    Without a period it is of all time.
    """
    start, end = period
    with here.control() as act:
        from visionality.web.correcting import orders

        groups = orders.waiting(act, start, end, include_sandbox=include_sandbox)
    for group in groups:
        show(_group(group)) if in_json else click.echo(_told(group))
    if not groups and not in_json:
        click.echo("nothing waits in this period")


def _group(group: "Group") -> dict[str, Any]:
    return {
        "cause": group.cause.code,
        "kind": group.cause.kind,
        "words": group.cause.words,
        "calls": group.calls,
        "currency": group.currency,
        "cost_usd": usd(group.cost_nusd),
        "first": group.first,
        "last": group.last,
        "command": _command(group),
    }


def _told(group: "Group") -> str:
    days = f"{group.first:%Y-%m-%d %H:%M} to {group.last:%Y-%m-%d %H:%M} UTC"
    sums = f"{group.calls} calls, {usd(group.cost_nusd)} {group.currency}"
    return f"{group.cause.code}  {group.cause.words}\n        {sums}, {days}\n        {_command(group)}"


def _command(group: "Group") -> str:
    """What settles the cause."""
    which = (
        f"--repo {shlex.quote(group.cause.subject)}"
        if group.cause.kind == "repo"
        else f"--cause {group.cause.code}"
    )
    return f"vis queue assign {which} --project {group.cause.project or 'PROJECT'} --reason TEXT"


@queue_command.command(
    "assign",
    epilog="""\b
Example: vis queue assign --repo bitbucket.org/arctrade/hpc-billing --project HPC --reason 'not mapped in time'
  vis queue assign --row 0193f2c4-… --project HPC --task HPC-1234 --reason 'on the wrong branch'""",
)
@click.option("--project", required=True, help="What the rows are to be charged to.")
@click.option("--customer", default="", help="The end customer; the project's when left out.")
@click.option("--task", default="", help="The issue.")
@click.option("--epic", default="", help="The epic.")
@click.option(
    "--row", "rows", type=click.UUID, multiple=True, help="A row by its id, whatever it is booked on."
)
@click.option("--repo", help="The waiting rows of a repository.")
@click.option("--branch", help="The waiting rows of a branch.")
@click.option("--agent", help="The waiting rows of an agent.")
@click.option("--cause", help="The waiting rows of a cause, by its code in `vis queue list`.")
@click.option("--reason", type=Reason(), required=True, help="Why; it stands in each new row.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@any_period_options
@_include_sandbox
@installation
@as_json
def _assign(
    here: Installation,
    period: Period,
    project: str,
    customer: str,
    task: str,
    epic: str,
    rows: tuple[UUID, ...],
    reason: str,
    *,
    yes: bool,
    include_sandbox: bool,
    in_json: bool,
    **chosen: str | None,
) -> None:
    """Book rows on a project: each is reversed and booked again by new rows, and stays as it was written.

    Closed periods stay as they were issued: the new rows are of now. Budgets are not moved.
    """
    if sum(map(bool, (rows, *chosen.values()))) != 1:
        raise click.UsageError("say the rows once: --row, --repo, --branch, --agent or --cause")
    with here.control() as act:
        from visionality.chargeback.queue import Choice
        from visionality.web.correcting import orders

        if rows:
            selection = orders.pick(act, rows)
        else:
            selection = orders.choose(act, *period, Choice(**chosen), include_sandbox=include_sandbox)
    click.echo(f"{len(selection.rows)} rows, {_dollars(selection)}, will be booked on {project}", err=True)
    if not yes:
        agree("book them so?")
    with here.control() as act:
        ids = orders.order(act, selection.rows, orders.Booking(project, customer, task, epic), reason)
    for one in _carried_out(here, ids):
        _tell(one, project, in_json=in_json)


def _dollars(selection: "Selection") -> str:
    return ", ".join(f"{usd(nusd)} {currency}" for currency, nusd in sorted(selection.cost_nusd.items()))


def _carried_out(here: Installation, ids: list[UUID]) -> list["Done"]:
    """Wait for the jobs. Raises NotRunning when they do not come to it."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        with here.control() as act:
            from visionality.web.correcting import orders

            found = orders.done(act, ids)
        if len(found) == len(ids):
            return found
        time.sleep(ASK_AGAIN_AFTER)
    raise NotRunning(
        f"the order stands and is not carried out after {PATIENCE} s: it will be once `vis up` or `vis jobs` runs"
    )


def _tell(one: "Done", project: str, *, in_json: bool) -> None:
    for currency, sums in sorted(one.moved.items()):
        rows = int(sums["rows"])
        reversed_usd, rebooked_usd = usd(int(sums["reversed_nusd"])), usd(int(sums["rebooked_nusd"]))
        if in_json:
            record = {"rows": rows, "currency": currency, "reversed_usd": reversed_usd}
            show(record | {"rebooked_usd": rebooked_usd, "project": project})
        else:
            click.echo(
                f"{rows} rows: reversed {reversed_usd} {currency}, booked again on {project} {rebooked_usd} {currency}"
            )
    if one.missing:
        raise click.ClickException(f"{one.missing} rows were not found and are as they were")
