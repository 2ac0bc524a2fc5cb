"""Whatever bytes come, in whatever pieces: an answer or an end, never a hang, and nothing reaches the event loop.

VIS_FUZZ_ROUNDS makes it longer, VIS_FUZZ_SEED different.
"""

import os
import random
import socket

from gateway.door import answer, opened, piece, start, whole

ROUNDS = int(os.environ.get("VIS_FUZZ_ROUNDS", "400"))
SEED = int(os.environ.get("VIS_FUZZ_SEED", "20261122"))

LAST = b"GET /last HTTP/1.1\r\nhost: v\r\nconnection: close\r\n\r\n"
VALID = [
    b"GET /a?b=c HTTP/1.1\r\nhost: v\r\n\r\n",
    b"GET /a HTTP/1.0\r\nhost: v\r\n\r\n",
    b"HEAD /a HTTP/1.1\r\nhost: v\r\naccept: */*\r\n\r\n",
    b"POST /a HTTP/1.1\r\nhost: v\r\ncontent-length: 10\r\n\r\n0123456789",
    b"POST /a HTTP/1.1\r\nhost: v\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n0123456789",
    b"POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nt: v\r\n\r\n",
    b"GET /a HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
    b"POST /a HTTP/1.1\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nabc",
    b"POST http://v/a HTTP/1.1\r\nhost: v\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: v\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT v:1 HTTP/1.1\r\nhost: v\r\n\r\n",
]
WORDS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b":",
    b"0\r\n\r\n",
    b"\r\n\r\n",
    b"transfer-encoding: chunked\r\n",
    b"content-length: 5\r\n",
    b"connection: close\r\n",
    b"connection: upgrade\r\nupgrade: x\r\n",
    b"expect: 100-continue\r\n",
    b"ffffffff\r\n",
    b"-1",
    b"\xff\xfe",
    b"HTTP/1.1",
    b"/../%00%zz?#",
    b"x" * 5000,
    b"x: y\r\n" * 500,
]


def mutated(dice: random.Random) -> bytes:
    """Some requests, some of them hurt, and one that ends the connection when all is well."""
    data = bytearray()
    for _ in range(dice.randint(1, 4)):
        one = bytearray(dice.choice(VALID))
        for _ in range(dice.choice([0, 0, 1, 1, 2, 5])):
            at = dice.randrange(len(one) + 1)
            match dice.randrange(5):
                case 0:
                    one[at:at] = dice.choice(WORDS)
                case 1:
                    del one[at : at + dice.randint(1, 12)]
                case 2:
                    one[at : at + 1] = bytes([dice.randrange(256)])
                case 3:
                    end = at + dice.randint(1, 40)
                    one[at:at] = one[at:end]
                case 4:
                    one[at : at + dice.randint(1, 8)] = dice.choice(WORDS)
        data += one
    return bytes(data + LAST)


async def application(scope, receive, send):
    """Answers in one of the ways that there are, by the length of what was asked."""
    way = (len(scope["raw_path"]) + len(scope["headers"])) % 7
    if way == 0:
        await answer(send, await whole(receive))
    elif way == 1:
        await answer(send, b"not read")
    elif way == 2:
        await start(send)
        await whole(receive)
        for _ in range(3):
            await piece(send, b"part")
        await piece(send, more=False)
    elif way == 3:
        await answer(send, b"", 204)
    elif way == 4:
        await receive()
        await start(send)
        await piece(send, b"x" * 100_000)
        await receive()
        await piece(send, more=False)
    elif way == 5:
        await receive()
    else:
        await start(send, 200, (b"content-length", b"10"))
        await piece(send, b"short", more=False)


def pieces(dice: random.Random, data: bytes) -> list[bytes]:
    cuts = sorted(dice.randrange(len(data)) for _ in range(dice.choice([0, 0, 1, 3])))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def spoken(door, dice: random.Random, data: bytes) -> bytes:
    """What comes back. The client says what it has to, then no more; a server that waits for more sees it leave."""
    with door.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for part in pieces(dice, data):
                client.send(part)
                door.ask(lambda: None)
            if dice.random() < 0.1:
                client.reset()
                return b""
            client.sock.settimeout(0.05)
            try:
                received = client.rest()
            except TimeoutError:  # a request that is not whole: the mutation ate the end
                client.sock.settimeout(30)
                client.sock.shutdown(socket.SHUT_WR)
                received = client.rest()
        except OSError:
            return b""
        return received


def test_hurt_requests_are_answered_or_ended(caplog):
    caplog.set_level("CRITICAL", "uvicorn.error")
    kinds = {"answered": 0, "refused": 0, "ended": 0}
    with opened(application) as door:
        for number in range(ROUNDS):
            dice = random.Random(SEED + number)
            data = mutated(dice)
            received = spoken(door, dice, data)
            assert door.faults == [], (SEED + number, data)
            assert not received or received.startswith(b"HTTP/1.1 "), (SEED + number, data, received)
            kind = "refused" if received.startswith(b"HTTP/1.1 4") else "answered" if received else "ended"
            kinds[kind] += 1
        with door.client() as client:
            client.send(b"GET /livez HTTP/1.1\r\n\r\n")
            assert client.head().status in {200, 204, 500}
        while door.ask(lambda: door.server.server_state.connections):
            pass
        assert door.ask(lambda: door.server.server_state.tasks) == set()
    print(f"{ROUNDS} rounds from seed {SEED}: {kinds}")
    assert min(kinds.values()) > 0
