"""Budgets: their terms, which are set and removed, and what they stand at."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from ninja import Query
from pydantic import Field

from visionality.core.money import usd
from visionality.core.scope import scope_of
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.names import by, listed, the_one
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_POLICY, WRITE_POLICY
from visionality.web.api.shapes import (
    Done,
    Given,
    Listed,
    Moment,
    Page,
    PeriodName,
    Reason,
    Removing,
    ScopeName,
    Told,
    Usd,
    nusd,
)
from visionality.web.policy import budgets as policy

Percents = Annotated[list[Annotated[int, Field(ge=1, le=100)]], Field(max_length=10)]


class Terms(Told):
    scope: str
    period: PeriodName
    cap_usd: str
    hard: bool = Field(description="Whether a call that does not fit is refused; else it is only counted.")
    soft: list[int] = Field(description="Whole percents of the cap at which the operator is told.")
    near_cap: Literal["refuse", "clamp"]
    unknown_price_ceiling_usd: str | None


class Balance(Told):
    value: str
    spent_usd: str
    held_usd: str
    left_usd: str = Field(description="What may still be held; below zero after a cap was cut.")


class Standing(Terms):
    starts_at: Moment
    ends_at: Moment
    balances: list[Balance]


class BudgetSet(Done):
    budget: Standing


class NewTerms(Given):
    """What is left out of an edit stays as it was."""

    cap_usd: Usd
    hard: bool | None = None
    soft: Percents | None = None
    near_cap: Literal["refuse", "clamp"] | None = None
    unknown_price_ceiling_usd: Usd | None = None
    reason: Reason | None = None


@API.on("GET", "budgets", *READ_POLICY, answer=Listed[Standing])
def budgets(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    """Every budget and what it stands at in the period of the moment."""
    return listed(ask, map(_standing, policy.standings(ask.act)), by("scope", "period"), page)


@API.on("GET", "budgets/{path:scope}/{period}", *READ_POLICY, answer=Terms)
def budget(ask: Ask, scope: ScopeName, period: PeriodName) -> dict[str, Any]:
    """Its terms, whose ETag changes with them alone."""
    found = map(_terms, policy.standings(ask.act))
    return the_one(found, "budget of", scope=str(scope_of(scope)), period=period)


@API.on("PUT", "budgets/{path:scope}/{period}", *WRITE_POLICY, answer=BudgetSet)
def set_budget(ask: Ask, scope: ScopeName, period: PeriodName, body: NewTerms) -> dict[str, Any]:
    """Make a budget, or edit the one that there is; what was spent still counts. In force at once."""
    said = {"hard": body.hard, "soft": body.soft and sorted(set(body.soft)), "near_cap": body.near_cap}
    terms: Any = {name: value for name, value in said.items() if value is not None}
    if body.unknown_price_ceiling_usd is not None:
        terms["ceiling_nusd"] = nusd(body.unknown_price_ceiling_usd) or None
    act = replace(ask.act, reason=body.reason or "")
    standing, warnings = policy.set_budget(act, scope_of(scope), period, nusd(body.cap_usd), terms)
    return {"budget": _standing(standing), "warnings": warnings}


@API.on("DELETE", "budgets/{path:scope}/{period}", *WRITE_POLICY, answer=Standing)
def remove_budget(ask: Ask, scope: ScopeName, period: PeriodName, asked: Query[Removing]) -> dict[str, Any]:
    """Nothing is refused or counted for it any more. The answer is what it stood at."""
    act = replace(ask.act, reason=asked.reason or "")
    return _standing(policy.remove_budget(act, scope_of(scope), period))


def _terms(one: policy.Standing) -> dict[str, Any]:
    return {
        "scope": str(one.scope),
        "period": one.period,
        "cap_usd": usd(one.cap_nusd),
        "hard": one.hard,
        "soft": list(one.soft),
        "near_cap": one.near_cap,
        "unknown_price_ceiling_usd": None if one.ceiling_nusd is None else usd(one.ceiling_nusd),
    }


def _standing(one: policy.Standing) -> dict[str, Any]:
    balances = [
        {
            "value": balance.value,
            "spent_usd": usd(balance.spent_nusd),
            "held_usd": usd(balance.held_nusd),
            "left_usd": usd(one.left_nusd(balance)),
        }
        for balance in one.balances
    ]
    return _terms(one) | {"starts_at": one.starts_at, "ends_at": one.ends_at, "balances": balances}
