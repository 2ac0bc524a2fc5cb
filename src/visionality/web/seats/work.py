"""The work of a project, or of one task or epic of it (P1): what it cost, in which commits, and what each pull request came to.

The figures are those of `vis report task`, from the daily sums (chargeback.work).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from visionality.chargeback.work import Work, work_of
from visionality.core.period import Period
from visionality.web.accounts.members import for_roles, member_of
from visionality.web.accounts.roles import Role
from visionality.web.charts.shares import Share, shares
from visionality.web.connecting.access import access_summaries
from visionality.web.doing import doing
from visionality.web.plane import plane
from visionality.web.policy.project_caps import access_project
from visionality.web.reading import reading
from visionality.web.seats.figures import Amount, amount, cents, counted, percent
from visionality.web.seats.period import chooser, days_query, period_of, query

LARGEST = 100
"""Lines of a table; the chargeback download has the others."""
TOKENS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")

_Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A pull request, a place or somebody with a model. `link` is https or empty."""

    name: str
    about: str
    link: str
    state: str
    commits: str
    calls: str
    cost: Amount
    percent: str
    bar: list[Share]
    ledger: str


@for_roles(Role.PROJECTS)
@require_safe
def page(request: HttpRequest, key: str) -> HttpResponse:
    member, today = member_of(request), plane().clock().date()
    period = period_of(request.GET, today)
    wanted = {name: request.GET[name] for name in ("task", "epic") if request.GET.get(name)}
    if any("\0" in value for value in wanted.values()) or len(wanted) > 1:
        raise BadRequest("expected task=, epic= or neither, without NUL")
    with reading(member.org_id) as connection:
        found = work_of(connection, member.org_id, key, period.first, period.after, wanted)
    with doing(request) as act:
        if access_project(act, key) is None and found.total is None:
            raise Http404
        about = access_summaries(act, wanted.values())
    name = next(iter(wanted.values()), "")
    return render(
        request,
        "work.html",
        {
            "room": "projects",
            "key": key,
            "name": name,
            "what": next(iter(wanted), "project"),
            "about": about.get(name, ""),
            "chosen": chooser(period, today, **wanted),
            "period": period,
            "period_query": query(period),
            "csv_query": query(period, project=key, **wanted),
            "ledger_query": days_query(period, project=key, **wanted),
            **_figures(found, period, key, wanted),
        },
    )


def _figures(found: Work, period: Period, key: str, wanted: dict[str, str]) -> dict[str, object]:
    total = found.total or {"cost_nusd": 0, "calls": 0, **dict.fromkeys(TOKENS, 0)}
    whole = total["cost_nusd"]
    merged = sum(one["state"] == "merged" for one in found.pulls)
    commits = {one["commit_sha"] for one in found.places if one["commit_sha"]}
    linked = sum(one["cost_nusd"] for one in found.pulls)
    tables = {
        "pulls": [_pull(one, found.places, whole) for one in found.pulls[:LARGEST]],
        "places": _places(found.places, whole, period, key, wanted)[:LARGEST],
        "commits": [_commit(one, whole) for one in found.places if one["commit_sha"]][:LARGEST],
        "people": _grouped(found.people, whole, "agent_owner", period, key, wanted)[:LARGEST],
        "models": _grouped(found.people, whole, "model", period, key, wanted)[:LARGEST],
    }
    amounts = [amount(linked), amount(whole - linked), *(one.cost for its in tables.values() for one in its)]
    return {
        **tables,
        "digits": max((len(one.part) - 1 for one in amounts if one.part), default=0),
        "is_empty": found.total is None,
        "cost": cents(whole),
        "exact": amount(whole),
        "calls": counted(total["calls"]),
        "tokens_in": counted(sum(total[name] for name in TOKENS[:3])),
        "tokens_out": counted(total["output_tokens"]),
        "commit_count": counted(len(commits)),
        "pull_count": counted(len(found.pulls)),
        "merged": counted(merged),
        "each": cents(whole // merged) if merged else None,
        "per_commit": cents(whole // len(commits)) if commits else None,
        "linked": amount(linked),
        "unlinked": amount(whole - linked),
        "linked_percent": percent(linked, whole),
        "refused": counted(found.unserved.refused),
        "failed": counted(found.unserved.failed),
        "other_currencies": found.others,
        "first_at": total.get("first_call"),
        "last_at": total.get("last_call"),
        "largest": LARGEST,
    }


def _pull(one: _Record, places: Sequence[_Record], whole: int) -> Line:
    commits = {
        place["commit_sha"] for place in places if place["pr_url"] == one["pr_url"] and place["commit_sha"]
    }
    url = one["pr_url"]
    return Line(
        name=one["title"] or url,
        about=url if one["title"] else "",
        link=url if url.startswith("https://") else "",
        state=one["state"] or "",
        commits=counted(len(commits)),
        calls=counted(one["calls"]),
        cost=amount(one["cost_nusd"]),
        percent=percent(one["cost_nusd"], whole),
        bar=shares([("", one["cost_nusd"])], whole),
        ledger="",
    )


def _commit(one: _Record, whole: int) -> Line:
    began: datetime | None = one["first_call"]
    return Line(
        name=one["commit_sha"][:12],
        about=" ".join(part for part in (one["repo"], one["branch"]) if part),
        link="",
        state=f"{began:%-d %b %H:%M}" if began else "",
        commits="",
        calls=counted(one["calls"]),
        cost=amount(one["cost_nusd"]),
        percent=percent(one["cost_nusd"], whole),
        bar=[],
        ledger="",
    )


def _places(
    lines: Sequence[_Record], whole: int, period: Period, key: str, wanted: dict[str, str]
) -> list[Line]:
    """By repo and branch, the dearest first."""
    found: dict[tuple[str, str], list[_Record]] = defaultdict(list)
    for one in lines:
        found[one["repo"] or "", one["branch"] or ""].append(one)
    made = []
    for (repo, branch), its in found.items():
        nusd = sum(one["cost_nusd"] for one in its)
        asked = {name: value for name, value in (("repo", repo), ("branch", branch)) if value}
        line = Line(
            name=repo or "no repo",
            about=branch,
            link="",
            state="",
            commits=counted(len({one["commit_sha"] for one in its if one["commit_sha"]})),
            calls=counted(sum(one["calls"] for one in its)),
            cost=amount(nusd),
            percent=percent(nusd, whole),
            bar=shares([("", nusd)], whole),
            ledger=days_query(period, project=key, **wanted, **asked) if repo else "",
        )
        made.append((-nusd, repo, branch, line))
    return [line for *_, line in sorted(made, key=lambda one: one[:3])]


def _grouped(
    lines: Sequence[_Record], whole: int, column: str, period: Period, key: str, wanted: dict[str, str]
) -> list[Line]:
    """By owner or by model, the dearest first."""
    found: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for one in lines:
        calls, nusd = found[one[column] or ""]
        found[one[column] or ""] = (calls + one["calls"], nusd + one["cost_nusd"])
    selector = {"agent_owner": "owner", "model": "model"}[column]
    return [
        Line(
            name=name or "none",
            about="",
            link="",
            state="",
            commits="",
            calls=counted(calls),
            cost=amount(nusd),
            percent=percent(nusd, whole),
            bar=shares([("", nusd)], whole),
            ledger=days_query(period, project=key, **wanted, **{selector: name}) if name else "",
        )
        for name, (calls, nusd) in sorted(found.items(), key=lambda one: (-one[1][1], one[0]))
    ]
