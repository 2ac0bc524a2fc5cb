"""What the suite counted, printed at its end: by vendor and dialect, units and cost expected and found."""

from collections import Counter, defaultdict

import pytest

from conformance.tables import table
from visionality.core.money import usd

COUNTS = ("fixtures", "streams", "cuts", "unpriced", "units_expected", "units_found")
HEAD = (
    "vendor",
    "dialect",
    "fixtures",
    "streams",
    "cuts",
    "unpriced",
    "units expected",
    "found",
    "USD expected",
    "found",
    "equal",
)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    sums: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, counted in report.user_properties if report.when == "call" else ():
                if name == "conformance":
                    key = counted.pop("vendor"), counted.pop("dialect")
                    sums[key].update(counted)
    if not sums:
        return
    terminalreporter.section("usage conformance")
    lines = [_cells(*key, sums[key]) for key in sorted(sums)]
    lines.append(_cells("all", "", sum(sums.values(), Counter())))
    terminalreporter.write_line(table(HEAD, lines, 2))


def _cells(vendor: str, dialect: str, counted: Counter[str]) -> tuple[str, ...]:
    counts = [f"{counted[name]:,}" for name in COUNTS]
    expected, found = counted["nusd_expected"], counted["nusd_found"]
    equal = (counted["units_expected"], expected) == (counted["units_found"], found)
    return vendor, dialect, *counts, usd(expected), usd(found), "yes" if equal else "NO"
