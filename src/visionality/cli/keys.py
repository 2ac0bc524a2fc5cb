"""`vis key issue|rotate|list|revoke|events`."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from visionality.cli.budgets import Cap
from visionality.cli.duration import Duration
from visionality.cli.installation import Installation, as_json, installation, report, show
from visionality.cli.providers import ProviderName
from visionality.cli.reason import Reason, reason_needed, reason_welcome
from visionality.core.level import LEVELS, OBSERVED
from visionality.core.window import Period

key_command = click.Group("key", help="Virtual keys: what clients hold instead of a provider's key.")


@key_command.command(
    "issue",
    epilog="""\b
Example: vis key issue --agent alice@arctrade --project HPC --task HPC-1234 --cap 50/month --expires 90d
  vis key issue --agent checkout@shop --project SHOP --level 3 --service checkout-api --envelope""",
)
@click.option("--agent", required=True, help="Who spends, by the agent's subject.")
@click.option("--project", default="", help="What it is charged to, by its key.")
@click.option(
    "--claims",
    multiple=True,
    metavar="PROJECT",
    help="A project that its calls may be charged to, where it is bound to none; any when left out. Repeatable.",
)
@click.option("--customer", default="", help="The end customer, by its key; the project's when left out.")
@click.option("--task", default="", help="Issue or epic key.")
@click.option("--task-class", default="", help="chat, refactor, review, agent, …")
@click.option("--memo", default="", help="A note that stands on every row.")
@click.option("--url", default="", help="A link that stands on every row.")
@click.option(
    "--expires",
    "lifetime",
    type=Duration(),
    help="At most 90d; 30d at level 2, 24h at 3, 15m at 4.  [the most]",
)
@click.option("--cap", type=Cap(), help="A hard budget of its own: how much in which period.")
@click.option(
    "--level",
    type=click.IntRange(LEVELS[0], LEVELS[-1]),
    default=0,
    show_default=True,
    help="How much its callers must show: docs/guide/keys.md.",
)
@click.option(
    "--scope", "scopes", type=click.Choice(["call", "mint", "exchange"]), multiple=True, help="[call]"
)
@click.option("--model", "models", multiple=True, help="Only this model; * stands for any text. Repeatable.")
@click.option(
    "--provider", "providers", type=ProviderName(), multiple=True, help="Only this provider. Repeatable."
)
@click.option("--network", "networks", multiple=True, help="Only from this network, as CIDR. Repeatable.")
@click.option("--caller", "callers", multiple=True, help="Who may sign its proofs. Repeatable.")
@click.option("--service", default="", help="Whose binding keys prove its requests.")
@click.option("--reason", type=Reason(), help="Why, for the audit.")
@click.option("--envelope", is_flag=True, help="Print it also as a signed envelope that is checked offline.")
@click.option(
    "--aws-pair", is_flag=True, help="Print it also as an AWS key pair, for clients of Bedrock that sign."
)
@installation
@as_json
def _issue(
    here: Installation,
    *,
    in_json: bool,
    envelope: bool,
    aws_pair: bool,
    reason: str | None,
    level: int,
    cap: tuple[int, Period] | None,
    scopes: tuple[str, ...],
    **bindings: Any,
) -> None:
    """Issue a key. The handle is printed once and cannot be shown again."""
    keys = here.keys()
    with here.control() as act:
        from visionality.web.issuing import keys as issuing
        from visionality.web.issuing.bindings import Bindings
        from visionality.web.issuing.caps import is_capped
        from visionality.web.issuing.envelopes import envelope as envelope_of

        bound = Bindings(level=level, cap=cap, scopes=scopes or ("call",), **bindings)
        key, handle = issuing.issue(act, keys, bound, reason or "")
        signed = envelope_of(act, keys, key) if envelope else None
        is_uncapped = key.scopes != ["mint"] and level <= OBSERVED and not is_capped(act, key)
    names = ("aws_access_key_id", "aws_secret_access_key")
    pair = dict(zip(names, issuing.aws_pair(keys, handle), strict=True)) if aws_pair else {}
    if is_uncapped:
        report(
            "warning: no hard budget covers this key, so whoever has it spends without end: say --cap 50/month"
        )
    _show(key, handle, signed, pair, in_json=in_json)


@key_command.command("rotate", epilog="Example: vis key rotate 0193… --overlap 24h --reason 'quarterly'")
@click.argument("key_id")
@click.option(
    "--overlap",
    type=Duration(),
    default="24h",
    show_default=True,
    help="How long the old handle goes on: at most 7d.",
)
@click.option("--envelope", is_flag=True, help="Print it also as a signed envelope that is checked offline.")
@reason_needed
@installation
@as_json
def _rotate(
    here: Installation, key_id: str, *, overlap: timedelta, envelope: bool, reason: str, in_json: bool
) -> None:
    """Give a key a new handle. Its bindings, its budgets and what they have counted go on."""
    keys = here.keys()
    with here.control() as act:
        from visionality.web.issuing import keys as issuing
        from visionality.web.issuing.envelopes import envelope as envelope_of

        key, handle = issuing.rotate(act, keys, key_id, overlap, reason)
        signed = envelope_of(act, keys, key) if envelope else None
    _show(key, handle, signed, {}, in_json=in_json)


@key_command.command("list", epilog="Example: vis key list")
@installation
@as_json
def _list(here: Installation, *, in_json: bool) -> None:
    """List keys, the newest first."""
    with here.control() as act:
        from visionality.web.issuing import keys as issuing

        records = [
            {
                "id": key.id,
                "shown": key.shown,
                "state": issuing.state(key, act.now),
                "level": key.level,
                "scopes": key.scopes,
                "agent": key.agent.sub,
                "project": str(key.project or ""),
                "claims": key.projects,
                "task": key.task_id,
                "service": str(key.service or ""),
                "rotation": key.rotation,
                "expires_at": key.expires_at,
            }
            for key in issuing.everything(act)
        ]
    for record in records:
        if in_json:
            show(record)
        else:
            click.echo(
                f"{record['id']}  {record['shown']}…  {record['state']:<8} L{record['level']}  {record['agent']:<28} "
                f"{record['project']:<12} {record['task']:<12} {record['expires_at']:%Y-%m-%d}"
            )


@key_command.command(
    "revoke", epilog="Example: vis key revoke 0193… --reason 'leaked in a public repository'"
)
@click.argument("key_id")
@reason_welcome
@installation
def _revoke(here: Installation, key_id: str, reason: str) -> None:
    """Revoke a key; every gateway refuses it within two seconds."""
    with here.control() as act:
        from visionality.web.issuing import keys as issuing

        key = issuing.revoke(act, key_id, reason)
    click.echo(f"key {key.id} of {key.agent.sub} is revoked")


@key_command.command("events", epilog="Example: vis key events --key 0193… --json")
@click.option("--key", "key_id", type=click.UUID, help="Only of this key, token, service or person.")
@installation
@as_json
def _events(here: Installation, *, key_id: UUID | None, in_json: bool) -> None:
    """Show what was done with keys, by whom and why, the newest first; the last thousand."""
    with here.control() as act:
        from visionality.web.issuing.events import events

        found = events(act, key_id)
    for event in found:
        if in_json:
            show(event)
        else:
            click.echo(
                f"{event['created_at']:%Y-%m-%d %H:%M:%S}  {event['kind']:<20} {event['key_id']}  "
                f"{event['subject'] or '':<28} {event['actor']:<16} {_why(event['detail'])}".rstrip()
            )


def _why(detail: Any) -> str:
    return str((detail or {}).get("reason", ""))


def _show(key: Any, handle: str, envelope: str | None, pair: dict[str, str], *, in_json: bool) -> None:
    if in_json:
        signed = {"envelope": envelope} if envelope else {}
        show({"id": key.id, "handle": handle, "expires_at": key.expires_at, **signed, **pair})
        return
    click.echo(handle)
    if envelope:
        click.echo(envelope)
    for name, value in pair.items():
        click.echo(f"{name}={value}")
    report(f"key {key.id}, expires {key.expires_at:%Y-%m-%d %H:%M} UTC; it is not shown again")
