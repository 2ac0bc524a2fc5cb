"""What is no request is refused, and no byte is ever read in two ways: as a body here and as a request there."""

import socket
from contextlib import suppress

import pytest

from gateway.door import opened, start, whole
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


def post(*headers: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    return b"POST /p %b\r\nhost: v\r\n%b\r\n" % (version, b"".join(one + b"\r\n" for one in headers)) + body


def chunked(body: bytes) -> bytes:
    return post(b"transfer-encoding: chunked", body=body)


def get(target: bytes, *headers: bytes) -> bytes:
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (target, b"".join(one + b"\r\n" for one in headers))


REFUSED = {
    "length and chunked": post(b"content-length: 3", b"transfer-encoding: chunked", body=b"0\r\n\r\n"),
    "chunked and length": post(b"transfer-encoding: chunked", b"content-length: 3", body=b"0\r\n\r\n"),
    "two lengths": post(b"content-length: 3", b"content-length: 4", body=b"abcd"),
    "two equal lengths": post(b"content-length: 3", b"content-length: 3", body=b"abc"),
    "a list of lengths": post(b"content-length: 3, 3", body=b"abc"),
    "negative length": post(b"content-length: -1"),
    "length with a sign": post(b"content-length: +5", body=b"abcde"),
    "hexadecimal length": post(b"content-length: 0x3", body=b"abc"),
    "length with a blank in it": post(b"content-length: 1 2", body=b"abc"),
    "empty length": post(b"content-length:"),
    "length too large": post(b"content-length: 99999999999999999999"),
    "gzip, chunked": post(b"transfer-encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "chunked, gzip": post(b"transfer-encoding: chunked, gzip", body=b"0\r\n\r\n"),
    "chunked, chunked": post(b"transfer-encoding: chunked, chunked", body=b"0\r\n\r\n"),
    "chunked twice": post(b"transfer-encoding: chunked", b"transfer-encoding: chunked", body=b"0\r\n\r\n"),
    "identity": post(b"transfer-encoding: identity"),
    "xchunked": post(b"transfer-encoding: xchunked", body=b"0\r\n\r\n"),
    "quoted": post(b'transfer-encoding: "chunked"', body=b"0\r\n\r\n"),
    "vertical tab": post(b"transfer-encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "empty coding": post(b"transfer-encoding:", body=b"0\r\n\r\n"),
    "folded line": post(b"x: a", b" b"),
    "folded length": post(b"content-length:", b" 3", body=b"abc"),
    "folded coding": post(b"transfer-encoding:", b" chunked", body=b"0\r\n\r\n"),
    "blank before the colon": post(b"content-length : 3", body=b"abc"),
    "blank before the name": b"GET / HTTP/1.1\r\n host: v\r\n\r\n",
    "empty name": post(b": a"),
    "no colon": post(b"abc"),
    "bare LF": b"GET / HTTP/1.1\nhost: v\n\n",
    "bare LF after a header": b"GET / HTTP/1.1\r\nhost: v\ncontent-length: 3\r\n\r\nabc",
    "bare LF at the end": b"GET / HTTP/1.1\r\nhost: v\r\n\n",
    "bare CR in a value": post(b"x: a\rb: c"),
    "NUL in a value": post(b"x: a\0b"),
    "NUL in a name": post(b"a\0b: c"),
    "NUL in the target": get(b"/\0"),
    "blank in the target": get(b"/a b"),
    "tab in the target": get(b"/a\tb"),
    "target beyond ASCII": get(b"/\xc3\xa9"),
    "query beyond ASCII": get(b"/?\xc3\xa9"),
    "no target": b"GET HTTP/1.1\r\n\r\n",
    "empty line first": b"\0\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\n\r\n",
    "HTTP/2 with prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "method in small letters": b"get / HTTP/1.1\r\n\r\n",
    "authority": b"CONNECT provider:443 HTTP/1.1\r\nhost: v\r\n\r\n",
    "authority and a body": b"CONNECT provider:443 HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc",
    "CONNECT with a path": b"CONNECT / HTTP/1.1\r\n\r\n",
    "port too large": get(b"http://v:99999/"),
    "no host in the target": get(b"http:///p"),
    "two hosts": get(b"/p", b"host: a", b"host: b"),
    "two hosts in one": get(b"/p", b"host: a, b"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200,
}

REFUSED_BODIES = {
    "letters": b"zz\r\n",
    "negative": b"-3\r\nabc\r\n0\r\n\r\n",
    "prefixed": b"0x3\r\nabc\r\n0\r\n\r\n",
    "blank": b"3 \r\nabc\r\n0\r\n\r\n",
    "empty": b"\r\nabc\r\n0\r\n\r\n",
    "without end": b"ffffffffffffffffff\r\n",
    "overflow": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "LF after the size": b"3\nabc\r\n0\r\n\r\n",
    "LF after an extension": b"3;a\nabc\r\n0\r\n\r\n",
    "CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
    "longer than said": b"3\r\nabcd\r\n0\r\n\r\n",
    "shorter than said": b"4\r\nabc\r\n0\r\n\r\n",
    "no CRLF after the data": b"3\r\nabc0\r\n\r\n",
    "trailer without a colon": b"3\r\nabc\r\n0\r\nabc\r\n\r\n",
    "trailer that closes": b"3\r\nabc\r\n0\r\nconnection: close\r\n\r\n",
    "trailer that closes a proxy": b"3\r\nabc\r\n0\r\nProxy-Connection: close\r\n\r\n",
    "trailer with a length": b"3\r\nabc\r\n0\r\ncontent-length: 9\r\n\r\n",
    "trailer with a coding": b"3\r\nabc\r\n0\r\ntransfer-encoding: chunked\r\n\r\n",
    "trailer with an upgrade": b"3\r\nabc\r\n0\r\nx: y\r\nupgrade: h2c\r\n\r\n",
    "trailer with a bare LF": b"3\r\nabc\r\n0\r\na: b\n\r\n",
}


def check_refusal(received: bytes, status: int = 400) -> None:
    """One whole refusal, and nothing else."""
    head, body = received.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head
    assert b"content-length: %d" % len(body) in head
    assert b"HTTP/1.1" not in body


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_read_in_two_ways_is_refused_and_no_application_sees_it(door, name):
    check_refusal(door.spoken(REFUSED[name] + SECOND))
    assert door.seen == []


@pytest.mark.parametrize("name", REFUSED_BODIES)
def test_a_body_that_can_be_read_in_two_ways_is_refused_and_its_application_told(door, name):
    ended = []

    async def app(scope, receive, send):
        message = await receive()
        while message["type"] == "http.request" and message["more_body"]:
            message = await receive()
        ended.append(message["type"])
        await start(send, 200)

    door.app = app
    check_refusal(door.spoken(chunked(REFUSED_BODIES[name]) + SECOND))
    door.ask(lambda: None)
    assert ended == ["http.disconnect"]


@pytest.mark.parametrize("name", [*REFUSED, *REFUSED_BODIES])
def test_answers_that_are_owed_come_before_a_refusal(door, name):
    sent = REFUSED.get(name) or chunked(REFUSED_BODIES[name])
    received = door.spoken(SECOND * 3 + sent + SECOND)
    first, second, third, refusal = received.split(b"HTTP/1.1 ")[1:]
    assert {first[:6], second[:6], third[:6]} == {b"200 OK"}
    check_refusal(b"HTTP/1.1 " + refusal)
    assert [seen.line for seen in door.seen] == [TO_SECOND] * 3


@pytest.mark.parametrize("name", ["bare LF", "length and chunked", "NUL in the target", "HTTP/2.0"])
def test_a_refusal_is_the_same_when_it_comes_byte_by_byte(door, name):
    with door.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(ConnectionError):
            for byte in REFUSED[name]:
                client.send(bytes([byte]))
                door.ask(lambda: None)
        check_refusal(client.rest())
    assert door.seen == []


def test_a_body_that_breaks_after_its_answer_began_ends_the_answer_without_a_word(door):
    async def app(scope, receive, send):
        await start(send, 200)
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        assert await receive() == {"type": "http.request", "body": b"abc", "more_body": True}
        assert await receive() == {"type": "http.disconnect"}
        await send({"type": "http.response.body", "body": b"more", "more_body": False})

    door.app = app
    with door.client() as client:
        client.send(chunked(b"3\r\nabc\r\n"))
        client.head()
        assert client.chunk() == b"part"
        client.send(b"zz\r\n" + SECOND)
        assert client.is_closed()


def test_a_body_that_breaks_after_its_answer_ends_the_connection_without_a_word(door):
    async def app(scope, receive, send):
        await start(send, 200, (b"content-length", b"0"))
        await send({"type": "http.response.body"})

    door.app = app
    with door.client() as client:
        client.send(chunked(b"3\r\nabc\r\n"))
        assert client.answer().status == 200
        client.send(b"zz\r\n" + SECOND)
        assert client.is_closed()


# ---------------------------------------------------------------------- read in one way

READ = {
    "absolute target": (get(b"http://other:80/p?q=1", b"host: v"), ("GET", b"/p", b"q=1", b"")),
    "absolute target without a path": (get(b"http://other"), ("GET", b"/", b"", b"")),
    "absolute target with a query alone": (get(b"http://other?q"), ("GET", b"/", b"q", b"")),
    "absolute target with a user": (get(b"http://u:p@other/p"), ("GET", b"/p", b"", b"")),
    "asterisk": (b"OPTIONS * HTTP/1.1\r\n\r\n", ("OPTIONS", b"*", b"", b"")),
    "two slashes": (get(b"//other/p"), ("GET", b"//other/p", b"", b"")),
    "fragment": (get(b"/p?q#f?x"), ("GET", b"/p", b"q", b"")),
    "fragment in the path": (get(b"/p#f?x"), ("GET", b"/p", b"", b"")),
    "question mark in the query": (get(b"/p?a?b"), ("GET", b"/p", b"a?b", b"")),
    "empty query": (get(b"/p?"), ("GET", b"/p", b"", b"")),
    "marks in the target": (get(b'/p{}|^`"<>[]\\~%zz'), ("GET", b'/p{}|^`"<>[]\\~%zz', b"", b"")),
    "no host": (get(b"/p"), ("GET", b"/p", b"", b"")),
    "empty host": (get(b"/p", b"host:"), ("GET", b"/p", b"", b"")),
    "empty lines first": (b"\r\n\r\n" + get(b"/p"), ("GET", b"/p", b"", b"")),
    "two blanks": (b"GET  /p  HTTP/1.1\r\n\r\n", ("GET", b"/p", b"", b"")),
    "zeros before a length": (post(b"content-length: 003", body=b"abc"), ("POST", b"/p", b"", b"abc")),
    "blanks about a length": (post(b"content-length: \t3 \t", body=b"abc"), ("POST", b"/p", b"", b"abc")),
    "Chunked": (
        post(b"transfer-encoding: Chunked ", body=b"3\r\nabc\r\n0\r\n\r\n"),
        ("POST", b"/p", b"", b"abc"),
    ),
    "zeros before a chunk's size": (chunked(b"0003\r\nabc\r\n00\r\n\r\n"), ("POST", b"/p", b"", b"abc")),
    "extensions": (chunked(b'3;a="b;c";d\r\nabc\r\n0;e\r\n\r\n'), ("POST", b"/p", b"", b"abc")),
    "trailers": (
        chunked(b"3\r\nabc\r\n0\r\nexpect: 100-continue\r\nhost: w\r\n\r\n"),
        ("POST", b"/p", b"", b"abc"),
    ),
    "body of a GET": (
        get(b"/p", b"content-length: %d" % len(SECOND)) + SECOND,
        ("GET", b"/p", b"", SECOND),
    ),
    "a name like a length": (post(b"content_length: 5", b"x-content-length: 5"), ("POST", b"/p", b"", b"")),
}


@pytest.mark.parametrize("name", READ)
def test_what_can_be_read_in_one_way_is_and_the_next_request_follows(door, name):
    sent, line = READ[name]
    with door.client() as client:
        client.send(sent + SECOND)
        assert [client.answer().status, client.answer().status] == [200, 200]
    assert [seen.line for seen in door.seen] == [line, TO_SECOND]


@pytest.mark.parametrize("framing", [b"content-length: 5", b"transfer-encoding: chunked"])
def test_http_1_0_is_the_last_request_of_its_connection(door, framing):
    body = b"abcde" if b"length" in framing else b"5\r\nabcde\r\n0\r\n\r\n"
    received = door.spoken(post(framing, body=body, version=b"HTTP/1.0") + SECOND)
    assert received.count(b"HTTP/1.1") == 1
    assert [seen.body for seen in door.seen] == [b"abcde"]


# ---------------------------------------------------------------------- upgrades

WEBSOCKET = [b"connection: keep-alive, Upgrade", b"upgrade: websocket", b"sec-websocket-key: x"]
H2C = [b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAARAAAAAAAIAAAAA"]
UPGRADES = {
    "websocket": (get(b"/p", *WEBSOCKET), b""),
    "h2c": (get(b"/p", *H2C), b""),
    "h2c with a body": (post(*H2C, b"content-length: %d" % len(SECOND), body=SECOND), SECOND),
    "h2c with a chunked body": (
        post(*H2C, b"transfer-encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(SECOND), SECOND)),
        SECOND,
    ),
    "upgrade alone": (post(b"upgrade: h2c", b"content-length: 3", body=b"abc"), b"abc"),
    "connection alone": (post(b"connection: upgrade", b"content-length: 3", body=b"abc"), b"abc"),
}


@pytest.mark.parametrize("name", UPGRADES)
def test_nobody_changes_the_protocol_and_the_next_request_is_the_next_request(door, name):
    sent, body = UPGRADES[name]
    with door.client() as client:
        client.send(sent + SECOND)
        assert (told := client.answer()).status == 200
        assert (told.body, told.header(b"connection")) == (body, None)
        assert client.answer().status == 200
    first, second = door.seen
    assert (first.body, second.line) == (body, TO_SECOND)
    lines = sent.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    assert first.headers == [(n.lower(), v) for n, v in (line.split(b": ", 1) for line in lines)]


@pytest.mark.parametrize("name", UPGRADES)
def test_an_upgrade_cut_anywhere_is_the_same_request(door, name):
    sent, body = UPGRADES[name]
    with door.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(sent)):
            client.send(sent[:cut])
            door.ask(lambda: None)
            client.send(sent[cut:])
            assert client.answer().body == body
    assert {seen.body for seen in door.seen} == {body}
    assert {tuple(seen.headers) for seen in door.seen} == {tuple(door.seen[0].headers)}


def test_an_upgrade_may_ask_to_be_the_last_request_or_wait_for_its_body(door):
    closing = get(b"/p", b"connection: close, upgrade", b"upgrade: h2c")
    assert door.spoken(closing + SECOND).count(b"HTTP/1.1 200") == 1
    with door.client() as client:
        client.send(post(*H2C, b"content-length: 3", b"expect: 100-continue"))
        assert client.answer().status == 100
        client.send(b"abc")
        assert client.answer().body == b"abc"


def test_thousands_of_upgrades_at_once_are_as_many_requests(door):
    with door.client() as client:
        client.send(get(b"/p", b"connection: upgrade", b"upgrade: x") * 3000 + SECOND)
        for _ in range(3001):
            assert client.answer().status == 200


# ---------------------------------------------------------------------- without end

ENDLESS = {
    "target": b"GET /",
    "name": b"GET / HTTP/1.1\r\n",
    "value": b"GET / HTTP/1.1\r\nx: ",
    "method": b"POST /",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_head_without_end_is_refused_while_it_comes(door, name):
    with door.client() as client:
        with suppress(ConnectionError):
            client.send(ENDLESS[name] + b"y" * 20_000_000)
        check_refusal(client.rest(), 431)
    assert door.seen == []


def test_headers_without_end_are_refused_while_they_come(door):
    check_refusal(door.spoken(b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 300_000), 431)
    check_refusal(door.spoken(b"\r\n" * 500_000), 431)


@pytest.mark.parametrize("start_of_it", [b"0\r\nx: ", b"3;x=", b"3\r\nabc\r\n0;x="], ids=repr)
def test_a_trailer_or_an_extension_without_end_is_refused_while_it_comes(door, start_of_it):
    ended = []

    async def app(scope, receive, send):
        try:
            await whole(receive)
        finally:
            ended.append(True)

    door.app = app
    check_refusal(door.spoken(chunked(start_of_it + b"y" * 5_000_000)), 431)
    assert ended == [True]


def test_a_head_up_to_the_limit_is_read(door):
    with door.client() as client:
        for _ in range(3):
            client.send(get(b"/p", b"x: " + b"y" * (connection.HEAD_LIMIT - 100)) + SECOND)
            assert [client.answer().status, client.answer().status] == [200, 200]


def test_many_small_chunks_with_long_extensions_are_a_body_and_no_head(door):
    with door.client() as client:
        client.send(chunked(b"1;x=%b\r\nz\r\n" % (b"y" * 5000) * 200 + b"0\r\n\r\n"))
        assert client.answer().body == b"z" * 200


def test_the_limit_holds_for_each_request_anew(door):
    with door.client() as client:
        for _ in range(20):
            client.send(get(b"/p", b"x: " + b"y" * 30_000))
            client.answer()
