"""The commands while the product runs: data on standard output, one sentence on standard error, a code that says it."""

import csv
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click
import psycopg
import pytest
from click.testing import CliRunner

from ledger.rows import insert, smallest
from product import PATIENCE, VIS, Product
from visionality.cli.main import vis
from visionality.postgres import read_endpoint

LINES = 200


def commands(group: click.Group, words: tuple[str, ...] = ()) -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found += commands(command, (*words, name))
        else:
            found.append((" ".join((*words, name)), command))
    return found


@pytest.mark.parametrize(("name", "command"), commands(vis))
def test_every_command_has_a_help_with_an_example(name, command):
    text = command.get_help(click.Context(command, info_name=name))
    assert f"Example: vis {name}" in " ".join(text.split())
    assert command.help


def test_help_names_every_command(product):
    shown = product_less("--help")
    assert shown.returncode == 0
    for name in vis.list_commands(click.Context(vis)):
        assert f"\n  {name} " in shown.stdout


def product_less(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command of an installation that it must find by itself."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VIS_")}
    return subprocess.run(
        [*VIS, *words], capture_output=True, text=True, env=clean | environment, timeout=PATIENCE, check=False
    )


@pytest.fixture(scope="module")
def filled(product) -> Product:
    """November of last year, at 3 micro-dollars a row."""
    (org,) = product.query("select org_id from vis.orgs_v1 where slug = 'default'")
    product.open_the_past()
    with psycopg.connect(read_endpoint(product.data_dir).dsn("vis")) as connection:
        for minute in range(LINES):
            row = smallest(
                "request_logs",
                UUID(str(org["org_id"])),
                datetime(2025, 11, 2, minute // 60, minute % 60, tzinfo=UTC),
            )
            insert(
                connection,
                "request_logs",
                row | {"project_id": "HPC", "provider": "openai", "cost_nusd": 3_000},
            )
    return product


JSON_COMMANDS = [
    ("project", "list"),
    ("customer", "list"),
    ("team", "list"),
    ("person", "list"),
    ("agent", "list"),
    ("provider", "list"),
    ("price", "list"),
    ("budget", "list"),
    ("limit", "list"),
    ("hint", "list"),
    ("allocation", "list"),
    ("org", "show"),
    ("key", "list"),
    ("ledger", "tail"),
    ("check",),
    ("key", "issue", "--agent", "alice@arctrade", "--cap", "50/month"),
    ("key", "events"),
    ("service", "list"),
    ("service-token", "list"),
    ("binding-key", "list"),
    ("signing-key", "list"),
    ("floor", "show"),
]


def test_json_is_one_object_a_line(product):
    for done in at_once(product, [(*words, "--json") for words in JSON_COMMANDS]):
        assert (done.returncode, done.stderr) == (0, "")
        assert all(isinstance(json.loads(line), dict) for line in done.stdout.splitlines())


def at_once(product: Product, commands: list[tuple[str, ...]]) -> Iterator[subprocess.CompletedProcess[str]]:
    """What each command does, several at a time."""
    with ThreadPoolExecutor(4) as pool:
        yield from pool.map(lambda words: product.try_run(*words), commands)


def test_the_data_directory_is_found_in_the_environment(product):
    done = product_less("project", "list", VIS_DATA_DIR=str(product.data_dir))
    assert done.returncode == 0
    assert done.stdout.startswith("HPC ")


MISTAKES = [
    (("key", "issue", "--agent", "nobody@x"), "there is no agent nobody@x: add it with `vis agent add nobody@x`"),
    (("key", "issue", "--agent", "alice@arctrade", "--project", "NOPE"), "there is no project NOPE"),
    (("key", "issue", "--agent", "alice@arctrade", "--expires", "91d"), "at most 90 days"),
    (("key", "issue", "--agent", "alice@arctrade", "--url", "http://x"), "--url must start with https://"),
    (("key", "issue", "--agent", "alice@arctrade", "--memo", "a\nb"), "--memo must be printable"),
    (("key", "revoke", "not-an-id"), "'not-an-id' is no key id"),
    (("key", "revoke", "01a2005b-8f64-72d9-83b5-5c5dd9920b2d"), "there is no key"),
    (("project", "add", "HPC"), "project HPC is there already"),
    (("project", "add", "with space"), "cannot be a key"),
    (("project", "add", "=cmd"), "cannot be a key"),
    (("project", "add", "NEW", "--customer", "nobody"), "there is no customer nobody"),
    (("agent", "add", "two words", "--owner", "x"), "cannot be a subject"),
    (("agent", "add", "bob@x", "--owner", "Bob", "--team", "none"), "there is no team none"),
    (("provider", "remove", "openai"), "there is no live key of openai"),
    (("ledger", "show", "01a2005b-8f64-72d9-83b5-5c5dd9920b2d"), "there is no row and no call"),
    (("project", "list", "--org", "other"), "there is no organisation other"),
]  # fmt: skip
MISUSES = [
    (("key", "issue", "--agent", "alice@arctrade", "--expires", "soon"), "'soon' is no duration"),
    (("key", "issue"), "Missing option '--agent'"),
    (("provider", "add", "nobody"), "nobody stands at no fixed address: say it with --base-url"),
    (("provider", "add", "litellm"), "litellm stands at no fixed address: say it with --base-url"),
    (("provider", "add", "Nobody", "--base-url", "http://x"), "'Nobody' cannot be a provider: expected openai, anthropic"),
    (("provider", "add", "v1", "--base-url", "http://x"), "'v1' cannot be a provider"),
    (("provider", "add", "livez", "--base-url", "http://x"), "none of the gateway's own paths"),
    (("provider", "add", "cursor", "--base-url", "http://x"), "'cursor' cannot be a provider"),
    (("provider", "add", "sandbox", "--base-url", "http://x"), "'sandbox' cannot be a provider"),
    (("provider", "add", "vllm", "--base-url", "http://x", "--deployment", "a="), "'a=' is no deployment"),
    (("provider", "add", "vllm", "--base-url", "http://"), "expected an address"),
    (("provider", "add", "vllm", "--base-url", "http://me:secret@x"), "without key"),
    (("provider", "add", "vllm", "--base-url", "http://x:port"), "expected an address"),
    (("provider", "remove", "v1"), "'v1' cannot be a provider"),
    (("price", "set", "v1", "m", "--input", "1", "--yes"), "'v1' cannot be a provider"),
    (("price", "set", "openai", "m", "--yes"), "say at least one price"),
    (("price", "set", "openai", "m", "--rate", "chars=1", "--yes"), "'chars' is no bucket of tokens"),
    (("price", "set", "openai", "m", "--rate", "out_image", "--yes"), "is no decimal number"),
    (("provider", "add", "openai", "--base-url", "ftp://x"), "expected an address"),
    (("provider", "add", "openai", "--key-env", "NOT_SET_AT_ALL"), "is empty or not set"),
    (("provider", "add", "openai"), "no key came"),
    (("price", "set", "openai", "m", "--input", "-1", "--output", "1", "--yes"), "out of range"),
    (("price", "set", "openai", "m", "--input", "NaN", "--output", "1", "--yes"), "out of range"),
    (("price", "set", "openai", "m", "--input", "a", "--output", "1", "--yes"), "is no decimal number"),
    (("ledger", "show", "nothing"), "is not a valid UUID"),
    (("ledger", "tail", "-n", "-1"), "is not in the range"),
    (("chargeback", "-o", "x.csv"), "say the period once"),
    (("chargeback", "--month", "2026-11", "--quarter", "2026-Q4", "-o", "x.csv"), "say the period once"),
    (("chargeback", "--month", "2026-13", "-o", "x.csv"), "expected a month"),
    (("chargeback", "--quarter", "2026-Q5", "-o", "x.csv"), "expected a quarter"),
    (("chargeback", "--month", "0000-01", "-o", "x.csv"), "out of range"),
    (("chargeback", "--from", "2026-11-02", "--to", "2026-11-01", "-o", "x.csv"), "go together"),
    (("chargeback", "--from", "2026-11-02", "-o", "x.csv"), "go together"),
    (("nonsense",), "No such command 'nonsense'"),
]  # fmt: skip


def test_a_mistake_is_told_in_one_sentence(product):
    told = at_once(product, [words for words, _ in MISTAKES])
    for (words, sentence), done in zip(MISTAKES, told, strict=True):
        assert (done.returncode, done.stdout) == (1, ""), words
        assert sentence in done.stderr
        check_sentence(done.stderr)


@pytest.mark.parametrize(("words", "sentence"), MISUSES, ids=[" ".join(words) for words, _ in MISUSES])
def test_a_command_that_is_misspelt_is_told_before_anything_happens(tmp_path, words, sentence):
    done = CliRunner(catch_exceptions=False).invoke(vis, words, env={"VIS_DATA_DIR": str(tmp_path / "none")})
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in " ".join(done.stderr.split())
    check_sentence(done.stderr)
    assert not (tmp_path / "none").exists()


def check_sentence(stderr: str) -> None:
    assert "Traceback" not in stderr
    told = [line for line in stderr.splitlines() if line.startswith(("vis: ", "Error: "))]
    assert len(told) == 1


def test_what_needs_the_running_product_says_how_to_start_it(tmp_path):
    for words in (["try"], ["login"], ["project", "list"], ["ledger", "tail"]):
        done = product_less(*words, "--data-dir", str(tmp_path / "none"))
        assert (done.returncode, done.stdout) == (1, "")
        assert "vis up" in done.stderr
        check_sentence(done.stderr)
    assert not (tmp_path / "none").exists()


def test_all_bad_settings_are_listed_at_once(tmp_path):
    bad = {
        "VIS_GATEWAY_PORT": "high",
        "VIS_IDLE_TIMEOUT": "-1",
        "VIS_WEB_PORT": "70000",
        "VIS_SANDBOX_URL": "x",
    }
    done = product_less("up", "--data-dir", str(tmp_path / "none"), **bad)
    assert (done.returncode, done.stdout) == (1, "")
    assert all(name in done.stderr for name in bad)
    check_sentence(done.stderr)


def test_a_port_in_use_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = product_less("up", "--data-dir", str(tmp_path / "data"), "--gateway-port", str(port))
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 cannot be used" in done.stderr
    assert "--gateway-port" in done.stderr
    check_sentence(done.stderr)


def test_a_data_directory_in_use_is_named(product):
    done = product.try_run("up", "--gateway-port", "0", "--web-port", "0", "--jobs-port", "0")
    assert done.returncode == 1
    assert f"in use by another supervisor (pid {product.process.pid})" in done.stderr
    check_sentence(done.stderr)


def test_the_first_call_shows_its_row(product):
    shown = product.run("try", "--prompt", "one two three")
    assert "x-sandbox" not in shown
    assert "first-call@localhost" in shown
    assert "provider           sandbox" in shown
    assert "visk_live_" in shown.splitlines()[0]
    assert len(shown.splitlines()[0].partition("visk_live_")[2].partition("…")[0]) <= 2


def test_a_row_is_shown_whole_and_recomputed(product):
    product.run("try")
    (row,) = product.query("select * from vis.request_logs order by created_at desc limit 1")
    shown = product.run("ledger", "show", str(row["id"]))
    assert (
        f"{row['cost_nusd']} nano-USD from the row's own usage and rates; stored {row['cost_nusd']}" in shown
    )
    assert product.run("ledger", "show", str(row["request_id"])) == shown
    assert json.loads(product.run("ledger", "show", str(row["id"]), "--json"))["id"] == str(row["id"])


def heed_ctrl_c() -> None:
    """As in a terminal: a test run in the background was started with SIGINT ignored, and would hand that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_following_the_ledger_ends_quietly_at_ctrl_c(product):
    words = ["ledger", "tail", "--follow", "--json", "-n", "1", "--data-dir", str(product.data_dir)]
    product.run("try")
    with subprocess.Popen(
        [*VIS, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=product.environment,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 -- this process has no thread that holds a lock then
    ) as tail:
        first = json.loads(tail.stdout.readline())
        product.run("try")
        second = json.loads(tail.stdout.readline())
        tail.send_signal(signal.SIGINT)
        rest, complaints = tail.communicate(timeout=PATIENCE)
    assert first["id"] != second["id"]
    assert (tail.returncode, rest, complaints) == (130, "", "")


def test_a_reader_that_leaves_a_pipe_leaves_no_traceback(filled):
    words = " ".join([*VIS, "ledger", "tail", "-n", "1000", "--json", "--data-dir", str(filled.data_dir)])
    done = subprocess.run(
        f"{words} | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        env=filled.environment,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)


PERIODS = [
    ("--month", "2025-11"),
    ("--quarter", "2025-Q4"),
    ("--from", "2025-11-02", "--to", "2025-11-02"),
]


@pytest.mark.parametrize("period", PERIODS)
def test_the_chargeback_of_a_period(filled, tmp_path, period):
    file = tmp_path / "out.csv"
    printed = filled.run("chargeback", *period, "--project", "HPC", "-o", str(file), "--json")
    assert json.loads(printed) == {"currency": "USD", "lines": LINES, "cost_usd": "0.0006", "file": str(file)}
    lines = list(csv.reader(file.read_text().splitlines()))
    assert len(lines) == LINES + 2
    assert (lines[-1][0], lines[-1][-1]) == ("TOTAL", "0.0006")
    assert list(tmp_path.iterdir()) == [file]


def test_the_chargeback_of_an_empty_period(filled, tmp_path):
    file = tmp_path / "out.csv"
    assert "no lines in this period" in filled.run("chargeback", "--month", "2020-02", "-o", str(file))
    assert file.read_text().splitlines()[1:] == ["TOTAL,,,,,,,USD,0"]


def test_the_whole_ledger_of_a_period(filled, tmp_path):
    file = tmp_path / "all.csv"
    assert f"{LINES} rows" in filled.run("ledger", "export", "--month", "2025-11", "-o", str(file))
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert {row["cost_nusd"] for row in rows} == {"3000"}


def writing(product: Product, command: str, file: Path | str) -> list[str]:
    words = {"chargeback": ["chargeback"], "export": ["ledger", "export"]}[command]
    return [*VIS, *words, "--month", "2025-11", "-o", str(file), "--data-dir", str(product.data_dir)]


def ended(product: Product, words: list[str]) -> Any:
    return subprocess.run(
        words, capture_output=True, text=True, env=product.environment, timeout=PATIENCE, check=False
    )


WRITERS = pytest.mark.parametrize("command", ["chargeback", "export"])


@WRITERS
def test_a_file_that_cannot_be_made_is_told(filled, tmp_path, command):
    (tmp_path / "file").touch()
    for place in (tmp_path / "none" / "out.csv", tmp_path / "file" / "out.csv", tmp_path / ("x" * 300)):
        done = ended(filled, writing(filled, command, place))
        assert done.returncode == 1
        assert f"{place} cannot be written" in done.stderr.replace("\n", " ")
        check_sentence(done.stderr)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@WRITERS
def test_a_disk_that_fills_up_leaves_the_file_of_before(filled, tmp_path, command):
    file = tmp_path / "out.csv"
    file.write_text("of last month")
    limited = ["sh", "-c", 'ulimit -f 4; exec "$@"', "sh", *writing(filled, command, file)]
    done = ended(filled, limited)
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    check_sentence(done.stderr)
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("out.csv", "of last month")]


@WRITERS
def test_a_device_is_written_as_it_is(filled, command):
    full = ended(filled, writing(filled, command, "/dev/full"))
    assert full.returncode == 1
    assert "/dev/full cannot be written: No space left on device" in full.stderr
    check_sentence(full.stderr)
    assert Path("/dev/full").is_char_device()
    assert not Path("/dev/full.part").exists()
    assert "cost" in ended(filled, writing(filled, command, "/dev/stdout")).stdout
