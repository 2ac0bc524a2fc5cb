"""The month's rows, day by day: who called which model for what, what it used, and so what it cost.

Nothing is drawn but from one seeded source of chance, so the same month is the same rows each time, their ids too: a load that
was cut off goes on where it stopped. Costs are sums of usage times the price book's rates, as a gateway has them.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import accumulate
from random import Random
from typing import NamedTuple
from uuid import UUID

from visionality.core.allocation import MULTIPLIER, bill
from visionality.core.correction import BUSINESS_UNIT, BY_AN_OPERATOR, NOTHING, Order, Standing, corrected
from visionality.core.family import model_family
from visionality.core.money import usd
from visionality.core.pricing import Price, RateCard, cost_of
from visionality.core.row import Row
from visionality.demo import story, sums
from visionality.demo.calendar import Month, spread
from visionality.demo.story import Person, Project
from visionality.pricebook.book import PriceBook

Cast = Sequence[tuple[Person, int]]
"""Who does a kind of work, each with how much of it."""

_SEED = "ArcTrade"
FIRST_CALL = {"in_text": 300, "cache_read": 1033, "out_text": 146}
"""Alice's: 0.0033999 USD, which is 0.0034; all rates of Sonnet are whole 300 nano-dollars, and 0.0034 USD is not."""

_MODELS: Mapping[str, Sequence[tuple[str, int, float]]] = {
    "claude-code": (
        ("claude-sonnet-4-6", 70, 1.0),
        ("claude-haiku-4-5", 18, 0.5),
        ("claude-opus-4-6", 12, 1.75),
    ),
    "codex": (("gpt-5", 75, 1.2), ("gpt-5-mini", 25, 0.4)),
    "gemini-cli": (("gemini-2.5-pro", 60, 1.4), ("gemini-2.5-flash", 40, 0.4)),
    "continue": (("codestral-latest", 60, 0.7), ("claude-haiku-4-5", 40, 1.45)),
    "openai-python": (("gpt-5", 60, 1.4), ("gpt-5-mini", 40, 0.4)),
}
"""By client: the model, how often it is asked for, and what a call of it costs of what a call costs on average."""
_SERVED_BY = {
    "claude": ("anthropic", "messages"),
    "gpt": ("openai", "responses"),
    "gemini": ("google", "gemini"),
    "codestral": ("mistral", "chat_completions"),
}
_PARTS = {
    "anthropic": (("cache_read", 30), ("cache_write_5m", 20), ("in_text", 12)),
    "openai": (("cache_read", 15), ("in_text", 40), ("out_reasoning", 12)),
    "google": (("cache_read", 12), ("in_text", 42), ("out_reasoning", 14)),
    "mistral": (("in_text", 62),),
}
"""How much of a call's cost is for each bucket, in per cent; the rest is text that was answered."""
_LONG_PARTS = (("cache_read", 62), ("cache_write_5m", 12), ("in_text", 6))
_MOST_READ, _MOST_READ_AT_ONCE = 150_000, 700_000
"""Tokens of a bucket, in a context that every model takes and in a long one."""
_CLASSES = ("agent", "code_completion", "refactor", "test", "review", "chat", "docs", "commit_message")
_HOW_OFTEN = tuple(accumulate((34, 30, 9, 9, 6, 6, 4, 2)))
_LONG_CONTEXT, _PREFERRED = "claude-opus-4-6", "claude-haiku-4-5"
_HINTED_AFTER = 12
"""The day in whose evening the operator prefers Haiku for what Derek refactors."""
_NIGHT = (timedelta(minutes=30), timedelta(minutes=90))
"""When the nightly review runs."""
LEAK_FOUND = timedelta(hours=2, minutes=41)
"""When the leaked key is revoked, after strangers tried it since LEAKED."""
LEAKED = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Scene:
    """What the rows refer to: ids that the control plane gave, the price book, and how many rows there are to be."""

    org_id: UUID
    month: Month
    rows: int
    keys: Mapping[str, UUID]
    """By the subject of its agent."""
    leaked_key: UUID
    hint: UUID
    book: PriceBook


class Manner(NamedTuple):
    """How calls of a kind are; empty is as their callers are."""

    epic: str = ""
    models: Sequence[tuple[str, int, float]] = ()
    task_class: str = ""
    asked: str = ""
    """The model that was asked for, where a hint took another."""


@dataclass(slots=True)
class Work:
    """Calls of one kind, and how many of them on each day."""

    project: Project | None
    days: Mapping[date, int]
    people: Cast
    sum: sums.Sum
    manner: Manner
    done: int = 0
    total: int = field(init=False)

    def __post_init__(self) -> None:
        self.total = sum(self.days.values())


def days_of(scene: Scene) -> Iterator[list[Row]]:
    """The rows of each day, in the order of their times, but for their places in the ledger."""
    yield from _Telling(scene).days()


class _Telling:
    """The month as it is told."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.chance = Random(_SEED)  # noqa: S311 -- a story and no secret
        self.works = _works(scene)
        self.hpc = self.works[0]
        self.others = _others(scene)
        self.waiting: list[Row] = []
        self.corrections = _corrections(scene.rows)
        self._cast: dict[tuple[int, bool], tuple[list[Person], list[int]]] = {}

    def days(self) -> Iterator[list[Row]]:
        month = self.scene.month
        for day in month.days:
            rows = self._corrected(day)
            for work in self.works:
                made = [self._call(work, at, person) for at, person in self._turns(work, day)]
                rows += made
                if work.project is None:
                    self.waiting = made[: self.corrections]
            rows += self._unpaid(day)
            rows.sort(key=_moment)
            yield rows

    # ------------------------------------------------------------------ who calls when

    def _turns(self, work: Work, day: date) -> Iterator[tuple[datetime, Person]]:
        opens, closes = self.scene.month.hours_of(day)
        if work.people is _REVIEWER:
            opens, closes = _at(day, _NIGHT[0]), _at(day, _NIGHT[1])
        people, upto = self._at_work(work, day)
        times = sorted(self._between(opens, closes) for _ in range(work.days.get(day, 0)))
        for at in times:
            yield at, self.chance.choices(people, cum_weights=upto)[0]

    def _at_work(self, work: Work, day: date) -> tuple[list[Person], list[int]]:
        has_left = day > self.scene.month.resigned_at.date()
        known = self._cast.get((id(work), has_left))
        if known is None:
            there = [(one, share) for one, share in work.people if not (has_left and one is story.SOFIA)]
            known = ([one for one, _ in there], list(accumulate(share for _, share in there)))
            self._cast[id(work), has_left] = known
        return known

    def _between(self, opens: datetime, closes: datetime) -> datetime:
        """More of them in the middle of it; never on a whole second, as clocks have it."""
        part = (self.chance.random() + self.chance.random()) / 2
        at = opens + (closes - opens) * part
        return at if at.microsecond else at + timedelta(microseconds=1)

    # ------------------------------------------------------------------ what a call is

    def _call(self, work: Work, at: datetime, person: Person) -> Row:
        row = self._row(work.project, at, person)
        if work.project is None:
            row.repo = story.STRAY_REPO if self.chance.random() < 0.7 else None
        elif work.manner.epic:
            self._redesigned(row, work)
        else:
            self._worked_on(row, work.project, person)
        is_first = work is self.hpc and work.done == 0
        if is_first:
            row = self._opened(work.project or story.HPC)
        task_class = work.manner.task_class or self.chance.choices(_CLASSES, cum_weights=_HOW_OFTEN)[0]
        row.task_class = "code_completion" if is_first else task_class
        self._pay(row, work, person, is_first=is_first)
        work.done += 1
        return row

    def _opened(self, project: Project) -> Row:
        """What Alice asks on the first morning."""
        opens, _ = self.scene.month.hours_of(self.scene.month.begins)
        row = self._row(project, opens + timedelta(minutes=2, seconds=11, milliseconds=417), story.ALICE)
        row.task_id, row.epic_id = story.task_of(project, 0), project.epic
        row.branch = story.FIRST_BRANCH
        return row

    def _row(self, project: Project | None, at: datetime, person: Person) -> Row:
        team, chance = story.TEAMS[person.team], self.chance
        unit = project.unit if project else team[2]
        tags = {"client": person.tool, BUSINESS_UNIT: unit}
        if project and project.multiplier:
            tags[MULTIPLIER] = project.multiplier
        return Row(
            org_id=self.scene.org_id,
            created_at=at,
            id=_id(at, chance),
            request_id=_id(at, chance),
            source=story.SOURCE,
            agent_sub=person.sub,
            agent_owner=person.owner,
            sso_sub=person.sso_sub or None,
            team_id=person.team,
            key_id=self._key(person, at),
            project_id=project.key if project else None,
            customer_id=(project.customer or None) if project else None,
            repo=project.repo if project else None,
            cost_center=team[1],
            gl_code=project.gl_code if project else None,
            attribution_level=4 if project else 8,
            confidence=90 if project else 0,
            resolver_version=1,
            provider="unknown",
            dialect="unknown",
            price_state="known",
            status_code=200,
            tags=tags,
        )

    def _key(self, person: Person, at: datetime) -> UUID:
        until = self.scene.month.leaked_on
        return (
            self.scene.leaked_key
            if person is story.NIGHTLY and at.date() <= until
            else self.scene.keys[person.sub]
        )

    def _worked_on(self, row: Row, project: Project, person: Person) -> None:
        """Everybody is at one issue for three days."""
        turn = row.created_at.day // 3 + story.PEOPLE.index(person)
        number = turn % len(project.tasks)
        row.task_id, row.epic_id = story.task_of(project, number), project.epic
        row.branch = story.branch_of(row.task_id, project.tasks[number])

    def _redesigned(self, row: Row, work: Work) -> None:
        """The next of the commits, each of which took about as many calls."""
        number = work.done * story.COMMITS // work.total
        pull = number // story.COMMITS_OF_A_PULL_REQUEST
        row.task_id, row.epic_id = story.redesign_task(pull), work.manner.epic
        row.branch = story.branch_of(row.task_id, story.REDESIGN_TASKS[pull])
        row.commit_sha = commit(number)

    # ------------------------------------------------------------------ what it uses and costs

    def _pay(self, row: Row, work: Work, person: Person, *, is_first: bool) -> None:
        models = work.manner.models or _MODELS[person.tool.partition(" ")[0]]
        model, _, factor = self.chance.choices(models, weights=[often for _, often, _ in models])[0]
        asked = work.manner.asked or model
        if (
            is_hinted := person is story.DEREK
            and row.task_class == "refactor"
            and row.created_at.day > _HINTED_AFTER
        ):
            model, models = _PREFERRED, ((_PREFERRED, 1, 1.0),)
        if is_first:
            self._used(row, "claude-sonnet-4-6", FIRST_CALL)
        elif work.sum.calls == 1:
            row.task_class, is_hinted = "title", False
            self._used(
                row, sums.CLOSING_MODEL, sums.closing(work.sum.nusd, self._card(row, sums.CLOSING_MODEL))
            )
        elif work.sum.calls == sums.CLOSING:
            model = models[0][0]
            self._used(row, model, sums.closing_but_one(work.sum.nusd, self._card(row, model)))
        else:
            wanted = work.sum.share(self.chance, factor)
            is_long = model is _LONG_CONTEXT and bool(work.manner.models)
            self._used(row, model, self._usage(row, model, wanted, is_long=is_long))
            self._broken_off(row)
        if is_hinted and asked != _PREFERRED:
            self._hinted(row, asked)
        work.sum.take(row.cost_nusd)

    def _usage(self, row: Row, model: str, wanted_nusd: int, *, is_long: bool) -> dict[str, int]:
        """What costs about this much. A part of each kind, more of one and less of another."""
        nusd, chance = sums.per_token(self._card(row, model)), self.chance
        parts, most = (
            (_LONG_PARTS, _MOST_READ_AT_ONCE) if is_long else (_PARTS[_served(model)[0]], _MOST_READ)
        )
        left, counts = wanted_nusd, {}
        for bucket, share in parts:
            of_it = wanted_nusd * share * (70 + int(60 * chance.random())) // 10_000
            if count := min(of_it // nusd[bucket], most):
                counts[bucket] = count
                left -= count * nusd[bucket]
        counts["out_text"] = max(left // nusd["out_text"], 1)
        return counts

    def _used(self, row: Row, model: str, counts: dict[str, int]) -> None:
        """Write the usage and its price into the row."""
        fresh, read, written = (
            counts.get(bucket, 0) for bucket in ("in_text", "cache_read", "cache_write_5m")
        )
        priced = self._price(row, model, counts)
        row.provider, row.dialect = _served(model)
        row.model_requested = row.model_used = model
        row.model_family = model_family(model)
        row.usage = counts
        row.usage_source = "provider_final"
        row.input_tokens, row.cache_read_tokens, row.cache_write_tokens = fresh, read, written
        row.reasoning_tokens = counts.get("out_reasoning", 0)
        row.output_tokens = counts["out_text"] + row.reasoning_tokens
        row.cost_nusd, row.price_state = priced.cost_nusd, priced.state
        row.price_version, row.rates = priced.version, priced.rates
        bill(row, priced.exact)
        row.finish = "stop"
        row.ttft_ms = 320 + self.chance.getrandbits(9)
        row.latency_ms = row.ttft_ms + min(row.output_tokens * 13, 600_000)

    def _price(self, row: Row, model: str, counts: dict[str, int]) -> Price:
        read = sum(count for bucket, count in counts.items() if not bucket.startswith("out_"))
        return cost_of(counts, self._card(row, model, read))

    def _card(self, row: Row, model: str, total_input_tokens: int = 0) -> RateCard:
        """The rates of the row's day: none of these models has another price at another hour."""
        midnight = row.created_at.replace(hour=0, minute=0, second=0, microsecond=0)
        card = self.scene.book.card(_served(model)[0], model, midnight, {}, total_input_tokens)
        assert card is not None, model
        return card

    def _broken_off(self, row: Row) -> None:
        """One in some hundred clients leaves before the end, and its tokens are counted by us."""
        if self.chance.random() < 0.004:
            row.usage_source, row.finish = "tokenizer_estimate", "client_abort"

    def _hinted(self, row: Row, asked: str) -> None:
        row.model_requested = asked
        as_asked = self._price(row, asked, row.usage or {})
        said = {
            "hint": str(self.scene.hint),
            "model_sent": _PREFERRED,
            "cost_as_asked_usd": usd(as_asked.cost_nusd),
        }
        row.tags = {**(row.tags or {}), **said}

    # ------------------------------------------------------------------ what costs nothing

    def _unpaid(self, day: date) -> list[Row]:
        kinds = (
            self._tried_by_strangers,
            self._unproven,
            self._turned_away,
            self._unpriced,
            self._broken,
            self._listed,
        )
        opens, closes = self.scene.month.hours_of(day)
        rows = []
        for make, days in zip(kinds, self.others, strict=True):
            rows += [make(self._between(opens, closes)) for _ in range(days.get(day, 0))]
        return rows

    def _tried_by_strangers(self, at: datetime) -> Row:
        """A key of a public repository: its cap says 402, and once it is revoked, the answer is 401."""
        day = self.scene.month.leaked_on
        at = self._between(_at(day, LEAKED), _at(day, LEAKED + timedelta(hours=2)))
        row = self._row(story.TOOLS, at, story.NIGHTLY)
        row.tags = {**(row.tags or {}), "client": "python-requests 2.32.5"}
        is_over = at >= _at(day, LEAK_FOUND)
        return _refused(row, *((401, "spend_token_revoked") if is_over else (402, "spend_token_blocked")))

    def _unproven(self, at: datetime) -> Row:
        """A token without its second factor, in each way in which that fails."""
        found = self.chance.choice(
            (
                ("missing", "binding_required"),
                ("mismatch", "binding_invalid"),
                ("stale", "binding_stale"),
                ("replayed", "binding_replayed"),
                ("key_mismatch", "binding_invalid"),
                ("caller_denied", "caller_not_allowed"),
            )
        )
        row = _refused(self._row(story.ERCOT, at, story.QUOTES), 401, found[1])
        row.binding_status = found[0]
        row.caller = "svc:quote-api" if found[0] != "missing" else None
        return row

    def _turned_away(self, at: datetime) -> Row:
        """Sofia's assistant, once she has left; before that, a model that a key is not for."""
        if at > self.scene.month.resigned_at:
            return _refused(self._row(None, at, story.SOFIA), 401, "spend_token_revoked")
        return _refused(self._row(story.TOOLS, at, story.OMAR), 403, "model_not_allowed")

    def _unpriced(self, at: datetime) -> Row:
        """A model of one's own, that nobody has said a price of."""
        row = self._row(story.TOOLS, at, story.OMAR)
        self._used(row, "codestral-latest", {"in_text": 900 + self.chance.getrandbits(11), "out_text": 240})
        row.provider = "desk-gpu"
        row.model_requested = row.model_used = row.model_family = "arctrade-desk-7b"
        row.cost_nusd = row.billed_nusd = 0
        row.price_state, row.rates, row.task_class = "unknown", None, "chat"
        return row

    def _broken(self, at: datetime) -> Row:
        row = self._row(story.TOOLS, at, story.OMAR)
        row.provider, row.dialect = _SERVED_BY["claude"]
        row.model_requested, row.task_class = "claude-sonnet-4-6", "agent"
        row.decision, row.reason, row.status_code = "failed", "upstream_unreachable", 502
        return row

    def _listed(self, at: datetime) -> Row:
        """Which models there are."""
        row = self._row(story.TOOLS, at, story.OMAR)
        row.provider, row.dialect = _SERVED_BY["claude"]
        row.task_class, row.price_state = "catalogue", "free"
        return row

    # ------------------------------------------------------------------ what is booked again

    def _corrected(self, day: date) -> list[Row]:
        """What waited yesterday is booked on HPC, and counts to its sum; that is as many calls less to make it from."""
        opens, _ = self.scene.month.hours_of(day)
        waiting, self.waiting = self.waiting, []
        made: list[Row] = []
        for number, row in enumerate(waiting):
            at = opens + timedelta(hours=2, milliseconds=7 * number + 1)
            made += corrected(Standing(row, NOTHING, exact=Decimal(row.cost_nusd)), self._order(), at)
            self.hpc.sum.nusd -= row.cost_nusd
        for row in made:
            row.id = _id(row.created_at, self.chance)
        self.corrections -= len(waiting)
        return made

    def _order(self) -> Order:
        hpc, (level, confidence) = story.HPC, BY_AN_OPERATOR
        order_id = correction_id(self.scene.month)
        words = "notebooks of the Houston contract, as Tom says"
        whose = (self.scene.org_id, order_id, story.BY, words)
        return Order(
            *whose,
            hpc.key,
            None,
            hpc.customer,
            hpc.gl_code,
            hpc.unit,
            None,
            hpc.epic,
            None,
            None,
            level,
            confidence,
        )


def correction_id(month: Month) -> UUID:
    """Of the one order of the month."""
    return UUID(int=Random(f"{_SEED} {month.name}").getrandbits(128), version=4)  # noqa: S311


def commit(number: int) -> str:
    """The hash of a commit of the redesign."""
    return hashlib.sha256(f"{_SEED} {number}".encode()).hexdigest()[:40]


def _refused(row: Row, status: int, reason: str) -> Row:
    row.provider, row.dialect = _SERVED_BY["gpt"]
    row.model_requested = "gpt-5-mini"
    row.model_family = model_family(row.model_requested)
    row.decision, row.status_code, row.reason = "refused", status, reason
    row.task_class = "chat"
    return row


def _served(model: str) -> tuple[str, str]:
    """The provider and the dialect of a model."""
    return _SERVED_BY[model.partition("-")[0]]


def _moment(row: Row) -> tuple[datetime, UUID]:
    return row.created_at, row.id


def _at(day: date, since_midnight: timedelta) -> datetime:
    return datetime.combine(day, time(), UTC) + since_midnight


def _id(at: datetime, chance: Random) -> UUID:
    """A UUIDv7 of that moment."""
    milliseconds = (at - _EPOCH) // _MILLISECOND
    noise = chance.getrandbits(74)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | (noise >> 62) << 64 | 0b10 << 62 | noise & _LOW)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LOW = (1 << 62) - 1


# ---------------------------------------------------------------------- how much of what

_DOLLAR, _CENT = 1_000_000_000, 10_000_000

_DEREK: Cast = ((story.DEREK, 1),)
_REVIEWER: Cast = ((story.NIGHTLY, 1),)
_DESK: Cast = ((story.ALICE, 4), (story.TOM, 4), (story.LENA, 2))
_INGEST: Cast = ((story.DEREK, 3), (story.MEI, 4), (story.LENA, 1))
_MARKET: Cast = ((story.PRIYA, 4), (story.JONAS, 3), (story.SOFIA, 3))
_MIXED: Cast = ((story.OMAR, 3), (story.LENA, 3), (story.JONAS, 2), (story.TOM, 2), (story.SOFIA, 1))
_PLATFORM: Cast = ((story.OMAR, 5), (story.TOM, 1))

_USUAL = Manner()
_REDESIGN = Manner(epic=story.REDESIGN)
_REVIEWS = Manner(task_class="review")
_LONG = Manner(models=((_LONG_CONTEXT, 1, 1.0),), task_class="refactor")
_SHORTER = Manner(models=((_PREFERRED, 1, 1.0),), task_class="refactor", asked=_LONG_CONTEXT)


def _works(scene: Scene) -> list[Work]:
    """Everything that is paid for, HPC first."""
    month = scene.month
    early, late = [day for day in month.days if day.day <= 11], [day for day in month.days if day.day > 13]
    nights = [day for day in month.days if day != month.leaked_on and _at(day, _NIGHT[1]) <= month.until]
    after = sum(month.weight(day) for day in late)
    told = (
        (story.HPC, 138_000, month.days, story.HPC_NUSD, _DESK, _USUAL),
        (story.SOCE, 4_500, early, 900 * _DOLLAR, _DEREK, _LONG),
        (story.SOCE, 21_000, early, 460 * _DOLLAR, _INGEST, _USUAL),
        (story.SOCE, 500, [month.day(12)], 100 * _DOLLAR, _DEREK, _LONG),
        (story.SOCE, 2_700, [month.day(12)], 40 * _DOLLAR, _INGEST, _USUAL),
        (story.SOCE, 500, [month.day(13)], 12 * _DOLLAR, _DEREK, _SHORTER),
        (story.SOCE, 2_600, [month.day(13)], 30 * _DOLLAR, _INGEST, _USUAL),
        (story.SOCE, round(450 * after), late, round(1200 * after) * _CENT, _DEREK, _SHORTER),
        (story.SOCE, round(2_500 * after), late, round(3000 * after) * _CENT, _INGEST, _USUAL),
        (story.CAISO, 115_000, month.days, story.REDESIGN_NUSD, _MARKET, _REDESIGN),
        (story.CAISO, 31_000, month.days, 640 * _DOLLAR, _MARKET, _USUAL),
        (story.ERCOT, 70_000, month.days, 1_900 * _DOLLAR, _MIXED, _USUAL),
        (story.TOOLS, 1_600, nights, 70 * _DOLLAR, _REVIEWER, _REVIEWS),
        (story.TOOLS, 110, [month.leaked_on], story.LEAKED_CAP_NUSD - 2_000_000, _REVIEWER, _REVIEWS),
        (None, 6_200, month.days, 150 * _DOLLAR, _MIXED, _USUAL),
    )
    works = []
    for project, of_all, days, nusd, people, manner in told:
        fewest = story.COMMITS if manner is _REDESIGN else 2 * sums.CLOSING
        if any(month.weight(day) for day in days):
            works.append(_work(month, project, _of(scene, of_all, fewest), days, nusd, people, manner))
    unpaid = sum(sum(days.values()) for days in _others(scene)) + 2 * _corrections(scene.rows)
    rest = scene.rows - unpaid - sum(work.total for work in works)
    return [*works, _work(month, story.TOOLS, rest, month.days, 880 * _DOLLAR, _PLATFORM, _USUAL)]


def _work(
    month: Month,
    project: Project | None,
    rows: int,
    days: Sequence[date],
    nusd: int,
    people: Cast,
    manner: Manner,
) -> Work:
    counts = spread(rows, [1.0 if people is _REVIEWER else month.weight(day) for day in days])
    on = {day: count for day, count in zip(days, counts, strict=True) if count}
    return Work(project, on, people, sums.Sum(rows, nusd), manner)


def _of(scene: Scene, of_all: int, fewest: int) -> int:
    """How many rows stand for so many of the whole month's."""
    return max(round(of_all * scene.rows / story.ROWS), fewest)


def _others(scene: Scene) -> list[dict[date, int]]:
    """How many rows without a cost there are on each day, in the order of `_Telling._unpaid`."""
    month = scene.month
    counted = []
    for of_all, days in (
        (1_700, [month.leaked_on]),
        (500, month.days),
        (200, month.days),
        (200, month.days),
        (150, month.days),
        (400, month.days),
    ):
        rows = _of(scene, of_all, 4)
        weights = [1.0] if len(days) == 1 else [month.weight(day) for day in days]
        counted.append(dict(zip(days, spread(rows, weights), strict=True)))
    return counted


def _corrections(rows: int) -> int:
    """How many rows are booked again."""
    return max(round(24 * rows / story.ROWS), 3)
