"""Promises of the gateway's own HTTP/1.1: requests come whole and in order, answers are framed so that nobody errs."""

import asyncio
import re
import socket
import threading

import pytest

from gateway.door import Broken, answer, opened, piece, presence, start, whole
from visionality.gateway import connection


@pytest.fixture(scope="module")
def house():
    with opened() as door:
        yield door


@pytest.fixture
def door(house):
    with house.as_new():
        yield house


GET = b"GET /a HTTP/1.1\r\nhost: v\r\n\r\n"
CLOSING = b"GET /z HTTP/1.1\r\nhost: v\r\nconnection: close\r\n\r\n"
CHUNKED = (
    b"POST /b?q=1 HTTP/1.1\r\nhost: v\r\ntransfer-encoding: chunked\r\nx-one: 1\r\n\r\n"
    b'5;a=b;c="d"\r\nabcde\r\nA;x\r\n0123456789\r\n0;end\r\nx-two: 2\r\nhost: w\r\n\r\n'
)
SIZED = b"POST /b?q=1 HTTP/1.1\r\nhost: v\r\ncontent-length: 15\r\nx-one: 1\r\n\r\nabcde0123456789"


def post(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST /b HTTP/1.1\r\nhost: v\r\ncontent-length: %d\r\n%b\r\n" % (len(body), lines) + body


# ---------------------------------------------------------------------- connections


def test_a_connection_serves_many_requests_and_says_what_it_is(door):
    with door.client() as client:
        for number in range(50):
            client.send(post(b"%d" % number))
            told = client.answer()
            assert (told.version, told.status, told.phrase) == ("HTTP/1.1", 200, b"OK")
            assert told.body == b"%d" % number
            assert told.header(b"connection") is None
            assert re.fullmatch(rb"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", told.header(b"date"))
        peer = client.sock.getsockname()
    scopes = [seen.scope for seen in door.seen]
    assert {scope["client"] for scope in scopes} == {peer}
    assert {scope["server"] for scope in scopes} == {("127.0.0.1", door.port)}
    assert len({id(presence(scope)) for scope in scopes}) == 1
    assert len({id(scope["state"]) for scope in scopes}) == 50


def test_the_scope_is_that_of_asgi(door):
    with door.client() as client:
        client.send(b"PATCH /a%20b/%C3%A9?x=%20&y HTTP/1.1\r\nHost: v\r\nX-A:  1 \t\r\nx-a: 2\r\n\r\n")
        client.answer()
        client.send(b"GET /c HTTP/1.0\r\n\r\n")
        client.answer()
    scope, old = (seen.scope for seen in door.seen)
    assert scope["headers"] == ((b"host", b"v"), (b"x-a", b"1"), (b"x-a", b"2"))
    expected = {
        "type": "http",
        "http_version": "1.1",
        "method": "PATCH",
        "scheme": "http",
        "path": "/a b/é",
        "raw_path": b"/a%20b/%C3%A9",
        "query_string": b"x=%20&y",
        "root_path": "",
    }
    assert {name: scope[name] for name in expected} == expected
    assert old["http_version"] == "1.0"
    assert old["headers"] == ()


def test_what_one_request_puts_into_its_state_the_next_does_not_see(door):
    async def app(scope, receive, send):
        await answer(send, b"%d" % len(scope["state"]))
        scope["state"]["mine"] = 1

    door.app = app
    with door.client() as client:
        for _ in range(3):
            client.send(GET)
            assert client.answer().body == b"1"


@pytest.mark.parametrize("ask", [b"close", b"Close", b"keep-alive, close"])
def test_a_client_that_asks_for_it_is_closed_after_its_answer(door, ask):
    with door.client() as client:
        client.send(b"GET / HTTP/1.1\r\nhost: v\r\nconnection: %b\r\n\r\n" % ask + GET * 3)
        assert client.answer().header(b"connection") == b"close"
        assert client.is_closed()
    assert len(door.seen) == 1


def test_an_application_that_asks_for_it_closes(door):
    async def app(scope, receive, send):
        await start(send, 200, (b"Connection", b"Close"), (b"content-length", b"0"))
        await piece(send, more=False)

    door.app = app
    with door.client() as client:
        client.send(GET * 3)
        assert client.answer().header(b"connection") == b"close"
        assert client.is_closed()


@pytest.mark.parametrize("ask", [b"", b"connection: keep-alive\r\n", b"connection: close\r\n"])
def test_http_1_0_is_closed_after_its_answer(door, ask):
    with door.client() as client:
        client.send(b"POST / HTTP/1.0\r\n%bcontent-length: 3\r\n\r\nabc" % ask + GET)
        told = client.answer()
        assert (told.body, told.header(b"connection")) == (b"abc", b"close")
        assert client.is_closed()
    assert len(door.seen) == 1


def test_an_answer_to_http_1_0_without_a_length_is_ended_by_closing(door):
    async def app(scope, receive, send):
        await start(send)
        for part in (b"a", b"", b"bc"):
            await piece(send, part)
        await piece(send, b"d", more=False)

    door.app = app
    received = door.spoken(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
    head, body = received.split(b"\r\n\r\n", 1)
    assert b"chunked" not in head
    assert b"content-length" not in head
    assert head.endswith(b"connection: close")
    assert body == b"abcd"


def test_pipelined_requests_are_answered_one_at_a_time_and_in_order(door):
    running = []

    async def app(scope, receive, send):
        running.append(scope["path"])
        assert len(running) == 1
        body = await whole(receive)
        await asyncio.sleep(0)
        running.clear()
        await answer(send, body + scope["query_string"])

    door.app = app
    with door.client() as client:
        sent = b"".join(
            b"POST /?%d HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc" % number for number in range(5000)
        )
        threading.Thread(target=client.send, args=[sent], daemon=True).start()
        for number in range(5000):
            assert client.answer().body == b"abc%d" % number


def test_pipelined_requests_are_not_taken_in_before_it_is_their_turn(door):
    go = asyncio.Event()

    async def app(scope, receive, send):
        await go.wait()
        await answer(send)

    door.app = app
    sent = b"GET / HTTP/1.1\r\n\r\n" * 300_000
    with door.client() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        taken = client.send_until_stuck(sent)
        assert taken < len(sent)
        (held,) = door.ask(lambda: list(door.server.server_state.connections))
        most = door.ask(lambda: len(held._exchanges))
        assert most <= connection.AT_ONCE / len(b"GET / HTTP/1.1\r\n\r\n") + 1
        door.loop.call_soon_threadsafe(go.set)
        client.send(b"GET / HTTP/1.1\r\n\r\n"[taken % 18 :] if taken % 18 else b"")
        for _ in range(-(-taken // 18)):
            assert client.answer().status == 200


# ---------------------------------------------------------------------- the request's body


@pytest.mark.parametrize("sent", [SIZED, CHUNKED], ids=["sized", "chunked"])
def test_a_request_cut_anywhere_is_the_same_request(door, sent):
    with door.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(sent)):
            client.send(sent[:cut])
            door.ask(lambda: None)
            client.send(sent[cut:])
            assert client.answer().body == b"abcde0123456789"
    assert len(door.seen) == len(sent) - 1
    assert {seen.line for seen in door.seen} == {("POST", b"/b", b"q=1", b"abcde0123456789")}
    assert {tuple(seen.headers) for seen in door.seen} == {tuple(door.seen[0].headers)}


@pytest.mark.parametrize("sent", [SIZED, CHUNKED], ids=["sized", "chunked"])
def test_a_request_that_comes_byte_by_byte_is_the_same_request(door, sent):
    with door.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in sent:
            client.send(bytes([byte]))
            door.ask(lambda: None)
        assert client.answer().body == b"abcde0123456789"
    assert len(door.seen) == 1


def test_a_trailer_is_a_header_of_neither_this_request_nor_the_next(door):
    with door.client() as client:
        client.send(CHUNKED + GET)
        client.answer()
        client.answer()
    assert door.seen[0].headers == [(b"host", b"v"), (b"transfer-encoding", b"chunked"), (b"x-one", b"1")]
    assert door.seen[1].headers == [(b"host", b"v")]


def test_a_body_comes_as_it_comes_and_its_end_is_told_once(door):
    messages = []

    async def app(scope, receive, send):
        while not messages or messages[-1]["more_body"]:
            messages.append(await receive())
        await answer(send)
        messages.append(await receive())
        messages.append(await receive())

    door.app = app
    with door.client() as client:
        client.send(SIZED[:-10])
        door.ask(lambda: None)
        client.send(SIZED[-10:])
        client.answer()
        client.send(CLOSING)
    assert b"".join(one["body"] for one in messages[:-2]) == b"abcde0123456789"
    assert messages[-2:] == [{"type": "http.disconnect"}] * 2


@pytest.mark.parametrize("chunked", [False, True])
def test_a_slow_application_makes_the_client_wait_and_gets_a_big_body_whole(door, chunked):
    go, sizes = asyncio.Event(), []
    body = bytes(range(256)) * (32 * 4096)

    async def app(scope, receive, send):
        await go.wait()
        parts = []
        more = True
        while more:
            message = await receive()
            parts.append(message["body"])
            more = message["more_body"]
        sizes.extend(map(len, parts))
        await answer(send, b"yes" if b"".join(parts) == body else b"no")

    door.app = app
    sent = post(body)
    if chunked:
        size = 100_000
        parts = [body[at : at + size] for at in range(0, len(body), size)]
        sent = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n" + b"".join(
            b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""]
        )
    with door.client() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        taken = client.send_until_stuck(sent)
        assert taken < len(sent) / 2
        (held,) = door.ask(lambda: list(door.server.server_state.connections))
        assert door.ask(lambda: held._exchanges[0].size) <= connection.READ_AHEAD + connection.AT_ONCE
        door.loop.call_soon_threadsafe(go.set)
        client.send(sent[taken:])
        assert client.answer().body == b"yes"
    assert max(sizes) <= connection.READ_AHEAD + connection.AT_ONCE
    assert sum(sizes) == len(body)


@pytest.mark.parametrize("size", [10, 100_000, 5_000_000])
def test_a_body_that_the_application_does_not_read_is_not_the_next_request(door, size):
    async def app(scope, receive, send):
        await answer(send, scope["raw_path"])

    door.app = app
    with door.client() as client:
        for _ in range(3):
            client.send(post(GET * (size // len(GET) + 1)) + GET)
            assert client.answer().body == b"/b"
            assert client.answer().body == b"/a"


def test_an_answer_may_come_before_the_body_is_whole(door):
    async def app(scope, receive, send):
        if scope["method"] == "POST":
            await receive()
        await answer(send, scope["raw_path"])

    door.app = app
    whole_request = post(GET * 10_000)
    with door.client() as client:
        client.send(whole_request[:400])
        assert client.answer().body == b"/b"
        client.send(whole_request[400:] + GET)
        assert client.answer().body == b"/a"


def test_an_early_answer_that_closes_reaches_a_client_that_is_still_sending(door):
    async def app(scope, receive, send):
        await start(send, 413, (b"connection", b"close"), (b"content-length", b"100000"))
        await piece(send, b"n" * 100_000, more=False)

    door.app = app
    sent = post(b"x" * 10_000_000)
    with door.client() as client:
        client.send(sent)
        assert (told := client.answer()).status == 413
        assert told.body == b"n" * 100_000
        assert client.is_closed()


# ---------------------------------------------------------------------- 100 Continue

EXPECTING = b"POST / HTTP/1.1\r\ncontent-length: 3\r\nexpect: 100-Continue\r\n\r\n"


def test_a_client_that_waits_is_told_to_go_on_when_the_application_asks_for_the_body(door):
    async def app(scope, receive, send):
        await answer(send, await whole(receive))

    door.app = app
    with door.client() as client:
        for _ in range(2):
            client.send(EXPECTING)
            assert client.answer().status == 100
            client.send(b"abc")
            assert client.answer().body == b"abc"


@pytest.mark.parametrize("asks", [False, True], ids=["asks never", "asks after its answer began"])
def test_a_client_that_was_not_told_to_go_on_is_closed_after_its_answer(door, asks):
    async def app(scope, receive, send):
        await start(send, 403, (b"content-length", b"2"))
        if asks:
            asking = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
        await piece(send, b"no", more=False)
        if asks:
            assert await asking == {"type": "http.disconnect"}

    door.app = app
    with door.client() as client:
        client.send(EXPECTING)
        told = client.answer()
        assert (told.status, told.body, told.header(b"connection")) == (403, b"no", b"close")
        client.send(GET)
        assert client.is_closed()


def test_a_client_that_does_not_wait_may_go_on_after_an_answer_without_asking(door):
    door.app = lambda scope, receive, send: answer(send, scope["raw_path"])
    with door.client() as client:
        client.send(EXPECTING + b"abc" + GET)
        assert client.answer().body == b"/"
        assert client.answer().body == b"/a"


@pytest.mark.parametrize("head", [b"HTTP/1.0\r\nexpect: 100-continue", b"HTTP/1.1\r\nexpect: 200-ok"])
def test_only_100_continue_of_http_1_1_is_heeded(door, head):
    with door.client() as client:
        client.send(b"POST / %b\r\ncontent-length: 3\r\n\r\nabc" % head)
        assert client.answer().status == 200


# ---------------------------------------------------------------------- answers


def app_of(*steps, status=200, headers=()):
    """An application that sends pieces; the last one ends the answer."""

    async def app(scope, receive, send):
        await start(send, status, *headers)
        for number, step in enumerate(steps, 1):
            await piece(send, step, more=number < len(steps))

    return app


PIECES = [
    [b""],
    [b"abc"],
    [b"", b"abc", b"", b"", b"d", b""],
    [b"x" * 300_000, b"y"],
    [b"%d" % number for number in range(100)],
]


@pytest.mark.parametrize("pieces", PIECES, ids=range(len(PIECES)))
@pytest.mark.parametrize("sized", [False, True])
def test_an_answer_is_framed_by_its_length_or_in_chunks(door, pieces, sized):
    body = b"".join(pieces)
    door.app = app_of(*pieces, headers=[(b"Content-Length", b"%d" % len(body))] if sized else [])
    with door.client() as client:
        for _ in range(2):
            client.send(GET)
            told = client.answer()
            assert told.body == body
            assert told.header(b"content-length") == (b"%d" % len(body) if sized else None)
            assert told.header(b"transfer-encoding") == (None if sized else b"chunked")


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"3")]])
def test_an_answer_to_head_has_the_head_alone(door, headers):
    door.app = app_of(b"ab", b"c", headers=headers)
    with door.client() as client:
        for _ in range(2):
            client.send(b"HEAD / HTTP/1.1\r\n\r\n")
            told = client.answer("HEAD")
            assert told.header(b"content-length") == (b"3" if headers else None)
            assert told.header(b"transfer-encoding") is None


@pytest.mark.parametrize(
    ("status", "length", "shown"),
    [(204, None, None), (204, b"0", None), (304, None, None), (304, b"3", b"3")],
)
def test_some_answers_have_no_body(door, status, length, shown):
    door.app = app_of(b"", status=status, headers=[(b"content-length", length)] if length else [])
    with door.client() as client:
        for _ in range(2):
            client.send(GET)
            told = client.answer()
            assert (told.status, told.header(b"content-length")) == (status, shown)
            assert told.header(b"transfer-encoding") is None


@pytest.mark.parametrize(("status", "phrase"), [(529, b""), (299, b""), (599, b""), (404, b"Not Found")])
def test_a_status_needs_no_phrase(door, status, phrase):
    door.app = app_of(b"", status=status)
    with door.client() as client:
        client.send(GET)
        assert ((told := client.answer()).status, told.phrase) == (status, phrase)


@pytest.mark.parametrize("sized", [False, True])
def test_a_head_leaves_before_there_is_any_of_the_body(door, sized):
    go = asyncio.Event()

    async def app(scope, receive, send):
        await start(send, 200, *([(b"content-length", b"1")] if sized else []))
        await go.wait()
        await piece(send, b"x", more=False)

    door.app = app
    with door.client() as client:
        client.send(GET)
        told = client.head()
        assert told.status == 200
        door.loop.call_soon_threadsafe(go.set)
        assert (client.chunk() if told.header(b"transfer-encoding") else client._take(1)) == b"x"


def test_each_piece_of_a_stream_leaves_at_once(door):
    go = asyncio.Event()

    async def app(scope, receive, send):
        await start(send)
        for number in range(5):
            await piece(send, b"%d" % number)
            await go.wait()
            go.clear()
        await piece(send, more=False)

    door.app = app
    with door.client() as client:
        client.send(GET)
        client.head()
        for number in range(5):
            assert client.chunk() == b"%d" % number
            door.loop.call_soon_threadsafe(go.set)
        assert client.chunk() == b""


def test_how_a_body_ends_is_not_for_the_application_to_say(door):
    door.app = app_of(
        b"abc", headers=[(b"Transfer-Encoding", b"gzip, chunked"), (b"connection", b"keep-alive, x")]
    )
    with door.client() as client:
        client.send(GET)
        told = client.answer()
        assert (told.body, told.header(b"connection")) == (b"abc", None)
        assert told.header(b"transfer-encoding") == b"chunked"


# ---------------------------------------------------------------------- applications that err


WRONG_HEADS = {
    "CRLF in a value": (b"x", b"a\r\nset-cookie: b"),
    "LF in a value": (b"x", b"a\nset-cookie: b"),
    "CR in a value": (b"x", b"a\rb"),
    "NUL in a value": (b"x", b"a\0b"),
    "CRLF in a name": (b"x: a\r\nset-cookie", b"b"),
    "an answer in a value": (b"x", b"a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    "two lengths": (b"content-length", b"5"),
    "length with a sign": (b"Content-Length", b"+5"),
    "negative length": (b"Content-Length", b"-5"),
    "length with a blank": (b"Content-Length", b" 5"),
    "length of words": (b"Content-Length", b"five"),
}


@pytest.mark.parametrize("name", WRONG_HEADS)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_head_that_no_client_may_see_becomes_a_500_and_nothing_of_it_leaves(door, caplog, name, chunked):
    headers = [(b"x-before", b"1"), WRONG_HEADS[name], (b"x-after", b"1")]
    if not chunked or name == "two lengths":
        headers.append((b"content-length", b"5"))
    raised = []

    async def app(scope, receive, send):
        try:
            await start(send, 200, *headers)
        except RuntimeError as error:
            raised.append(error)
            raise

    door.app = app
    received = door.spoken(GET)
    assert received.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert received.endswith(b"content-length: 21\r\nconnection: close\r\n\r\nInternal Server Error")
    for word in (b"x-before", b"set-cookie", b"x-after", b"200", b"chunked"):
        assert word not in received
    assert raised


@pytest.mark.parametrize("status", [100, 101, 199, 600, 99, 0])
def test_a_status_that_is_no_final_answer_becomes_a_500(door, caplog, status):
    door.app = app_of(b"x", status=status)
    assert door.spoken(GET).startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize(
    "fault", [ValueError("v"), asyncio.CancelledError(), SystemExit(1), KeyboardInterrupt()]
)
def test_a_fault_before_the_answer_is_a_500_and_is_logged(door, caplog, fault):
    async def app(scope, receive, send):
        raise fault

    door.app = app
    received = door.spoken(GET + GET)
    assert received.startswith(b"HTTP/1.1 500 ")
    assert received.count(b"HTTP/1.1") == 1
    assert "Exception in ASGI application" in caplog.text


def test_an_application_that_returns_without_an_answer_is_a_500_and_is_logged(door, caplog):
    async def app(scope, receive, send):
        await receive()

    door.app = app
    assert door.spoken(GET).startswith(b"HTTP/1.1 500 ")
    assert "without a whole answer" in caplog.text


BREAKS = {
    "a length": ([(b"content-length", b"10")], b"HTTP/1.1"),
    "chunks": ([], b"HTTP/1.1"),
    "until closed": ([], b"HTTP/1.0"),
    "a length, HTTP/1.0": ([(b"content-length", b"10")], b"HTTP/1.0"),
}


@pytest.mark.parametrize("framing", BREAKS)
@pytest.mark.parametrize("ending", ["raises", "returns", "raises at once"])
def test_an_answer_that_breaks_off_is_never_taken_for_whole(door, caplog, framing, ending):
    headers, version = BREAKS[framing]

    async def app(scope, receive, send):
        await start(send, 200, *headers)
        if ending != "raises at once":
            await piece(send, b"abc")
        if ending != "returns":
            raise ValueError

    door.app = app
    with door.client() as client:
        client.send(b"GET / %b\r\n\r\n" % version + GET)
        with pytest.raises(Broken):
            client.answer()


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("sent", [b"x" * 9, b"x" * 11])
def test_a_body_of_another_length_than_said_is_never_taken_for_whole(door, caplog, sent, more):
    errors = []

    async def app(scope, receive, send):
        await start(send, 200, (b"content-length", b"10"))
        try:
            await piece(send, sent, more=more)
            await piece(send, more=False)
        except RuntimeError as error:
            errors.append(str(error))
            raise

    door.app = app
    with door.client() as client:
        client.send(GET + GET)
        with pytest.raises(Broken):
            client.answer()
    assert errors == ["the body does not have the length that its head says"]


def test_an_application_that_goes_on_after_a_complaint_cannot_make_a_short_body_whole(door, caplog):
    errors = []

    async def app(scope, receive, send):
        await start(send, 200, (b"content-length", b"10"))
        for body, more in ((b"12345", False), (b"67890", False)):
            try:
                await piece(send, body, more=more)
            except RuntimeError as error:
                errors.append(str(error))

    door.app = app
    with door.client() as client:
        client.send(GET)
        with pytest.raises(Broken):
            client.answer()
    assert len(errors) == 2


@pytest.mark.parametrize("status", [204, 304])
def test_a_body_where_there_can_be_none_does_not_leave(door, caplog, status):
    door.app = app_of(b"abc", status=status)
    received = door.spoken(GET)
    assert received.startswith(b"HTTP/1.1 %d" % status)
    assert received.endswith(b"\r\n\r\n")


def test_what_is_out_of_order_is_an_error_and_changes_nothing(door):
    errors = []

    async def app(scope, receive, send):
        async def wrong(sending):
            with pytest.raises(RuntimeError, match="out of order") as caught:
                await sending
            errors.append(caught.value)

        await wrong(piece(send, b"x"))
        await wrong(send({"type": "http.response.push"}))
        await start(send, 200, (b"content-length", b"3"))
        await wrong(start(send, 404))
        await wrong(send({"type": "http.response.trailers"}))
        await piece(send, b"abc", more=False)
        await wrong(piece(send, b"x", more=False))
        await wrong(start(send, 404))

    door.app = app
    with door.client() as client:
        for _ in range(2):
            client.send(GET)
            assert client.answer().body == b"abc"
        client.send(CLOSING)
        client.rest()
    assert len(errors) == 18


# ---------------------------------------------------------------------- what is counted


def test_every_whole_answer_counts():
    with opened() as door:
        with door.client() as client:
            client.send(GET * 7 + CLOSING)
            client.rest()
        assert door.ask(lambda: door.server.server_state.total_requests) == 8
        assert door.ask(lambda: len(door.server.server_state.tasks)) == 0


def test_the_default_headers_follow_their_server(door):
    state = door.server.server_state
    with door.client() as client:
        for value in (b"one", b"two"):
            kept = door.ask(lambda: state.default_headers)
            door.ask(lambda value=value: setattr(state, "default_headers", [(b"x-default", value)]))
            client.send(GET)
            assert client.answer().header(b"x-default") == value
            door.ask(lambda kept=kept: setattr(state, "default_headers", kept))
