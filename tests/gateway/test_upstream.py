"""Promises of the client towards providers: whose connection carries a call, when it is sent again, how long it may take."""

import asyncio
import socket

import pytest

from gateway.wire_servers import (
    KEY,
    OK,
    Peer,
    always,
    answered,
    ask,
    client,
    on_uvloop,
    once,
    provider,
    turns,
)
from visionality.gateway import upstream as module
from visionality.gateway.upstream import (
    JOINED,
    READ_AHEAD,
    UpstreamBroke,
    UpstreamSilent,
    UpstreamUnreachable,
)

IDLE = 0.2
"""Seconds: an idle time-out that a test waits for."""


async def kept(up, place, count: int) -> None:
    """Have so many connections that wait for their next call."""
    answers = await asyncio.gather(*[ask(up, place.url) for _ in range(count)])
    for answer in answers:
        await answer.whole(100)
        answer.release()


def numbered(peer: Peer) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % peer.number


async def tell_number(peer: Peer) -> None:
    while True:
        await peer.request()
        await peer.say(numbered(peer))


async def never(peer: Peer) -> None:
    await peer.request()
    await peer.gone()


# ---------------------------------------------------------------- whose connection


@on_uvloop
async def test_a_connection_serves_one_call_after_the_other():
    async with provider(tell_number) as place, client() as up:
        assert [(await answered(up, place.url))[2] for _ in range(5)] == [b"0"] * 5


@on_uvloop
async def test_calls_at_the_same_time_have_a_connection_each():
    async with provider(tell_number) as place, client() as up:
        bodies = await asyncio.gather(*[answered(up, place.url) for _ in range(5)])
        assert sorted(body for _, _, body in bodies) == [b"0", b"1", b"2", b"3", b"4"]


@on_uvloop
async def test_the_connection_that_was_used_last_is_used_next():
    async with provider(tell_number) as place, client() as up:
        first, second = await ask(up, place.url), await ask(up, place.url)
        for answer in (first, second):
            await answer.whole(9)
        second.release()
        first.release()
        assert (await answered(up, place.url))[2] == b"0"
        assert (await answered(up, place.url))[2] == b"0"


@pytest.mark.parametrize("other", [(b"x-api-key", b"sk-two"), (b"api-key", b"sk-one")])
@on_uvloop
async def test_two_credentials_never_share_a_connection(other):
    seen: list[set[bytes]] = []

    async def note(peer: Peer) -> None:
        seen.append(set())
        while True:
            seen[peer.number].add((await peer.request()).lines[3])
            await peer.say(OK)

    async with provider(note) as place, client() as up:
        for credential in (KEY, other) * 3:
            await answered(up, place.url, credential=credential)
    assert seen == [{b"%b: %b" % KEY}, {b"%b: %b" % other}]


@on_uvloop
async def test_two_addresses_never_share_a_connection():
    async with provider(tell_number) as one, provider(tell_number) as other, client() as up:
        for _ in range(3):
            await answered(up, one.url)
            await answered(up, other.url)
            await answered(up, other.url + "/base")
        assert (len(one.peers), len(other.peers)) == (1, 2)


@on_uvloop
async def test_unused_connections_are_closed_after_a_while(monkeypatch):
    monkeypatch.setattr(module, "KEEP_ALIVE", 0.1)
    async with provider(tell_number) as place, client() as up:
        await kept(up, place, 3)
        for peer in place.peers:
            await peer.ended.wait()
        assert (await answered(up, place.url))[2] == b"3"


@on_uvloop
async def test_closing_the_client_closes_all_connections_and_sends_nothing_again():
    async with provider(always(OK), never) as place, client() as up:
        await answered(up, place.url)
        waiting = [asyncio.ensure_future(ask(up, place.url)) for _ in range(2)]
        await place.peer(1)
        await turns()
        up.close()
        first, second = await asyncio.gather(*waiting, return_exceptions=True)
        assert (type(first), type(second)) in {(module.Answer, UpstreamBroke), (UpstreamBroke, UpstreamBroke)}
        assert len(place.peers) == 2


@on_uvloop
async def test_a_reused_connection_that_the_client_itself_closes_is_no_reason_to_send_again():
    async def first_only(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await never(peer)

    async with provider(first_only) as place, client() as up:
        await answered(up, place.url)
        waiting = asyncio.ensure_future(ask(up, place.url))
        await turns()
        up.close()
        with pytest.raises(UpstreamBroke):
            await waiting
        assert len(place.peers) == 1


# ---------------------------------------------------------------- what is sent


async def sent(base: str = "", host: str = "127.0.0.1", **request):
    got = []

    async def note(peer: Peer) -> None:
        got.append(await peer.request())
        await peer.say(OK)

    async with provider(note, host=host) as place, client() as up:
        url = f"http://[{host}]:{place.port}" if ":" in host else place.url
        await answered(up, url + base, **request)
    return got[0], place.port


@on_uvloop
async def test_a_request_leaves_byte_by_byte_as_it_was_given():
    headers = ((b"b", b"2"), (b"a", b"1"), (b"b", b"1 "), (b"odd", b"caf\xe9 \xff\x80"), (b"X-Case", b"Kept"))
    request, port = await sent(
        "/base/", target="/v1/x%20y?q=1&q=%C3%A9\xe9", headers=headers, body=b"\0\xff{"
    )
    assert request.head == (
        b"POST /base/v1/x%%20y?q=1&q=%%C3%%A9\xe9 HTTP/1.1\r\nhost: 127.0.0.1:%d\r\n"
        b"accept-encoding: identity\r\nx-api-key: sk-one\r\n"
        b"b: 2\r\na: 1\r\nb: 1 \r\nodd: caf\xe9 \xff\x80\r\nX-Case: Kept\r\ncontent-length: 3\r\n\r\n" % port
    )
    assert request.body == b"\0\xff{"


@on_uvloop
async def test_a_get_without_a_body_has_no_length():
    request, _ = await sent(target="/v1/models", body=b"")
    assert request.lines[0] == b"GET /v1/models HTTP/1.1"
    assert not any(line.startswith(b"content-length") for line in request.lines)


@on_uvloop
async def test_a_post_without_a_body_says_so():
    lines = []

    async def note(peer: Peer) -> None:
        lines.extend((await peer.request()).lines)
        await peer.say(OK)

    async with provider(note) as place, client() as up:
        answer = await up.send(place.url, KEY, "POST", "/", (), b"")
        answer.close()
    assert lines[-1] == b"content-length: 0"


@pytest.mark.parametrize("size", [1, JOINED, JOINED + 1, 32 << 20])
@on_uvloop
async def test_a_body_arrives_whole_whatever_its_size(size):
    body = bytes(range(251)) * (size // 251 + 1)
    request, _ = await sent(body=body[:size])
    assert request.body == body[:size]


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@on_uvloop
async def test_an_ipv6_address_is_named_in_brackets():
    request, port = await sent(host="::1")
    assert request.lines[1] == b"host: [::1]:%d" % port


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://provider.example", b"provider.example"),
        ("http://provider.example:80/", b"provider.example"),
        ("http://provider.example:8080", b"provider.example:8080"),
        ("http://provider.example:1080", b"provider.example:1080"),
        ("http://provider.example:443", b"provider.example:443"),
        ("https://provider.example:443", b"provider.example"),
        ("https://provider.example:80", b"provider.example:80"),
        ("http://PROVIDER.example", b"provider.example"),
        ("http://b\xfccher.example", b"xn--bcher-kva.example"),
        ("https://[2001:db8::1]", b"[2001:db8::1]"),
        ("https://[2001:db8::1]:8443/x", b"[2001:db8::1]:8443"),
    ],
)
def test_the_port_is_named_unless_it_goes_without_saying(url, host):
    origin = module._Origin(module._Place.of(url), KEY, None)
    assert origin.head("GET", "/", (), b"").split(b"\r\n")[1] == b"host: " + host


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\r\n\r\nGET / HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize("where", ["method", "target", "name", "value", "key name", "key"])
@on_uvloop
async def test_nothing_is_sent_of_a_request_that_would_break_its_lines(where, line_break):
    request = {"method": "POST", "target": "/v1", "name": "n", "value": "v", "key name": "k", "key": "sk"}
    request[where] += line_break + "x"
    async with provider(always(OK)) as place, client() as up:
        await answered(up, place.url)
        header = (request["name"].encode(), request["value"].encode())
        key = (request["key name"].encode(), request["key"].encode())
        with pytest.raises(UpstreamUnreachable, match="line break"):
            await up.send(place.url, key, request["method"], request["target"], (header,), b"{}")
        await turns()
        assert len(place.peers) == 1
        await answered(up, place.url)


@pytest.mark.parametrize("target", ["/a b", "/ HTTP/1.1", "/\u20ac"])
@on_uvloop
async def test_nothing_is_sent_to_a_path_that_is_none(target):
    async with provider(always(OK)) as place, client() as up:
        with pytest.raises(UpstreamUnreachable, match="path"):
            await ask(up, place.url, target=target)
        assert not place.peers


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "http://x:99999", "http://x:y", "http://[::1", "http://x/ y", "http://x\n/y",
            "http://x/\u20ac", "provider.example"],
)  # fmt: skip
@on_uvloop
async def test_an_address_that_is_none_is_said_to_be_so(url):
    async with client() as up:
        with pytest.raises(UpstreamUnreachable, match="its address or key cannot be used"):
            await ask(up, url)


@on_uvloop
async def test_nothing_is_sent_where_a_name_leads_to_a_metadata_service(monkeypatch):
    seen: list[bytes] = []

    async def note(peer: Peer) -> None:
        seen.append(await peer.reader.read(1))

    async with provider(note) as place, client() as up:
        # No name leads to such an address here, so the address that a name does lead to is made one.
        monkeypatch.setattr(module, "is_refused", lambda host: host == "127.0.0.1")
        with pytest.raises(UpstreamUnreachable, match=r"leads to 127\.0\.0\.1, a metadata service"):
            await ask(up, place.url.replace("127.0.0.1", "localhost"))
    assert set(seen) <= {b""}


# ---------------------------------------------------------------- sent again


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("size", [2, 32 << 20])
@on_uvloop
async def test_a_call_is_sent_again_when_its_kept_connection_had_been_closed(size, reset):
    async def hang_up_on_the_second(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.reader.readexactly(1)
        if reset:
            peer.reset()

    async with provider(hang_up_on_the_second, tell_number) as place, client() as up:
        await answered(up, place.url)
        assert (await answered(up, place.url, body=bytes(size)))[2] == b"1"
        assert len(place.peers) == 2


@on_uvloop
async def test_a_call_is_sent_again_once_and_no_more():
    async with provider(once(OK, hold=True), never) as place, client() as up:
        await answered(up, place.url)
        waiting = asyncio.ensure_future(ask(up, place.url))
        await turns()
        place.peers[0].writer.close()
        (await place.peer(1)).writer.close()
        with pytest.raises(UpstreamBroke, match="did not answer"):
            await waiting
        assert len(place.peers) == 2


@on_uvloop
async def test_many_kept_connections_that_were_all_closed_cost_one_new_one():
    async with provider(*[once(OK, hold=True)] * 20, tell_number) as place, client() as up:
        await kept(up, place, 20)
        for peer in place.peers:
            peer.writer.close()
        status, _, body = await answered(up, place.url)
        assert (status, len(place.peers), body[:1]) == (200, 21, b"2")


@on_uvloop
async def test_a_new_connection_that_is_closed_without_an_answer_is_not_tried_again():
    async with provider(once()) as place, client() as up:
        with pytest.raises(UpstreamBroke, match="the provider did not answer: it closed the connection"):
            await ask(up, place.url)
        assert len(place.peers) == 1


@pytest.mark.parametrize("said", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", OK[:30], OK[:-1]])
@pytest.mark.parametrize("reset", [False, True])
@on_uvloop
async def test_nothing_is_sent_again_after_a_byte_of_an_answer(said, reset):
    async def second_breaks(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await once(said, reset=reset)(peer)

    async with provider(second_breaks) as place, client() as up:
        await answered(up, place.url)
        with pytest.raises(UpstreamBroke):
            await answered(up, place.url)
        assert len(place.peers) == 1


@on_uvloop
async def test_a_kept_connection_that_once_had_an_answer_without_a_length_can_be_found_closed():
    async with (
        provider(once(b"HTTP/1.1 204 No Content\r\n\r\n", hold=True), tell_number) as place,
        client() as up,
    ):
        assert await answered(up, place.url) == (204, (), b"")
        waiting = asyncio.ensure_future(answered(up, place.url))
        await turns()
        place.peers[0].writer.close()
        assert (await waiting)[2] == b"1"


@on_uvloop
async def test_a_provider_that_hung_up_before_the_loop_noticed_gets_nothing():
    async with provider(once(OK, hold=True), tell_number) as place, client() as up:
        await answered(up, place.url)
        place.peers[
            0
        ].writer.write_eof()  # it is in the kernel now, and the loop gets no turn before the call
        assert (await answered(up, place.url))[2] == b"1"
        await place.peers[0].ended.wait()


# ---------------------------------------------------------------- unreachable


@on_uvloop
async def test_a_refused_connection_says_so():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with client() as up:
        with pytest.raises(UpstreamUnreachable, match=r"refused|Connect call failed"):
            await ask(up, f"http://127.0.0.1:{port}")


@on_uvloop
async def test_a_connection_that_does_not_come_about_is_given_up():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        fill = [socket.socket() for _ in range(4)]
        for one in fill:  # Linux takes one more than the backlog, and leaves the others without an answer
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        async with client(connect_timeout=IDLE) as up:
            with pytest.raises(UpstreamUnreachable, match=r"no connection within 0\.2 s"):
                await ask(up, f"http://127.0.0.1:{listener.getsockname()[1]}")
        for one in fill:
            one.close()


@on_uvloop
async def test_a_name_that_cannot_be_resolved_is_unreachable():
    """It is longer than names may be, so that no name server is asked."""
    async with client() as up:
        with pytest.raises(UpstreamUnreachable, match=r"Errno -\d+"):
            await ask(up, f"http://{'.'.join('a' * 200)}")


@on_uvloop
async def test_a_name_that_is_none_is_unreachable():
    async with client() as up:
        with pytest.raises(UpstreamUnreachable, match="label"):
            await ask(up, f"http://{'a' * 64}.example")


# ---------------------------------------------------------------- silence


@on_uvloop
async def test_a_provider_that_says_nothing_is_given_up():
    async with provider(never) as place, client(idle_timeout=IDLE) as up:
        with pytest.raises(UpstreamSilent, match="the provider did not answer"):
            await ask(up, place.url)
        await place.peers[0].ended.wait()


@pytest.mark.parametrize("head", [b"content-length: 9\r\n\r\nab", b"\r\nab"])
@on_uvloop
async def test_a_provider_that_falls_silent_is_given_up_after_all_it_said(head):
    async with (
        provider(once(b"HTTP/1.1 200 OK\r\n" + head, hold=True)) as place,
        client(idle_timeout=IDLE) as up,
    ):
        answer = await ask(up, place.url)
        assert await answer.read() == b"ab"
        with pytest.raises(UpstreamSilent, match="the provider stopped sending"):
            await answer.read()
        answer.close()
        await place.peers[0].ended.wait()


@on_uvloop
async def test_the_silence_of_a_call_is_measured_on_a_connection_that_was_kept_for_long():
    async def answer_once(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await never(peer)

    async with provider(answer_once) as place, client(idle_timeout=IDLE) as up:
        await answered(up, place.url)
        await asyncio.sleep(IDLE * 1.5)  # the connection was looked at meanwhile, and found to be kept
        async with asyncio.timeout(10):
            with pytest.raises(UpstreamSilent):
                await ask(up, place.url)


@on_uvloop
async def test_a_provider_that_says_a_byte_now_and_then_is_not_silent():
    answer_to_come = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc"

    async def slowly(peer: Peer) -> None:
        await peer.request()
        for at in range(0, len(answer_to_come), 8):
            await peer.say(answer_to_come[at : at + 8])
            await asyncio.sleep(IDLE / 2)

    async with provider(slowly) as place, client(idle_timeout=IDLE) as up:
        assert (await answered(up, place.url))[2] == b"abc"


# ---------------------------------------------------------------- a reader that is slow

LARGE = 50_000_000
PIECE = bytes(range(250)) * 400


async def pour(peer: Peer, framed) -> None:
    for _ in range(LARGE // len(PIECE)):
        peer.writer.write(framed(PIECE))
        await peer.writer.drain()


async def with_length(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % LARGE)
    await pour(peer, lambda piece: piece)
    await peer.gone()


async def in_chunks(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    await pour(peer, lambda piece: b"%x\r\n%b\r\n" % (len(piece), piece))
    await peer.say(b"0\r\n\r\n")
    await peer.gone()


async def until_close(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.0 200 OK\r\n\r\n")
    await pour(peer, lambda piece: piece)


ONE_READ = 256 * 1024
"""What uvloop reads at once."""


@pytest.mark.parametrize("talk", [with_length, in_chunks, until_close])
@on_uvloop
async def test_a_slow_reader_makes_its_provider_wait_and_gets_every_byte(talk):
    async with provider(talk) as place, client(idle_timeout=IDLE) as up:
        answer = await ask(up, place.url)
        size = most = 0
        for pause in range(1 << 20):
            if pause % 200 == 3 and pause < 500:
                await asyncio.sleep(IDLE * 1.5)
            most = max(most, answer.held)
            part = await answer.read()
            if not part:
                break
            at = size % 250
            assert part == (PIECE[at:] + PIECE * (len(part) // len(PIECE) + 1))[: len(part)]
            size += len(part)
        assert size == LARGE
        assert READ_AHEAD < most <= READ_AHEAD + ONE_READ
        answer.release()


@on_uvloop
async def test_what_a_provider_can_send_to_a_reader_that_does_not_read_is_bounded():
    async with provider(with_length) as place, client(idle_timeout=IDLE) as up:
        answer = await ask(up, place.url)
        writer = place.peers[0].writer
        before = -1
        while answer.held != before:
            before = answer.held
            await asyncio.sleep(IDLE)
        assert READ_AHEAD < answer.held <= READ_AHEAD + ONE_READ
        assert writer.transport.get_write_buffer_size() > 0
        assert not place.peers[0].ended.is_set()
        answer.close()
        await place.peers[0].ended.wait()


@on_uvloop
async def test_the_connection_of_an_answer_that_was_paused_serves_the_next_call():
    async def large_then_small(peer: Peer) -> None:
        await peer.request()
        await peer.say(
            b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (READ_AHEAD + 1) + bytes(READ_AHEAD + 1)
        )
        await tell_number(peer)

    async with provider(large_then_small) as place, client() as up:
        answer = await ask(up, place.url)
        while not answer.ended:
            await turns()
        answer.release()
        assert (await answered(up, place.url))[2] == b"0"


@on_uvloop
async def test_an_answer_that_is_larger_than_it_may_be_is_refused():
    async with (
        provider(always(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789")) as place,
        client() as up,
    ):
        answer = await ask(up, place.url)
        assert await answer.whole(10) == b"0123456789"
        answer.release()
        answer = await ask(up, place.url)
        with pytest.raises(UpstreamBroke, match="larger than 9 bytes"):
            await answer.whole(9)
        answer.close()


# ---------------------------------------------------------------- given up, given back


@on_uvloop
async def test_closing_an_answer_ends_its_connection():
    async with provider(once(OK[:-1], hold=True), tell_number) as place, client() as up:
        answer = await ask(up, place.url)
        answer.close()
        await place.peers[0].ended.wait()
        assert (await answered(up, place.url))[2] == b"1"
        answer.close()
        answer.release()
        assert (await answered(up, place.url))[2] == b"1"


@on_uvloop
async def test_an_answer_that_was_not_read_to_its_end_ends_its_connection():
    async with provider(once(OK[:-1], hold=True), tell_number) as place, client() as up:
        answer = await ask(up, place.url)
        answer.release()
        await place.peers[0].ended.wait()
        assert (await answered(up, place.url))[2] == b"1"


@on_uvloop
async def test_an_answer_given_back_twice_is_given_back_once():
    async with provider(tell_number) as place, client() as up:
        answer = await ask(up, place.url)
        await answer.whole(9)
        answer.release()
        answer.release()
        first, second = await asyncio.gather(answered(up, place.url), answered(up, place.url))
        assert {first[2], second[2]} == {b"0", b"1"}


@pytest.mark.parametrize("said", [b"", OK[:9], OK[:-1]])
@on_uvloop
async def test_a_call_that_is_cancelled_ends_its_connection(said):
    async with provider(once(said, hold=True), tell_number) as place, client() as up:
        waiting = asyncio.ensure_future(answered(up, place.url))
        await place.peer(0)
        await turns(20)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await place.peers[0].ended.wait()
        assert (await answered(up, place.url))[2] == b"1"


@on_uvloop
async def test_a_connection_attempt_that_is_cancelled_leaves_nothing():
    async with provider(tell_number) as place, client() as up:
        for steps in range(12):
            waiting = asyncio.ensure_future(ask(up, place.url, credential=(b"k", b"%d" % steps)))
            await turns(steps)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await turns()
        up.close()
        for peer in place.peers:
            await peer.ended.wait()


@on_uvloop
async def test_an_answer_that_came_before_the_body_was_read_ends_the_connection():
    async def refuse(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await peer.gone()

    async with provider(refuse, tell_number) as place, client() as up:
        assert (await answered(up, place.url, body=bytes(32 << 20)))[0] == 413
        assert (await answered(up, place.url))[2] == b"1"


# ---------------------------------------------------------------- what was not asked for

SECOND = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nunasked"[:-1]


@pytest.mark.parametrize("unasked", [SECOND, SECOND[:9], b"x", b"\0"])
@on_uvloop
async def test_what_comes_in_one_piece_with_an_answer_is_never_the_next_one(unasked):
    async with provider(once(OK + unasked, hold=True), tell_number) as place, client() as up:
        assert (await answered(up, place.url))[2] == b"ok"
        assert (await answered(up, place.url))[2] == b"1"


@pytest.mark.parametrize("unasked", [SECOND, SECOND[:9], b"x", b"\r\n"])
@on_uvloop
async def test_what_comes_after_an_answer_is_never_the_next_one(unasked):
    async with provider(once(OK, hold=True), tell_number) as place, client() as up:
        await answered(up, place.url)
        await place.peers[0].say(unasked)
        await place.peers[0].ended.wait()
        assert (await answered(up, place.url))[2] == b"1"


@pytest.mark.parametrize("unasked", [SECOND, SECOND[:9], b"x", b"\r\n"])
@on_uvloop
async def test_what_arrived_before_the_loop_noticed_is_never_the_next_answer(unasked):
    async with provider(once(OK, hold=True), tell_number) as place, client() as up:
        await answered(up, place.url)
        place.peers[0].writer.write(
            unasked
        )  # it is in the kernel now, and the loop gets no turn before the call
        assert (await answered(up, place.url))[2] == b"1"


@on_uvloop
async def test_what_comes_between_the_end_of_an_answer_and_its_reader_ends_the_connection():
    async with provider(once(OK, hold=True), tell_number) as place, client() as up:
        answer = await ask(up, place.url)
        await place.peers[0].say(SECOND)
        assert await answer.whole(9) == b"ok"
        answer.release()
        assert (await answered(up, place.url))[2] == b"1"
