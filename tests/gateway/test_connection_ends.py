"""How a connection ends: clients that leave or do not read, time bounds, and a server that stops."""

import asyncio
import queue
import re
import select
import socket
import threading
from contextlib import ExitStack

import pytest

from gateway.door import Broken, answer, opened, piece, presence, start, whole
from visionality.gateway import connection

GET = b"GET /a HTTP/1.1\r\nhost: v\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nhost: v\r\ncontent-length: 10\r\n\r\n"


@pytest.fixture(scope="module")
def house():
    with opened() as door:
        yield door


@pytest.fixture
def door(house):
    with house.as_new():
        yield house


@pytest.fixture
def quick(monkeypatch):
    """Looks come often. What comes back makes the time for a head short as well, for connections that are there already."""
    monkeypatch.setattr(connection, "LOOK", 0.01)
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.05)
    return lambda: monkeypatch.setattr(connection, "HEAD_SECONDS", 0.05)


class Watch:
    """What an application tells the test, in order."""

    def __init__(self):
        self._told = queue.Queue()

    def tell(self, word):
        self._told.put(word)

    def next(self):
        return self._told.get(timeout=30)

    def is_empty(self):
        return self._told.empty()


@pytest.fixture
def watch():
    return Watch()


def is_whole_close(client) -> bool:
    """Whether the server closed properly, and did not reset."""
    return client.sock.recv(1) == b""


# ---------------------------------------------------------------------- clients that leave

LEAVES = {
    "closes": lambda client: client.sock.close(),
    "resets": lambda client: client.reset(),
    "closes its half": lambda client: client.sock.shutdown(socket.SHUT_WR),
}


@pytest.mark.parametrize("way", LEAVES)
@pytest.mark.parametrize(
    "sent",
    [GET, POST + b"01234", GET * 1000, GET + POST],
    ids=["whole request", "half a body", "a thousand requests", "another half request"],
)
def test_an_application_is_told_once_that_its_client_left(door, watch, way, sent):
    async def app(scope, receive, send):
        client, gone = presence(scope), asyncio.Event()
        client.watchers.add(lambda: watch.tell("watcher"))
        client.watchers.add(gone.set)
        watch.tell(client.gone)
        await receive()
        watch.tell((await receive())["type"])
        await gone.wait()
        watch.tell(client.gone)
        await start(send, 200)
        await piece(send, b"x", more=False)
        watch.tell((await receive())["type"])
        watch.tell("end")

    door.app = app
    with door.client() as client:
        client.send(sent)
        assert watch.next() is False
        LEAVES[way](client)
        told = [watch.next() for _ in range(5)]
        assert sorted(map(str, told)) == ["True", "end", "http.disconnect", "http.disconnect", "watcher"]
    door.ask(lambda: None)
    assert watch.is_empty()


@pytest.mark.parametrize("way", LEAVES)
def test_an_idle_client_may_leave(door, way):
    for _ in range(3):
        with door.client() as client:
            client.send(GET)
            client.answer()
            LEAVES[way](client)


def test_a_client_that_closes_its_half_gets_what_was_answered_before(door, watch):
    async def app(scope, receive, send):
        await start(send, 200, (b"content-length", b"1000000"))
        await piece(send, b"x" * 1_000_000, more=False)
        watch.tell("answered")

    door.app = app
    with door.client() as client:
        client.send(GET)
        watch.next()
        client.sock.shutdown(socket.SHUT_WR)
        assert len(client.answer().body) == 1_000_000
        assert client.is_closed()


def test_receive_says_disconnect_after_the_answer_too(door, watch):
    async def app(scope, receive, send):
        waiting = asyncio.ensure_future(receive()), asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        await answer(send)
        watch.tell([(await one)["type"] for one in waiting])
        watch.tell((await receive())["type"])

    door.app = app
    with door.client() as client:
        client.send(POST)
        assert client.answer().status == 200
        assert watch.next() == ["http.disconnect", "http.disconnect"]
        assert watch.next() == "http.disconnect"


def test_the_next_request_does_not_wait_for_what_an_application_does_after_its_answer(door):
    go = asyncio.Event()

    async def app(scope, receive, send):
        await answer(send, scope["raw_path"])
        if scope["method"] == "POST":
            await go.wait()

    door.app = app
    with door.client() as client:
        client.send(POST + b"0123456789" + GET)
        assert client.answer().body == b"/b"
        assert client.answer().body == b"/a"
        door.loop.call_soon_threadsafe(go.set)


# ---------------------------------------------------------------------- clients that do not read


def flood(watch):
    """An application that sends more than any buffer holds, and tells how many pieces it got rid of."""

    async def app(scope, receive, send):
        presence(scope).watchers.add(lambda: watch.tell("gone"))
        await start(send, 200)
        for number in range(1000):
            await piece(send, b"%04d" % number * 16384)
            scope["state"]["count"].append(number)
        await piece(send, more=False)
        watch.tell("end")

    return app


@pytest.fixture
def slow(door, watch):
    """A client that does not read, when the application has begun to wait for it."""
    count = []
    flooding = flood(watch)

    async def app(scope, receive, send):
        scope["state"]["count"] = count
        await flooding(scope, receive, send)

    door.app = app
    with door.client() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.send(GET)
        client.head()
        (held,) = door.ask(lambda: list(door.server.server_state.connections))
        while not door.ask(lambda: held.blocked):
            pass
        yield client, count, held


def test_an_application_waits_for_a_client_that_does_not_read_and_goes_on_when_it_does(door, watch, slow):
    client, count, held = slow
    assert door.ask(held.transport.get_write_buffer_size) < 300_000
    assert len(count) < 1000
    for number in range(1000):
        assert client.chunk() == b"%04d" % number * 16384
    assert client.chunk() == b""
    assert watch.next() == "end"
    door.app = door.echo
    client.send(POST + b"0123456789")
    assert client.answer().body == b"0123456789"


@pytest.mark.parametrize("way", ["closes", "resets"])
def test_an_application_that_waits_for_its_client_is_not_stuck_when_that_leaves(door, watch, slow, way):
    client, _, _ = slow
    LEAVES[way](client)
    assert watch.next() == "gone"
    assert watch.next() == "end"


def test_an_application_that_fails_while_its_client_does_not_read_is_not_stuck(door, watch, caplog):
    go = asyncio.Event()

    async def app(scope, receive, send):
        try:
            await start(send, 200)
            await piece(send, b"x" * 20_000_000)
            watch.tell("blocked")
            await go.wait()
            raise ValueError
        finally:
            watch.tell("end")

    door.app = app
    with door.client() as client:
        client.send(GET)
        assert watch.next() == "blocked"
        door.loop.call_soon_threadsafe(go.set)
        assert watch.next() == "end"
        with pytest.raises(Broken):
            client.answer()


def test_a_last_answer_that_is_not_read_does_not_keep_its_connection_for_ever(door, quick, watch):
    async def app(scope, receive, send):
        presence(scope).watchers.add(lambda: watch.tell("gone"))
        await answer(send, b"x" * 20_000_000)

    door.app = app
    with door.client() as client:
        client.send(b"GET / HTTP/1.1\r\nconnection: close\r\n\r\n")
        assert watch.next() == "gone"
        with pytest.raises(Broken):
            client.answer()


def test_a_refused_client_that_does_not_close_is_cut(door, quick):
    with door.client() as client:
        client.send(b"rubbish\r\n\r\n")
        assert client.rest().startswith(b"HTTP/1.1 400")
        while door.ask(lambda: door.server.server_state.connections):
            pass
        with pytest.raises(ConnectionError):
            client.send(b"x" * 50_000_000)


# ---------------------------------------------------------------------- time bounds


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nhost:", b"\r\n"], ids=repr)
def test_a_head_that_does_not_come_whole_is_given_up(door, quick, sent):
    with door.client() as client:
        client.send(sent)
        quick()
        assert is_whole_close(client)


def test_a_head_is_given_up_that_came_with_the_last_request(door, quick):
    with door.client() as client:
        client.send(GET + b"GET /")
        client.answer()
        quick()
        assert client.is_closed()


def test_a_head_that_comes_drop_by_drop_is_given_up(door, quick):
    with door.client() as client:
        sent = iter(b"GET / HTTP/1.1\r\nx: " + b"y" * 100_000)
        quick()
        while not select.select([client.sock], [], [], 0.005)[0]:
            client.send(bytes([next(sent)]))
        assert client.is_closed()


@pytest.mark.parametrize("sent", [GET, POST], ids=["whole", "half a body"])
def test_a_request_that_is_being_answered_has_time(door, quick, watch, sent):
    go = asyncio.Event()

    async def app(scope, receive, send):
        watch.tell("runs")
        await go.wait()
        await answer(send, b"late")

    door.app = app
    with door.client() as client:
        client.send(sent)
        watch.next()
        quick()
        assert not select.select([client.sock], [], [], 0.2)[0]
        door.loop.call_soon_threadsafe(go.set)
        assert client.answer().body == b"late"


def test_idle_connections_are_closed_many_at_once(door, quick, monkeypatch):
    monkeypatch.setattr(door.server.config, "timeout_keep_alive", 0.05)
    with ExitStack() as held:
        clients = [held.enter_context(door.client()) for _ in range(300)]
        for client in clients:
            client.send(GET)
        for client in clients:
            assert client.answer().status == 200
            assert is_whole_close(client)
    while door.ask(lambda: door.server.server_state.connections):
        pass


def test_an_idle_connection_is_kept_for_its_next_request(door, quick):
    with door.client() as client:
        client.send(GET)
        client.answer()
        quick()
        assert not select.select([client.sock], [], [], 0.2)[0]
        client.send(GET)
        assert client.answer().status == 200


def test_a_body_that_nobody_reads_any_more_may_not_go_on_for_ever(door, quick, monkeypatch):
    monkeypatch.setattr(door.server.config, "timeout_keep_alive", 0.05)
    door.app = lambda scope, receive, send: answer(send)
    with door.client() as client:
        client.send(POST)
        assert client.answer().status == 200
        assert client.is_closed()


# ---------------------------------------------------------------------- a server that stops


def stop(door) -> None:
    door.server.should_exit = True


def test_idle_connections_are_closed_when_the_server_stops():
    with opened() as door, ExitStack() as held:
        clients = [held.enter_context(door.client()) for _ in range(20)]
        for number, client in enumerate(clients):
            client.send(GET if number % 2 else GET + b"GET / HTTP")
            client.answer()
        stop(door)
        for client in clients:
            assert is_whole_close(client)


def test_a_refused_client_is_not_waited_for_when_the_server_stops(monkeypatch):
    monkeypatch.setattr(connection, "LINGER_SECONDS", 1000.0)
    with opened() as door, door.client() as client:
        client.send(b"rubbish\r\n\r\n")
        assert client.rest().startswith(b"HTTP/1.1 400")
        stop(door)
        while door.ask(lambda: door.server.server_state.connections):
            pass


@pytest.mark.parametrize("begun", [False, True], ids=["no head yet", "head sent"])
def test_a_running_answer_is_finished_when_the_server_stops_and_is_the_last(watch, begun):
    closing, go = threading.Event(), asyncio.Event()

    async def app(scope, receive, send):
        if begun:
            await start(send)
        watch.tell("runs")
        await go.wait()
        if not begun:
            await start(send)
        for _ in range(3):
            await piece(send, b"abc")
        await piece(send, more=False)

    with opened(app) as door:
        shutdown = connection.Connection.shutdown

        def seen(held):
            shutdown(held)
            closing.set()

        with pytest.MonkeyPatch.context() as patch, door.client() as client:
            patch.setattr(connection.Connection, "shutdown", seen)
            client.send(GET + GET)
            watch.next()
            stop(door)
            assert closing.wait(30)
            door.loop.call_soon_threadsafe(go.set)
            told = client.answer()
            assert told.body == b"abcabcabc"
            assert told.header(b"connection") == (None if begun else b"close")
            assert client.is_closed()
    assert watch.is_empty()


def test_a_stream_without_end_is_cancelled_when_the_patience_is_over(watch, caplog):
    async def app(scope, receive, send):
        await start(send)
        await piece(send, b"abc")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            watch.tell("cancelled")
            await piece(send, b"last", more=False)

    with opened(app, timeout_graceful_shutdown=1) as door, door.client() as client:
        client.send(GET)
        client.head()
        assert client.chunk() == b"abc"
        stop(door)
        assert watch.next() == "cancelled"
        assert client.chunk() == b"last"
        assert client.chunk() == b""
    assert re.search("Cancel 1 running task", caplog.text)


def test_an_application_that_is_cancelled_without_a_word_breaks_its_answer_off(watch, caplog):
    async def app(scope, receive, send):
        await start(send)
        await piece(send, b"abc")
        watch.tell("runs")
        await whole(receive)
        await asyncio.Event().wait()

    with opened(app, timeout_graceful_shutdown=1) as door, door.client() as client:
        client.send(GET)
        watch.next()
        stop(door)
        with pytest.raises(Broken):
            client.answer()
