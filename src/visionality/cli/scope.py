"""The argument that says what a budget or a rule is for."""

import click

from visionality.core.scope import KINDS, BadScope, Scope, scope_of


class ScopeName(click.ParamType[Scope]):
    """`org`, `project:SOCE`, `agent:*`."""

    name = "SCOPE"

    def __init__(self, kinds: tuple[str, ...] = KINDS) -> None:
        self._kinds = kinds

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Scope:
        if isinstance(value, Scope):
            return value
        try:
            return scope_of(str(value), self._kinds)
        except BadScope as error:
            self.fail(str(error), param, ctx)
