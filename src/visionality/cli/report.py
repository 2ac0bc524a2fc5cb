"""`vis report task|coverage`: what a task cost, and how much of the spend is attributed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import click

from visionality.cli.installation import Installation, as_json, installation, show
from visionality.cli.period import Period, any_period_options
from visionality.core.money import usd

if TYPE_CHECKING:
    from visionality.chargeback.coverage import Period as Span
    from visionality.chargeback.coverage import Share
    from visionality.chargeback.task_report import TaskReport, Unserved

report_command = click.Group(
    "report", help="What a task or an epic cost, and how much of the spend is attributed."
)

_include_sandbox = click.option(
    "--include-sandbox", is_flag=True, help="Count rows of the simulated provider too."
)
_original = click.option(
    "--original", is_flag=True, help="Leave corrections out: rows as they were booked at first."
)
_SUMS = f"{'calls':>8} {'tokens in':>12} {'out':>10} {'cost':>20}"


@report_command.command("task", epilog="Example: vis report task HPC-1234 --month 2026-11")
@click.argument("task")
@click.option("--epic", "is_epic", is_flag=True, help="TASK is an epic: count all of its issues.")
@any_period_options
@_include_sandbox
@_original
@installation
@as_json
def _task(
    here: Installation,
    period: Period,
    task: str,
    *,
    is_epic: bool,
    include_sandbox: bool,
    original: bool,
    in_json: bool,
) -> None:
    """Print what a task cost: by person and model, over which repos, branches and commits, and for which pull requests.

    Without a period it is of all time. The total equals the ledger's to the last digit.
    """
    from visionality.chargeback.task_report import TaskReport

    start, end = period
    kind = "epic" if is_epic else "task"
    with here.reading(snapshot=True) as (connection, org_id):
        report = TaskReport(connection, org_id, start, end, {kind: task}, include_sandbox, original)
        totals, unserved = report.totals(), report.unserved()
        if not totals and not unserved:
            raise click.ClickException(_nothing(replace(report, include_sandbox=True), kind, task))
        if in_json:
            _show_task(report, {kind: task}, totals, unserved)
        else:
            _tell_task(report, f"{kind} {task}", totals, unserved)


def _nothing(with_sandbox: "TaskReport", kind: str, task: str) -> str:
    if with_sandbox.totals() or with_sandbox.unserved():
        return f"all calls of {kind} {task} went to the simulated provider: count them with --include-sandbox"
    return f"no row of this period is of {kind} {task}: expected a key as rows have it, such as HPC-1234"


def _show_task(
    report: "TaskReport", of: dict[str, str], totals: list[dict[str, Any]], unserved: "Unserved"
) -> None:
    for total in totals:
        show({"part": "total", **of, **_priced(total)})
    show({"part": "unserved", "refused": unserved.refused, "failed": unserved.failed})
    for line in report.people():
        show({"part": "person", **_priced(line)})
    for line in report.places():
        show({"part": "place", **_priced(line)})
    for line in report.pulls():
        show({"part": "pull_request", **_priced(line)})


def _tell_task(report: "TaskReport", name: str, totals: list[dict[str, Any]], unserved: "Unserved") -> None:
    for total in totals:
        click.echo(
            f"{name}: {usd(total['cost_nusd'])} {total['currency']}, {total['calls']} calls, "
            f"{_tokens_in(total)} tokens in, {total['output_tokens']} out"
        )
        click.echo(f"first call {_moment(total['first_call'])}, last {_moment(total['last_call'])}")
    if unserved:
        click.echo(f"apart from these, at no cost: {unserved.refused} refused, {unserved.failed} failed")
    if not totals:
        return
    click.echo(f"\n{_SUMS}  person, agent, model")
    for line in report.people():
        click.echo(f"{_sums(line)}  {_words(line, 'agent_owner', 'agent_sub', 'model')}")
    click.echo(f"\n{_SUMS}  task, repo, branch, commit, pull request")
    for line in report.places():
        click.echo(f"{_sums(line)}  {_words(line, 'task', 'repo', 'branch', 'commit_sha', 'pr_url')}")
    pulls = list(report.pulls())
    if pulls:
        click.echo(f"\n{_SUMS}  pull request, state, title")
    for line in pulls:
        click.echo(f"{_sums(line)}  {_words(line, 'pr_url', 'state', 'title')}")


def _priced(line: dict[str, Any]) -> dict[str, Any]:
    """A line with decimal dollars for its nano-dollars."""
    rest = {name: value for name, value in line.items() if name != "cost_nusd"}
    return rest | {"cost_usd": usd(line["cost_nusd"])}


def _sums(line: dict[str, Any]) -> str:
    cost = f"{usd(line['cost_nusd'])} {line['currency']}"
    return f"{line['calls']:>8} {_tokens_in(line):>12} {line['output_tokens']:>10} {cost:>20}"


def _tokens_in(line: dict[str, Any]) -> int:
    """Fresh, read from a cache and written to one."""
    return int(line["input_tokens"] + line["cache_read_tokens"] + line["cache_write_tokens"])


def _words(line: dict[str, Any], *names: str) -> str:
    return "  ".join(_or_dash(line[name]) for name in names)


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else "–"


@report_command.command(
    "coverage",
    epilog="""\b
Example: vis report coverage --month 2026-11
  vis report coverage --quarter 2026-Q4 --by week""",
)
@click.option(
    "--by",
    "unit",
    type=click.Choice(["day", "week", "month"]),
    help="Over time: the share of spend by level in each, UTC.",
)
@any_period_options
@_include_sandbox
@_original
@installation
@as_json
def _coverage(
    here: Installation,
    period: Period,
    *,
    unit: Literal["day", "week", "month"] | None,
    include_sandbox: bool,
    original: bool,
    in_json: bool,
) -> None:
    """Print what share of calls and of spend is attributed, by the level of the evidence and by client.

    Without a period it is of all time. docs/reference/attribution.md says what the levels are.
    """
    from visionality.chargeback.coverage import coverage, coverage_by

    start, end = period
    if unit is not None:
        with here.reading(snapshot=True) as (connection, org_id):
            spans = coverage_by(
                connection, org_id, start, end, unit, include_sandbox=include_sandbox, original=original
            )
        _tell_spans(spans, in_json=in_json)
        return
    with here.reading(snapshot=True) as (connection, org_id):
        found, flagged = coverage(
            connection, org_id, start, end, include_sandbox=include_sandbox, original=original
        )
    if in_json:
        for share in found:
            show(_share(share))
        show({"part": "flagged", "conflicts": flagged.conflicts, "denied": flagged.denied})
        return
    click.echo(
        f"{'':<26} {'calls':>8} {'%':>6} {'cost':>20} {'%':>6}" if found else "no calls in this period"
    )
    for share in found:
        click.echo(_share_line(share))
    click.echo(
        f"evidence that disagrees: {flagged.conflicts} calls; "
        f"a project that the key may not claim: {flagged.denied} calls"
    )


def _tell_spans(spans: "list[Span]", *, in_json: bool) -> None:
    from visionality.chargeback.coverage import LEVELS, percent

    if in_json:
        for span in spans:
            for level, its in span.levels.items():
                about = {"part": "period", "begins": span.begins, "currency": span.currency, "level": level}
                show(
                    about
                    | {
                        "found_by": LEVELS.get(level or 0),
                        "calls": its.calls,
                        "calls_percent": percent(its.calls, span.whole.calls),
                        "cost_usd": usd(its.cost_nusd),
                        "cost_percent": percent(its.cost_nusd, span.whole.cost_nusd),
                    }
                )
        return
    if not spans:
        click.echo("no calls in this period")
        return
    levels = sorted({level for span in spans for level in span.levels}, key=lambda level: level or 0)
    names = [f"{_or_dash(level)} {LEVELS.get(level or 0, '')}".strip() for level in levels]
    widths = [max(len(name), 6) + 2 for name in names]
    heads = "".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    click.echo(f"{'begins':<10} {'calls':>8} {'cost':>20}{heads}  % of cost")
    for span in spans:
        cost = f"{usd(span.whole.cost_nusd)} {span.currency}"
        shares = "".join(
            f"{_or_dash(percent(span.levels[level].cost_nusd, span.whole.cost_nusd) if level in span.levels else None):>{width}}"
            for level, width in zip(levels, widths, strict=True)
        )
        click.echo(f"{span.begins} {span.whole.calls:>8} {cost:>20}{shares}")


def _share(share: "Share") -> dict[str, Any]:
    from visionality.chargeback.coverage import LEVELS, percent

    about: dict[str, Any] = {"part": share.part}
    if share.part in {"client", "client_level"}:
        about |= {"client": share.client}
    if share.part in {"level", "client_level"}:
        about |= {"level": share.level, "found_by": LEVELS.get(share.level or 0)}
    return about | {
        "currency": share.currency,
        "calls": share.sum.calls,
        "calls_percent": percent(share.sum.calls, share.whole.calls),
        "cost_usd": usd(share.sum.cost_nusd),
        "cost_percent": percent(share.sum.cost_nusd, share.whole.cost_nusd),
    }


def _share_line(share: "Share") -> str:
    """A line of the table; a client's percentages are of all, those below it of the client's."""
    told = _share(share)
    level = f"  {_or_dash(share.level)} {told.get('found_by') or ''}"
    label = {
        "total": "all",
        "unattributed": "  without a project",
        "client": share.client or "no client named",
    }.get(share.part, level)
    cost = f"{told['cost_usd']} {share.currency}"
    calls_percent, cost_percent = _or_dash(told["calls_percent"]), _or_dash(told["cost_percent"])
    return f"{label:<26} {share.sum.calls:>8} {calls_percent:>6} {cost:>20} {cost_percent:>6}"


def _or_dash(value: object) -> str:
    return "–" if value is None else str(value)
