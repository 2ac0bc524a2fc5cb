"""`vis limit set|list|remove`."""

from typing import TYPE_CHECKING, Literal

import click

from visionality.cli.installation import Installation, installation, report
from visionality.cli.listing import add_list
from visionality.cli.scope import ScopeName
from visionality.core.scope import LIMITED, Scope, words

if TYPE_CHECKING:
    from visionality.web.policy.limits import Rates

limit_command = click.Group("limit", help="Rate limits: requests and tokens a minute.")

_NONE = "none"
_MOST = 1_000_000_000


class Rate(click.ParamType[int | Literal["none"]]):
    """A whole number, or the word `none`."""

    name = "NUMBER|none"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | Literal["none"]:
        if value == _NONE:
            return "none"
        text = str(value)
        if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _MOST):
            self.fail(f"{value!r} is no number a minute: expected 0 to {_MOST}, or none", param, ctx)
        return int(text)


@limit_command.command(
    "set",
    epilog="""\b
Example: vis limit set 'key:*' --requests-per-minute 60 --tokens-per-minute 200000
  vis limit set agent:derek@arctrade --tokens-per-minute 50000""",
)
@click.argument("scope", type=ScopeName(LIMITED))
@click.option("--requests-per-minute", "requests", type=Rate(), help="none takes it away.")
@click.option(
    "--tokens-per-minute", "tokens", type=Rate(), help="Input and output together; none takes it away."
)
@installation
def _set(
    here: Installation,
    scope: Scope,
    *,
    requests: int | Literal["none"] | None,
    tokens: int | Literal["none"] | None,
) -> None:
    """Limit a key, an agent or a project, or with * each of them for itself. What is left out stays as it was."""
    rates: Rates = {}
    if requests is not None:
        rates["requests_per_minute"] = None if requests == "none" else requests
    if tokens is not None:
        rates["tokens_per_minute"] = None if tokens == "none" else tokens
    with here.control() as act:
        from visionality.web.policy.limits import set_limit

        limit, warnings = set_limit(act, scope, rates)
    for warning in warnings:
        report(f"warning: {warning}")
    told = {"requests": limit.requests_per_minute, "tokens": limit.tokens_per_minute}
    allowed = " and ".join(f"{rate} {unit}" for unit, rate in told.items() if rate is not None)
    subject = f"each {words(scope.kind)}" if scope.is_each else str(scope)
    click.echo(f"{subject} may have {allowed} a minute")


@limit_command.command("remove", epilog="Example: vis limit remove 'key:*'")
@click.argument("scope", type=ScopeName(LIMITED))
@installation
def _remove(here: Installation, scope: Scope) -> None:
    """Retire a limit."""
    with here.control() as act:
        from visionality.web.policy.limits import remove_limit

        remove_limit(act, scope)
    click.echo(f"the limit of {scope} is retired")


add_list(limit_command, "limit")
