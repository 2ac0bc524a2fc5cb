"""Attack 7: one proof twice (promise K4). Deeper, with one gateway: tests/gateway/test_binding.py."""

import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from attacks.catalogue import IS_LONG, RACES
from gateway.backend import Backend
from gateway.budgets import gateways
from gateway.calls import CHAT, WITHIN, body_of
from product import Product, running_in, set_up

REPLAYED = (401, "binding_replayed")


@pytest.mark.attack(7)
def test_two_gateways_that_race_for_a_proof_have_one_winner(product, backend, bound, seen):
    token, body, start = bound["handle"], body_of(CHAT), threading.Barrier(2)
    with gateways(product, 1) as (other,):
        addresses = [urlsplit(one) for one in (product.gateway, other.address)]
        doors = [HTTPConnection(one.hostname, one.port, timeout=WITHIN) for one in addresses]

        def shown(door: HTTPConnection, proof: str) -> tuple[int, str]:
            headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
            headers |= {"x-acc-caller": backend.caller, "x-acc-binding": proof}
            start.wait(WITHIN)
            door.request("POST", CHAT, body, headers)
            with door.getresponse() as answer:
                answer.read()
                return answer.status, answer.getheader("x-acc-error") or ""

        won: Counter[int] = Counter()
        try:
            with ThreadPoolExecutor(2) as pool:
                for _ in range(RACES):
                    proof = backend.signed(CHAT, body, token)
                    answers = list(pool.map(shown, doors, [proof, proof]))
                    assert sorted(answers) == [(200, ""), REPLAYED]
                    won[answers.index((200, ""))] += 1
        finally:
            for door in doors:
                door.close()
    assert sum(won.values()) == RACES
    assert len(won) == 2
    seen(f"{RACES:,} races of two gateways: one winner each, {won[0]:,} to {won[1]:,}")


@pytest.mark.attack(7)
def test_a_crowd_at_two_gateways_has_one_winner(product, backend, bound, seen):
    token, body = bound["envelope"], body_of(CHAT)
    with gateways(product, 1) as (other,):
        there = replace(
            backend, product=replace(product, summary=product.summary | {"gateway": other.address})
        )
        proof = backend.signed(CHAT, body, token)
        with ThreadPoolExecutor(16) as pool:
            replies = list(pool.map(lambda n: (backend, there)[n % 2].post(token, proof=proof), range(32)))
    assert Counter(reply.status for reply in replies) == {200: 1, 401: 31}
    assert {reply.header("x-acc-error") for reply in replies} == {None, "binding_replayed"}
    seen("32 at once: one winner")


@pytest.mark.attack(7)
def test_a_gateway_that_was_not_there_knows_used_proofs(product, backend, bound, seen):
    """A gateway that starts afterwards has no memory but the database."""
    token, body = bound["handle"], body_of(CHAT)
    proof = backend.signed(CHAT, body, token)
    assert backend.post(token, proof=proof).status == 200
    with gateways(product, 1) as (other,):
        there = replace(
            backend, product=replace(product, summary=product.summary | {"gateway": other.address})
        )
        reply = there.post(token, proof=proof)
        assert (reply.status, reply.header("x-acc-error")) == REPLAYED
        other.kill()
        other.start()
        product.until(other.is_ready)
        reply = there.post(token, proof=proof)
        assert (reply.status, reply.header("x-acc-error")) == REPLAYED
        assert there.post(token).status == 200
    seen("a gateway started afterwards, and killed and started again: 401 binding_replayed")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the server's own account may pass through."""
    with TemporaryDirectory(prefix="vis-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.skipif(not IS_LONG, reason="three starts of the product: `make redteam` has them")
@pytest.mark.attack(7)
def test_a_database_that_went_back_in_time_takes_no_older_proof(place, seen):
    """The database's files are copied, a proof is used, and the copy goes on as a restore does: with a new timeline."""
    data, copy = place / "data", place / "copy"
    with running_in(data) as product:
        set_up(product)
        backend = Backend.registered(product, "checkout")
        token = backend.issue("--level", "3")["handle"]
    subprocess.run(["cp", "-a", str(data / "postgres"), str(copy)], check=True)
    with running_in(data) as product:
        backend = _at(backend, product)
        proof = backend.signed(CHAT, body_of(CHAT), token)
        product.until(lambda: backend.code(token, "/v1/models", b"", method="GET") == "binding_required")
        assert backend.post(token, proof=proof).status == 200
    shutil.rmtree(data / "postgres")
    copy.rename(data / "postgres")
    _as_restored(data / "postgres")
    with running_in(data) as product:
        backend = _at(backend, product)
        assert product.query("select count(*) as n from vis.nonces")[0]["n"] == 0
        (now_on,) = product.query("select timeline_id as n from pg_control_checkpoint()")
        reply = backend.post(token, proof=proof)
        assert (reply.status, reply.header("x-acc-error")) == (503, "binding_replay_unavailable")
        reply = backend.post(token)
        assert (reply.status, reply.header("x-acc-error")) == (503, "binding_replay_unavailable")
        assert product.query("select count(*) as n from vis.replay_fences")[0]["n"] == 2
        bearer = product.issue()
        assert product.status(bearer) == 200
    seen(f"restored to before the proof, now on timeline {now_on['n']}: 503 binding_replay_unavailable")


def _at(backend: Backend, product: Product) -> Backend:
    return replace(backend, product=product)


def _as_restored(cluster: Path) -> None:
    """PostgreSQL then takes the log that is there, and goes on with a timeline of its own."""
    owner = (cluster / "PG_VERSION").stat()
    signal = cluster / "recovery.signal"
    signal.touch()
    with (cluster / "postgresql.auto.conf").open("a") as settings:
        settings.write("restore_command = 'false'\nhot_standby = off\n")
    shutil.chown(signal, owner.st_uid, owner.st_gid)
