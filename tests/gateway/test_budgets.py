"""Promises B1, K3: a hard cap holds at the edge, whoever spends, however many at once, over however many gateways.

Most calls here cost exactly what is held for them (gateway/budgets.py), so how many fit under a cap does not depend on
who comes first.
"""

import asyncio
import gc
import os
import random
import signal
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from uuid import UUID
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from gateway.budgets import (
    NOTHING_NUSD,
    SMALL,
    SMALL_NUSD,
    WORST,
    Gateway,
    Spender,
    Watch,
    at_worst,
    by_period,
    cap,
    check_books,
    gateways,
    in_force,
    next_month,
    price_house,
    question,
    refused,
    remove_budget,
    row_of,
    said,
    set_budget,
    somebody,
    spender,
    usage_at_worst,
    window,
    windows,
    worst,
)
from gateway.calls import CHAT, Reply, ask, body_of, complaints, new_id
from product import Product, running, set_up
from visionality.core.call import Refusal
from visionality.core.money import NANO
from visionality.core.row import Row
from visionality.core.window import PERIODS, bounds
from visionality.gateway.budgets import Draw
from visionality.gateway.repeats import Repeats
from visionality.ledger.batch import Window
from visionality.registry.snapshot import BudgetRecord
from visionality.runtime.clock import utc_now

SEED = int(os.environ.get("VIS_BUDGET_SEED", "20261122"))
CALLS, FIT = 500, 37
ELSEWHERE = ("--org", "elsewhere")


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """A product of its own: a budget of the organisation would meet everybody's calls."""
    with running() as product:
        set_up(product)
        price_house(product)
        yield product
        check_books(product)
        assert complaints(product) == []


@pytest.fixture
def one(product: Product) -> Spender:
    return somebody(product)


# ---------------------------------------------------------------- every scope, each for itself

SCOPES = {
    "business-unit": "ann-unit",
    "project": "ann-project",
    "customer": "ann-co",
    "team": "ann-team",
    "person": "00u-ann",
    "agent": "ann@arctrade",
    "task-class": "refactor",
    "model-family": "gpt-4o",
    "key": "",
}
"""What one of the two callers is of each kind."""


@pytest.fixture(scope="module")
def two(product: Product) -> tuple[Spender, Spender]:
    """Two callers who share nothing but their organisation."""
    made = []
    for name, task_class in (("ann", "refactor"), ("bob", "review")):
        agent, project = f"{name}@arctrade", f"{name}-project"
        product.run("customer", "add", f"{name}-co")
        product.run("project", "add", project, "--customer", f"{name}-co", "--business-unit", f"{name}-unit")
        product.run("team", "add", f"{name}-team")
        product.run("person", "add", f"00u-{name}")
        whose = ("--team", f"{name}-team", "--person", f"00u-{name}")
        product.run("agent", "add", agent, "--owner", name, *whose)
        made.append(spender(product, "--task-class", task_class, agent=agent, project=project))
    return made[0], made[1]


def plain(who: Spender, model: str = "gpt-4o") -> Reply:
    return who.post(CHAT, new_id(), body_of(CHAT, model=model, max_tokens=5))


@pytest.mark.parametrize("kind", SCOPES)
def test_a_budget_refuses_whom_it_is_for_and_nobody_else(two, kind):
    ann, bob = two
    scope = f"{kind}:{SCOPES[kind] or ann.key_id}"
    set_budget(ann, scope, NOTHING_NUSD, "--hard", period="month")
    reply = plain(ann)
    assert (reply.status, reply.header("x-vis-blocked-by")) == (402, kind.replace("-", "_"))
    assert plain(bob, "gpt-5").status == 200
    remove_budget(ann, scope)
    assert plain(ann).status == 200


def test_a_budget_of_the_organisation_refuses_everybody_in_it(two):
    set_budget(two[0], "org", NOTHING_NUSD, "--hard", period="quarter")
    for who in two:
        reply = plain(who)
        assert (reply.status, reply.header("x-vis-blocked-by")) == (402, "organisation")
    remove_budget(two[0], "org")


def test_a_budget_for_each_is_a_window_for_everybody_of_a_kind(product, two):
    ann, bob = two
    made = {kind: said(product, f"{kind}:*", 10 * NANO, "--hard", period="month") for kind in SCOPES}
    in_force(ann, product.gateway)
    for who, model in ((ann, "gpt-4o"), (ann, "gpt-4o"), (bob, "gpt-5")):
        assert plain(who, model).status == 200
    bobs = {"model-family": "gpt-5", "key": bob.key_id, "task-class": "review"}
    for kind, budget in made.items():
        found = windows(product, budget)
        assert since_made(found[SCOPES[kind] or ann.key_id]) == 2 * cost(ann)
        assert since_made(found[bobs.get(kind) or SCOPES[kind].replace("ann", "bob")]) == cost(bob)
        product.run("budget", "remove", f"{kind}:*")


def since_made(window: dict[str, int]) -> int:
    return window["spent_nusd"] - window["opening_nusd"]


def cost(who: Spender) -> int:
    """Of their last call."""
    (row,) = who.product.query(
        "select cost_nusd from vis.request_logs where key_id = %s and cost_nusd > 0 order by created_at desc limit 1",
        who.key_id,
    )
    return int(row["cost_nusd"])


def test_an_agent_that_nobody_named_before_has_its_own_cap_from_its_first_call_on(product, two):
    """Lessons, row 1: the first calls of an unknown principal."""

    def agent(name: str) -> Spender:
        product.run("agent", "add", name, "--owner", name)
        return spender(product, agent=name, project="ann-project")

    first = agent("first@arctrade")
    budget = set_budget(first, "agent:*", 2 * WORST, "--hard", period="day")
    assert [at_worst(first).status for _ in range(3)] == [200, 200, 402]
    newcomer = agent("newcomer@arctrade")
    assert [at_worst(newcomer).status for _ in range(3)] == [200, 200, 402]
    found = windows(product, budget)
    assert [found[name]["spent_nusd"] for name in ("first@arctrade", "newcomer@arctrade")] == [2 * WORST] * 2
    product.run("budget", "remove", "agent:*")


def test_a_model_counts_for_its_family_by_whatever_name_it_is_deployed(product, two):
    ann, bob = two
    names = ("--deployment", "prod-a=gpt-4o", "--deployment", "prod-b=gpt-5")
    product.run("provider", "add", "azure", "--base-url", product.sandbox, *names, stdin="azure-any")
    set_budget(ann, "model-family:gpt-4o", NOTHING_NUSD, "--hard")

    def call(who: Spender, deployment: str) -> Reply:
        path = f"/azure/openai/deployments/{deployment}/chat/completions"
        return who.post(f"{path}?api-version=2024-10-21", new_id(), body_of(CHAT, max_tokens=5))

    reply = call(ann, "prod-a")
    assert (reply.status, reply.header("x-vis-blocked-by")) == (402, "model_family")
    assert call(bob, "prod-b").status == 200
    product.run("budget", "remove", "model-family:gpt-4o")


def test_a_model_that_is_called_by_the_sign_for_each_is_counted_once(product, one):
    """A client may call its model whatever it likes."""
    words = ("--hard", "--unknown-price-ceiling", "0.5")
    budget = set_budget(one, "model-family:*", 10 * NANO, *words)
    assert plain(one, "*").status == 200
    assert windows(product, budget)["*"]["spent_nusd"] == NANO // 2
    product.run("budget", "remove", "model-family:*")


def test_a_call_is_held_in_all_of_its_budgets_or_in_none(product, one):
    mine = f"key:{one.key_id}"
    wide, soft = cap(one, 10 * WORST, period="month"), set_budget(one, mine, 1, period="week")
    narrow = cap(one, WORST - 1, period="day")
    reply = at_worst(one)
    assert (reply.status, reply.header("x-vis-blocked-by")) == (402, "key")
    assert [window(product, budget) for budget in (wide, narrow, soft)] == [(0, 0)] * 3
    cap(one, WORST, period="day")
    assert [at_worst(one).status for _ in range(2)] == [200, 402]
    assert [window(product, budget) for budget in (wide, narrow, soft)] == [(WORST, 0)] * 3


def test_budgets_of_several_periods_for_one_scope_all_count(product, one):
    made = [
        said(product, f"key:{one.key_id}", (5 - place) * WORST, "--hard", period=period)
        for place, period in enumerate(PERIODS)
    ]
    in_force(one, product.gateway)
    assert [at_worst(one).status for _ in range(2)] == [200, 402]
    assert [window(product, budget) for budget in made] == [(WORST, 0)] * len(PERIODS)


def test_what_a_sequence_of_calls_is_answered_is_what_a_plain_model_says(product):
    """Lessons, row 2: no call passes while one of its scopes is exhausted, and none is refused while all have enough."""
    chance = random.Random(SEED)
    print(f"\nseed {SEED}")
    product.run("team", "add", "m-team")
    product.run("project", "add", "MODEL")
    for name in ("m1", "m2"):
        product.run("agent", "add", name, "--owner", name, "--team", "m-team")
    agents = ["m1", "m2", "m2"]
    callers = [spender(product, agent=agent, project="MODEL") for agent in agents]
    scopes: dict[str, Callable[[int], str | None]] = {
        "project:MODEL": lambda _: "MODEL",
        "team:m-team": lambda _: "m-team",
        "agent:m1": lambda who: "m1" if agents[who] == "m1" else None,
        "agent:*": lambda who: agents[who],
        f"key:{callers[1].key_id}": lambda who: callers[1].key_id if who == 1 else None,
    }
    caps = {scope: chance.randint(3, 25) * worst(100) for scope in scopes}
    made = {scope: said(product, scope, caps[scope], "--hard", period="quarter") for scope in scopes}
    in_force(callers[0], product.gateway)
    spent: Counter[tuple[str, str]] = Counter()
    for _ in range(80):
        who, limit = chance.randrange(3), chance.choice([10, 50, 100, 400])
        drawn = [(scope, value) for scope, value_of in scopes.items() if (value := value_of(who))]
        fits = all(caps[scope] - spent[scope, value] >= worst(limit) for scope, value in drawn)
        assert at_worst(callers[who], limit).status == (200 if fits else 402)
        if fits:
            spent.update(dict.fromkeys(drawn, worst(limit)))
    for scope, value in spent:
        assert windows(product, made[scope])[value]["spent_nusd"] == spent[scope, value]
    for scope in scopes:
        product.run("budget", "remove", scope)


# ---------------------------------------------------------------- another organisation


@pytest.fixture(scope="module")
def elsewhere(product: Product) -> Spender:
    """Somebody of another organisation on the same installation, who has the same names."""
    product.query(
        """insert into vis_control.organisation (id, slug, name, created_at)
           values (gen_random_uuid(), %s, 'Elsewhere', now()) returning 1""",
        ELSEWHERE[1],
    )
    product.run("project", "add", "HPC", *ELSEWHERE)
    product.run("agent", "add", "alice@arctrade", "--owner", "Another Alice", *ELSEWHERE)
    price_house(product, *ELSEWHERE)
    return spender(product, *ELSEWHERE, agent="alice@arctrade", project="HPC")


@pytest.mark.parametrize("scope", ["org", "project:HPC", "agent:alice@arctrade", "model-family:*"])
def test_the_budgets_of_an_organisation_meet_nobody_elses_calls(product, one, elsewhere, scope):
    set_budget(one, scope, NOTHING_NUSD, "--hard", period="month")
    before = product.query("select sum(spent_nusd) as n from vis.budget_windows")
    assert plain(one).status == 402
    assert plain(elsewhere).status == 200
    assert product.query("select sum(spent_nusd) as n from vis.budget_windows") == before
    remove_budget(one, scope)


@pytest.mark.usefixtures("elsewhere")
def test_a_month_is_that_of_the_organisations_calendar(product, tmp_path):
    zone = "America/New_York"
    product.run("org", "set", "--time-zone", zone, *ELSEWHERE)
    edge, local = next_month(), next_month(zone)
    assert local > edge
    watch = Watch(tmp_path / "clock")
    watch.show(edge)
    who = spender(product, *ELSEWHERE, agent="alice@arctrade", project="HPC")
    budget = said(product, f"key:{who.key_id}", WORST, "--hard", *ELSEWHERE, period="month")
    with gateways(product, 1, watch) as (other,):
        in_force(who, other.address)
        replies = [at_worst(who, address=other.address) for _ in range(2)]
        assert [reply.status for reply in replies] == [200, 402]
        assert replies[1].header("x-vis-budget-resets") == f"{local:%Y-%m-%dT%H:%M:%SZ}"
        watch.show(local)
        assert at_worst(who, address=other.address).status == 200
    this_month, _ = bounds("month", ZoneInfo(zone), edge)
    assert by_period(product, budget) == {this_month: (WORST, 0), local: (WORST, 0)}


# ---------------------------------------------------------------- many at once


async def burst(
    who: Spender, addresses: Sequence[str], calls: int, usage: dict[str, int]
) -> list[tuple[str, int]]:
    """Every call's id and status, all of them sent at once, over these gateways in turn."""
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def call(number: int) -> tuple[str, int]:
            headers = dict(who.headers(CHAT, call_id := new_id(), usage=usage))
            address = addresses[number % len(addresses)] + CHAT
            async with session.post(address, data=question(), headers=headers) as answer:
                await answer.read()
                return call_id, answer.status

        return await asyncio.gather(*(call(number) for number in range(calls)))


@pytest.fixture(scope="module")
def three(product: Product) -> Iterator[list[str]]:
    """The addresses of three gateways on one database."""
    with gateways(product, 2) as others:
        yield [product.gateway, *(other.address for other in others)]


@pytest.mark.parametrize("processes", [1, 3])
async def test_of_500_concurrent_calls_against_a_cap_that_fits_37_exactly_37_pass(
    product, one, three, processes
):
    """Lessons, rows 1 and 6."""
    addresses = three[:processes]
    budget = cap(one, FIT * WORST + WORST - 1)
    in_force(one, *addresses)
    answers = await burst(one, addresses, CALLS, usage_at_worst())
    assert Counter(status for _, status in answers) == {200: FIT, 402: CALLS - FIT}
    passed = {call_id for call_id, status in answers if status == 200}
    assert passed == set(one.seen_ids()) & {call_id for call_id, _ in answers}
    assert window(product, budget) == (FIT * WORST, 0)
    rows = product.query(
        "select cost_nusd from vis.request_logs where key_id = %s and decision = 'allowed' and cost_nusd > 0",
        one.key_id,
    )
    assert [row["cost_nusd"] for row in rows] == [WORST] * FIT
    product.until(lambda: refused(one) >= CALLS - FIT)
    assert refused(one) == CALLS - FIT
    check_books(product)


async def test_calls_that_cost_less_than_was_held_leave_the_rest_to_others(product, one, three):
    budget = cap(one, 40 * WORST)
    in_force(one, *three)
    answers = await burst(one, three, 200, SMALL)
    passed = sum(status == 200 for _, status in answers)
    assert passed >= 40
    assert window(product, budget) == (passed * SMALL_NUSD, 0)
    check_books(product)


# ---------------------------------------------------------------- caps that are edited


def test_an_edited_cap_counts_for_the_very_next_call_on_every_gateway(product, three):
    """What a caller was refused a moment ago may be repeated to it; whoever was not refused sees a new cap at once."""
    product.run("project", "add", "EDITED")
    callers = [spender(product, agent="alice@arctrade", project="EDITED") for _ in range(7)]
    scope = "project:EDITED"
    budget = set_budget(callers[0], scope, 100 * WORST, "--hard")
    in_force(callers[0], *three)

    def calls(*fresh: Spender) -> list[int]:
        """What the three gateways say now, without having been told of an edit."""
        return [at_worst(who, address=address).status for who, address in zip(fresh, three, strict=True)]

    assert calls(*callers[:3]) == [200] * 3
    said(product, scope, 4 * WORST - 1)
    assert calls(*callers[:3]) == [402] * 3
    said(product, scope, 6 * WORST)
    assert calls(*callers[3:6]) == [200] * 3
    said(product, scope, WORST)
    assert at_worst(callers[3], address=three[0]).status == 402
    said(product, scope, WORST, "--no-hard")
    assert at_worst(callers[4], address=three[1]).status == 200
    said(product, scope, WORST, "--hard")
    assert calls(*callers[4:]) == [402] * 3
    assert window(product, budget) == (7 * WORST, 0)


def test_a_caller_who_was_refused_passes_as_soon_as_the_cap_is_raised(product, one):
    budget = cap(one, NOTHING_NUSD)
    assert at_worst(one).status == 402
    said(product, f"key:{one.key_id}", WORST)
    product.until(lambda: at_worst(one).status == 200)
    assert window(product, budget) == (WORST, 0)
    assert at_worst(one).status == 402


def test_a_budget_that_is_removed_counts_and_refuses_no_more(product, one):
    budget = cap(one, WORST)
    assert [at_worst(one).status for _ in range(2)] == [200, 402]
    remove_budget(one, f"key:{one.key_id}")
    assert at_worst(one).status == 200
    assert window(product, budget) == (WORST, 0)


# ---------------------------------------------------------------- refusals that are repeated


async def test_a_burst_of_refused_calls_is_a_few_rows_that_stand_for_all_of_them(product, one):
    cap(one, NOTHING_NUSD)
    calls, at_once = 1_000, 10
    for _ in range(calls // at_once):
        answers = await burst(one, [product.gateway], at_once, SMALL)
        assert {status for _, status in answers} == {402}
    product.until(lambda: refused(one) >= calls)
    assert refused(one) == calls
    rows = product.query(
        "select * from vis.request_logs where key_id = %s and decision = 'refused'", one.key_id
    )
    assert len({row["request_id"] for row in rows}) == len(rows) <= calls // 4
    for row in rows:
        assert (row["reason"], row["status_code"], row["cost_nusd"]) == ("spend_token_blocked", 402, 0)
        assert row["tags"]["blocked_by"] == f"key:{one.key_id}"
    denied = product.query(
        "select count(*) as n from vis.budget_events where kind = 'deny' and request_id = any(%s)",
        [row["request_id"] for row in rows],
    )
    assert denied == [{"n": sum("repeats" not in row["tags"] for row in rows)}]


def test_what_one_key_is_refused_says_nothing_of_another_nor_of_a_smaller_call(product):
    product.run("project", "add", "SHARED")
    one, other = (spender(product, agent="alice@arctrade", project="SHARED") for _ in range(2))
    set_budget(one, "project:SHARED", 2 * worst(10), "--hard")
    for who in (one, other):
        assert {at_worst(one, limit=400).status for _ in range(20)} == {402}
        assert at_worst(who, limit=10).status == 200
    assert at_worst(other, limit=10).status == 402
    product.until(lambda: refused(one) >= 40)
    assert (refused(one), refused(other)) == (40, 1)


async def test_a_gateway_that_stops_writes_up_what_it_has_counted(product, one):
    cap(one, NOTHING_NUSD)
    with gateways(product, 1) as (other,):
        in_force(one, other.address)
        answers = await burst(one, [other.address], 100, SMALL)
        assert {status for _, status in answers} == {402}
    assert refused(one) == 100


A_ROW = Row(
    org_id=UUID(int=1), request_id=UUID(int=2), provider="openai", dialect="messages", price_state="known"
)
A_WINDOW = UUID(int=3)
A_REFUSAL = Refusal(402, "spend_token_blocked", "not enough left")


def _draw(window_id: UUID) -> Draw:
    now = utc_now()
    budget = BudgetRecord(window_id, "project", "HPC", "total", 0, True, (), "refuse", None, now)
    return Draw(budget, Window(A_ROW.org_id, window_id, window_id, "HPC", now, now))


async def test_the_least_that_was_refused_a_moment_ago_is_what_is_refused_again():
    repeats = Repeats(lambda *_: None)
    for amount_nusd in (400, 10, 200):
        repeats.remember(A_ROW, A_WINDOW, amount_nusd, A_REFUSAL)
    drawn, other = _draw(A_WINDOW), _draw(UUID(int=4))
    assert repeats.again(A_ROW, [drawn], 9) is None
    assert repeats.again(A_ROW, [other], 400) is None
    again = repeats.again(A_ROW, [other, drawn], 10)
    assert (again.status, again.code, again.message, again.is_repeat) == (
        402,
        A_REFUSAL.code,
        A_REFUSAL.message,
        True,
    )


async def test_a_refusal_that_is_repeated_keeps_nothing_of_the_calls_that_met_it():
    """A thousand calls a second, each with a body of megabytes, would be kept for as long as it is remembered."""

    class Body:
        pass

    bodies = []

    def meet(refusal: Refusal) -> None:
        body = Body()
        bodies.append(weakref.ref(body))
        with suppress(Refusal):
            raise refusal

    repeats, first = Repeats(lambda *_: None), Refusal(402, "spend_token_blocked", "not enough left")
    repeats.remember(A_ROW, A_WINDOW, 10, first)
    for _ in range(3):
        meet(repeats.again(A_ROW, [_draw(A_WINDOW)], 10))
    meet(first)
    del first
    gc.collect()
    assert [body() for body in bodies] == [None] * 4


# ---------------------------------------------------------------- without the ledger


def test_without_its_ledger_a_gateway_refuses_and_never_opens(product, one):
    """Lessons, row 4: the fail mode is decided once."""
    budget = cap(one, 10 * WORST)
    with gateways(product, 1, settings={"VIS_COMMIT_WAIT": "1"}) as (other,):
        in_force(one, other.address)
        ids = [new_id() for _ in range(3)]
        with without_ledger(other):
            replies = [
                ask(other.address, "POST", CHAT, one.headers(CHAT, call_id), question()) for call_id in ids
            ]
        assert {(reply.status, reply.error["code"]) for reply in replies} == {(503, "ledger_unavailable")}
        assert not set(ids) & set(one.seen_ids())
        for call_id in ids:
            row = row_of(one, call_id)
            assert (row["decision"], row["reason"], row["cost_nusd"]) == ("refused", "ledger_unavailable", 0)
        product.until(lambda: window(product, budget) == (0, 0))
        assert at_worst(one, address=other.address).status == 200
    assert window(product, budget) == (WORST, 0)
    check_books(product)


@contextmanager
def without_ledger(gateway: Gateway) -> Iterator[None]:
    """The database's end of a gateway's writing connection hangs, as on a stalled disk."""
    backends = gateway.product.query(
        "select pid from pg_stat_activity where application_name = 'vis-gateway' order by backend_start desc"
    )
    pid = backends[0]["pid"]  # of the gateway that was started last
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
