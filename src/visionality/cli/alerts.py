"""`vis alert list|ack` and `vis alert channel add|list|remove`."""

from uuid import UUID

import click

from visionality.cli.installation import Installation, as_json, installation, show

alert_command = click.Group("alert", help="Alerts: what burns, and who is told.")
_channel = click.Group("channel", help="Where alerts go, beside the inbox.")
alert_command.add_command(_channel)


@alert_command.command("list", epilog="Example: vis alert list --all --json")
@click.option("--all", "everything", is_flag=True, help="Those that were acknowledged too.")
@installation
@as_json
def _list(here: Installation, *, everything: bool, in_json: bool) -> None:
    """Show the inbox, the newest first."""
    with here.control() as act:
        from visionality.web.policy.alerts import alerts

        found = alerts(act, everything=everything)
    for alert in found:
        if in_json:
            show(alert)
        else:
            seen = f"  (seen by {alert['acknowledged_by']})" if alert["acknowledged_by"] else ""
            text = str(alert["body"]).replace("\n", "\n  ")
            click.echo(f"{alert['alert_id']}  {alert['title']}{seen}\n  {text}\n")


@alert_command.command("ack", epilog="Example: vis alert ack 0193…")
@click.argument("alert_id", type=click.UUID)
@installation
def _ack(here: Installation, alert_id: UUID) -> None:
    """Say that somebody has seen to an alert."""
    with here.control() as act:
        from visionality.web.policy.alerts import acknowledge

        acknowledge(act, alert_id)
    click.echo("acknowledged")


@_channel.command(
    "add",
    epilog="""\b
Example: vis alert channel add email finance@arctrade.example
  vis alert channel add webhook https://hooks.arctrade.example/visionality""",
)
@click.argument("kind", type=click.Choice(["email", "webhook"]))
@click.argument("target")
@installation
def _add(here: Installation, kind: str, target: str) -> None:
    """Send alerts to a mailbox, or signed ones to a server.

    A webhook's signing secret is printed (Standard Webhooks); its receiver needs it to tell that an alert is ours.
    """
    from visionality.vault.webhooks import WEBHOOKS, spelled, webhook_key

    with here.control() as act:
        from visionality.web.policy.alerts import add_channel

        made = add_channel(act, kind, target)
    click.echo(f"alerts go to {target}")
    if kind == "webhook":
        click.echo(spelled(webhook_key(here.keys().secret(WEBHOOKS), made.id)))
    elif not here.settings.smtp_url:
        click.echo("no mail server is set: set VIS_SMTP_URL for the jobs, until then mail waits", err=True)


@_channel.command("list", epilog="Example: vis alert channel list --json")
@installation
@as_json
def _channels(here: Installation, *, in_json: bool) -> None:
    """List where alerts go."""
    with here.control() as act:
        from visionality.web.policy.alerts import channels

        found = list(channels(act))
    for channel in found:
        if in_json:
            show(channel)
        else:
            click.echo(f"{channel['kind']:<8} {channel['target']}")


@_channel.command("remove", epilog="Example: vis alert channel remove finance@arctrade.example")
@click.argument("target")
@installation
def _remove(here: Installation, target: str) -> None:
    """Send no more alerts there."""
    with here.control() as act:
        from visionality.web.policy.alerts import remove_channel

        remove_channel(act, target)
    click.echo(f"no more alerts go to {target}")
