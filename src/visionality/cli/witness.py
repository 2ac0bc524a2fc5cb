"""`vis evidence witness|witness-key`: for a customer's own machine, without a database."""

from pathlib import Path

import click

from visionality.runtime.clock import utc_now

_FILE = click.Path(path_type=Path, dir_okay=False)
_THERE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command(
    "witness",
    epilog="""\b
Example: vis evidence witness request_logs-2026-11.heads --keys keys.json --state seen.json --key witness.key -o cosigned.note
  vis evidence heads add-witness cosigned.note --witness NAME+ID+KEY     (where the ledger is)""",
)
@click.argument("notes", metavar="FILE...", type=_THERE, nargs=-1, required=True)
@click.option(
    "--keys",
    "keys_file",
    type=_THERE,
    required=True,
    help="The keys that sign heads: what `vis evidence keys` prints.",
)
@click.option(
    "--state", type=_FILE, required=True, help="Where this witness remembers the last head of each log."
)
@click.option(
    "--key",
    "key_file",
    type=_THERE,
    required=True,
    help="This witness's own key, of `vis evidence witness-key`.",
)
@click.option("-o", "--output", type=_FILE, help="Where the co-signed note goes; standard output without it.")
def witness_command(
    notes: tuple[Path, ...], keys_file: Path, state: Path, key_file: Path, output: Path | None
) -> None:
    """Check that a log went on from where this witness saw it last, and co-sign its newest head.

    FILE is what a place keeps of a log, what `vis evidence heads --proof-from` prints, or a bare note; several are one history, the
    oldest first. The head that comes first is believed. A smaller log and another past are refused, with exit code 1.
    """
    from visionality.cli.output import whole_file
    from visionality.core.witness import log_keys
    from visionality.evidence.witnessing import read_private, witness

    name, private = read_private(key_file)
    keys = log_keys(keys_file.read_bytes())
    content = b"".join(note.read_bytes() for note in notes)
    cosigned = witness(content, keys, state, name, private, utc_now())
    if output is None:
        click.echo(cosigned, nl=False)
        return
    with whole_file(output) as file:
        file.write(cosigned.encode())
    click.echo(f"co-signed by {name}: {output}", err=True)


@click.command("witness-key", epilog="Example: vis evidence witness-key audit.example.com -o witness.key")
@click.argument("name")
@click.option(
    "-o", "--output", type=_FILE, required=True, help="Where the private half goes; nobody else may read it."
)
def witness_key_command(name: str, output: Path) -> None:
    """Make the key of a witness of this name, and print its public half for those who shall believe it."""
    from visionality.evidence.witnessing import new_key

    try:
        click.echo(new_key(name, output))
    except FileExistsError:
        raise click.ClickException(f"{output} is there already: a witness keeps its key") from None
