"""Promises of the client towards providers: where an answer begins and ends (RFC 9112), and what no answer is."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire_servers import Peer, answered, ask, client, on_uvloop, once, provider, turns
from visionality.gateway.upstream import HEAD_LIMIT, UpstreamBroke

NEXT = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def with_headers(*lines: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""])


async def next_call(up, place) -> int:
    """Which connection serves the call after."""
    status, _, body = await answered(up, place.url)
    assert (status, body) == (200, b"next")
    return len(place.peers) - 1


async def outcome(said: bytes, *, hold: bool = True, reset: bool = False):
    """What a provider's bytes mean: its answer or the error, and whether its connection is used again."""

    async def talk(peer: Peer) -> None:
        await peer.request()
        await peer.say(said)
        if hold:
            await peer.request()
            await peer.say(NEXT)
            await peer.gone()
        if reset:
            peer.reset()

    async with provider(talk, once(NEXT, hold=True)) as place, client() as up:
        try:
            found = await answered(up, place.url)
        except UpstreamBroke as broke:
            found = str(broke)
        return found, await next_call(up, place) == 0


def told(*cases: tuple[str, bytes, bytes]):
    return pytest.mark.parametrize(
        ("said", "body"), [case[1:] for case in cases], ids=[case[0] for case in cases]
    )


def named(**cases: bytes):
    return pytest.mark.parametrize("said", list(cases.values()), ids=list(cases))


# ---------------------------------------------------------------- well framed


@told(
    ("a length", with_headers(b"content-length: 3") + b"abc", b"abc"),
    ("no body", with_headers(b"content-length: 0"), b""),
    ("zeros", with_headers(b"content-length: 003") + b"abc", b"abc"),
    ("a length between spaces", with_headers(b"content-length: \t 3 \t") + b"abc", b"abc"),
    ("capitals", with_headers(b"Content-LENGTH:3") + b"abc", b"abc"),
    ("no reason", b"HTTP/1.1 200\r\ncontent-length: 1\r\n\r\na", b"a"),
    ("no words in the reason", b"HTTP/1.1 200 \r\ncontent-length: 1\r\n\r\na", b"a"),
    ("chunks", CHUNKED + b"3\r\nabc\r\n1\r\nd\r\n" + LAST, b"abcd"),
    ("capital chunks", with_headers(b"Transfer-Encoding: CHUNKED") + b"A\r\n0123456789\r\n" + LAST, b"0123456789"),
    ("chunk zeros", CHUNKED + b"00000000000000000003\r\nabc\r\n" + LAST, b"abc"),
    ("no chunk", CHUNKED + LAST, b""),
    ("extensions", CHUNKED + b'3;a;b=c;d="e;\\"f"\r\nabc\r\n0;last\r\n\r\n', b"abc"),
    ("trailers", CHUNKED + b"3\r\nabc\r\n0\r\nx-late: 1\r\nserver: evil\r\n\r\n", b"abc"),
    ("chunks that look like ends", CHUNKED + b"5\r\n0\r\n\r\n\r\n" + LAST, b"0\r\n\r\n"),
    ("HTTP/1.0 that stays", b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\na", b"a"),
    ("an offer to upgrade", with_headers(b"connection: upgrade", b"upgrade: h2c", b"content-length: 2") + b"ab", b"ab"),
)  # fmt: skip
@on_uvloop
async def test_a_body_ends_where_its_framing_says_and_the_connection_stays(said, body):
    (status, headers, found), stays = await outcome(said)
    assert (status, found, stays) == (200, body, True)
    assert not {b"x-late", b"server"} & {name for name, _ in headers}


@told(
    ("asked to close", with_headers(b"connection: close", b"content-length: 1") + b"a", b"a"),
    ("asked to close among others", with_headers(b"connection: x, close", b"content-length: 1") + b"a", b"a"),
    ("asked to stay and to close", with_headers(b"connection: keep-alive, close", b"content-length: 1") + b"a", b"a"),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", b"a"),
    ("HTTP/1.0 in chunks and closed", CHUNKED + b"1\r\na\r\n0\r\nconnection: close\r\n\r\n", b"a"),
    ("too long", with_headers(b"content-length: 1") + b"abc", b"a"),
    ("a second answer", with_headers(b"content-length: 1") + b"a" + NEXT, b"a"),
    ("a second answer after chunks", CHUNKED + b"1\r\na\r\n" + LAST + NEXT, b"a"),
)  # fmt: skip
@on_uvloop
async def test_a_whole_answer_stands_whatever_becomes_of_its_connection(said, body):
    (status, _, found), stays = await outcome(said)
    assert (status, found) == (200, body)
    assert not stays or b"0\r\nconnection: close" in said


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("lines", [[], [b"content-length: 3"], [b"transfer-encoding: chunked"]])
@pytest.mark.parametrize("rest", [b"", b"abc", b"3\r\nabc\r\n0\r\n\r\n", NEXT.replace(b"next", b"evil")])
@on_uvloop
async def test_an_answer_that_has_no_body_has_none_whatever_it_says(status, lines, rest):
    said = with_headers(*lines).replace(b"200 OK", b"%d No" % status) + rest
    found, stays = await outcome(said)
    assert (found[0], found[2]) == (status, b"")
    assert not (stays and rest)


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
@on_uvloop
async def test_a_body_without_a_length_ends_with_its_connection(version):
    body = b"abc\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
    found, stays = await outcome(version + b" 200 OK\r\nx: y\r\n\r\n" + body, hold=False)
    assert (found, stays) == ((200, ((b"x", b"y"),), body), False)


@on_uvloop
async def test_headers_arrive_in_order_and_as_they_were_sent():
    lines = (b"X-A: 1", b"x-b:", b"x-a: \xe9\xff caf\xc3\xa9", b"X-a: a:b, c", b"content-length: 0")
    (_, headers, _), _ = await outcome(with_headers(*lines))
    assert headers == (
        (b"x-a", b"1"),
        (b"x-b", b""),
        (b"x-a", b"\xe9\xff caf\xc3\xa9"),
        (b"x-a", b"a:b, c"),
        (b"content-length", b"0"),
    )


# ---------------------------------------------------------------- broken off


@named(
    nothing=b"",
    a_byte=b"H",
    a_status_line=b"HTTP/1.1 200 OK\r\n",
    a_head_without_its_end=b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
    a_short_body=with_headers(b"content-length: 4") + b"abc",
    no_body=with_headers(b"content-length: 4"),
    a_huge_length=with_headers(b"content-length: 18446744073709551615") + b"abc",
    half_a_chunk=CHUNKED + b"4\r\nabc",
    half_a_chunk_size=CHUNKED + b"4",
    no_last_chunk=CHUNKED + b"3\r\nabc\r\n",
    half_a_last_chunk=CHUNKED + b"3\r\nabc\r\n0\r\n",
    half_a_trailer=CHUNKED + b"3\r\nabc\r\n0\r\nx: y\r\n",
    a_huge_chunk=CHUNKED + b"ffffffffffffffff\r\nabc",
    only_interim=b"HTTP/1.1 100 Continue\r\n\r\n",
)
@pytest.mark.parametrize("reset", [False, True])
@on_uvloop
async def test_an_answer_that_breaks_off_is_an_error(said, reset):
    found, stays = await outcome(said, hold=False, reset=reset)
    assert ("broke off" in found or "did not answer" in found, stays) == (True, False)


@on_uvloop
async def test_a_body_without_a_length_that_is_reset_is_an_error():
    found, stays = await outcome(b"HTTP/1.0 200 OK\r\n\r\nabc", hold=False, reset=True)
    assert ("broke off" in found, stays) == (True, False)


@on_uvloop
async def test_a_body_without_a_length_is_not_whole_because_the_client_was_closed():
    async with provider(once(b"HTTP/1.0 200 OK\r\n\r\nabc", hold=True)) as place, client() as up:
        answer = await ask(up, place.url)
        assert await answer.read() == b"abc"
        up.close()
        with pytest.raises(UpstreamBroke, match="broke off"):
            await answer.read()


@on_uvloop
async def test_what_came_before_an_answer_broke_off_can_be_read():
    async with provider(once(CHUNKED + b"3\r\nabc\r\n3\r\nd", reset=True)) as place, client() as up:
        answer = await ask(up, place.url)
        await place.peers[0].ended.wait()
        await turns()
        assert await answer.read() == b"abcd"
        with pytest.raises(UpstreamBroke):
            await answer.read()


# ---------------------------------------------------------------- badly framed

ABC = b"3\r\nabc\r\n" + LAST


@named(
    length_and_chunks=with_headers(b"content-length: 3", b"transfer-encoding: chunked") + ABC,
    chunks_and_length=with_headers(b"transfer-encoding: chunked", b"content-length: 3") + ABC,
    two_lengths=with_headers(b"content-length: 3", b"content-length: 4") + b"abcd",
    one_length_twice=with_headers(b"content-length: 3", b"content-length: 3") + b"abc",
    a_list_of_lengths=with_headers(b"content-length: 3, 3") + b"abc",
    a_negative_length=with_headers(b"content-length: -3") + b"abc",
    a_length_with_plus=with_headers(b"content-length: +3") + b"abc",
    a_hex_length=with_headers(b"content-length: 0x3") + b"abc",
    a_length_of_nothing=with_headers(b"content-length:") + b"abc",
    a_length_in_two=with_headers(b"content-length: 3 3") + b"abc",
    a_length_with_a_dot=with_headers(b"content-length: 3.0") + b"abc",
    a_length_of_other_digits=with_headers("content-length: ٣".encode()) + b"abc",
    a_length_past_64_bits=with_headers(b"content-length: 18446744073709551619") + b"abc",
    gzip_then_chunks=with_headers(b"transfer-encoding: gzip, chunked") + ABC,
    chunks_then_gzip=with_headers(b"transfer-encoding: chunked, gzip") + ABC,
    identity=with_headers(b"transfer-encoding: identity") + b"abc",
    identity_and_length=with_headers(b"transfer-encoding: identity", b"content-length: 3") + b"abc",
    chunks_of_chunks=with_headers(b"transfer-encoding: chunked, chunked") + ABC,
    chunks_twice=with_headers(b"transfer-encoding: chunked", b"transfer-encoding: chunked") + ABC,
    chunks_and_identity=with_headers(b"transfer-encoding: chunked", b"transfer-encoding: identity") + ABC,
    no_coding=with_headers(b"transfer-encoding:") + ABC,
    an_empty_coding=with_headers(b"transfer-encoding: , chunked") + ABC,
    almost_chunked=with_headers(b"transfer-encoding: xchunked") + ABC,
    chunked_and_a_tab=with_headers(b"transfer-encoding: chunked\t") + ABC,
    chunked_quoted=with_headers(b'transfer-encoding: "chunked"') + ABC,
    chunked_vertical_tab=with_headers(b"transfer-encoding: \x0bchunked") + ABC,
    chunks_of_old=b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n" + ABC,
    a_folded_header=with_headers(b"x: a", b" b", b"content-length: 3") + b"abc",
    a_folded_coding=with_headers(b"transfer-encoding:", b" chunked") + ABC,
    a_space_before_the_colon=with_headers(b"content-length : 3") + b"abc",
    a_space_before_the_name=with_headers(b" content-length: 3") + b"abc",
    no_colon=with_headers(b"content-length", b"content-length: 3") + b"abc",
    no_name=with_headers(b": 3", b"content-length: 3") + b"abc",
    bare_line_feeds=b"HTTP/1.1 200 OK\ncontent-length: 3\n\nabc",
    a_bare_line_feed=with_headers(b"x: a\ncontent-length: 3") + b"abc",
    a_bare_line_feed_at_the_end=b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\nabc",
    a_bare_carriage_return=with_headers(b"x: a\rcontent-length: 3") + b"abc",
    a_nul_in_a_value=with_headers(b"x: a\0b", b"content-length: 3") + b"abc",
    a_nul_in_a_name=with_headers(b"x\0: a", b"content-length: 3") + b"abc",
    a_control_in_a_value=with_headers(b"x: a\x01b", b"content-length: 3") + b"abc",
    a_chunk_without_its_end=CHUNKED + b"3\r\nabcd\r\n" + LAST,
    a_chunk_that_ends_early=CHUNKED + b"4\r\nabc\r\n" + LAST,
    a_negative_chunk=CHUNKED + b"-3\r\nabc\r\n" + LAST,
    a_chunk_with_plus=CHUNKED + b"+3\r\nabc\r\n" + LAST,
    a_chunk_with_0x=CHUNKED + b"0x3\r\nabc\r\n" + LAST,
    a_chunk_past_64_bits=CHUNKED + b"10000000000000003\r\nabc\r\n" + LAST,
    a_chunk_size_of_nothing=CHUNKED + b"\r\nabc\r\n" + LAST,
    a_chunk_size_and_a_space=CHUNKED + b"3 \r\nabc\r\n" + LAST,
    a_chunk_size_and_a_line_feed=CHUNKED + b"3\nabc\r\n" + LAST,
    an_extension_with_a_line_feed=CHUNKED + b"3;a\nabc\r\n" + LAST,
    an_extension_open_quote=CHUNKED + b'3;a="b\r\nabc\r\n' + LAST,
    an_endless_extension=CHUNKED + b"3;" + b"a" * (HEAD_LIMIT + 300_000),
    endless_trailers=CHUNKED + b"0\r\n" + b"x: y\r\n" * 80_000,
    garbage=b"hello world\r\n\r\n",
    nul=b"\0" * 9,
    http_0_9=b"<html>hello</html>",
    http_2=b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\x01\0\0\0\x02\0\0\0\0",
    http_2_preface=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    http_2_words=b"HTTP/2 200\r\ncontent-length: 0\r\n\r\n",
    http_1_2=b"HTTP/1.2 200 OK\r\ncontent-length: 0\r\n\r\n",
    http_11=b"HTTP/11 200 OK\r\ncontent-length: 0\r\n\r\n",
    a_request=b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
    tls=b"\x15\x03\x01\0\x02\x02\x46",
    ssh=b"SSH-2.0-OpenSSH_9.6\r\n",
    status_0=b"HTTP/1.1 000 OK\r\ncontent-length: 0\r\n\r\n",
    status_99=b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n",
    two_digits=b"HTTP/1.1 20 OK\r\ncontent-length: 0\r\n\r\n",
    four_digits=b"HTTP/1.1 2000 OK\r\ncontent-length: 0\r\n\r\n",
    no_digits=b"HTTP/1.1 OK\r\ncontent-length: 0\r\n\r\n",
    a_changed_protocol=b"HTTP/1.1 101 Switching\r\n\r\n",
    an_upgrade=b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    an_upgrade_and_an_answer=b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n" + NEXT,
    an_upgrade_without_words_and_an_answer=b"HTTP/1.1 101 Switching\r\n\r\n" + NEXT,
    an_interim_answer_that_closes=b"HTTP/1.1 100 Continue\r\nconnection: close\r\n\r\n" + NEXT,
    a_flood_of_interim_answers=b"HTTP/1.1 102 Processing\r\n\r\n" * 20_000,
    an_endless_status=b"HTTP/1.1 200 " + b"a" * (HEAD_LIMIT + 300_000),
    an_endless_name=b"HTTP/1.1 200 OK\r\n" + b"a" * (HEAD_LIMIT + 300_000),
    an_endless_value=b"HTTP/1.1 200 OK\r\na: " + b"a" * (HEAD_LIMIT + 300_000),
    endless_headers=b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 80_000,
    endless_empty_lines=b"\r\n" * 200_000,
)
@on_uvloop
async def test_what_is_no_clear_answer_is_an_error_and_its_connection_is_never_used_again(said):
    found, stays = await outcome(said)
    assert (type(found), stays) == (str, False)
    assert found.startswith("the provider")
    assert "did not answer" not in found


# ---------------------------------------------------------------- interim answers


@named(
    one=b"HTTP/1.1 100 Continue\r\n\r\n",
    headers=b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\nx-early: 1\r\n\r\n",
    many=b"HTTP/1.1 102 Processing\r\nx-early: 1\r\n\r\n" * 50,
    a_length=b"HTTP/1.1 103 Early Hints\r\nx-early: 1\r\ncontent-length: 5\r\n\r\n",
    chunks=b"HTTP/1.1 100 Continue\r\nx-early: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    no_reason=b"HTTP/1.1 199\r\n\r\n",
)
@on_uvloop
async def test_interim_answers_are_passed_over(said):
    found, stays = await outcome(said + with_headers(b"x: y", b"content-length: 2") + b"ok")
    assert (found, stays) == ((200, ((b"x", b"y"), (b"content-length", b"2")), b"ok"), True)


# ---------------------------------------------------------------- however the network cuts it

MIXED = (
    b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 Fine\r\nContent-Type: text/event-stream\r\nx-b:\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0a;x=y\r\n0123\r\n6789\r\n5\r\n0\r\n\r\n\r\n0\r\nx-late: 1\r\n\r\n"
)
WITH_LENGTH = b"HTTP/1.1 429 Too Many\r\nretry-after: 3\r\nContent-Length: 12\r\n\r\nslow\r\n\r\ndown"
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\nx: y\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
TOO_MUCH = WITH_LENGTH + b"HTTP/1.1 200 OK\r\n"
CUT = [MIXED, WITH_LENGTH, UNTIL_CLOSE, TOO_MUCH]


async def in_pieces(up, place, said: bytes, cuts: list[int]):
    """What an answer means when it comes in pieces. Each call has a key, and so a connection, of its own."""
    points = [0, *cuts, len(said)]
    place.talks = (once(*[said[start:end] for start, end in pairwise(points) if start < end]),)
    return await answered(up, place.url, credential=(b"k", b"%d" % len(place.peers)))


@pytest.mark.parametrize("said", CUT, ids=["mixed", "a length", "until close", "too much"])
@on_uvloop
async def test_an_answer_means_the_same_wherever_the_network_cuts_it(said):
    async with provider(once()) as place, client() as up:
        whole = await in_pieces(up, place, said, [])
        for at in range(1, len(said)):
            assert await in_pieces(up, place, said, [at]) == whole
        assert await in_pieces(up, place, said, list(range(1, len(said)))) == whole


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(CUT).flatmap(
        lambda said: st.tuples(st.just(said), st.lists(st.integers(0, len(said)), max_size=12))
    )
)
def test_an_answer_means_the_same_in_any_pieces(cut):
    @on_uvloop
    async def compare() -> None:
        said, cuts = cut
        async with provider(once()) as place, client() as up:
            assert await in_pieces(up, place, said, sorted(cuts)) == await in_pieces(up, place, said, [])

    compare()


@on_uvloop
async def test_every_place_where_an_answer_can_break_off_is_an_error_or_the_whole_answer():
    async with provider(once()) as place, client() as up:
        for said in (MIXED, WITH_LENGTH):
            for end in range(len(said)):
                with pytest.raises(UpstreamBroke):
                    await in_pieces(up, place, said[:end], [end // 2])


@on_uvloop
async def test_the_pieces_are_read_as_they_come():
    going = asyncio.Event()

    async def stream(peer: Peer) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        for number in range(5):
            await going.wait()
            going.clear()
            await peer.say(b"2\r\n", b"%d" % number, b".\r\n")
        await peer.say(LAST)

    async with provider(stream) as place, client() as up:
        answer = await ask(up, place.url)
        for number in range(5):
            going.set()
            part = b""
            while len(part) < 2:
                part += await answer.read()
            assert part == b"%d." % number
        assert await answer.read() == b""
        assert answer.ended
        assert await answer.read() == b""
        answer.release()
