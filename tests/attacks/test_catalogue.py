"""The table itself: it has all 55 lines, and the documented run has them too."""

from pathlib import Path

from attacks.catalogue import ATTACKS

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "red-team.md"


def test_there_are_55_attacks():
    assert list(ATTACKS) == list(range(1, 56))


def test_the_documented_run_has_every_attack_and_none_that_broke():
    lines = {
        line.split("|")[1].strip(): line for line in DOCUMENT.read_text().splitlines() if line[:2] == "| "
    }
    for number, attack in ATTACKS.items():
        line = lines[str(number)]
        assert attack.attempted in line
        assert attack.expected in line
        assert line.split("|")[2].strip() == (f"pending ({attack.pending})" if attack.pending else "held")
