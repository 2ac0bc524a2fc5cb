"""`vis project|customer|team|person|agent add`, `set` and `list`: the tables that rows take their names from.

And `vis person revoke`.
"""

from decimal import Decimal

import click

from visionality.cli.installation import Installation, installation
from visionality.cli.listing import add_list
from visionality.cli.prices import Usd
from visionality.cli.providers import ProviderName
from visionality.cli.reason import reason_needed


def _group(name: str, help_text: str) -> click.Group:
    return click.Group(name, help=help_text)


project_command = _group("project", "Projects: what spend is charged to.")
customer_command = _group("customer", "End customers: whom the work is for.")
team_command = _group("team", "Teams and the cost centers that pay for them.")
person_command = _group("person", "People, as the company's sign-on knows them.")
agent_command = _group("agent", "Agent identities: who owns what spends.")


@project_command.command(
    "add", epilog="Example: vis project add HPC --name 'Houston Power Contract' --customer acme"
)
@click.argument("key")
@click.option("--name", default="", help="For people; the key when left out.")
@click.option("--customer", help="The end customer who is billed, by its key.")
@click.option("--gl-code", default="", help="The general-ledger code of its rows.")
@click.option("--business-unit", default="", help="The business unit of its rows; the team's when left out.")
@installation
def _project_add(
    here: Installation, key: str, name: str, customer: str | None, gl_code: str, business_unit: str
) -> None:
    """Add a project; KEY is the `project_id` of its rows."""
    with here.control() as act:
        from visionality.web.policy import acts

        acts.add_project(act, key, name, customer, gl_code, business_unit)
    click.echo(f"project {key} added")


@project_command.command("set", epilog="Example: vis project set HPC --business-unit power")
@click.argument("key")
@click.option("--business-unit", required=True, help="The business unit of its rows; '' for the team's.")
@installation
def _project_set(here: Installation, key: str, business_unit: str) -> None:
    """Change what a project's rows take from it; rows that exist stay as they are."""
    with here.control() as act:
        from visionality.web.policy import acts

        acts.set_project(act, key, business_unit)
    click.echo(f"project {key} is of {_unit(business_unit)}")


@project_command.command(
    "passthrough", epilog="Example: vis project passthrough HPC openai on --usd-per-request 0.01"
)
@click.argument("key")
@click.argument("provider", type=ProviderName())
@click.argument("state", type=click.Choice(["on", "off"]))
@click.option(
    "--usd-per-request",
    type=Usd(),
    help="What each such call is charged; its price is unknown when left out.",
)
@installation
def _project_passthrough(
    here: Installation, key: str, provider: str, state: str, *, usd_per_request: Decimal | None
) -> None:
    """Let a project's keys use paths of a provider that have no meter, or no longer.

    Each such call is a row, with no usage and an unknown price. Nothing is passed through unless it was opened here.
    """
    with here.control() as act:
        from visionality.web.policy import acts

        if state == "on":
            acts.open_passthrough(act, key, provider, usd_per_request)
        else:
            acts.close_passthrough(act, key, provider)
    click.echo(f"paths of {provider} without a meter are {'open' if state == 'on' else 'closed'} to {key}")


@customer_command.command("add", epilog="Example: vis customer add acme --name 'Acme Energy'")
@click.argument("key")
@click.option("--name", default="", help="For people; the key when left out.")
@installation
def _customer_add(here: Installation, key: str, name: str) -> None:
    """Add an end customer."""
    with here.control() as act:
        from visionality.web.policy import acts

        acts.add_customer(act, key, name)
    click.echo(f"customer {key} added")


@team_command.command("add", epilog="Example: vis team add desk-tools --cost-center CC-410")
@click.argument("key")
@click.option("--name", default="", help="For people; the key when left out.")
@click.option("--cost-center", default="", help="Who pays for the team.")
@click.option("--business-unit", default="", help="The business unit of its rows.")
@installation
def _team_add(here: Installation, key: str, name: str, cost_center: str, business_unit: str) -> None:
    """Add a team."""
    with here.control() as act:
        from visionality.web.policy import acts

        acts.add_team(act, key, name, cost_center, business_unit)
    click.echo(f"team {key} added")


@team_command.command("set", epilog="Example: vis team set desk-tools --business-unit power")
@click.argument("key")
@click.option(
    "--business-unit",
    required=True,
    help="The business unit of its rows where their project has none; '' for none.",
)
@installation
def _team_set(here: Installation, key: str, business_unit: str) -> None:
    """Change what a team's rows take from it; rows that exist stay as they are."""
    with here.control() as act:
        from visionality.web.policy import acts

        acts.set_team(act, key, business_unit)
    click.echo(f"team {key} is of {_unit(business_unit)}")


@person_command.command("add", epilog="Example: vis person add 00u1alice --name 'Alice K.'")
@click.argument("sso_sub")
@click.option("--name", default="", help="For people; the subject when left out.")
@installation
def _person_add(here: Installation, sso_sub: str, name: str) -> None:
    """Add a person by the subject of the single sign-on."""
    with here.control() as act:
        from visionality.web.policy import acts

        acts.add_person(act, sso_sub, name)
    click.echo(f"person {sso_sub} added")


@person_command.command("revoke", epilog="Example: vis person revoke 00u1alice --reason 'left the company'")
@click.argument("sso_sub")
@reason_needed
@installation
def _person_revoke(here: Installation, sso_sub: str, reason: str) -> None:
    """Revoke every key and token of a person at once; those issued after it work."""
    with here.control() as act:
        from visionality.web.issuing.revocation import revoke_person

        revoke_person(act, sso_sub, reason)
    click.echo(f"every key of {sso_sub} that was issued before now is revoked")


@agent_command.command(
    "add", epilog="Example: vis agent add alice@arctrade --owner 'Alice K.' --team desk-tools"
)
@click.argument("sub")
@click.option("--owner", required=True, help="Whose it is, for people.")
@click.option("--team", help="By its key.")
@click.option("--person", help="By the subject of the single sign-on.")
@installation
def _agent_add(here: Installation, sub: str, owner: str, team: str | None, person: str | None) -> None:
    """Add an agent identity; SUB is the `agent_sub` of its rows."""
    with here.control() as act:
        from visionality.web.policy import acts

        acts.add_agent(act, sub, owner, team, person)
    click.echo(f"agent {sub} added")


def _unit(name: str) -> str:
    return f"the business unit {name}" if name else "no business unit of its own"


for _group_of, _kind in (
    (project_command, "project"),
    (customer_command, "customer"),
    (team_command, "team"),
    (person_command, "person"),
    (agent_command, "agent"),
):
    add_list(_group_of, _kind)
