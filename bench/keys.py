"""What keys cost: tokens and proofs by themselves, a claim in the replay store, and a flood of credentials that are nobody's."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from statistics import median
from uuid import UUID

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bench.caller import Caller, request
from visionality.core import binding
from visionality.core.handle import from_entropy
from visionality.core.spend_token import (
    Allowance,
    BadToken,
    Bound,
    Claims,
    TrustedKey,
    by_kid,
    check_times,
    sign,
    taken_apart,
    verified,
)
from visionality.gateway.tokens import Tokens
from visionality.ledger.replay import Nonce, ReplayStore
from visionality.registry.snapshot import Snapshot
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7

FLOOD = 5_000
"""Bad tokens a second, as far as they are answered."""
FLOODERS = 500
"""Connections that they come on, each with the next one as soon as the last is answered."""


def of_themselves() -> dict[str, float]:
    """Microseconds of one process: the best of five rounds each."""
    now, org, aud = utc_now(), str(uuid7()), f"vis:{uuid7()}"
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    token = sign(private, _claims(now, org, aud))
    trusted = by_kid([TrustedKey(org, public, now - timedelta(1), now + timedelta(1))])
    snapshot, tokens = Snapshot(trusted=trusted), Tokens()
    key, key_id, body = os.urandom(32), str(uuid7()), os.urandom(4096)

    def signed() -> binding.Signed:
        digests = sha256(body).digest(), sha256(token.encode()).digest()
        return binding.Signed(b"POST", b"/v1/chat/completions", b"application/json", b"", b"svc:a", *digests)

    header = binding.header(key, aud, key_id, int(now.timestamp()), os.urandom(16), signed())

    def cached() -> None:
        digest = sha256(token.encode("latin-1")).digest()
        check_times(tokens.claims(snapshot, token, digest, now, 1.0), now)

    def proof() -> None:
        said = binding.read(header)
        assert said is not None
        assert binding.is_proven(key, aud, said, signed())

    tokens.aud = aud
    return {
        f"envelope of {len(token)} characters, cold": _microseconds(
            lambda: check_times(verified(taken_apart(token), trusted, now), now)
        ),
        "envelope, cached": _microseconds(cached),
        "proof of a 4 KB body": _microseconds(proof),
        "a malformed token refused": _microseconds(lambda: _refused(token)),
    }


def _refused(token: str) -> None:
    try:
        taken_apart(token[:-1] + "!")
    except BadToken:
        return
    raise AssertionError("it was taken")


def _claims(now: datetime, org: str, aud: str) -> Claims:
    at, key_id = int(now.timestamp()), str(uuid7())
    return Claims(
        v=2,
        jti=str(uuid7()),
        iss=aud,
        aud=aud,
        org=org,
        agt="clinic-app@aestheticiq",
        iat=at,
        nbf=at,
        exp=at + 300,
        scp=("call",),
        bnd=Bound(3, key_id, "ab" * 32, ("svc:clinic-app",)),
        gen=1,
        sgen=1,
        pol=7,
        prj="client_drpatel",
        cus="drpatel",
        tcl="chat",
        bud=Allowance("USD", "0.5", "total"),
        mdl=("gpt-4o*",),
        prv=("openai",),
        par=str(uuid7()),
    )


def _microseconds(action: Callable[[], None], times: int = 2_000) -> float:
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times):
            action()
        best = min(best, time.perf_counter() - began)
    return best / times * 1e6


async def claims_a_second(dsn: str, waiting: int, claims: int) -> tuple[float, float]:
    """Claims a second, and the median of one in milliseconds."""
    store, took = ReplayStore(dsn, timedelta(seconds=60)), []

    async def one() -> None:
        for _ in range(claims // waiting):
            nonce = Nonce(UUID(int=1), utc_now().replace(microsecond=0), os.urandom(32))
            began = time.perf_counter()
            assert await store.claim(nonce)
            took.append(time.perf_counter() - began)

    await one()
    took.clear()
    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(waiting)))
    rate = len(took) / (time.perf_counter() - began)
    store.close()
    return rate, median(took) * 1000


async def flood(port: int, body: bytes, seconds: float) -> float:
    """Send credentials that are nobody's, paced; how many a second it came to."""
    loop = asyncio.get_running_loop()
    texts = [
        request(port, "/v1/chat/completions", credential, body)
        for credential in (from_entropy(os.urandom(32)), "vis2_live_" + "A" * 700 + "_000000", "sk-nobody")
    ]
    began = time.perf_counter()

    async def one(number: int) -> int:
        _, caller = await loop.create_connection(Caller, "127.0.0.1", port)
        made = 0
        while time.perf_counter() - began < seconds:
            due = began + (made * FLOODERS + number) / FLOOD
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            answer = await caller.call(texts[made % len(texts)])
            assert answer.startswith(b"HTTP/1.1 401")
            made += 1
        caller.close()
        return made

    sent = sum(await asyncio.gather(*(one(number) for number in range(FLOODERS))))
    return sent / (time.perf_counter() - began)


def flooding(port: int, seconds: float) -> "subprocess.Popen[str]":
    """The flood from a process of its own; it prints how many a second it came to."""
    command = [sys.executable, "-m", "bench.keys", str(port), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


if __name__ == "__main__":
    print(uvloop.run(flood(int(sys.argv[1]), b"{}", float(sys.argv[2]))))
