"""Promises of the client towards providers: who the other side is, and the proxies between."""

import asyncio
import socket
import ssl

import pytest

from gateway.certificates import ELSEWHERE, LAST_YEAR, Authority
from gateway.wire_servers import (
    OK,
    Peer,
    Talk,
    always,
    answered,
    ask,
    client,
    on_uvloop,
    once,
    provider,
    trusting,
    turns,
)
from visionality.gateway.upstream import READ_AHEAD, UpstreamBroke, UpstreamUnreachable, _tls

IDLE = 0.2
"""Seconds: a time-out that a test waits for."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.made(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def environment(monkeypatch, authority):
    """The authority is trusted, and there is no proxy."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    trusting(monkeypatch, authority.certificate)
    yield
    _tls.cache_clear()


# ---------------------------------------------------------------- TLS


@on_uvloop
async def test_a_provider_with_a_good_certificate_is_talked_to(authority):
    async with provider(always(OK), tls=authority.server()) as place, client() as up:
        for _ in range(5):
            assert (await answered(up, place.url))[2] == b"ok"
        assert len(place.peers) == 1


@on_uvloop
async def test_large_bodies_pass_through_tls(authority):
    body = bytes(range(256)) * 4096 * 8

    async def echo(peer: Peer) -> None:
        while True:
            request = await peer.request()
            peer.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(request.body))
            peer.writer.write(request.body)
            await peer.writer.drain()

    async with provider(echo, tls=authority.server()) as place, client() as up:
        for _ in range(2):
            assert (await answered(up, place.url, body=body))[2] == body
        assert len(place.peers) == 1


@on_uvloop
async def test_a_stream_through_tls_is_read_as_it_comes(authority):
    going = asyncio.Event()

    async def stream(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(5):
            await going.wait()
            going.clear()
            await peer.say(b"1\r\n%d\r\n" % number)
        await peer.say(b"0\r\n\r\n")
        await peer.gone()

    async with provider(stream, tls=authority.server()) as place, client() as up:
        answer = await ask(up, place.url)
        for number in range(5):
            going.set()
            assert await answer.read() == b"%d" % number
        assert await answer.read() == b""
        answer.release()


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        (lambda ours, theirs: ours.server(ELSEWHERE), "IP address mismatch"),
        (lambda ours, theirs: theirs.server(), "unable to get local issuer certificate"),
        (lambda ours, theirs: ours.server(until=LAST_YEAR), "certificate has expired"),
    ],
    ids=["another's name", "nobody's word", "expired"],
)
@on_uvloop
async def test_a_provider_without_a_good_certificate_is_not_talked_to(authority, tmp_path, certificate, why):
    tls = certificate(authority, Authority.made(tmp_path))
    async with provider(always(OK), tls=tls) as place, client() as up:
        for _ in range(2):
            with pytest.raises(UpstreamUnreachable, match=f"certificate verify failed: {why}"):
                await ask(up, place.url)
        assert not place.peers


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad\r\n\r\n", b"\0" * 99, b""])
@on_uvloop
async def test_a_provider_that_speaks_no_tls_is_unreachable(said):
    async def talk(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.say(said)

    async with provider(talk) as place, client() as up:
        with pytest.raises(UpstreamUnreachable, match=r"\w"):
            await ask(up, place.url.replace("http:", "https:"))
        await place.peers[0].ended.wait()


@on_uvloop
async def test_a_provider_that_hangs_up_at_once_is_unreachable():
    async def talk(peer: Peer) -> None:
        peer.reset()

    async with provider(talk) as place, client() as up:
        with pytest.raises(UpstreamUnreachable, match=r"\w"):
            await ask(up, place.url.replace("http:", "https:"))


@on_uvloop
async def test_a_provider_that_never_finishes_the_handshake_is_given_up():
    async def talk(peer: Peer) -> None:
        await peer.gone()

    async with provider(talk) as place, client(connect_timeout=IDLE) as up:
        with pytest.raises(UpstreamUnreachable, match=r"no connection within 0\.2 s"):
            await ask(up, place.url.replace("http:", "https:"))
        await place.peers[0].ended.wait()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@on_uvloop
async def test_a_provider_need_not_prove_itself_twice(authority, version):
    tls = authority.server()
    tls.minimum_version = tls.maximum_version = version
    reused = []

    async def talk(peer: Peer) -> None:
        reused.append(peer.writer.get_extra_info("ssl_object").session_reused)
        await always(OK)(peer)

    async with provider(talk, tls=tls) as place, client() as up:
        answers = []
        for _ in range(2):
            answers.append(await ask(up, place.url))
            await answers[-1].whole(9)
        for answer in answers:
            answer.close()
        for peer in place.peers:
            await peer.ended.wait()
        await answered(up, place.url, credential=(b"k", b"another"))
        assert reused == [False, True, True]
        assert tls.session_stats()["hits"] == 2


@on_uvloop
async def test_a_provider_that_forgot_the_session_proves_itself_again(authority):
    async with provider(always(OK), tls=authority.server()) as place, client() as up:
        await answered(up, place.url)
        port = place.port
    async with client() as up:
        server = await asyncio.start_server(
            lambda *_: None, "127.0.0.1", port, ssl=authority.server(ELSEWHERE)
        )
        with pytest.raises(UpstreamUnreachable, match="IP address mismatch"):
            await ask(up, f"https://127.0.0.1:{port}")
        server.close()


SIZE = 2 * READ_AHEAD + 100_096
ONE_READ = 256 * 1024
"""What uvloop reads at once."""


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % SIZE,
        b"HTTP/1.0 200 OK\r\n\r\n",
    ],
)
@on_uvloop
async def test_a_slow_reader_gets_every_byte_of_a_provider_that_hung_up_long_ago(authority, head):
    body = bytes(range(256)) * (SIZE // 256)

    async def talk(peer: Peer) -> None:
        await peer.request()
        with peer.writer.get_extra_info("socket").dup() as raw:
            await peer.say(head + body)
            peer.writer.close()
            await turns()
            raw.shutdown(socket.SHUT_WR)

    async with provider(talk, tls=authority.server()) as place, client(idle_timeout=IDLE) as up:
        answer = await ask(up, place.url)
        await place.peers[0].ended.wait()
        await turns(100)
        assert READ_AHEAD < answer.held <= READ_AHEAD + ONE_READ
        assert await answer.whole(SIZE) == body
        answer.close()


@pytest.mark.parametrize("ordered", [True, False])
@on_uvloop
async def test_a_body_without_a_length_is_whole_only_when_tls_was_closed_in_order(authority, ordered):
    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.0 200 OK\r\n\r\nabc")
        if not ordered:
            with peer.writer.get_extra_info("socket").dup() as raw:
                raw.shutdown(socket.SHUT_WR)
            await peer.gone()

    async with provider(talk, tls=authority.server()) as place, client() as up:
        if ordered:
            assert (await answered(up, place.url))[2] == b"abc"
        else:
            with pytest.raises(UpstreamBroke, match="broke off"):
                await answered(up, place.url)


@pytest.mark.parametrize("ordered", [True, False])
@on_uvloop
async def test_a_call_is_sent_again_when_its_kept_tls_connection_had_been_closed(authority, ordered):
    async def hang_up(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.reader.readexactly(1)
        if not ordered:
            peer.reset()

    async with provider(hang_up, always(OK), tls=authority.server()) as place, client() as up:
        await answered(up, place.url)
        assert (await answered(up, place.url))[2] == b"ok"
        assert len(place.peers) == 2


@on_uvloop
async def test_an_answer_that_came_before_the_body_was_read_ends_the_tls_connection(authority):
    async def refuse(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.writer.transport.pause_reading()
        await peer.say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await refused.wait()
        peer.writer.transport.resume_reading()
        await peer.gone()

    refused = asyncio.Event()
    async with provider(refuse, always(OK), tls=authority.server()) as place, client() as up:
        assert (await answered(up, place.url, body=bytes(32 << 20)))[0] == 413
        refused.set()
        assert (await answered(up, place.url))[2] == b"ok"
        assert len(place.peers) == 2


@on_uvloop
async def test_what_comes_unasked_through_tls_ends_the_connection(authority):
    async with provider(once(OK, hold=True), always(OK), tls=authority.server()) as place, client() as up:
        await answered(up, place.url)
        await place.peers[0].say(OK)
        await place.peers[0].ended.wait()
        assert (await answered(up, place.url))[2] == b"ok"
        assert len(place.peers) == 2


# ---------------------------------------------------------------- proxies

BOTH_CASES = pytest.mark.parametrize("case", [str.upper, str.lower])


def proxied_by(monkeypatch, place, *, tls: bool = False, case=str.upper, user: str = "") -> None:
    monkeypatch.setenv(case("https_proxy" if tls else "http_proxy"), place.url.replace("://", f"://{user}"))


def tunnel(asked: list) -> Talk:
    """A proxy that connects whoever asks."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                writer.write(data)
        finally:
            writer.close()

    async def talk(peer: Peer) -> None:
        asked.append((await peer.request()).lines)
        host, _, port = asked[-1][0].split(b" ")[1].rpartition(b":")
        reader, writer = await asyncio.open_connection(host.decode().strip("[]"), int(port))
        await peer.say(b"HTTP/1.1 200 Connection established\r\nvia: proxy\r\n\r\n")
        await asyncio.gather(pump(peer.reader, writer), pump(reader, peer.writer), return_exceptions=True)

    return talk


@BOTH_CASES
@pytest.mark.parametrize("user", ["", "joe%40x:p%3Aw@"])
@on_uvloop
async def test_a_plain_call_goes_to_its_proxy_with_its_whole_address(monkeypatch, case, user):
    got = []

    async def note(peer: Peer) -> None:
        while True:
            got.append((await peer.request()).lines)
            await peer.say(OK)

    async with provider(note) as proxy:
        proxied_by(monkeypatch, proxy, case=case, user=user)
        async with client() as up:
            for _ in range(2):
                assert (await answered(up, "http://provider.example:8080/base", target="/v1?q"))[2] == b"ok"
        assert len(proxy.peers) == 1
    assert got[0][:2] == [
        b"POST http://provider.example:8080/base/v1?q HTTP/1.1",
        b"host: provider.example:8080",
    ]
    credential = [line for line in got[0] if line.startswith(b"proxy-authorization")]
    assert credential == ([b"proxy-authorization: Basic am9lQHg6cDp3"] if user else [])


@BOTH_CASES
@pytest.mark.parametrize("user", ["", "joe:pw@"])
@on_uvloop
async def test_a_tls_call_goes_through_a_tunnel_that_sees_no_key(monkeypatch, authority, case, user):
    asked, got = [], []

    async def note(peer: Peer) -> None:
        while True:
            got.append((await peer.request()).lines)
            await peer.say(OK)

    async with provider(note, tls=authority.server()) as place, provider(tunnel(asked)) as proxy:
        proxied_by(monkeypatch, proxy, tls=True, case=case, user=user)
        async with client() as up:
            for _ in range(2):
                assert (await answered(up, place.url))[2] == b"ok"
    where = b"127.0.0.1:%d" % place.port
    credential = [b"proxy-authorization: Basic am9lOnB3"] if user else []
    assert asked == [[b"CONNECT %b HTTP/1.1" % where, b"host: " + where, *credential]]
    assert got[0][0] == b"POST /v1/messages HTTP/1.1"
    assert not any(line.startswith(b"proxy-") for line in got[0])


@on_uvloop
async def test_a_proxy_may_itself_be_behind_tls(monkeypatch, authority):
    asked = []
    async with (
        provider(always(OK), tls=authority.server()) as place,
        provider(tunnel(asked), always(OK), tls=authority.server()) as proxy,
    ):
        proxied_by(monkeypatch, proxy, tls=True)
        proxied_by(monkeypatch, proxy)
        async with client() as up:
            assert (await answered(up, place.url, body=bytes(1 << 20)))[2] == b"ok"
            assert (await answered(up, "http://provider.example"))[2] == b"ok"
    assert (len(asked), len(proxy.peers)) == (1, 2)


@on_uvloop
async def test_a_tunnel_to_an_ipv6_address_names_it_in_brackets(monkeypatch):
    asked = []

    async def refuse(peer: Peer) -> None:
        asked.append((await peer.request()).lines)
        await peer.say(b"HTTP/1.1 403 No\r\n\r\n")

    async with provider(refuse) as proxy:
        proxied_by(monkeypatch, proxy, tls=True)
        async with client() as up:
            with pytest.raises(UpstreamUnreachable):
                await ask(up, "https://[2001:db8::1]")
    assert asked == [[b"CONNECT [2001:db8::1]:443 HTTP/1.1", b"host: [2001:db8::1]:443"]]


@BOTH_CASES
@pytest.mark.parametrize("but", ["127.0.0.1", "other.example,127.0.0.1:{port}", "*"])
@on_uvloop
async def test_a_place_that_needs_no_proxy_gets_none(monkeypatch, case, but):
    async with provider(always(OK)) as place, provider(always(OK)) as proxy:
        proxied_by(monkeypatch, proxy)
        monkeypatch.setenv(case("no_proxy"), but.format(port=place.port))
        async with client() as up:
            await answered(up, place.url)
        assert (len(place.peers), len(proxy.peers)) == (1, 0)


@pytest.mark.parametrize("but", ["127.0.0.1:1", "27.0.0.1", "example"])
@on_uvloop
async def test_a_place_that_is_not_named_goes_through_the_proxy(monkeypatch, but):
    async with provider(always(OK)) as place, provider(always(OK)) as proxy:
        proxied_by(monkeypatch, proxy)
        monkeypatch.setenv("NO_PROXY", but)
        async with client() as up:
            await answered(up, place.url)
        assert (len(place.peers), len(proxy.peers)) == (0, 1)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refused the tunnel: 407 Proxy Authentication Req"),
        (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno", "refused the tunnel: 403 Forbidden"),
        (b"HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", "refused the tunnel: 302 Found"),
        (b"HTTP/1.1 2\r\n\r\n", "is no HTTP"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "is no HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nsmuggled", "is no HTTP"),
        (b"hello\r\n\r\n", "is no HTTP"),
        (b"\x15\x03\x01\0\x02\x02\x46\r\n\r\n", "is no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "is no HTTP"),
        (b"HTTP/1.1 200 OK\r\n", "closed the connection"),
        (b"", "closed the connection"),
    ],
)  # fmt: skip
@on_uvloop
async def test_a_proxy_that_opens_no_tunnel_makes_its_provider_unreachable(monkeypatch, said, why):
    async with provider(once(said)) as proxy:
        proxied_by(monkeypatch, proxy, tls=True)
        async with client() as up:
            for _ in range(2):
                with pytest.raises(UpstreamUnreachable, match=f"the proxy('s answer)? {why}"):
                    await ask(up, "https://provider.example")
            for peer in proxy.peers:
                await peer.ended.wait()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
@on_uvloop
async def test_a_proxy_that_stalls_is_given_up(monkeypatch, said):
    async with provider(once(said, hold=True)) as proxy:
        proxied_by(monkeypatch, proxy, tls=True)
        async with client(connect_timeout=IDLE) as up:
            with pytest.raises(UpstreamUnreachable, match=r"no connection within 0\.2 s"):
                await ask(up, "https://provider.example")
        await proxy.peers[0].ended.wait()


@pytest.mark.parametrize("reset", [True, False])
@on_uvloop
async def test_a_proxy_that_hangs_up_behind_its_yes_makes_its_provider_unreachable(monkeypatch, reset):
    async def talk(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        if reset:
            peer.reset()

    async with provider(talk) as proxy:
        proxied_by(monkeypatch, proxy, tls=True)
        async with client() as up:
            with pytest.raises(UpstreamUnreachable, match=r"\w"):
                await ask(up, "https://provider.example")


@on_uvloop
async def test_who_is_behind_a_tunnel_is_verified(monkeypatch, authority):
    async with provider(always(OK), tls=authority.server(ELSEWHERE)) as place, provider(tunnel([])) as proxy:
        proxied_by(monkeypatch, proxy, tls=True)
        async with client() as up:
            with pytest.raises(UpstreamUnreachable, match="IP address mismatch"):
                await ask(up, place.url)


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1", "http://", "http://x:y"])
@on_uvloop
async def test_a_proxy_that_cannot_be_used_is_said_to_be_so(monkeypatch, url):
    monkeypatch.setenv("HTTPS_PROXY", url)
    async with client() as up:
        with pytest.raises(UpstreamUnreachable, match="the proxy that the environment names"):
            await ask(up, "https://provider.example")


@on_uvloop
async def test_a_proxy_may_be_named_without_a_scheme(monkeypatch):
    async with provider(always(OK)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
        async with client() as up:
            assert (await answered(up, "http://provider.example"))[2] == b"ok"


@on_uvloop
async def test_a_connection_attempt_through_a_tunnel_that_is_cancelled_leaves_nothing(monkeypatch, authority):
    async with provider(always(OK), tls=authority.server()) as place, provider(tunnel([])) as proxy:
        proxied_by(monkeypatch, proxy, tls=True)
        async with client() as up:
            for steps in range(0, 60, 3):
                waiting = asyncio.ensure_future(ask(up, place.url, credential=(b"k", b"%d" % steps)))
                await turns(steps)
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
            up.close()
            for peer in proxy.peers:
                await peer.ended.wait()
