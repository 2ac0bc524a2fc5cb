"""The red team: each test carries the number of its attack, and the run ends with a table of all 55.

A test is marked `@pytest.mark.attack(7)` and tells what it saw with the fixture `seen`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator

import pytest

from attacks.catalogue import ATTACKS
from gateway.backend import Backend
from product import Product, running, set_up

BODY_LIMIT = 4_000_000

_Outcomes = dict[int, list[tuple[str, str]]]


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    """The product as it comes, but for limits that are tighter so that a test reaches them."""
    with running(max_body_bytes=str(BODY_LIMIT), body_timeout="1", idle_timeout="5") as started:
        set_up(started)
        yield started


@pytest.fixture(scope="session")
def backend(product: Product) -> Backend:
    """A customer's backend with a binding key."""
    return Backend.registered(product, "checkout")


@pytest.fixture(scope="session")
def bound(backend: Backend) -> dict[str, str]:
    """A key that needs a proof with every call, as handle and envelope."""
    return backend.issue("--level", "3", "--scope", "call", "--scope", "mint")


@pytest.fixture(scope="session")
def bearer(backend: Backend) -> dict[str, str]:
    """A key that needs none."""
    return backend.issue("--cap", "5/month")


@pytest.fixture
def seen(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Tell the table what came of the attempt."""
    return lambda words: record_property("seen", words)


# ---------------------------------------------------------------- the table


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "attack(number): which of the 55 attacks this is")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if marker := item.get_closest_marker("attack"):
        item.user_properties.append(("attack", marker.args[0]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    outcomes: _Outcomes = defaultdict(list)
    for outcome in ("failed", "error", "passed"):
        for report in terminalreporter.stats.get(outcome, []):
            told = dict(getattr(report, "user_properties", ()))  # a file that cannot be collected has none
            if "attack" in told and (report.when == "call" or outcome != "passed"):
                outcomes[told["attack"]].append((outcome, str(told.get("seen", ""))))
    if not outcomes:
        return
    write = terminalreporter.write_line
    terminalreporter.section("red team")
    write("| # | verdict | attempted | expected | seen |\n|---:|---|---|---|---|")
    for number in ATTACKS:
        write(_line(number, outcomes.get(number, [])))
    verdicts = [_verdict(number, outcomes.get(number, [])) for number in ATTACKS]
    kinds = ("held", "BROKEN", "pending", "not run")
    write("\n" + ", ".join(f"{verdicts.count(kind)} {kind}" for kind in kinds))


def _verdict(number: int, told: list[tuple[str, str]]) -> str:
    if any(outcome != "passed" for outcome, _ in told):
        return "BROKEN"
    if told:
        return "held"
    return "pending" if ATTACKS[number].pending else "not run"


def _line(number: int, told: list[tuple[str, str]]) -> str:
    attack, verdict = ATTACKS[number], _verdict(number, told)
    words = list(dict.fromkeys(text for _, text in told if text))
    if verdict == "pending":
        verdict = f"pending ({attack.pending})"
    elif attack.rest:
        words.append(f"pending: {attack.rest}")
    return f"| {number} | {verdict} | {attack.attempted} | {attack.expected} | {'; '.join(words)} |"
