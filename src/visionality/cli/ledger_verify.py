"""`vis ledger verify`: every row against what was sealed of it."""

import sys
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from visionality.cli.installation import Installation, as_json, installation, show
from visionality.runtime.clock import utc_now

if TYPE_CHECKING:
    from visionality.evidence.verification import Check, KeptHead, Verified

_PARTS = 1000


@click.command(
    "verify",
    epilog="""\b
Example: vis ledger verify --full
  vis ledger verify --full --head kept/request_logs.checkpoint --json""",
)
@click.option("--full", is_flag=True, help="All rows, seals, numbers and segments. The default.")
@click.option("--sample", type=click.IntRange(1), help="At least so many rows of each log, drawn by lot.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="What was sealed since then, in UTC.",
)
@click.option(
    "--head",
    "heads",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True,
    help="A head that was kept elsewhere: a note, or a file of a place that keeps heads. May be given again.",
)
@installation
@as_json
def verify_command(
    here: Installation,
    *,
    full: bool,
    sample: int | None,
    since: datetime | None,
    heads: tuple[Path, ...],
    in_json: bool,
) -> None:
    """Hash every row anew and hold it against what was sealed, and against heads that were kept elsewhere.

    Names the first row of each kind that does not match, with its organisation, log, writer and number; exit code 1 then. Safe while
    everything runs. The jobs do this every night.
    """
    if full + (sample is not None) + (since is not None) > 1:
        raise click.UsageError("one of --full, --sample and --since")
    import psycopg

    from visionality.evidence.kept_heads import of_file, of_places
    from visionality.evidence.publishing import places_of
    from visionality.evidence.verification import Check, broken_off

    org_id = here.org_id
    kept = [head for path in heads for head in of_file(path.read_bytes(), str(path), org_id)]
    started_at = utc_now()
    with psycopg.connect(here.access.dsn("vis_auditor"), autocommit=True) as connection, _bar(sample) as bar:
        check = Check(connection, {org_id: here.org_slug}, _progress(bar))
        places = places_of(here.settings.heads_dir, here.settings.heads_bucket)
        kept += of_places(places, check.installation_id, org_id)
        try:
            done = _checked(check, sample, since, kept)
        except psycopg.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 -- what a superuser wrote over seals may be anything
            done = broken_off(org_id, here.org_slug, error)
    if sample is None and since is None:
        _keep(here, done, started_at)
    show(_record(done)) if in_json else _tell(done, len(kept))
    sys.exit(1 if done.findings else 0)


def _checked(
    check: "Check", sample: int | None, since: datetime | None, kept: "list[KeptHead]"
) -> "Verified":
    if sample is not None:
        (done,) = check.sample(sample, kept)
    elif since is not None:
        (done,) = check.since(since.replace(tzinfo=UTC), kept)
    else:
        (done,) = check.full(kept)
    return done


def _bar(sample: int | None) -> AbstractContextManager[Any]:
    bar: AbstractContextManager[Any] = click.progressbar(
        length=_PARTS, label="reading a sample" if sample else "reading rows", file=sys.stderr
    )
    return bar


def _progress(bar: Any) -> Any:
    done = shown = 0

    def progress(more: int, in_all: int) -> None:
        nonlocal done, shown
        done += more
        now = min(done * _PARTS // in_all, _PARTS) if in_all else _PARTS
        bar.update(now - shown)
        shown = now

    return progress


def _keep(here: Installation, done: "Verified", started_at: datetime) -> None:
    """The pages show the last whole check, whoever made it."""
    from zoneinfo import ZoneInfo

    import psycopg

    from visionality.evidence.verifications import keep, nights

    with psycopg.connect(here.access.dsn("vis_jobs"), autocommit=True) as connection:
        zone = next(one.time_zone for one in nights(connection) if one.org_id == done.org_id)
        day = started_at.astimezone(ZoneInfo(zone)).date()
        keep(connection, done, "full", day, started_at, utc_now())


def _record(done: "Verified") -> dict[str, Any]:
    return {
        "org": done.name,
        "rows": done.rows,
        "waiting": done.waiting,
        "sizes": done.sizes,
        "findings": done.findings,
    }


def _tell(done: "Verified", kept: int) -> None:
    for finding in done.findings:
        click.echo(f"{finding.kind.upper():<10} {finding.sentence}")
    sizes = ", ".join(f"{size:,} of {log}" for log, size in sorted(done.sizes.items())) or "nothing yet"
    elsewhere = f"; {kept} heads kept elsewhere were held against it" if kept else ""
    click.echo(f"{done.rows:,} rows were hashed anew; sealed are {sizes}{elsewhere}")
    if done.waiting:
        click.echo(f"{done.waiting:,} rows wait for a seal: only their own writer says what they were")
    if not kept:
        click.echo(
            "no head kept elsewhere was given: an older database, put back whole, would not be seen (--head)"
        )
    click.echo(
        "the ledger is not what was sealed" if done.findings else "every row is the one that was sealed"
    )
