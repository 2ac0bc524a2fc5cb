"""Answers that go wrong on the wire: broken, truncated, cut small, late, or no JSON at all."""

import http.client
import json
import logging
import socket
from contextlib import closing

import anthropic
import openai
import pytest

from visionality.sandbox.generation import DEFAULT_TEXT

from .conftest import chat_body, messages_body, plan_header

CREDENTIALS = (
    "authorization: Bearer any\r\nx-api-key: any\r\nanthropic-version: 2023-06-01\r\nhost: sandbox\r\n"
)
BODIES = {"/v1/chat/completions": chat_body, "/v1/messages": messages_body}
ENDINGS = {"/v1/chat/completions": b"data: [DONE]\n\n", "/v1/messages": b'"message_stop"}\n\n'}


def request_bytes(path, plan, **fields):
    body = BODIES[path](**fields)
    return (
        f"POST {path} HTTP/1.1\r\n{CREDENTIALS}x-sandbox-plan: {json.dumps(plan)}\r\n"
        f"content-length: {len(body)}\r\n\r\n{body}"
    ).encode()


def bytes_until_closed(provider, request):
    """All that comes until the server closes the connection."""
    with closing(socket.create_connection(("127.0.0.1", provider.port), timeout=5)) as connection:
        connection.sendall(request)
        received = b""
        while data := connection.recv(65536):
            received += data
        return received


@pytest.mark.parametrize("path", BODIES)
def test_a_broken_stream_closes_without_the_last_chunk(provider, path, caplog):
    request = request_bytes(path, {"break_after_chunks": 2, "chunks": 5}, stream=True)
    with caplog.at_level(logging.DEBUG):
        received = bytes_until_closed(provider, request)
    assert received.startswith(b"HTTP/1.1 200")
    assert b"This" in received
    assert b" answer" in received
    assert b" is" not in received.split(b" answer")[1]
    assert not received.endswith(b"0\r\n\r\n")
    assert ENDINGS[path] not in received
    assert not caplog.records


def test_a_stream_can_break_before_its_first_delta(provider):
    received = bytes_until_closed(
        provider, request_bytes("/v1/messages", {"break_after_chunks": 0}, stream=True)
    )
    assert b"content_block_start" in received
    assert b"content_block_delta" not in received


def test_the_official_clients_see_a_broken_stream_as_a_transport_error(openai_client, anthropic_client):
    headers = plan_header({"break_after_chunks": 2})
    chat, message = json.loads(chat_body()), json.loads(messages_body())
    with (
        openai_client.chat.completions.create(**chat, stream=True, extra_headers=headers) as stream,
        pytest.raises(openai.APIConnectionError),
    ):
        list(stream)
    with (
        anthropic_client.messages.create(**message, stream=True, extra_headers=headers) as stream,
        pytest.raises(Exception, match="peer closed connection"),
    ):
        list(stream)


@pytest.mark.parametrize("path", BODIES)
def test_a_truncated_stream_ends_cleanly_without_its_terminal_events(provider, path):
    ask = provider.chat if path == "/v1/chat/completions" else provider.messages
    body = ask(plan={"truncate": True, "text": "first last"}, stream=True)[2]
    assert b" last" in body
    assert ENDINGS[path] not in body
    assert b'"finish_reason":"' not in body
    assert b"message_delta" not in body


@pytest.mark.parametrize("path", BODIES)
def test_an_error_event_ends_the_stream_after_its_deltas(provider, path):
    ask = provider.chat if path == "/v1/chat/completions" else provider.messages
    body = ask(plan={"stream_error_after_chunks": 1, "text": "first last"}, stream=True)[2]
    last_event = body.rstrip().rsplit(b"\n\n", 1)[1]
    assert b"first" in body
    assert b" last" not in body
    assert json.loads(last_event.split(b"data: ")[1])["error"]["message"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pieces_of_any_size_join_to_a_stream_that_the_clients_read(anthropic_client, size):
    headers = plan_header({"split_bytes": size, "crlf": True, "comments": True, "text": "Grüezi mitenand"})
    with anthropic_client.messages.stream(**json.loads(messages_body()), extra_headers=headers) as stream:
        assert stream.get_final_text() == "Grüezi mitenand"


def test_pieces_have_the_planned_size_regardless_of_event_borders(provider):
    received = bytes_until_closed(
        provider, request_bytes("/v1/messages", {"split_bytes": 50, "break_after_chunks": 3}, stream=True)
    )
    *pieces, last = received.split(b"\r\n\r\n", 1)[1].split(b"\r\n")[0:-1:2]
    assert set(pieces) == {b"32"}
    assert int(last, 16) <= 50


def test_line_ends_and_comments_are_as_planned(provider):
    body = provider.chat(plan={"crlf": True, "comments": True}, stream=True)[2]
    assert b"\r\n\r\n: simulated\r\n\r\ndata: {" in body
    assert b"\n" not in body.replace(b"\r\n", b"")
    pings = provider.messages(plan={"comments": True, "chunks": 3}, stream=True)[2]
    assert pings.count(b"event: ping\n") == 4
    assert pings.count(b": simulated\n") == 3


def test_a_plan_sets_the_number_of_deltas(provider):
    for planned in ({"chunks": 40}, {"chunks": 3, "text": "abcdefgh"}):
        body = provider.messages(plan=planned, stream=True)[2]
        assert body.count(b"text_delta") == planned["chunks"]


def test_a_lying_content_length_is_longer_than_the_body(provider):
    with pytest.raises(http.client.IncompleteRead) as raised:
        provider.chat(plan={"content_length_lie": True})
    assert json.loads(raised.value.partial)["object"] == "chat.completion"


@pytest.mark.parametrize("streams", [False, True])
def test_garbage_is_a_success_that_is_not_json(provider, streams):
    status, _, body = provider.messages(plan={"garbage": True}, stream=streams)
    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(body.removeprefix(b"data: "))


def test_a_hanging_provider_answers_nothing_until_the_client_goes(provider):
    with closing(socket.create_connection(("127.0.0.1", provider.port), timeout=0.1)) as connection:
        connection.sendall(request_bytes("/v1/messages", {"hang": True}))
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert disconnects_come_to(provider, 1)


@pytest.mark.parametrize(
    ("plan", "answers"),
    [
        ({"chunk_delay_ms": 30_000}, 1),
        ({"chunks": 10_000}, 32),  # more bytes than the kernel's buffers take
    ],
)
def test_a_client_that_leaves_in_the_middle_is_noticed(provider, plan, answers):
    with closing(socket.create_connection(("127.0.0.1", provider.port), timeout=5)) as connection:
        connection.sendall(request_bytes("/v1/chat/completions", plan, stream=True, n=answers))
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")
    assert disconnects_come_to(provider, 1)


def test_a_delay_before_the_first_byte_leaves_the_answer_whole(openai_client):
    headers = plan_header({"first_delay_ms": 20, "chunk_delay_ms": 1})
    ask = json.loads(chat_body(stream=True))
    with openai_client.chat.completions.create(**ask, extra_headers=headers) as stream:
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == DEFAULT_TEXT


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ({"txet": "typo"}, "unknown field `txet`"),
        ({"first_delay_ms": 60_001}, "<= 60000"),
        ({"status": 200}, ">= 400"),
        ({"chunks": 9, "text": "short"}, "has only 5 characters"),
        ({"hang": True, "garbage": True}, "exclude each other"),
        ({"truncate": True, "break_after_chunks": 1}, "exclude each other"),
        ([], "Expected `object`"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_with_a_sentence(
    openai_client, anthropic_client, plan, sentence
):
    headers = plan_header(plan)
    with pytest.raises(openai.BadRequestError, match=sentence):
        openai_client.chat.completions.create(**json.loads(chat_body()), extra_headers=headers)
    with pytest.raises(anthropic.BadRequestError, match=sentence):
        anthropic_client.messages.create(**json.loads(messages_body()), extra_headers=headers)


def disconnects_come_to(provider, count):
    """Whether the sandbox counts that many lost clients within a few hundred questions."""
    return any(provider.get("/sandbox/seen")["disconnects"] == count for _ in range(500))
