"""`vis evidence prove`: the proof that the row of a receipt was sealed."""

from pathlib import Path
from uuid import UUID

import click

from visionality.cli.installation import Installation, installation
from visionality.cli.output import whole_file


@click.command("prove", epilog="Example: vis evidence prove 0193f2c4-… -o proof.json")
@click.argument("row_id", type=click.UUID)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; without it, standard output.",
)
@installation
def prove_command(here: Installation, row_id: UUID, output: Path | None) -> None:
    """Prove that a row of the ledger stands under its newest head.

    Whoever has the row's receipt checks both with `vis-verify receipt receipt.txt --proof proof.json --key keys.json`.
    """
    from visionality.evidence.row_proofs import NotSealed, row_proof

    with here.reading(snapshot=True) as (connection, org_id):
        try:
            proof = row_proof(connection, org_id, row_id)
        except NotSealed as missing:
            raise click.ClickException(str(missing)) from None
    if output is None:
        click.echo(proof)
        return
    with whole_file(output) as file:
        file.write(proof)
