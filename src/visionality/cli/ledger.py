"""`vis ledger tail|show|export|strangers|verify`."""

import sys
import time
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from visionality.cli.duration import Duration
from visionality.cli.installation import Installation, as_json, installation, show
from visionality.cli.ledger_verify import verify_command
from visionality.cli.output import whole_file
from visionality.cli.period import Period, period_options
from visionality.core.money import usd
from visionality.core.pricing import recomputed_nusd, stated_by
from visionality.runtime.clock import utc_now

STOPPED = 130
"""The exit code of a program that Ctrl-C ended, as shells have it."""

_original = click.option("--original", is_flag=True, help="Leave corrections out.")

ledger_command = click.Group("ledger", help="Rows: look, follow, take them out, verify them.")
ledger_command.add_command(verify_command)

_HEAD = f"{'time (UTC)':<20} {'project':<10} {'task':<12} {'agent':<24} {'model':<26} {'in':>8} {'out':>7} {'cost USD':>14}  what"


def _line(row: dict[str, Any]) -> str:
    from visionality.ledger.reader import shown

    record = shown(row)
    cost = "unpriced" if record["price_state"] == "unknown" else record["cost_usd"]
    what = record["decision"] if record["decision"] != "allowed" else record["finish"] or ""
    notes = [str(record["status_code"]), what, record["reason"] or ""]
    notes += [(record["tags"] or {}).get("correction", "")] if record["entry"] == "correction" else []
    notes += ["simulated"] if record["provider"] == "sandbox" else []
    notes += ["demo"] if record["source"] == "demo" else []
    notes += ["estimated"] if record["usage_source"] == "tokenizer_estimate" else []
    read = record["input_tokens"] + record["cache_read_tokens"] + record["cache_write_tokens"]
    model = record["model_used"] or record["model_requested"] or "-"
    return (
        f"{record['created_at']:%Y-%m-%d %H:%M:%S}  {record['project_id'] or '-':<10} {record['task'] or '-':<12} "
        f"{record['agent_sub'] or '-':<24} {model:<26} {read:>8} {record['output_tokens']:>7} {cost:>14}  "
        f"{' '.join(dict.fromkeys(note for note in notes if note))}"
    )


@ledger_command.command("tail", epilog="Example: vis ledger tail --follow --project HPC")
@click.option("--follow", "-f", is_flag=True, help="Go on and print rows as they come, within a second.")
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(0, 1000),
    default=20,
    show_default=True,
    help="How many rows to begin with.",
)
@click.option("--project", help="Only this project.")
@click.option("--agent", help="Only this agent.")
@_original
@installation
@as_json
def _tail(
    here: Installation,
    *,
    follow: bool,
    lines: int,
    project: str | None,
    agent: str | None,
    original: bool,
    in_json: bool,
) -> None:
    """Print the newest rows, oldest of them first."""
    from visionality.ledger import reader
    from visionality.ledger.filter import Filter

    wanted = Filter.of({"project": project, "agent": agent}, original=original)

    def put(rows: list[dict[str, Any]]) -> None:
        for row in rows:
            show(reader.shown(row)) if in_json else click.echo(_line(row))

    if not in_json:
        click.echo(_HEAD, err=True)
    since = utc_now() - timedelta(days=1)
    with here.reading(snapshot=True) as (connection, org_id):
        tail = reader.tail_from(connection, org_id, since)
        put(reader.newest(connection, org_id, wanted, lines)[::-1])
    with suppress(KeyboardInterrupt):
        while follow:
            time.sleep(0.5)
            with here.reading() as (connection, org_id):
                put(reader.follow(connection, org_id, tail, wanted))
        return
    sys.exit(STOPPED)


@ledger_command.command("show", epilog="Example: vis ledger show 0193f2c4-…")
@click.argument("row_id", type=click.UUID)
@_original
@installation
@as_json
def _show(here: Installation, row_id: UUID, *, original: bool, in_json: bool) -> None:
    """Print every column of a row, or of all rows of a call, recompute its cost, and list its corrections."""
    from visionality.chargeback.pull_requests import pull_requests_of
    from visionality.ledger import reader

    with here.reading() as (connection, org_id):
        rows = reader.one(connection, org_id, row_id)
        rows = [row for row in rows if row["entry"] != "correction" or row["id"] == row_id]
        found = {} if original else reader.corrections(connection, org_id, [row["id"] for row in rows])
        pulls = pull_requests_of(connection, org_id, rows)
    if not rows:
        raise click.ClickException(f"there is no row and no call {row_id}")
    for row in rows:
        if in_json:
            corrections = [reader.shown(one) for one in found.get(row["id"], [])]
            pull = {"pull_request": asdict(pulls[row["id"]])} if row["id"] in pulls else {}
            show(reader.shown(row) | pull | ({} if original else {"corrections": corrections}))
            continue
        for name, value in reader.shown(row).items():
            if value is not None:
                click.echo(f"{name:<22} {value}")
        if by := stated_by(row["rates"]):
            click.echo(f"{'stated by':<22} {by}: its own number, and no sum of usage and rates")
        elif row["usage"] and row["rates"] and row["usage"].keys() <= row["rates"].keys():
            again = recomputed_nusd(row["usage"], row["rates"])
            click.echo(
                f"{'recomputed':<22} {again} nano-USD from the row's own usage and rates; stored {row['cost_nusd']}"
            )
        if pull_request := pulls.get(row["id"]):
            click.echo(f"{'pull request':<22} {pull_request.url} ({pull_request.state}) {pull_request.title}")
        for one in found.get(row["id"], []):
            click.echo(_correction(one))


def _correction(row: dict[str, Any]) -> str:
    """One row of a correction: when, which booking, how much, by whom and why."""
    tags = row["tags"]
    what = "booked on" if tags["correction"] == "rebooking" else "taken off"
    booking = " ".join(row[name] or "–" for name in ("project_id", "customer_id", "task_id"))
    amount = f"{usd(row['cost_nusd'])} {row['currency']}"
    return (
        f"{'corrected':<22} {row['created_at']:%Y-%m-%d %H:%M:%S} {what} {booking}: {amount}, "
        f"by {tags['author']}: {tags['reason']}"
    )


@ledger_command.command("export", epilog="Example: vis ledger export --month 2026-11 -o november.csv")
@period_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The CSV file to write.",
)
@installation
def _export(here: Installation, period: Period, output: Path) -> None:
    """Write every column of every row of a period as CSV, for a machine to read."""
    from visionality.chargeback.csv import write_all

    start, end = period
    with here.reading(snapshot=True) as (connection, org_id), whole_file(output) as file:
        lines = write_all(connection, org_id, start, end, file)
    click.echo(f"{lines} rows written to {output}")


@ledger_command.command("strangers", epilog="Example: vis ledger strangers --since 24h")
@click.option(
    "--since", "ago", type=Duration(), default="24h", show_default=True, help="How far back to look."
)
@installation
@as_json
def _strangers(here: Installation, *, ago: timedelta, in_json: bool) -> None:
    """Count the requests whose credential can be tied to nobody, by minute. They are of the whole installation."""
    import psycopg
    from psycopg.rows import dict_row

    from visionality.runtime.sql import statements

    seen = statements("visionality.ledger.sql", "strangers.sql")["seen"]
    with psycopg.connect(here.access.dsn("vis_auditor"), row_factory=dict_row) as connection:
        records = connection.execute(seen, {"since": utc_now() - ago}).fetchall()
    for record in records:
        if in_json:
            show(record)
            continue
        said = record["example"]
        example = f"{said['method']} {said['path']} from {said['address']} {said['shown']}".rstrip()
        click.echo(f"{record['minute']:%Y-%m-%d %H:%M}  {record['code']:<24} {record['times']:>8}  {example}")
