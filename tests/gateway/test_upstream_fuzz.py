"""Promise of the client towards providers: whatever comes, a call ends, and what went wrong touches no other call.

Valid answers are changed at random, cut at random and broken off at random. VIS_FUZZ_ROUNDS makes the run longer,
VIS_FUZZ_SEED makes it another one.
"""

import asyncio
import os
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import h11
import pytest

from gateway.wire_servers import Peer, answered, client, on_uvloop, provider, turns
from visionality.gateway.upstream import UpstreamBroke, UpstreamUnreachable

ROUNDS = int(os.environ.get("VIS_FUZZ_ROUNDS", "600"))
SEED = int(os.environ.get("VIS_FUZZ_SEED", "20261121"))
AT_ONCE = 100

VALID = [
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"ok":true}',
    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: keep-alive\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\na;x=y\r\n0123456789\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 201 Made\r\ncontent-length: 1\r\n\r\nx",
    b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n",
    b"HTTP/1.1 429 Slow\r\nretry-after: 1\r\ncontent-length: 4\r\n\r\nslow",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\nold",
    b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
]  # fmt: skip
SPICE = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b"0", b"-1", b"\xff", b"\r\n\r\n", b"0\r\n\r\n", b"999999999",
    b"ffffffffffffffff", b"chunked", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 C\r\n\r\n", b"content-length: 3\r\n",
    b"Content-Length: 0\r\n", b"transfer-encoding: chunked\r\n", b"transfer-encoding: gzip, chunked\r\n",
    b"connection: close\r\n", b"connection: upgrade\r\nupgrade: x\r\n", b"HTTP/1.1 101 S\r\n\r\n", b"x" * 70_000,
]  # fmt: skip


def changed(chance: random.Random, said: bytes) -> bytes:
    """The bytes with a few accidents."""
    for _ in range(chance.choice([0, 1, 1, 1, 2, 2, 3, 6])):
        at, end = sorted(chance.randint(0, len(said)) for _ in "12")
        end = min(end, at + chance.choice([1, 2, 8, 1000]))
        accident = chance.randrange(7)
        if accident == 0:
            said = said[:at] + said[end:]
        elif accident == 1:
            said = said[:at] + chance.choice(SPICE) + said[at:]
        elif accident == 2:
            said = said[:at] + chance.choice(SPICE) + said[end:]
        elif accident == 3:
            said = said[:end] + said[at:]
        elif accident == 4:
            said = said[:at] + chance.randbytes(end - at) + said[end:]
        elif accident == 5:
            said = said[:at]
        else:
            said += chance.choice(VALID)
    return said


@dataclass
class Round:
    """A call that meets accidents, maybe on a kept connection, and the next one with the same key."""

    said: bytes
    cuts: list[int]
    kept: bool
    ending: str
    over: bool = False
    told: asyncio.Event = field(default_factory=asyncio.Event)
    served: dict[str, list[int]] = field(default_factory=lambda: {"warm": [], "odd": [], "next": []})
    """By which connections each step was served."""

    @classmethod
    def drawn(cls, chance: random.Random) -> "Round":
        said = changed(chance, chance.choice(VALID))
        cuts = sorted(chance.randint(0, len(said)) for _ in range(chance.choice([0, 0, 1, 2, 5])))
        return cls(said, cuts, chance.random() < 0.5, chance.choice(["stay", "stay", "close", "reset"]))

    async def serve(self, peer: Peer) -> bool:
        """Say it; whether the connection then stays. It does not, either, when the client would wait for ever."""
        try:
            await peer.say(
                *[self.said[start:end] for start, end in pairwise([0, *self.cuts, len(self.said)])]
            )
            await turns(20)
        finally:
            self.told.set()
        if self.ending == "reset":
            peer.reset()
        return self.ending == "stay" and self.over


def valid(step: str, number: int) -> bytes:
    body = b"%b of %d" % (step.encode(), number)
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def by_another_parser(said: bytes) -> tuple[int, bytes] | None:
    """Status and body of the one answer that the bytes are; nothing if they are not, or it is not the last."""
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(said)
    status, body = 0, b""
    while True:
        event = reader.next_event()
        if isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return (status, body) if not reader.trailing_data[0].strip(b"\r\n") else None
        elif event is h11.NEED_DATA or event is h11.PAUSED:
            return None


async def play(up, place, rounds: list[Round], number: int, seen: Counter) -> None:
    this = rounds[number]
    key = (b"x-api-key", b"%d" % number)

    async def call(step: str):
        return await answered(up, place.url, target=f"/{number}/{step}", credential=key)

    if this.kept:
        assert (await call("warm"))[2] == b"warm of %d" % number
    found = None
    try:
        found = await call("odd")
    except UpstreamBroke as broke:
        seen[str(broke).partition(":")[0]] += 1
    this.over = True
    await this.told.wait()
    await turns()
    assert (await call("next"))[2] == b"next of %d" % number
    odd, following = this.served["odd"], this.served["next"]
    assert len(odd) == 1 or (this.kept and not this.said and len(odd) == 2)
    assert following[0] != odd[0] or found is not None
    if following[0] == odd[0]:
        seen["used again"] += 1
        try:
            assert by_another_parser(this.said) == (found[0], found[2]), this.said
        except h11.RemoteProtocolError:
            seen["used again, though another parser refuses it"] += 1
    elif found is not None:
        seen["an answer"] += 1


@on_uvloop
async def play_all(rounds: list[Round], seen: Counter) -> None:
    async def talk(peer: Peer) -> None:
        stays = True
        while stays:
            _, number, step = (await peer.request()).lines[0].split(b" ")[1].decode().split("/")
            this = rounds[int(number)]
            this.served[step].append(peer.number)
            if step == "odd" and len(this.served["odd"]) == 1:
                stays = await this.serve(peer)
            else:
                await peer.say(valid(step, int(number)))

    async with provider(talk) as place, client() as up:
        await asyncio.gather(*[play(up, place, rounds, number, seen) for number in range(len(rounds))])


def test_whatever_comes_a_call_ends_and_no_other_call_suffers():
    chance, seen = random.Random(SEED), Counter()
    for _ in range(0, ROUNDS, AT_ONCE):
        play_all([Round.drawn(chance) for _ in range(AT_ONCE)], seen)
    print(seen)
    assert seen["used again"] > 0
    assert seen["an answer"] > 0
    assert len(seen) > 4


GREETINGS = [
    b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n",
    b"HTTP/1.1 407 Who\r\nproxy-authenticate: basic\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03\0\x7a\x02\0\0\x76\x03\x03",
    b"\x16\x03\x03\0\x7a\x02\0\0\x76\x03\x03",
    b"\x15\x03\x03\0\x02\x02\x28",
]


@on_uvloop
async def call_in_vain(sayings: list[bytes], chance: random.Random, *, through: bool) -> None:
    """Calls to a provider with TLS, each of which meets something else instead of it."""

    async def talk(peer: Peer) -> None:
        said = sayings[peer.number]
        await peer.reader.read(1)
        await peer.say(said[: (at := chance.randint(0, len(said)))], said[at:])
        if through:
            await turns(10)
            await peer.say(chance.randbytes(20))
        if chance.random() < 0.3:
            peer.reset()

    async with provider(talk) as place:
        os.environ["HTTPS_PROXY"] = place.url if through else ""
        async with client() as up:
            for _ in sayings:
                url = "https://provider.example" if through else place.url.replace("p:", "ps:")
                with pytest.raises(UpstreamUnreachable, match=r"\w"):
                    await answered(up, url)


def test_whatever_comes_instead_of_tls_makes_a_provider_unreachable(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "")
    monkeypatch.delenv("https_proxy", raising=False)
    chance = random.Random(SEED)
    for _ in range(0, ROUNDS, AT_ONCE):
        for through in (True, False):
            call_in_vain(
                [changed(chance, chance.choice(GREETINGS)) for _ in range(AT_ONCE)], chance, through=through
            )
