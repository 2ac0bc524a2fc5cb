"""A head that a client repeats is read once, and what then comes is read exactly as if it had not been."""

import random
import socket
from contextlib import contextmanager
from itertools import pairwise

import pytest

from gateway.door import Broken, answer, opened, whole
from visionality.gateway import connection

SECOND = b"GET /second HTTP/1.1\r\nhost: v\r\n\r\n"
TO_SECOND = ("GET", b"/second", b"", b"")


@pytest.fixture(scope="module")
def house():
    with opened() as door:
        yield door


@pytest.fixture
def door(house):
    with house.as_new():
        yield house


@pytest.fixture
def parsed(monkeypatch):
    """The connections whose parser came to the end of a head, one for each."""
    heads = []
    complete = connection.Connection.on_headers_complete

    def seen(held):
        heads.append(held)
        complete(held)

    monkeypatch.setattr(connection.Connection, "on_headers_complete", seen)
    return heads


def post(body: bytes, *headers: bytes, length: bytes | None = None) -> bytes:
    """A request whose length stands in the middle of its head."""
    lines = b"".join(header + b"\r\n" for header in headers)
    said = b"%d" % len(body) if length is None else length
    return (
        b"POST /p?q=1 HTTP/1.1\r\nHost: v\r\nAuthorization: Bearer x\r\nContent-Length: %b\r\n%bX-Last:  1 \r\n\r\n"
        % (said, lines)
        + body
    )


@contextmanager
def caller(door):
    with door.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield client


def cut(door, client, *parts: bytes) -> None:
    """Send pieces, each of which is read before the next one leaves."""
    for part in parts:
        client.send(part)
        door.ask(lambda: None)


def headers(length: bytes) -> tuple[tuple[bytes, bytes], ...]:
    return (
        (b"host", b"v"),
        (b"authorization", b"Bearer x"),
        (b"content-length", length),
        (b"x-last", b"1"),
    )


# ---------------------------------------------------------------------- what repeats


def test_a_head_that_repeats_is_parsed_once_and_its_headers_are_the_same_object(door, parsed):
    with caller(door) as client:
        for number in range(20):
            client.send(post(b"body %02d" % number))
            assert client.answer().body == b"body %02d" % number
    assert len(parsed) == 1
    assert {id(seen.scope["headers"]) for seen in door.seen} == {id(door.seen[0].scope["headers"])}
    assert door.seen[0].scope["headers"] == headers(b"7")


def test_a_repeated_head_may_stand_before_bodies_of_any_length(door, parsed):
    lengths = [3, 0, 12345, 1, 1, 60_000, 10, 0]
    with caller(door) as client:
        for length in lengths:
            client.send(post(b"x" * length))
            assert client.answer().body == b"x" * length
    assert len(parsed) == 1
    assert [seen.scope["headers"] for seen in door.seen] == [headers(b"%d" % length) for length in lengths]


def test_a_repeated_request_has_the_scope_of_one_that_was_parsed(door):
    with caller(door) as client:
        for _ in range(3):
            client.send(post(b"abc"))
            client.answer()
        first, *others = [dict(seen.scope) for seen in door.seen]
    states = [scope.pop("state") for scope in (first, *others)]
    assert others == [first, first]
    assert states[1:] == [states[0]] * 2
    assert len({id(state) for state in states}) == 3


def test_what_an_application_does_to_its_scope_the_next_request_does_not_see(door):
    async def app(scope, receive, send):
        told = repr((scope["path"], scope["method"], len(scope["state"]), "mine" in scope)).encode()
        scope["path"] = scope["method"] = scope["mine"] = "changed"
        scope["state"]["mine"] = 1
        await whole(receive)
        await answer(send, told)

    door.app = app
    with caller(door) as client:
        told = set()
        for _ in range(3):
            client.send(post(b"abc"))
            told.add(client.answer().body)
    assert told == {repr(("/p", "POST", 1, False)).encode()}


@pytest.mark.parametrize("length", [b"007", b"7 \t", b" \t7"])
def test_a_length_that_the_parser_takes_is_the_same_length_here(door, length):
    with caller(door) as client:
        for _ in range(3):
            client.send(post(b"body 01", length=length))
            assert client.answer().body == b"body 01"
            client.send(post(b"abc"))
            assert client.answer().body == b"abc"
    assert [seen.scope["headers"] for seen in door.seen] == [headers(length.strip()), headers(b"3")] * 3


def test_two_heads_by_turns_are_each_what_they_are(door):
    with caller(door) as client:
        for number in range(6):
            client.send(post(b"abc", b"X-Turn: %d" % (number % 2)))
            assert client.answer().body == b"abc"
            client.send(SECOND)
            assert client.answer().body == b""
    turns = [dict(seen.headers).get(b"x-turn") for seen in door.seen]
    assert turns == [b"0", None, b"1", None] * 3


# ---------------------------------------------------------------------- how it comes


def test_a_repeated_request_cut_anywhere_is_the_same_request(door):
    sent = post(b"abcde0123456789")
    with caller(door) as client:
        for at in range(1, len(sent)):
            cut(door, client, sent)
            client.answer()
            cut(door, client, sent[:at], sent[at:])
            assert client.answer().body == b"abcde0123456789"
    assert {seen.line for seen in door.seen} == {("POST", b"/p", b"q=1", b"abcde0123456789")}
    assert {seen.scope["headers"] for seen in door.seen} == {headers(b"15")}


def test_a_body_that_follows_its_repeated_head_is_whole_and_the_head_is_parsed_once(door, parsed):
    with caller(door) as client:
        for number in range(5):
            sent = post(b"0123456789" * 3)
            end = len(sent) - 30
            cut(door, client, sent[:end], *[sent[at : at + 7] for at in range(end, len(sent), 7)])
            assert client.answer().body == b"0123456789" * 3, number
    assert len(parsed) == 1


def test_a_large_body_after_a_repeated_head_waits_for_its_application_and_is_whole(door, parsed):
    body = bytes(range(256)) * 20_000
    with caller(door) as client:
        for _ in range(3):
            sent = post(body)
            cut(door, client, sent[:400])
            client.send(sent[400:])
            assert client.answer().body == body
    assert len(parsed) == 1


def test_what_comes_with_the_end_of_a_body_is_the_next_request(door):
    sent = post(b"abc")
    with caller(door) as client:
        cut(door, client, sent)
        client.answer()
        cut(door, client, sent[:-2], sent[-2:] + SECOND + sent + SECOND[:9])
        assert [client.answer().body for _ in range(3)] == [b"abc", b"", b"abc"]
        client.send(SECOND[9:])
        assert client.answer().status == 200
    lines = [seen.line for seen in door.seen]
    assert lines == [("POST", b"/p", b"q=1", b"abc")] * 2 + [TO_SECOND, ("POST", b"/p", b"q=1", b"abc")] + [
        TO_SECOND
    ]


def test_more_than_one_request_in_a_read_is_as_many_requests(door):
    with caller(door) as client:
        cut(door, client, post(b"abc"))
        client.answer()
        for _ in range(3):
            client.send(post(b"abc") + post(b"de") + SECOND + post(b""))
            assert [client.answer().body for _ in range(4)] == [b"abc", b"de", b"", b""]
    assert [seen.method for seen in door.seen[1:]] == ["POST", "POST", "GET", "POST"] * 3


def test_a_request_that_comes_before_the_last_is_answered_waits_for_its_turn(door):
    running = []

    async def app(scope, receive, send):
        running.append(scope)
        assert len(running) == 1
        body = await whole(receive)
        running.clear()
        await answer(send, body)

    door.app = app
    with caller(door) as client:
        for number in range(300):
            client.send(post(b"%d" % number))
        for number in range(300):
            assert client.answer().body == b"%d" % number


@pytest.mark.parametrize("between", [b"\r\n", b"\r\n\r\n", b"\n", b"\r"], ids=repr)
def test_empty_lines_between_repeated_requests_change_nothing(door, between):
    with caller(door) as client:
        for _ in range(3):
            cut(door, client, post(b"abc") + between)
            assert client.answer().body == b"abc"
            cut(door, client, between + post(b"de"))
            assert client.answer().body == b"de"
    assert len(door.seen) == 6


def test_a_body_that_the_application_does_not_read_is_not_the_next_request(door):
    async def app(scope, receive, send):
        await answer(send, scope["raw_path"])

    door.app = app
    body = SECOND * 10
    with caller(door) as client:
        for _ in range(3):
            sent = post(body)
            cut(door, client, sent)
            assert client.answer().body == b"/p"
            cut(door, client, sent[:-100])
            assert client.answer().body == b"/p"
            cut(door, client, sent[-100:] + SECOND)
            assert client.answer().body == b"/second"


def test_a_client_that_leaves_within_the_body_of_a_repeated_request_has_left(door):
    ends = []

    async def app(scope, receive, send):
        message = await receive()
        while message["type"] == "http.request" and message["more_body"]:
            message = await receive()
        ends.append(message["type"])
        await answer(send)

    door.app = app
    sent = post(b"0123456789")
    with caller(door) as client:
        cut(door, client, sent)
        client.answer()
        cut(door, client, sent[:-5])
    while len(ends) < 2:
        door.ask(lambda: None)
    assert ends == ["http.request", "http.disconnect"]


# ---------------------------------------------------------------------- what does not repeat

CHUNKED = post(b"3\r\nabc\r\n0\r\n\r\n", length=b"3").replace(
    b"Content-Length: 3", b"Transfer-Encoding: chunked"
)
OTHERS = {
    "another length after it": post(b"abc", b"content-length: 3"),
    "another length before it": post(b"abc").replace(b"Host: v", b"Content-Length: 5\r\nHost: v"),
    "a coding after it": post(b"0\r\n\r\n", b"transfer-encoding: chunked"),
    "a coding before it": post(b"0\r\n\r\n").replace(b"Host: v", b"Transfer-Encoding: chunked\r\nHost: v"),
    "a sign": post(b"abc", length=b"+3"),
    "a minus": post(b"abc", length=b"-3"),
    "a blank within": post(b"abc", length=b"3 3"),
    "a list": post(b"abc", length=b"3, 3"),
    "no digits": post(b"abc", length=b""),
    "digits of another script": post(b"abc", length="٣".encode()),
    "hexadecimal": post(b"abc", length=b"0x3"),
    "a point": post(b"abc", length=b"3.0"),
    "an underscore": post(b"abc", length=b"1_0"),
    "more than any number": post(b"abc", length=b"99999999999999999999"),
    "a folded length": post(b"abc", length=b"\r\n 3"),
    "a fold after it": post(b"abc", length=b"3\r\n 3"),
    "a bare LF after it": post(b"abc").replace(b"Content-Length: 3\r\n", b"Content-Length: 3\n"),
    "a bare CR after it": post(b"abc").replace(b"Content-Length: 3\r\n", b"Content-Length: 3\r"),
    "NUL after it": post(b"abc", length=b"3\0"),
    "another host": post(b"abc", b"host: w"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_refused_is_refused_after_a_head_that_is_almost_the_same(door, name):
    with caller(door) as client:
        for _ in range(2):
            cut(door, client, post(b"abc"))
            assert client.answer().status == 200
        client.send(OTHERS[name] + SECOND)
        assert (told := client.answer()).status == 400
        assert told.header(b"connection") == b"close"
        assert client.is_closed()
    assert len(door.seen) == 2


def test_a_length_of_many_digits_is_read_as_the_parser_reads_it(door):
    with caller(door) as client:
        for _ in range(2):
            for zeros in (3, 30, 5000):
                client.send(post(b"abc", length=b"0" * zeros + b"3"))
                assert client.answer().body == b"abc"
        client.send(post(b"abc"))
        assert client.answer().body == b"abc"
        client.send(post(b"", length=b"9" * 15))
        client.sock.shutdown(socket.SHUT_WR)
        with pytest.raises(Broken):
            client.answer()


def test_a_chunked_body_is_never_repeated_and_its_chunks_are_read(door, parsed):
    with caller(door) as client:
        for _ in range(3):
            client.send(post(b"abc"))
            assert client.answer().body == b"abc"
            client.send(CHUNKED)
            assert client.answer().body == b"abc"
    assert len(parsed) == 6


def test_a_client_that_waits_to_go_on_is_told_each_time(door):
    async def app(scope, receive, send):
        await answer(send, await whole(receive))

    door.app = app
    sent = post(b"abc", b"expect: 100-continue")
    with caller(door) as client:
        for _ in range(3):
            client.send(sent[:-3])
            assert client.answer().status == 100
            client.send(sent[-3:])
            assert client.answer().body == b"abc"


@pytest.mark.parametrize(
    "line", [b"connection: upgrade\r\nupgrade: h2c", b"connection: upgrade", b"upgrade: h2c"]
)
def test_a_request_to_change_the_protocol_is_read_plainly_each_time(door, line):
    with caller(door) as client:
        for _ in range(3):
            client.send(post(SECOND, line) + SECOND)
            assert client.answer().body == SECOND
            assert client.answer().body == b""
    assert [seen.line for seen in door.seen[1::2]] == [TO_SECOND] * 3


def test_a_head_without_end_after_a_repeated_one_is_refused(door):
    sent = post(b"abc")
    endless = sent[:-9] + b"y" * (3 * connection.HEAD_LIMIT)
    with caller(door) as client:
        for _ in range(2):
            cut(door, client, sent)
            client.answer()
        try:
            client.send(endless)
            told = client.answer()
        except ConnectionError:
            return
        assert told.status == 431


def test_a_connection_that_retires_ends_with_the_answer_to_a_repeated_request(door):
    with caller(door) as client:
        for _ in range(2):
            cut(door, client, post(b"abc"))
            assert client.answer().header(b"connection") is None
        (held,) = door.ask(lambda: list(door.server.server_state.connections))
        door.ask(held.retire)
        client.send(post(b"abc"))
        assert (told := client.answer()).body == b"abc"
        assert told.header(b"connection") == b"close"
        assert client.is_closed()


def test_a_head_that_was_kept_goes_with_its_connection(door):
    with caller(door) as client:
        cut(door, client, post(b"abc"))
        client.answer()
        (held,) = door.ask(lambda: list(door.server.server_state.connections))
        assert b"Bearer x" in held._known.before
    while door.ask(lambda: door.server.server_state.connections):
        pass
    assert held._known is None


# ---------------------------------------------------------------------- by chance


@pytest.mark.parametrize("seed", range(40))
def test_requests_that_repeat_are_read_as_on_connections_of_their_own(door, seed):
    """However the network cuts them, and whatever comes between them."""
    dice = random.Random(seed)
    kinds = [
        lambda: post(b"x" * dice.choice([0, 1, 3, 9, 10, 99, 100, 5000])),
        lambda: post(SECOND * dice.randint(1, 3)),
        lambda: post(b"abc", b"X-Odd: 1"),
        lambda: SECOND,
        lambda: CHUNKED,
        lambda: b"\r\n" + post(b"abc"),
    ]
    requests = [dice.choices(kinds, [8, 4, 1, 1, 1, 1])[0]() for _ in range(40)]
    for one in requests:
        with caller(door) as client:
            client.send(one)
            client.answer()
    alone = [(seen.line, seen.scope["headers"]) for seen in door.seen]
    door.seen.clear()
    sent = b"".join(requests)
    cuts = {dice.randrange(1, len(sent)) for _ in range(dice.randint(0, 20))}
    ends, at = set(), 0
    for one in requests:
        at += len(one)
        ends.add(at)
    cuts |= {end for end in ends if dice.random() < 0.8}
    points = [0, *sorted(cuts - {len(sent)}), len(sent)]
    with caller(door) as client:
        answered = 0
        for start, stop in pairwise(points):
            cut(door, client, sent[start:stop])
            while answered < sum(end <= stop for end in ends):
                client.answer()
                answered += 1
    assert [(seen.line, seen.scope["headers"]) for seen in door.seen] == alone


HURTS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"0",
    b"9",
    b"-",
    b"+",
    b",",
    b"\r\n\r\n",
    b"\r\nContent-Length: 3",
    b"\r\nTransfer-Encoding: chunked",
    b"\r\nConnection: close",
    b"\r\nExpect: 100-continue",
    b"\r\nUpgrade: h2c\r\nConnection: upgrade",
    SECOND,
]


def hurt(dice: random.Random) -> bytes:
    """A request whose head is almost the one that is known: most often the length, or what stands about it, is not."""
    one = bytearray(post(b"x" * dice.choice([0, 3, 10, 300])))
    length = one.index(b"Content-Length")
    for _ in range(dice.choice([0, 1, 1, 2])):
        at = length + dice.randrange(26) if dice.random() < 0.7 else dice.randrange(len(one) + 1)
        if dice.random() < 0.5:
            one[at:at] = dice.choice(HURTS)
        else:
            one[at : at + dice.randint(1, 3)] = dice.choice(HURTS)
    return bytes(one)


def owes(door) -> bool:
    """Whether there is a whole request that is not answered."""
    return any(one.ended for held in door.server.server_state.connections for one in held._exchanges)


def played(door, parts: list[bytes]) -> tuple[list[bytes], list[object]]:
    """What comes back, but for its date, and what the application saw."""
    door.seen.clear()
    with caller(door) as client:
        try:
            for part in parts:
                cut(door, client, part)
                while door.ask(lambda: owes(door)):  # a client that leaves is not answered any more
                    pass
            client.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        received = client.rest()
    lines = [line for line in received.split(b"\r\n") if not line.startswith(b"date: ")]
    return lines, [(seen.line, seen.scope["headers"]) for seen in door.seen]


@pytest.mark.parametrize("seed", range(150))
def test_what_is_hurt_is_read_as_by_a_connection_that_remembers_nothing(door, monkeypatch, seed):
    dice = random.Random(seed)
    parts = [post(b"abc"), *[hurt(dice) for _ in range(dice.randint(1, 4))], SECOND]
    remembered = played(door, parts)
    monkeypatch.setattr(connection.Connection, "_repeats", lambda _, __: False)
    assert remembered == played(door, parts)
