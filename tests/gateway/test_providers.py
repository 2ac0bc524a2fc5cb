"""Promises G1, G6: a provider's key is sealed, used where it belongs, and outlives a restart; nothing else does."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gateway.calls import CHAT, MESSAGES, Caller, new_id
from product import Product, running_in

PLANTED = "sk-ant-planted-77aa"
IN_FORCE_WITHIN = 2


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    with TemporaryDirectory(prefix="vis-") as made:
        Path(made).chmod(0o755)
        yield Path(made) / "data"


@pytest.fixture(scope="module")
def story(data_dir) -> dict:
    """A first run with a key, a provider and three rows; then stopped."""
    with running_in(data_dir) as product:
        product.run("project", "add", "HPC")
        product.run("agent", "add", "alice@arctrade", "--owner", "Alice K.")
        caller = Caller(product, product.issue())
        first = row(caller, MESSAGES)
        product.environment["SPARE_KEY"] = PLANTED
        to = ("--base-url", product.sandbox + "/", "--key-env", "SPARE_KEY")
        said = product.run("provider", "add", "anthropic", *to)
        product.until(lambda: row(caller, MESSAGES)["provider"] == "anthropic", within=IN_FORCE_WITHIN)
        used = row(caller, MESSAGES)
        other = row(caller, CHAT)
        caller.post(MESSAGES, new_id())
        return {
            "key": caller.key,
            "said": said,
            "first": first,
            "used": used,
            "other": other,
            "seen": caller.seen(),
            "sealed": product.query("select sealed from vis_control.provider_credential"),
            "rows": product.query("select leaf_hash from vis.request_logs order by 1"),
        }


@pytest.fixture(scope="module")
def again(data_dir, story) -> Iterator[Product]:
    """The same installation, started a second time, without the sandbox."""
    with running_in(data_dir, "--no-sandbox") as product:
        yield product


def row(caller: Caller, path: str) -> dict:
    call_id = new_id()
    assert caller.post(path, call_id).status == 200
    return caller.row(call_id)


def test_a_providers_key_reaches_its_address_in_its_own_header(story):
    headers = [tuple(header) for header in story["seen"]["headers"]]
    assert ("x-api-key", PLANTED) in headers
    assert [name for name, _ in headers].count("x-api-key") == 1
    assert story["seen"]["path"] == MESSAGES
    assert "calls of anthropic now go to" in story["said"]


def test_a_providers_key_ends_the_sandbox_for_its_dialect_only(story):
    assert [story[name]["provider"] for name in ("first", "used", "other")] == [
        "sandbox",
        "anthropic",
        "sandbox",
    ]
    assert story["used"]["cost_nusd"] > 0


def test_the_database_holds_the_key_sealed(story):
    (credential,) = story["sealed"]
    assert PLANTED.encode() not in bytes(credential["sealed"])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (base64.b64encode(bytes(range(32))).decode(), "the master key in VIS_MASTER_KEY is not the one"),
        ("not base64!", "VIS_MASTER_KEY is not base64"),
        ("c2hvcnQ=", "VIS_MASTER_KEY holds 5 bytes, expected 32"),
    ],
    ids=["another", "not base64", "too short"],
)
def test_a_wrong_master_key_is_refused_in_one_sentence(data_dir, story, spoil, sentence):
    check_refused(data_dir, sentence, master_key=spoil)


def test_a_missing_master_key_is_refused_in_one_sentence(data_dir, story):
    file, aside = data_dir / "master.key", data_dir / "aside"
    file.rename(aside)
    try:
        check_refused(data_dir, "the master key is missing")
    finally:
        aside.rename(file)


def check_refused(data_dir: Path, sentence: str, **settings: str) -> None:
    log = data_dir.parent / "up.log"
    before = len(log.read_text())
    with pytest.raises(AssertionError, match="ended with 1"), running_in(data_dir, **settings):
        pass
    said = log.read_text()[before:]
    assert sentence in said
    assert "Traceback" not in said
    assert said.count("vis: ") == 1


def test_a_restart_keeps_keys_providers_and_rows(story, again):
    caller = Caller(again, story["key"])
    assert again.query("select leaf_hash from vis.request_logs order by 1") == story["rows"]
    reply = caller.post(MESSAGES, call_id := new_id())
    assert reply.error["code"] == "upstream_unreachable"  # the address was the first run's sandbox
    assert caller.row(call_id)["provider"] == "anthropic"


def test_without_the_sandbox_a_provider_without_a_key_is_refused(story, again):
    caller = Caller(again, story["key"])
    reply = caller.post(CHAT, call_id := new_id())
    assert (reply.status, reply.error["code"]) == (403, "provider_not_configured")
    assert "vis provider add openai" in reply.error["message"]
    (refused,) = again.query(
        "select * from vis.request_logs where request_id = %s", reply.header("x-vis-request-id")
    )
    assert (refused["decision"], refused["cost_nusd"], refused["provider"]) == ("refused", 0, "openai")
    assert refused["tags"]["client_request_id"] == call_id


def test_a_removed_providers_key_is_out_of_force_within_two_seconds(story, again):
    caller = Caller(again, story["key"])
    again.run("provider", "remove", "anthropic")
    again.until(lambda: caller.post(MESSAGES, new_id()).status == 403, within=IN_FORCE_WITHIN)
    listed = [json.loads(line) for line in again.run("provider", "list", "--json").splitlines()]
    assert [(one["provider"], one["state"]) for one in listed] == [("anthropic", "retired")]
    assert PLANTED not in again.run("provider", "list", "--json")
