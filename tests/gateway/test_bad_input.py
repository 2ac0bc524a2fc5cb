"""Promise G6: whatever comes in, the answer is a clear no in the caller's dialect, and the gateway lives on."""

import json
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest

from gateway.calls import CHAT, GPT, MESSAGES, Caller, Reply, ask, body_of, complaints, new_id
from gateway.conftest import BODY_LIMIT

BOTH = pytest.mark.parametrize("path", [MESSAGES, CHAT])


def check_dialect(path: str, reply: Reply, status: int, code: str) -> None:
    document = json.loads(reply.body)
    assert (reply.status, document["error"]["code"], reply.header("x-acc-error")) == (status, code, code)
    assert document["error"]["message"]
    assert document["error"]["type"]
    assert set(document) == ({"type", "error", "request_id"} if "messages" in path else {"error"})
    assert reply.header("content-type") == "application/json"
    assert reply.header("x-should-retry") == ("false" if status != 408 else None)


def raw(caller: Caller, sent: bytes, *, whole: bool = False) -> bytes:
    """What comes back on a fresh connection until it is closed, or until the first answer's head."""
    host = urlsplit(caller.product.gateway)
    with socket.create_connection((host.hostname, host.port), timeout=30) as connection:
        try:
            connection.sendall(sent)
            received = b""
            while piece := connection.recv(1 << 16):
                received += piece
                if not whole and b"\r\n\r\n" in received:
                    break
        except ConnectionError:
            return b""
        return received


def large(end: bytes) -> bytes:
    return b'{"model":"gpt-4o","x":"' + b"A line of text.\\n" * 200_000 + b'"' + end


BODIES = {
    "empty": (b"", "bad_request"),
    "half": (b'{"model":"gpt-4o"', "bad_request"),
    "array": (b"[]", "bad_request"),
    "text": (b'"gpt-4o"', "bad_request"),
    "two": (b'{"model":"gpt-4o"} {}', "bad_request"),
    "trailing comma": (b'{"model":"gpt-4o",}', "bad_request"),
    "NaN": (b'{"model":"gpt-4o","temperature":NaN}', "bad_request"),
    "infinite": (b'{"model":"gpt-4o","temperature":-Infinity}', "bad_request"),
    "invalid UTF-8": (b'{"model":"gpt-4o","x":"\xff\xfe"}', "bad_request"),
    "UTF-16": ('{"model":"gpt-4o"}'.encode("utf-16"), "bad_request"),
    "byte order mark": (b'\xef\xbb\xbf{"model":"gpt-4o"}', "bad_request"),
    "control character": (b'{"model":"gpt-4o","x":"\x01"}', "bad_request"),
    "deep": (b'{"model":"gpt-4o","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad_request"),
    "deep, open": (b'{"model":' + b'{"a":' * 100_000, "bad_request"),
    "wide": (b'{"model":"gpt-4o","x":[' + b"1," * 500_000 + b"1]}", "bad_request"),
    "same name twice": (b'{"model":"gpt-4o","model":"o1"}', "duplicate_json_name"),
    "same name, escaped": (b'{"model":"gpt-4o","mod\\u0065l":"o1"}', "duplicate_json_name"),
    "same name inside": (b'{"model":"gpt-4o","m":[{"a":1,"a":1}]}', "duplicate_json_name"),
    "no model": (b'{"messages":[]}', "bad_request"),
    "model null": (b'{"model":null}', "bad_request"),
    "model number": (b'{"model":4}', "bad_request"),
    "model list": (b'{"model":["gpt-4o"]}', "bad_request"),
    "model empty": (b'{"model":""}', "bad_request"),
    "model with NUL": (b'{"model":"gpt\\u0000-4o"}', "bad_request"),
    "model with line end": (b'{"model":"gpt\\n-4o"}', "bad_request"),
    "model right to left": ('{"model":"gpt\u202e-4o"}'.encode(), "bad_request"),
    "model of 10 kB": (b'{"model":"%b"}' % (b"g" * 10_000), "bad_request"),
    "limit negative": (b'{"model":"gpt-4o","max_tokens":-1}', "bad_request"),
    "limit zero": (b'{"model":"gpt-4o","max_tokens":0}', "bad_request"),
    "limit huge": (b'{"model":"gpt-4o","max_tokens":1%b}' % (b"0" * 400), "bad_request"),
    "limit text": (b'{"model":"gpt-4o","max_tokens":"10"}', "bad_request"),
    "large, malformed at its end": (large(b"}}"), "bad_request"),
    "large, cut off": (large(b',"y":"}'), "bad_request"),
    "large, same name twice at its end": (large(b',"model":"o1"}'), "duplicate_json_name"),
    "limit true": (b'{"model":"gpt-4o","max_tokens":true}', "bad_request"),
}


@pytest.mark.parametrize("name", BODIES)
@BOTH
def test_a_body_that_is_no_request_is_refused_before_any_provider(caller, path, name):
    body, code = BODIES[name]
    reply = caller.post(path, call_id := new_id(), body)
    check_dialect(path, reply, 400, code)
    assert call_id not in caller.seen_ids()
    (row,) = caller.product.query(
        "select * from vis.request_logs where request_id = %s", reply.header("x-vis-request-id")
    )
    assert (row["decision"], row["reason"], row["status_code"], row["cost_nusd"]) == ("refused", code, 400, 0)


def test_the_sdk_reads_a_refusal_as_its_own_error(caller):
    with openai.OpenAI(base_url=f"{caller.product.gateway}/v1", api_key=caller.key) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model=GPT, messages=[], max_tokens=-1)
        assert caught.value.code == "bad_request"
        with pytest.raises(openai.APIStatusError) as too_large:
            client.chat.completions.create(
                model=GPT, messages=[{"role": "user", "content": "x" * 3 * BODY_LIMIT}]
            )
        assert too_large.value.status_code == 413


@BOTH
def test_a_body_over_the_limit_is_refused_by_its_length(caller, path):
    body = body_of(path, padding="x" * 3 * BODY_LIMIT)
    check_dialect(path, caller.post(path, new_id(), body), 413, "body_too_large")


@BOTH
def test_a_body_over_the_limit_is_refused_while_it_comes(caller, path):
    body = body_of(path, padding="x" * 3 * BODY_LIMIT)
    pieces = (
        b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:1000], body[1000:])) + b"0\r\n\r\n"
    )
    headers = [*caller.headers(path, new_id()), ("transfer-encoding", "chunked")]
    head = f"POST {path} HTTP/1.1\r\nhost: v\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers)
    received = raw(caller, head.encode() + b"\r\n" + pieces, whole=True)
    assert received.startswith(b"HTTP/1.1 413")
    assert b"body_too_large" in received


def test_a_body_at_the_limit_goes_through(caller):
    body = body_of(MESSAGES, padding="x" * (BODY_LIMIT - len(body_of(MESSAGES, padding=""))))
    assert len(body) == BODY_LIMIT
    assert caller.post(MESSAGES, call_id := new_id(), body).status == 200
    assert caller.row(call_id)["decision"] == "allowed"


@BOTH
def test_a_body_that_does_not_come_is_given_up(caller, path):
    headers = [*caller.headers(path, new_id()), ("content-length", "1000")]
    reply = ask(caller.product.gateway, "POST", path, headers, b'{"model":')
    check_dialect(path, reply, 408, "body_timeout")


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "deflate, gzip"])
@BOTH
def test_an_encoded_body_is_refused(caller, path, encoding):
    headers = [*caller.headers(path, new_id()), ("content-encoding", encoding)]
    reply = ask(caller.product.gateway, "POST", path, headers, body_of(path))
    check_dialect(path, reply, 415, "unsupported_encoding")


PATHS = [
    ("POST", "/v1//messages"),
    ("POST", "//v1/messages"),
    ("POST", "/v1/%6dessages"),
    ("POST", "/v1/x/../messages"),
    ("POST", "/v1/messages/"),
    ("POST", "/V1/messages"),
    ("POST", "/v1/messages;x=1"),
    ("POST", "/v1/messages%2f"),
    ("POST", "/v1\\messages"),
    ("POST", "/anthropic/anthropic/v1/messages"),
    ("POST", "/openai/v1/messages"),
    ("GET", "/v1/messages"),
    ("PUT", "/v1/messages"),
    ("DELETE", "/v1/chat/completions"),
    ("HEAD", "/v1/chat/completions"),
    ("OPTIONS", "/v1/chat/completions"),
    ("POST", "/v1/chat/completions/"),
    ("POST", "/v1/fine_tuning/jobs"),
    ("POST", "/v1/models"),
    ("GET", "/v1/models/"),
    ("GET", "/v1/models/../messages"),
    ("GET", "/v1/models/gpt%2d4o"),
    ("GET", "/v1/models/a/b"),
    ("POST", "/sandbox/reset"),
    ("POST", "/"),
    ("GET", "/livez/"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_a_route_without_a_meter_is_not_served(caller, method, path):
    before = caller.product.query("select count(*) as n from vis.request_logs")
    headers = [("authorization", f"Bearer {caller.key}"), ("content-type", "application/json")]
    reply = ask(caller.product.gateway, method, path, headers, body_of(CHAT))
    assert (reply.status, reply.header("x-acc-error")) == (404, "route_not_metered")
    if method != "HEAD":
        dialect = MESSAGES if path.endswith("/messages") or path.startswith("/anthropic") else CHAT
        check_dialect(dialect, reply, 404, "route_not_metered")
    assert caller.product.query("select count(*) as n from vis.request_logs") == before


def test_a_client_that_speaks_anthropic_is_refused_in_it(caller):
    reply = ask(caller.product.gateway, "POST", "/v1/complete", [("anthropic-version", "2023-06-01")], b"{}")
    check_dialect(MESSAGES, reply, 404, "route_not_metered")


def test_a_websocket_is_told_to_use_http(caller):
    upgrade = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "x")]
    reply = ask(caller.product.gateway, "GET", "/v1/responses", upgrade)
    check_dialect(CHAT, reply, 426, "upgrade_not_supported")


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_gateway_says_that_it_lives(caller, method, path):
    reply = ask(caller.product.gateway, method, path, [])
    assert (reply.status, reply.body) == (200, b"ok\n" if method == "GET" else b"")


RUBBISH = {
    "zeros": b"\0" * 100,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200,
    "no target": b"GET\r\n\r\n",
    "other version": b"GET / HTTP/9.9\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "unknown method": b"STEAL /v1/messages HTTP/1.1\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nhost: v\r\n\r\n",
    "connect": b"CONNECT provider:443 HTTP/1.1\r\nhost: v\r\n\r\n",
    "no colon": b"GET / HTTP/1.1\r\nhost\r\n\r\n",
    "space before colon": b"GET / HTTP/1.1\r\nhost : v\r\n\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\nx\0y: v\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nhost: v\0\r\n\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nhost: v\rx-api-key: k\r\n\r\n",
    "space in the target": b"GET /v1/ models HTTP/1.1\r\n\r\n",
    "target beyond ASCII": b"GET /v1/\xff\xfe HTTP/1.1\r\nhost: v\r\n\r\n",
    "length and chunked": b"POST /v1/messages HTTP/1.1\r\nhost: v\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST /v1/messages HTTP/1.1\r\nhost: v\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    "negative length": b"POST /v1/messages HTTP/1.1\r\nhost: v\r\ncontent-length: -1\r\n\r\n",
    "length without end": b"POST /v1/messages HTTP/1.1\r\nhost: v\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n",
    "unknown transfer coding": b"POST /v1/messages HTTP/1.1\r\nhost: v\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
    "bad chunk": b"POST /v1/messages HTTP/1.1\r\nhost: v\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "chunk without end": b"POST /v1/messages HTTP/1.1\r\nhost: v\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "a header of 1 MB": b"GET / HTTP/1.1\r\nhost: v\r\nx: " + b"y" * 1_000_000 + b"\r\n\r\n",
    "1 MB of headers": b"GET / HTTP/1.1\r\nhost: v\r\n" + b"x: y\r\n" * 170_000 + b"\r\n",
    "a name of 1 MB": b"GET / HTTP/1.1\r\n" + b"x" * 1_000_000 + b": y\r\n\r\n",
    "a target of 1 MB": b"GET /" + b"y" * 1_000_000 + b" HTTP/1.1\r\nhost: v\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", RUBBISH)
def test_rubbish_on_the_wire_is_turned_away(caller, name):
    received = raw(caller, RUBBISH[name])
    assert re.match(rb"HTTP/1.1 4\d\d ", received) or received == b""
    assert ask(caller.product.gateway, "GET", "/readyz", []).status == 200


def chunked_call(caller: Caller, headers: str, trailers: bytes) -> bytes:
    body = body_of(MESSAGES)
    head = f"POST {MESSAGES} HTTP/1.1\r\nhost: v\r\ntransfer-encoding: chunked\r\n{headers}\r\n"
    return head.encode() + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailers)


def test_a_trailer_is_no_header(caller):
    received = raw(caller, chunked_call(caller, "", f"x-api-key: {caller.key}\r\n".encode()))
    assert received.startswith(b"HTTP/1.1 401")


def test_a_head_or_a_trailer_without_end_does_not_fill_the_memory(caller):
    before = resident(caller)
    for start in (
        b"GET / HTTP/1.1\r\nx: ",
        chunked_call(caller, f"x-api-key: {caller.key}\r\n", b"x: ")[:-2],
    ):
        assert b"200 OK" not in raw(caller, start + b"y" * 60_000_000)
    assert resident(caller) - before < 20_000_000


def test_a_hundred_clients_that_leave_in_the_middle_of_their_request_leave_nothing(caller):
    host = urlsplit(caller.product.gateway)
    head = f"POST {MESSAGES} HTTP/1.1\r\nhost: v\r\nx-api-key: {caller.key}\r\ncontent-length: 500\r\n\r\n"
    holds = caller.product.query("select count(*) as n from vis.budget_holds where draft is not null")
    for cut in range(100):
        with socket.create_connection((host.hostname, host.port)) as connection:
            connection.sendall((head.encode() + body_of(MESSAGES))[: cut * 3])
    assert caller.post(MESSAGES, new_id()).status == 200
    assert caller.product.query("select count(*) as n from vis.budget_holds where draft is not null") == holds


def resident(caller: Caller) -> int:
    status = Path(f"/proc/{caller.product.pid('gateway')}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


def test_after_all_this_it_is_the_same_process_and_its_log_holds_no_complaint(caller):
    assert caller.product.pid("gateway") == caller.product.summary["pids"]["gateway"]
    assert complaints(caller.product) == []
    assert (
        caller.product.query(
            "select * from vis.request_logs where status_code = 500 and decision = 'refused'"
        )
        == []
    )
    assert not (caller.product.data_dir / "dead-letters.jsonl").exists()
