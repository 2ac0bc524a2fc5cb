"""Every exhibit of tests/fixtures/packs gets the exit code that its line in the README says (promises L3, S3, S4)."""

import contextlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from packs import museum
from vis_verify.command import main
from vis_verify.verdict import MEANINGS, Code

MUSEUM = Path(__file__).parents[1] / "fixtures" / "packs"
NOW = datetime(2026, 12, 10, tzinfo=UTC)
museum.made_all()


def said(*words: str) -> tuple[int, str]:
    """Exit code and output of the program, run here."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(output):
        code = main(words, NOW)
    output.seek(0)
    return code, output.read()


def words_of(exhibit: museum.Exhibit) -> list[str]:
    words = [str(MUSEUM / word) if (MUSEUM / word).is_file() else word for word in exhibit.words]
    first = []
    if "--command" in words:
        at = words.index("--command")
        first = [words[at + 1]]
        del words[at : at + 2]
    keys = [] if "--key" in words else ["--key", str(MUSEUM / "keys.json")]
    return [*first, str(MUSEUM / f"{exhibit.name}.json"), *keys, *words]


def test_the_museum_is_what_its_script_makes():
    made = {f"{one.name}.json": one.content for one in museum.EXHIBITS} | museum.OTHERS
    made["README.md"] = museum.readme().encode()
    assert {path.name: path.read_bytes() for path in MUSEUM.iterdir()} == made


@pytest.mark.parametrize("exhibit", museum.EXHIBITS, ids=lambda one: one.name)
def test_each_exhibit_gets_its_exit_code_and_one_sentence(exhibit):
    code, output = said(*words_of(exhibit), "--json")
    facts = json.loads(output)
    assert (code, facts["exit_code"]) == (exhibit.code, exhibit.code), facts["sentence"]
    assert facts["verdict"] == ("verified" if code == 0 else "not verified")
    assert facts["sentence"].endswith(".")
    if code:
        assert facts["sentence"].startswith("Expected ")
        assert ", but " in facts["sentence"]


def test_the_museum_has_an_exhibit_for_every_exit_code_that_a_file_can_cause():
    shown = {one.code for one in museum.EXHIBITS}
    assert shown == {int(code) for code in MEANINGS} - {Code.INTERNAL}
