"""`vis evidence heads` and `vis evidence heads add-witness`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from visionality.cli.installation import Installation, as_json, installation, show
from visionality.runtime.clock import utc_now

if TYPE_CHECKING:
    from visionality.evidence.heads import Head, Log

_LOGS = ("request_logs", "budget_events", "key_events", "admin_events", "segments")


@click.group(
    "heads",
    invoke_without_command=True,
    epilog="Example: vis evidence heads --log request_logs --note > kept.checkpoint",
)
@click.option("--log", "only", type=click.Choice(_LOGS), help="Only this log.")
@click.option(
    "--note", "as_note", is_flag=True, help="Print the signed note, with the lines of witnesses; of one log."
)
@click.option(
    "--proof-from",
    type=click.IntRange(0),
    help="Print the head with what shows that it extends the log at this size, for a witness; of one log.",
)
@installation
@as_json
@click.pass_context
def heads_command(
    ctx: click.Context,
    here: Installation,
    *,
    only: "Log | None",
    as_note: bool,
    proof_from: int | None,
    in_json: bool,
) -> None:
    """Print the newest signed head of each log, who witnessed it, and where it is kept."""
    if ctx.invoked_subcommand is not None:
        return
    if (as_note or proof_from is not None) and only is None:
        raise click.UsageError("say of which log: --log request_logs")
    from visionality.evidence.cosignatures import cosigned_note, witnessed
    from visionality.evidence.heads import LOGS, newest
    from visionality.evidence.publishing import kept_of

    with here.reading(snapshot=True) as (connection, org_id):
        heads = {log: head for log in ([only] if only else LOGS) if (head := newest(connection, org_id, log))}
        if only and not heads:
            raise click.ClickException(f"{only} has no head yet: nothing of it is sealed")
        if only and as_note:
            click.echo(cosigned_note(connection, org_id, only, heads[only]), nl=False)
        elif only and proof_from is not None:
            click.echo(_proof(connection, org_id, only, heads[only], proof_from), nl=False)
        else:
            kept = kept_of(connection, org_id)
            for log, head in heads.items():
                record = _record(
                    log, head, witnessed(connection, org_id, log), [one for one in kept if one.log == log]
                )
                show(record) if in_json else _tell(record)
    if not heads:
        click.echo("no log has a head yet: the jobs seal within a second of the first row", err=True)


def _proof(connection: Any, org_id: Any, log: "Log", head: "Head", start: int) -> bytes:
    from visionality.core.proven_head import written
    from visionality.evidence.publishing import proof

    if start > head.size:
        raise click.ClickException(
            f"{log} has {head.size} leaves, and a head of {start} was seen elsewhere: "
            "an older database was put back, or sealed rows were removed with their seals"
        )
    return written(proof(connection, org_id, log, head, start))


def _record(log: "Log", head: "Head", witnesses: list[Any], kept: list[Any]) -> dict[str, Any]:
    return {
        "log": log,
        "size": head.size,
        "root": head.root.hex(),
        "sealed_at": head.sealed_at,
        "witnesses": [{"name": one.name, "size": one.size} for one in witnesses],
        "kept": [
            {
                "place": one.place,
                "size": one.size,
                "kept_at": one.kept_at,
                "error": one.error,
                "contradicts": one.contradicts,
            }
            for one in kept
        ],
    }


def _tell(record: dict[str, Any]) -> None:
    click.echo(
        f"{record['log']:<15} {record['size']:>12,} leaves  {record['root']}  {record['sealed_at']:%Y-%m-%d %H:%M:%S}"
    )
    for one in record["witnesses"]:
        click.echo(f"{'':<15} {one['size']:>12,} witnessed by {one['name']}")
    for one in record["kept"]:
        at = f", {one['kept_at']:%Y-%m-%d %H:%M:%S}" if one["kept_at"] else ""
        click.echo(f"{'':<15} {one['size']:>12,} kept in {one['place']}{at}")
        if one["error"]:
            click.echo(f"{'':<29}{'CONTRADICTS' if one['contradicts'] else 'fails'}: {one['error']}")


@heads_command.command(
    "add-witness",
    epilog="Example: vis evidence heads add-witness cosigned.note --witness audit.example.com+1a2b3c4d+BC…",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--witness", required=True, help="The witness's public key, as `vis evidence witness-key` printed it."
)
@installation
def _add_witness(here: Installation, file: Path, witness: str) -> None:
    """Take a co-signed note back into the database, so that packs carry the witness's line."""
    import psycopg

    from visionality.core.witness import read_key
    from visionality.evidence.cosignatures import add
    from visionality.evidence.witnessing import note_text

    with psycopg.connect(here.access.dsn("vis_web")) as connection:
        org_id = here.org_in(connection)
        connection.execute("select set_config('vis.org_id', %s, true)", [str(org_id)])
        log, size = add(connection, org_id, note_text(file.read_bytes()), read_key(witness), utc_now())
    click.echo(f"{log} at {size} leaves is witnessed by {read_key(witness)[0]}")
