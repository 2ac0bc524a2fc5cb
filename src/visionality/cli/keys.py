"""`vis key issue|list|revoke`."""

import re
from datetime import timedelta

import click

from visionality.cli.installation import Installation, as_json, installation, show

key_command = click.Group("key", help="Virtual keys: what clients hold instead of a provider's key.")

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Lifetime(click.ParamType[timedelta]):
    """90d, 12h or 30m."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = re.fullmatch(r"(\d{1,6})([mhd])", str(value))
        if found is None:
            self.fail(f"{value!r} is no duration: expected a number with m, h or d, such as 90d", param, ctx)
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


@key_command.command(
    "issue",
    epilog="Example: vis key issue --agent alice@arctrade --project HPC --task HPC-1234 --expires 90d",
)
@click.option("--agent", required=True, help="Who spends, by the agent's subject.")
@click.option("--project", default="", help="What it is charged to, by its key.")
@click.option("--customer", default="", help="The end customer, by its key; the project's when left out.")
@click.option("--task", default="", help="Issue or epic key.")
@click.option("--task-class", default="", help="chat, refactor, review, agent, …")
@click.option("--memo", default="", help="A note that stands on every row.")
@click.option("--url", default="", help="A link that stands on every row.")
@click.option("--expires", "lifetime", type=Lifetime(), default="90d", show_default=True, help="At most 90d.")
@click.option(
    "--aws-pair", is_flag=True, help="Print it also as an AWS key pair, for clients of Bedrock that sign."
)
@installation
@as_json
def _issue(
    here: Installation, *, in_json: bool, lifetime: timedelta, aws_pair: bool, **bindings: str
) -> None:
    """Issue a key. The handle is printed once and cannot be shown again."""
    keys = here.keys()
    with here.control() as act:
        from visionality.web.issuing import acts

        key, handle = acts.issue(act, keys, acts.Bindings(lifetime=lifetime, **bindings))
    names = ("aws_access_key_id", "aws_secret_access_key")
    pair = dict(zip(names, acts.aws_pair(keys, handle), strict=True)) if aws_pair else {}
    if in_json:
        show({"id": key.id, "handle": handle, "expires_at": key.expires_at, **pair})
    else:
        click.echo(handle)
        for name, value in pair.items():
            click.echo(f"{name}={value}")
        click.echo(
            f"key {key.id}, expires {key.expires_at:%Y-%m-%d %H:%M} UTC; it is not shown again", err=True
        )


@key_command.command("list", epilog="Example: vis key list")
@installation
@as_json
def _list(here: Installation, *, in_json: bool) -> None:
    """List keys, the newest first."""
    with here.control() as act:
        from visionality.web.issuing import acts

        records = [
            {
                "id": key.id,
                "shown": key.shown,
                "state": acts.state(key, act.now),
                "agent": key.agent.sub,
                "project": str(key.project or ""),
                "task": key.task_id,
                "expires_at": key.expires_at,
            }
            for key in acts.everything(act)
        ]
    for record in records:
        if in_json:
            show(record)
        else:
            click.echo(
                f"{record['id']}  {record['shown']}…  {record['state']:<8} {record['agent']:<28} "
                f"{record['project']:<12} {record['task']:<12} {record['expires_at']:%Y-%m-%d}"
            )


@key_command.command("revoke", epilog="Example: vis key revoke 0193…")
@click.argument("key_id")
@installation
def _revoke(here: Installation, key_id: str) -> None:
    """Revoke a key; every gateway refuses it within two seconds."""
    with here.control() as act:
        from visionality.web.issuing import acts

        key = acts.revoke(act, key_id)
    click.echo(f"key {key.id} of {key.agent.sub} is revoked")
