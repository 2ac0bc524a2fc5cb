"""What a period came to, what it is made of after splits, how budgets burn, and what the work of a project cost (F1, F2, P1)."""

from typing import Any, Literal

from ninja import Query
from pydantic import BaseModel, Field

from visionality.chargeback.task_report import TaskReport
from visionality.core.burn import METHOD
from visionality.core.burn import Burn as Forecast
from visionality.core.money import usd
from visionality.core.scope import scope_of
from visionality.web.api.bearer import Ask
from visionality.web.api.operations.names import by, listed
from visionality.web.api.operations.reports import Days
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_LEDGER
from visionality.web.api.shapes import (
    Day,
    Listed,
    Moment,
    Page,
    PeriodName,
    ScopeName,
    Text255,
    Text400,
    Told,
)
from visionality.web.control.outlook import curve, driven_by
from visionality.web.policy.budgets import Balance, Standing, standings
from visionality.web.policy.project_caps import access_project
from visionality.web.reading import reading
from visionality.web.seats.finance import spent_in
from visionality.web.seats.finance_tables import WAYS, money_of

Way = Literal["project", "customer", "team", "agent", "person", "cost-center", "gl", "family"]
_COUNTS = ("asked", "calls", "refused", "unpriced", "unattributed")
_AMOUNTS = ("cost", "billed", "final", "estimated", "unattributed", "simulated", "compared")
_TOKENS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")


class Likely(Told):
    """Where it ends if it goes on like this: between low and high four times out of five."""

    likely_usd: str
    low_usd: str
    high_usd: str


class Spend(Told):
    """Amounts are of rows in US dollars, and without what was simulated."""

    asked: int
    calls: int
    refused: int
    unpriced: int
    unattributed: int
    cost_usd: str
    billed_usd: str
    final_usd: str
    estimated_usd: str
    unattributed_usd: str = Field(description="Of no project.")
    simulated_usd: str = Field(description="In none of the others.")
    compared_usd: str = Field(description="Of as many days before.")
    compared_first: Day | None
    compared_last: Day | None
    other_currencies: dict[str, str]
    forecast: Likely | None = Field(description="Of the running month only.")
    method: str = Field(description="How the forecast is made.")


class AskedParts(Days):
    by: Way


class Part(Told):
    key: str = Field(description="Empty is what no row names.")
    owner: str | None = Field(description="Of a person: whose the row said that it was.")
    cost_usd: str
    billed_usd: str
    margin_usd: str = Field(description="Billed less cost.")
    calls: int | None = Field(description="Null where parts of rows are counted.")
    is_split: bool = Field(description="Whether splits have a say in it.")


class Parts(Told):
    """The parts add up to the whole."""

    items: list[Part]
    cost_usd: str
    billed_usd: str


class Burning(Told):
    scope: str
    period: PeriodName
    value: str
    starts_at: Moment
    ends_at: Moment
    cap_usd: str
    spent_usd: str
    held_usd: str
    left_usd: str
    hard: bool
    elapsed_percent: int | None = Field(description="Null where the period is no stretch of days.")
    forecast: Likely | None
    reached_on: Day | None = Field(description="When the cap was reached, or will be.")
    is_hot: bool | None


class DriverTold(Told):
    dimension: str
    value: str
    spent_usd: str
    before_usd: str = Field(description="In the same stretch of the period before.")
    share_percent: int


class Driven(Burning):
    drivers: list[DriverTold]
    method: str


class AskedValue(BaseModel):
    value: Text255 | None = Field(None, description="Whose, of a budget that is for each.")


class AskedWork(Days):
    task: Text400 | None = None
    epic: Text400 | None = None


class WorkOf(Told):
    currency: str
    calls: int
    cost_usd: str
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    first_call: Moment | None
    last_call: Moment | None


class OfPerson(WorkOf):
    owner: str | None
    agent: str | None
    model: str | None


class OfPlace(WorkOf):
    task: str | None
    repo: str | None
    branch: str | None
    commit_sha: str | None
    pr_url: str | None


class OfPull(WorkOf):
    pr_url: str
    title: str | None
    state: str | None = Field(description="Open, merged or declined; null for one that only the rows know.")


class Work(Told):
    """Every list adds up to the totals, those of pull requests to what came of them."""

    totals: list[WorkOf] = Field(description="One a currency.")
    people: list[OfPerson]
    places: list[OfPlace] = Field(description="In the order in which they were first worked on.")
    pull_requests: list[OfPull]
    refused: int
    failed: int


@API.on("GET", "spend", *READ_LEDGER, answer=Spend)
def spend(ask: Ask, asked: Query[Days]) -> dict[str, Any]:
    """What these days came to, how sure that is, and where the running month ends."""
    period = asked.period()
    with reading(ask.act.org_id) as connection:
        found, _ = spent_in(connection, ask.act.org_id, period, ask.act.now)
    return {
        **{name: getattr(found, name) for name in _COUNTS},
        **{f"{name}_usd": usd(getattr(found, f"{name}_nusd")) for name in _AMOUNTS},
        "compared_first": found.compared and found.compared.first,
        "compared_last": found.compared and found.compared.last,
        "other_currencies": {currency: usd(nusd) for currency, nusd in sorted(found.others.items())},
        "forecast": _likely(found.outlook),
        "method": METHOD,
    }


@API.on("GET", "spend/parts", *READ_LEDGER, answer=Parts)
def spend_parts(ask: Ask, asked: Query[AskedParts]) -> dict[str, Any]:
    """What these days are made of, the dearest first: cost centers and GL codes as they are after splits."""
    period, way = asked.period(), WAYS[asked.by]
    with reading(ask.act.org_id) as connection:
        money, split = money_of(connection, ask.act.org_id, way, period)
    lines = [(key or ("", ""), its) for key, its in money.items()]
    lines.sort(key=lambda one: (-one[1].cost_nusd, one[0]))
    items = [
        {
            "key": name,
            "owner": second if asked.by == "person" else None,
            "cost_usd": usd(its.cost_nusd),
            "billed_usd": usd(its.billed_nusd),
            "margin_usd": usd(its.billed_nusd - its.cost_nusd),
            "calls": its.calls if way.has_calls else None,
            "is_split": name in split,
        }
        for (name, second), its in lines
    ]
    cost, billed = sum(its.cost_nusd for _, its in lines), sum(its.billed_nusd for _, its in lines)
    return {"items": items, "cost_usd": usd(cost), "billed_usd": usd(billed)}


@API.on("GET", "burn", *READ_LEDGER, answer=Listed[Burning])
def burn(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    """What burns against each cap, and where it ends if it goes on like this."""
    found = {
        (str(one.scope), one.period, balance.value): (one, balance)
        for one in standings(ask.act)
        for balance in one.balances
    }
    places = [dict(zip(("scope", "period", "value"), key, strict=True)) for key in found]
    told = listed(ask, places, by("scope", "period", "value"), page)
    items = [_burning(ask, *found[one["scope"], one["period"], one["value"]]) for one in told["items"]]
    return told | {"items": items}


@API.on("GET", "burn/{path:scope}/{period}", *READ_LEDGER, answer=Driven)
def burn_of(ask: Ask, scope: ScopeName, period: PeriodName, asked: Query[AskedValue]) -> dict[str, Any]:
    """One budget's course, and who drives it against the period before."""
    wanted = scope_of(scope)
    for one in standings(ask.act):
        if (one.scope, one.period) != (wanted, period):
            continue
        for balance in one.balances:
            if asked.value in (None, balance.value):
                return _driven(ask, one, balance)
    raise Problem(404, f"nothing burns against a budget of {wanted} a {period}")


@API.on("GET", "projects/{project_key}/work", *READ_LEDGER, answer=Work)
def work(ask: Ask, project_key: str, asked: Query[AskedWork]) -> dict[str, Any]:
    """What a project, or one task or epic of it, cost: by person and model, by commit, by pull request."""
    period = asked.period()
    wanted = {name: value for name in ("task", "epic") if (value := getattr(asked, name))}
    if len(wanted) > 1:
        raise Problem(422, "expected `task`, `epic` or neither")
    with reading(ask.act.org_id) as connection:
        selected = {"project": project_key, **wanted}
        report = TaskReport(connection, ask.act.org_id, period.start, period.end, selected)
        totals = report.totals()
        if not totals and access_project(ask.act, project_key) is None:
            raise Problem(404, f"there is no project {project_key}")
        unserved = report.unserved()
        return {
            "totals": [_work(one) for one in totals],
            "people": [
                _work(one) | {"owner": one["agent_owner"], "agent": one["agent_sub"], "model": one["model"]}
                for one in report.people()
            ],
            "places": [_work(one) | _named(one, OfPlace) for one in report.places()],
            "pull_requests": [_work(one) | _named(one, OfPull) for one in report.pulls()],
            "refused": unserved.refused,
            "failed": unserved.failed,
        }


def _likely(found: Forecast | None) -> dict[str, str] | None:
    if found is None:
        return None
    amounts = {"likely": found.forecast_nusd, "low": found.low_nusd, "high": found.high_nusd}
    return {f"{name}_usd": usd(nusd) for name, nusd in amounts.items()}


def _burning(ask: Ask, one: Standing, balance: Balance) -> dict[str, Any]:
    with reading(ask.act.org_id) as connection:
        chart = curve(connection, ask.act.org_id, one, balance, ask.act.now)
    course = chart[1] if chart else None
    return {
        "scope": str(one.scope),
        "period": one.period,
        "value": balance.value,
        "starts_at": one.starts_at,
        "ends_at": one.ends_at,
        "cap_usd": usd(one.cap_nusd),
        "spent_usd": usd(balance.spent_nusd),
        "held_usd": usd(balance.held_nusd),
        "left_usd": usd(one.left_nusd(balance)),
        "hard": one.hard,
        "elapsed_percent": course.elapsed_percent if course else None,
        "forecast": _likely(course),
        "reached_on": course.reached_on if course else None,
        "is_hot": course.is_hot if course else None,
    }


def _driven(ask: Ask, one: Standing, balance: Balance) -> dict[str, Any]:
    with reading(ask.act.org_id) as connection:
        given: Any = (connection, ask.act.org_id, one, balance, ask.act.now)
        chart = curve(*given)
        found = driven_by(*given, is_simulated=chart[2]) if chart else ()
    drivers = [
        {
            "dimension": its.dimension,
            "value": its.value,
            "spent_usd": usd(its.spent_nusd),
            "before_usd": usd(its.before_nusd),
            "share_percent": its.share_percent,
        }
        for its in found
    ]
    return _burning(ask, one, balance) | {"drivers": drivers, "method": METHOD}


def _work(one: dict[str, Any]) -> dict[str, Any]:
    names = ("currency", "calls", *_TOKENS, "first_call", "last_call")
    return {name: one[name] for name in names} | {"cost_usd": usd(one["cost_nusd"])}


def _named(one: dict[str, Any], of: type[WorkOf]) -> dict[str, Any]:
    return {name: one[name] for name in set(of.model_fields) - set(WorkOf.model_fields)}
