"""`vis budget set|list|remove`."""

import re
from typing import TYPE_CHECKING, Literal, cast

import click

from visionality.cli.installation import Installation, as_json, installation, report, show
from visionality.cli.proof import prove_command
from visionality.cli.scope import ScopeName
from visionality.core.money import LARGEST_NUSD, NANO, usd
from visionality.core.scope import Scope
from visionality.core.window import PERIODS, Period
from visionality.web.policy.standing import HEAD, lines, per, record, sentence, warnings

if TYPE_CHECKING:
    from visionality.web.policy.budgets import Terms

budget_command = click.Group("budget", help="Budgets: what a scope may spend in a period.")
budget_command.add_command(prove_command)

_AMOUNT = re.compile(r"([0-9]{1,10})(?:\.([0-9]{1,9}))?")
_NONE = "none"


class Cap(click.ParamType[tuple[int, Period]]):
    """2500/month: whole nano-USD, and the period that they are for."""

    name = "USD/PERIOD"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, Period]:
        if isinstance(value, tuple):
            return value
        amount, slash, period = str(value).partition("/")
        nusd = _nusd(amount)
        if nusd is None or (slash and period not in PERIODS):
            self.fail(
                f"{value!r} is no cap: expected US dollars and a period, such as 2500/month, 0.50/day, or 100 for the "
                f"total; periods are {', '.join(PERIODS)}",
                param,
                ctx,
            )
        return nusd, cast("Period", period or "total")


class Ceiling(click.ParamType[int | Literal["none"]]):
    """Nano-USD, or the word `none`."""

    name = "USD|none"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | Literal["none"]:
        if value == _NONE:
            return "none"
        nusd = _nusd(str(value))
        if not nusd:
            self.fail(
                f"{value!r} is no amount: expected US dollars above zero such as 0.50, or none", param, ctx
            )
        return nusd


class Percent(click.ParamType[int | Literal["none"]]):
    """60%, or the word `none`."""

    name = "PERCENT|none"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | Literal["none"]:
        if value == _NONE:
            return "none"
        found = re.fullmatch(r"([1-9][0-9]?|100)%?", str(value))
        if found is None:
            self.fail(f"{value!r} is no part of a cap: expected 1% to 100%, or none", param, ctx)
        return int(found[1])


@budget_command.command(
    "set",
    epilog="""\b
Example: vis budget set project:SOCE --cap 2500/month --soft 60% --soft 80% --hard
  vis budget set 'agent:*' --cap 50/day --hard
  vis budget set customer:client_drpatel --cap 100 --hard --near-cap clamp
  vis budget set org --cap 20000/month --soft 80%""",
)
@click.argument("scope", type=ScopeName())
@click.option(
    "--cap", type=Cap(), required=True, help="How much in which period of the organisation's calendar."
)
@click.option(
    "--hard/--no-hard",
    default=None,
    help="Refuse with 402 what does not fit. A new budget only counts unless this is said.",
)
@click.option(
    "--soft", type=Percent(), multiple=True, help="Tell the operator at this part of the cap; once for each."
)
@click.option(
    "--near-cap",
    type=click.Choice(["refuse", "clamp"]),
    help="Refuse a call that does not fit, or let it have a shorter answer.  [refuse]",
)
@click.option(
    "--unknown-price-ceiling",
    "ceiling",
    type=Ceiling(),
    help="Hold this for a call whose price nobody knows; refused without it.",
)
@installation
@as_json
def _set(
    here: Installation,
    scope: Scope,
    cap: tuple[int, Period],
    *,
    hard: bool | None,
    soft: tuple[int | Literal["none"], ...],
    near_cap: Literal["refuse", "clamp"] | None,
    ceiling: int | Literal["none"] | None,
    in_json: bool,
) -> None:
    """Make a budget, or edit the one of this scope and period: what is spent still counts, and it is in force at once.

    SCOPE is org, project:KEY, customer:KEY, team:KEY, person:SUB, agent:SUB, task-class:NAME, model-family:NAME,
    business-unit:NAME, key:ID or spend-token:ID. With * as its name each has that much for itself, also those to come.
    What is left out of an edit stays as it was.
    """
    terms = _terms(hard, soft, near_cap, ceiling)
    cap_nusd, period = cap
    with here.control() as act:
        from visionality.web.policy.budgets import set_budget

        standing, doubts = set_budget(act, scope, period, cap_nusd, terms)
    for warning in (*doubts, *warnings(standing)):
        report(f"warning: {warning}")
    show(record(standing)) if in_json else click.echo(sentence(standing))


@budget_command.command("list", epilog="Example: vis budget list")
@installation
@as_json
def _list(here: Installation, *, in_json: bool) -> None:
    """List budgets and what they stand at in the period of the moment."""
    with here.control() as act:
        from visionality.web.policy.budgets import standings

        found = standings(act)
    if in_json:
        for standing in found:
            show(record(standing))
        return
    report(HEAD)
    for standing in found:
        for line in lines(standing):
            click.echo(line)


@budget_command.command("remove", epilog="Example: vis budget remove project:SOCE")
@click.argument("scope", type=ScopeName())
@click.option("--period", type=click.Choice(PERIODS), help="Needed where the scope has several budgets.")
@installation
def _remove(here: Installation, scope: Scope, period: Period | None) -> None:
    """Retire a budget: nothing is counted or refused for it any more. What it counted stays on record."""
    with here.control() as act:
        from visionality.web.policy.budgets import remove_budget

        removed = remove_budget(act, scope, period)
    click.echo(f"{removed.scope} has no budget {per(removed)} any more; it was {usd(removed.cap_nusd)} USD")


def _nusd(text: str) -> int | None:
    """Nano-USD of plain dollars, exact; None for anything else."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        return None
    nusd = int(found[1]) * NANO + int((found[2] or "").ljust(9, "0"))
    return nusd if nusd <= LARGEST_NUSD else None


def _terms(
    hard: bool | None,
    soft: tuple[int | Literal["none"], ...],
    near_cap: Literal["refuse", "clamp"] | None,
    ceiling: int | Literal["none"] | None,
) -> "Terms":
    terms: Terms = {}
    if hard is not None:
        terms["hard"] = hard
    if soft:
        percents = sorted({percent for percent in soft if percent != "none"})
        if percents and _NONE in soft:
            raise click.UsageError("--soft none stands alone")
        terms["soft"] = percents
    if near_cap is not None:
        terms["near_cap"] = near_cap
    if ceiling is not None:
        terms["ceiling_nusd"] = None if ceiling == "none" else ceiling
    return terms
