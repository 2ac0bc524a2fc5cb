"""`vis evidence`: what an auditor checks without us. `vis evidence pack` writes a pack."""

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from visionality.cli.controls import controls_command, oscal_command
from visionality.cli.evidence_keys import keys_command
from visionality.cli.heads import heads_command
from visionality.cli.installation import Installation, as_json, installation, show
from visionality.cli.output import private_file
from visionality.cli.period import Period, period_options
from visionality.cli.receipts import prove_command
from visionality.cli.witness import witness_command, witness_key_command
from visionality.runtime.clock import utc_now

if TYPE_CHECKING:
    from visionality.core.pack import ScopeKind
    from visionality.evidence.packs import Made, RowsMode

evidence_command = click.Group("evidence", help="What an auditor checks without us: packs, keys, heads.")
for _command in (
    controls_command,
    heads_command,
    keys_command,
    oscal_command,
    prove_command,
    witness_command,
    witness_key_command,
):
    evidence_command.add_command(_command)


def _bar() -> AbstractContextManager[Any]:
    bar: AbstractContextManager[Any] = click.progressbar(length=1000, label="checking rows", file=sys.stderr)
    return bar


@evidence_command.command(
    "pack",
    epilog="""\b
Example: vis evidence pack --project HPC --from 2026-11-01 --to 2026-11-30 -o pack.json
  vis evidence pack --customer northwind --quarter 2026-Q4 --rows none -o pack.json""",
)
@period_options
@click.option("--project", help="Of this project.")
@click.option("--customer", help="Of this customer: of all its projects.")
@click.option("--all", "whole", is_flag=True, help="Of the whole organisation.")
@click.option(
    "--rows",
    type=click.Choice(["embedded", "file", "none"]),
    default="embedded",
    show_default=True,
    help="In the pack, in a file beside it, or not at all.",
)
@click.option(
    "--witness",
    default="",
    metavar="NAME",
    help="Wait, ten minutes at most, until this witness has co-signed a head with all of it, and carry that head.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The file to write. Rows in a file of their own go to its name with -rows.jsonl.",
)
@installation
@as_json
def _pack(
    here: Installation,
    period: Period,
    output: Path,
    *,
    project: str | None,
    customer: str | None,
    whole: bool,
    rows: "RowsMode",
    witness: str,
    in_json: bool,
) -> None:
    """Write an evidence pack: sealed rows, the proofs that none is missing, totals and controls, under one signature.

    Its receiver checks it with vis-verify and the organisation's keys. It is checked in the same way before it gets its name.
    """
    from visionality.core.period import between
    from visionality.evidence.packs import Asked, Output, Place, make

    kind, name = _scope(project, customer, whole=whole)
    start, end = period
    days = between(start.date(), (end - timedelta(days=1)).date())
    asked = Asked(here.org_id, kind, name, days, rows, witness=witness)
    place = Place(here.access.dsn("vis_reader"), here.access.dsn("vis_web"), here.keys(), utc_now)
    beside = output.with_name(f"{output.stem}-rows.jsonl")
    with private_file(output) as file, private_file(beside) if rows == "file" else nullcontext() as rows_file:
        with _bar() as bar:
            made = make(place, asked, Output(file, rows_file, beside.name), _progress(bar))
        with here.control() as act:
            from visionality.web.issuing.packs import record_pack

            record_pack(act, made, file)
    written = [output, beside] if rows == "file" else [output]
    if in_json:
        show(_record(made, written))
    else:
        _tell(made, written)


def _scope(project: str | None, customer: str | None, *, whole: bool) -> "tuple[ScopeKind, str]":
    said: list[tuple[ScopeKind, str]] = [("organisation", "")] if whole else []
    said += [("project", project)] if project else []
    said += [("customer", customer)] if customer else []
    if len(said) != 1:
        raise click.UsageError("say once what the pack is of: --project, --customer or --all")
    return said[0]


def _progress(bar: Any) -> Callable[[int, int], None]:
    done = shown = 0

    def progress(more: int, in_all: int) -> None:
        nonlocal done, shown
        done += more
        now = done * 1000 // in_all if in_all else 1000
        bar.update(now - shown)
        shown = now

    return progress


def _record(made: "Made", files: list[Path]) -> dict[str, Any]:
    """What was made, for a program."""
    pack = made.pack
    return {
        "pack_id": str(pack.pack_id),
        "files": [str(file) for file in files],
        "fingerprint": made.fingerprint.hex(),
        "scope": pack.scope,
        "from": pack.period.first.isoformat(),
        "to": pack.period.last.isoformat(),
        "rows": made.row_count,
        "totals": made.totals,
        "controls": {one.control: one.status for one in pack.controls},
        "verdict": made.verdict,
    }


def _tell(made: "Made", files: list[Path]) -> None:
    pack = made.pack
    of = (
        "the whole organisation"
        if pack.scope.kind == "organisation"
        else f"{pack.scope.kind} {pack.scope.name}"
    )
    click.echo(f"{' and '.join(map(str, files))}: {of}, {pack.period.title}, {made.row_count:,} rows checked")
    for currency, total in made.totals.items():
        click.echo(
            f"{'total':<12} {total['cost']} {currency}, billed {total['billed']}, of {total['rows']:,} rows"
        )
    for status, count in Counter(one.status for one in pack.controls).items():
        click.echo(f"{'controls':<12} {count} {status.replace('_', ' ')}")
    click.echo(f"{'vis-verify':<12} {made.verdict}")
    click.echo(f"{'fingerprint':<12} {made.fingerprint.hex()}")
    click.echo(
        "Say the fingerprint to whoever gets it by another way than the file, and give them the keys of `vis evidence keys`."
    )
