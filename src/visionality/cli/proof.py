"""`vis budget prove`: whether budgets kept to their caps, by the audit rows."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import click

from visionality.cli.installation import Installation, as_json, installation, report, show
from visionality.cli.period import Period, period_options
from visionality.core.money import usd
from visionality.core.scope import EACH

if TYPE_CHECKING:
    from visionality.core.budget_account import Account, Finding
    from visionality.ledger.proof import Named, Proven

_HEAD = (
    f"{'scope':<28} {'period':<8} {'begins (UTC)':<16} {'kind':<5} {'cap USD':>14} {'most at once':>14} "
    f"{'spent':>14} {'held':>14}  by the events"
)


def _bar() -> AbstractContextManager[Any]:
    bar: AbstractContextManager[Any] = click.progressbar(length=1000, label="reading", file=sys.stderr)
    return bar


@click.command("prove", epilog="Example: vis budget prove --month 2026-11")
@period_options
@installation
@as_json
def prove_command(here: Installation, period: Period, *, in_json: bool) -> None:
    """Replay the audit rows, and show that no hold was ever given beyond a cap.

    For each budget and each of its periods that touches the range, from the period's beginning until now. Exits 1 and
    names the moment when a cap was passed, or when the rows, the holds and the counters do not agree.
    """
    from visionality.ledger.proof import prove

    start, end = period
    with here.reading(snapshot=True) as (connection, org_id), _bar() as bar:
        shown = 0

        def progress(read: int, in_all: int) -> None:
            nonlocal shown
            now = read * 1000 // in_all
            bar.update(now - shown)
            shown = now

        proven = prove(connection, org_id, start, end, progress)
    if in_json:
        _show(proven)
    else:
        report(_HEAD)
        for line in _told(proven):
            click.echo(line)
    sys.exit(1 if proven.found else 0)


def _told(proven: "Proven") -> Iterator[str]:
    for account in proven.accounts:
        scope, period = _named(proven, account)
        window = account.window
        begins = "" if period == "total" else f"{window.starts_at:%Y-%m-%d %H:%M}"
        yield (
            f"{scope:<28} {period:<8} {begins:<16} {'hard' if window.hard else 'soft':<5} {usd(window.cap_nusd):>14} "
            f"{usd(account.most_nusd):>14} {usd(account.spent_nusd):>14} {usd(account.held_nusd):>14}  {_result(account)}"
        )
        for finding in account.findings:
            yield from _found(finding)
        if (more := account.found - len(account.findings)) > 0:
            yield f"  and {more} more"
    for finding in proven.findings:
        yield from _found(finding)
    said = _many(proven.found, "finding") if proven.found else "no hold was ever given beyond a cap"
    yield f"{_many(len(proven.accounts), 'window')}, {_many(proven.events, 'event')}: {said}"


def _many(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _result(account: "Account") -> str:
    if account.found:
        return "WRONG"
    if not account.most_past_nusd:
        return "proved"
    reasons = []
    if account.overages:
        times = "once" if account.overages == 1 else f"{account.overages} times"
        reasons.append(f"{times} a call cost more than was held, {usd(account.overage_nusd)} in all")
    if account.is_cut:
        reasons.append("its cap was set below what was spent and held")
    return f"proved; it stood at most {usd(account.most_past_nusd)} past its cap: {'; '.join(reasons)}"


def _found(finding: "Finding") -> Iterator[str]:
    places = [f"{finding.at:%Y-%m-%d %H:%M:%S.%f %Z}"] if finding.at else []
    places += [f"position {finding.position}"] if finding.position else []
    places += [f"hold {finding.hold_id}"] if finding.hold_id else []
    places += [f"call {finding.request_id}"] if finding.request_id else []
    yield f"  {finding.words}"
    if places:
        yield f"    {', '.join(places)}"


def _show(proven: "Proven") -> None:
    for account in proven.accounts:
        scope, period = _named(proven, account)
        window = account.window
        show(
            {
                "budget_id": window.budget_id,
                "window_id": window.window_id,
                "scope": scope,
                "period": period,
                "starts_at": None if period == "total" else window.starts_at,
                "ends_at": None if period == "total" else window.ends_at,
                "hard": window.hard,
                "cap_usd": usd(window.cap_nusd),
                "most_usd": usd(account.most_nusd),
                "most_at": account.most_at,
                "most_position": account.most_position,
                "most_past_cap_usd": usd(account.most_past_nusd),
                "is_cap_cut": account.is_cut,
                "overages": account.overages,
                "overage_usd": usd(account.overage_nusd),
                "spent_usd": usd(account.spent_nusd),
                "held_usd": usd(account.held_nusd),
                "reserves": account.reserves,
                "denials": account.denials,
                "found": account.found,
                "findings": [finding._asdict() for finding in account.findings],
            }
        )
    findings = [finding._asdict() for finding in proven.findings]
    show(
        {
            "ok": not proven.found,
            "windows": len(proven.accounts),
            "events": proven.events,
            "found": proven.found,
            "findings": findings,
        }
    )


def _named(proven: "Proven", account: "Account") -> "Named":
    """The budget, by the value that this window is for."""
    from visionality.ledger.proof import Named

    named = proven.budgets.get(account.window.budget_id)
    if named is None:
        return Named(str(account.window.budget_id), "")
    scope = named.scope
    return (
        Named(scope.removesuffix(EACH) + account.window.scope_value, named.period)
        if scope.endswith(f":{EACH}")
        else named
    )
