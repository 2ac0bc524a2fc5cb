"""The commands of docs/audit/verify-by-hand.md, run in their order on a pack of the museum (promise S4)."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MUSEUM = ROOT / "tests" / "fixtures" / "packs"
PAGE = (ROOT / "docs" / "audit" / "verify-by-hand.md").read_text()
STEPS = re.findall(r"```sh\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
MARK = "----- a step ends -----\n"


def by_hand(folder: Path, pack: str) -> subprocess.CompletedProcess:
    shutil.copy(MUSEUM / f"{pack}.json", folder / "pack.json")
    shutil.copy(MUSEUM / "keys.json", folder)
    script = "set -e\n" + "".join(f"{commands}printf -- '{MARK[:-1]}\\n'\n" for commands, _ in STEPS)
    return subprocess.run(
        ["bash", "-c", script], check=False, cwd=folder, capture_output=True, text=True, timeout=60
    )


def test_every_command_of_the_page_prints_what_the_page_says(tmp_path):
    result = by_hand(tmp_path, "valid")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split(MARK) == [*(output for _, output in STEPS), ""]
    assert len(STEPS) == PAGE.count("```sh\n") == 10


@pytest.mark.parametrize(
    ("pack", "fails_in"),
    [("edited_value", 3), ("resigned_as_ours", 3), ("row_edited", 6), ("rows_moved", 6), ("middle_unchecked", 7), ("unrelated_bundle", 9), ("head_of_stranger", 10)],
)  # fmt: skip
def test_they_find_what_the_verifier_finds(tmp_path, pack, fails_in):
    result = by_hand(tmp_path, pack)
    assert result.returncode != 0
    assert result.stdout.count(MARK) == fails_in - 1, result.stdout + result.stderr


def test_nothing_but_the_tools_that_the_page_names_is_used():
    words = set(
        re.findall(
            r"(?:^|[|;({]|\bdo|=\$\()\s*([a-z][a-z0-9]*)\b", "\n".join(one for one, _ in STEPS), re.MULTILINE
        )
    )
    assert not words & {"python", "python3", "jq", "perl", "xxd", "vis"}
