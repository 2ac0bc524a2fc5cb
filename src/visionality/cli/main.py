"""The command group, and the one place where a fault becomes a sentence."""

import gc
import importlib
import sys

import click

_COMMANDS = {
    "up": ("up", "Start everything: PostgreSQL, gateway, web and jobs."),
    "try": ("first_call", "Send one call through the gateway and show its row."),
    "login": ("login", "Print a link that signs you in to the pages, once."),
    "member": ("members", "Invite people to the pages, and say what they are."),
    "ledger": ("ledger", "Look at rows: tail, show, export; verify them."),
    "chargeback": ("chargeback", "Write the chargeback CSV of a month, a quarter or a range."),
    "report": ("report", "What a task or an epic cost, and how much of the spend is attributed."),
    "queue": ("queue", "See what waits for a project, and assign it."),
    "key": ("keys", "Issue, rotate, revoke and audit virtual keys."),
    "token": ("tokens", "Check envelopes and tokens offline, publish the keys for it."),
    "service": ("services", "Register the backends that hold binding keys."),
    "service-token": ("service_tokens", "Let programs of yours speak to the control plane."),
    "binding-key": ("services", "Make, rotate and revoke the second factor of a service."),
    "signing-key": ("signing_keys", "List, rotate and revoke what tokens are signed with."),
    "floor": ("floors", "Say the least that every key must show."),
    "project": ("control", "Add or list projects."),
    "customer": ("control", "Add or list end customers."),
    "team": ("control", "Add or list teams."),
    "person": ("control", "Add or list people."),
    "agent": ("control", "Add or list agent identities."),
    "identity": ("identities", "The identity table: import, list, set, with dates."),
    "ide": ("ide", "Set coding assistants up to talk to the gateway."),
    "map": ("mapping", "Map repos to projects and end customers by a file."),
    "connector": ("connectors", "Connect trackers and Git hosts, and see how reading them goes."),
    "budget": ("budgets", "Cap what may be spent, and see what it stands at."),
    "limit": ("limits", "Cap the requests and tokens of a minute."),
    "hint": ("hints", "Prefer another model than the one asked for."),
    "allocation": ("allocation", "Mark costs up for a customer, or split them between cost centers."),
    "org": ("organisation", "Add organisations, set time zone, policies and sign-on."),
    "alert": ("alerts", "See what burns, and say who is told."),
    "provider": ("providers", "Set up the providers that calls go to."),
    "price": ("prices", "Set a dated price above the bundled catalogue."),
    "demo": ("demo", "Load a month of a company to look at."),
    "check": ("database", "Check that no application role can change the ledger."),
    "evidence": ("evidence", "What an auditor checks without us: packs, controls, keys, heads, witnesses."),
    "rollup": ("rollup", "Check or rebuild the daily sums behind the pages."),
    "migrate": ("database", "Bring the database's schema up to date."),
    "gateway": ("serve", "Run the gateway alone."),
    "web": ("serve", "Run the web plane alone."),
    "jobs": ("serve", "Run the jobs alone."),
    "sandbox": ("serve", "Run the simulated provider alone."),
}
"""Command -> the module that has it as `<name>_command`, and its line in the list."""


_GARBAGE_ALLOWED = 100_000
"""Container objects that may be made before the collector looks. What a start loads stays; walking it was a tenth of it."""


class Commands(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"visionality.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.command(cls=Commands, epilog="First steps: `vis up` in one terminal, `vis try` in another.")
@click.version_option(package_name="visionality", prog_name="vis")
def vis() -> None:
    """Visionality: the commit ledger for AI spend."""


def main() -> None:
    """Run a command; say what went wrong in one sentence on standard error and exit 1."""
    gc.set_threshold(_GARBAGE_ALLOWED)
    try:
        vis(prog_name="vis")
    except Exception as error:
        if not _is_told(error):
            raise
        click.echo(f"vis: {error}".rstrip(), err=True)
        sys.exit(1)


def _is_told(error: Exception) -> bool:
    """Whether this fault was written for the person who reads it."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & _TOLD)


_TOLD = {
    "PostgresFault",
    "BadSettings",
    "MasterKeyMissing",
    "SealBroken",
    "KeyDisabled",
    "KeysAway",
    "SchemaUnknown",
    "Unknown",
    "AlreadyThere",
    "BadName",
    "BadBinding",
    "BadMap",
    "BadNote",
    "BadHead",
    "BadKeys",
    "BadState",
    "NotWitnessed",
    "NotOurs",
    "NotKept",
    "BadTable",
    "BadDocument",
    "BadPublicKey",
    "CannotStart",
    "NotRunning",
    "ConnectorFault",
    "DemoThere",
    "NotTold",
    "CannotMake",
    "RowAltered",
    "NoKeyYet",
    "OperationalError",
}
