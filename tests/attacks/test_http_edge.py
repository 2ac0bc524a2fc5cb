"""Attacks 18 to 26: the edge of the gateway (promise G6).

Deeper: tests/gateway/test_connection_refusals.py, test_connection_fuzz.py, test_bad_input.py.
"""

import gzip
import json
import re
import socket
import time
import zlib
from collections import Counter
from urllib.parse import urlsplit

import pytest

from attacks.attacker import knocking, rows
from attacks.conftest import BODY_LIMIT
from gateway.budgets import gateways
from gateway.calls import CHAT, GPT, MESSAGES, WITHIN, ask, body_of, new_id
from gateway.test_bad_input import BODIES, RUBBISH
from gateway.test_connection_refusals import REFUSED, REFUSED_BODIES

INTO_MEMORY = 64 * 1024 * 1024
"""Bytes by which a gateway may grow while it refuses; one body of the limit is a sixteenth of that."""


def said(product, sent: bytes) -> bytes:
    """All that comes back until the gateway closes."""
    host = urlsplit(product.gateway)
    received = b""
    with socket.create_connection((host.hostname, host.port), timeout=WITHIN) as connection:
        try:
            connection.sendall(sent)
            while piece := connection.recv(1 << 16):
                received += piece
        except ConnectionError:
            pass
    return received


def seen_ids(product) -> list[str]:
    return list(json.loads(ask(product.sandbox, "GET", "/sandbox/seen", []).body)["ids"])


@pytest.fixture(scope="module")
def key(bearer) -> str:
    return bearer["handle"]


@pytest.mark.attack(18)
def test_what_can_be_read_in_two_ways_ends_the_connection(product, key, seen):
    """Each with a second request behind it that must not run."""
    hidden = f"GET /v1/models HTTP/1.1\r\nhost: v\r\nauthorization: Bearer {key}\r\n\r\n".encode()
    before = rows(product)
    kinds: Counter[str] = Counter()
    chunked = b"POST /v1/messages HTTP/1.1\r\nhost: v\r\ntransfer-encoding: chunked\r\n\r\n"
    corpus = [*REFUSED.values(), *(chunked + one for one in REFUSED_BODIES.values())]
    corpus += [
        f"GET / HTTP/1.1\r\nhost: a\r\nHost: b\r\ncontent-length: 0\r\ncontent-length: {len(hidden)}\r\n\r\n".encode()
    ]
    for one in corpus:
        received = said(product, one + hidden)
        assert received.count(b"HTTP/1.1 ") == 1, (one, received)
        kinds[received[9:12].decode()] += 1
    assert set(kinds) == {"400"} or set(kinds) <= {"400", "401", "505", "501"}, kinds
    assert rows(product) == before
    assert b"HTTP/1.1 200" in said(product, b"GET /livez HTTP/1.1\r\nhost: v\r\nconnection: close\r\n\r\n")
    seen(f"{len(corpus)} heads and bodies: {dict(kinds)}, closed, nothing behind them ran")


@pytest.mark.attack(18)
@pytest.mark.parametrize("hosts", ["host: a\r\nhost: b", "host: a\r\nHOST: a", "host: a, b", "host: a b"])
def test_a_request_for_two_hosts_is_for_none(product, key, hosts):
    head = f"GET /v1/models HTTP/1.1\r\n{hosts}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
    assert said(product, head.encode()).startswith(b"HTTP/1.1 400")


@pytest.mark.attack(19)
def test_only_the_hops_that_were_configured_are_believed(product, backend, seen):
    pinned = backend.issue("--level", "1", "--network", "10.0.0.0/8")["handle"]
    claims = ["10.1.2.3", "10.1.2.3, 10.1.2.4", "1.1.1.1, 10.1.2.3", "10.1.2.3, 127.0.0.1", "::ffff:10.1.2.3"]
    others = (
        "forwarded",
        "x-real-ip",
        "x-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "x-envoy-external-address",
    )
    refused = (403, "network_denied")
    with knocking(product.gateway) as door:
        for claim in claims:
            assert door.knock(pinned, x_forwarded_for=claim) == refused
            assert {door.knock(pinned, **{name.replace("-", "_"): claim}) for name in others} == {refused}
    with (
        gateways(product, 1, settings={"VIS_TRUSTED_HOPS": "1"}) as (behind,),
        knocking(behind.address) as door,
    ):
        product.until(lambda: door.knock(pinned, x_forwarded_for="10.1.2.3")[0] == 200)
        for claim in (
            "",
            "10.1.2.3, 9.9.9.9",
            "10.1.2.3, ",
            "10.1.2.3:80",
            "10.1.2.3, unknown",
            "[10.1.2.3]",
        ):
            assert door.knock(pinned, x_forwarded_for=claim) == refused, claim
        assert door.knock(pinned) == refused
    seen(
        f"{len(claims)} claims in {len(others) + 1} headers refused; behind one hop only the last address counts"
    )


@pytest.mark.attack(20)
def test_headers_of_ours_from_outside_decide_nothing_and_go_no_further(product, backend, bound, key, seen):
    ours = [
        ("x-acc-level", "0"),
        ("x-acc-error", "none"),
        ("x-vis-org", "another"),
        ("x-vis-request-id", new_id()),
    ]
    ours += [("x-acc-verified", "true"), ("x-vis-agent-sub", "root"), ("x-forwarded-user", "root")]
    listed = [("connection", "x-acc-binding, x-acc-caller, authorization"), ("connection", "close")]
    for more in (*((one,) for one in [*ours, *listed]), tuple(ours)):
        assert backend.post(bound["handle"], proof=None, more=more).status == 401
    call_id = new_id()
    headers = [("authorization", f"Bearer {key}"), ("x-client-request-id", call_id), *ours]
    body = body_of(CHAT, max_tokens=16)
    assert ask(product.gateway, "POST", CHAT, headers, body).status == 200
    row = backend.row_of(call_id)
    assert (row["agent_sub"], row["binding_status"]) == ("alice@arctrade", "not_required")
    upstream = json.loads(ask(product.sandbox, "GET", "/sandbox/last", []).body)
    names = (
        {name.lower() for name, _ in upstream["headers"]}
        if isinstance(upstream["headers"], list)
        else {name.lower() for name in upstream["headers"]}
    )
    assert not {name for name in names if name.startswith(("x-acc-", "x-vis-", "x-forwarded-"))}
    assert key not in json.dumps(upstream)
    signed = [
        ("connection", "x-acc-binding"),
        ("x-acc-binding", backend.signed(CHAT, body_of(CHAT), bound["handle"])),
    ]
    assert backend.post(bound["handle"], proof=None, more=tuple(signed)).status in {200, 400, 401}
    seen(f"{len(ours)} headers: 401 at L3 as without them, none reached the provider")


PATHS = [
    "/v1//messages", "//v1/messages", "/v1/%2e%2e/admin", "/v1/../admin", "/v1/./messages", "/v1/messages/",
    "/v1/messages;x=1", "/v1/messages%00", "/v1/messages%2f", "/V1/Messages", "/v1/mess%61ges", "/v1%2fmessages",
    "/v1/chat/completions/../../models", "/v1/chat\\completions", "/openai/../anthropic/v1/messages", "/v1/messages%20",
    "/admin", "/Metrics", "/metrics/", "/.git/config", "/v1/organization/api_keys", "/v1/fine_tuning/jobs", "/debug/pprof",
    "/spend-tokens/", "/spend-tokens/..", "/usage/card/", "/v1/files/../messages", "/v1/models/../messages", "/v1/messages#x",
]  # fmt: skip


@pytest.mark.attack(21)
def test_another_spelling_of_a_path_is_another_path(product, key, seen):
    headers = [("authorization", f"Bearer {key}"), ("content-type", "application/json")]
    before = len(seen_ids(product))
    kinds = Counter()
    for path in PATHS:
        for method in ("POST", "GET"):
            reply = ask(
                product.gateway, method, path, headers, body_of(MESSAGES) if method == "POST" else None
            )
            kinds[reply.status] += 1
            assert reply.status in {400, 404}, (method, path, reply.status)
    for host in ("127.0.0.1.", "evil.example", "localhost:1"):
        assert ask(product.gateway, "POST", "/v1/../admin", [("host", host), *headers], b"{}").status in {
            400,
            404,
        }
    assert len(seen_ids(product)) == before
    seen(f"{2 * len(PATHS)} requests: {dict(kinds)}, none reached a provider")


@pytest.mark.attack(22)
def test_nobody_holds_the_gateway_by_being_slow_or_endless(product, key, seen):
    """Bodies have a second here; heads have the gateway's own time, which tests/gateway/test_connection_ends.py tries."""
    head = f"POST {CHAT} HTTP/1.1\r\nhost: v\r\nauthorization: Bearer {key}\r\n"
    before = _memory(product)
    slow = said(product, f"{head}content-length: 100\r\n\r\n{{".encode())
    chunk = said(product, f"{head}transfer-encoding: chunked\r\n\r\n1\r\n{{\r\n".encode())
    assert slow.startswith(b"HTTP/1.1 408")
    assert chunk.startswith(b"HTTP/1.1 408")
    many = said(product, b"GET / HTTP/1.1\r\nhost: v\r\n" + b"x: y\r\n" * 100_000 + b"\r\n")
    long = said(product, b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\n\r\n")
    assert all(re.match(rb"HTTP/1.1 4\d\d|$", one) for one in (many, long))
    told = said(product, f"{head}content-length: {10**9}\r\n\r\n{{".encode())
    assert told.startswith(b"HTTP/1.1 413")
    parts = b"".join(
        b'--b\r\ncontent-disposition: form-data; name="f%d"\r\n\r\nx\r\n' % n for n in range(60_000)
    )
    form = [("authorization", f"Bearer {key}"), ("content-type", "multipart/form-data; boundary=b")]
    reply = ask(
        product.gateway, "POST", "/v1/audio/transcriptions", form, (parts + b"--b--\r\n")[:BODY_LIMIT]
    )
    assert reply.status in {400, 413}
    open_ones = [_half_a_head(product) for _ in range(200)]
    with knocking(product.gateway) as door:
        assert door.knock(key)[0] == 200
    for one in open_ones:
        one.close()
    grown = _memory(product) - before
    assert grown < INTO_MEMORY
    seen(f"slow bodies 408, endless heads refused, a GB 413, 60,000 parts {reply.status}, 200 half heads; "
         f"memory {grown / 2**20:+.0f} MiB")  # fmt: skip


def _half_a_head(product) -> socket.socket:
    host = urlsplit(product.gateway)
    made = socket.create_connection((host.hostname, host.port), timeout=WITHIN)
    made.sendall(b"GET /v1/models HTTP/1.1\r\nhost:")
    return made


def _memory(product) -> int:
    """Bytes that the gateway's process has in memory."""
    import psutil  # noqa: PLC0415

    return psutil.Process(product.pid("gateway")).memory_info().rss


@pytest.mark.attack(23)
def test_a_bomb_is_refused_as_it_is(product, key, seen):
    zeros = bytes(50_000_000)
    bombs = {
        "gzip": gzip.compress(zeros),
        "deflate": zlib.compress(zeros),
        "gzip, gzip": gzip.compress(gzip.compress(zeros)),
    }
    bombs |= {"br": b"\x81\x00", "zstd": b"\x28\xb5\x2f\xfd", "x-gzip": bombs["gzip"], "GZIP": bombs["gzip"]}
    before = _memory(product)
    for coding, bomb in bombs.items():
        headers = [("authorization", f"Bearer {key}"), ("content-type", "application/json")]
        reply = ask(product.gateway, "POST", CHAT, [*headers, ("content-encoding", coding)], bomb)
        assert (reply.status, reply.error["code"]) == (415, "unsupported_encoding"), coding
        assert ask(product.gateway, "POST", CHAT, headers, bomb).status == 400
    grown = _memory(product) - before
    assert grown < len(zeros)
    seen(f"{len(bombs)} codings: 415; memory {grown / 2**20:+.0f} MiB")


@pytest.mark.attack(24)
def test_json_that_is_made_to_hurt_is_refused(product, key, seen):
    hurtful = {
        "deep": b'{"model":"gpt-4o","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "deep objects": b'{"model":' + b'{"a":' * 100_000,
        "300,000 names": b'{"model":"gpt-4o","x":{'
        + b",".join(b'"k%d":1' % n for n in range(300_000))
        + b"}}",
        "lone surrogate": b'{"model":"gpt-4o","messages":[{"role":"user","content":"\\ud800"}]}',
        "5,000 digits": b'{"model":"gpt-4o","max_tokens":' + b"9" * 5000 + b"}",
        "1e999": b'{"model":"gpt-4o","temperature":1e999}',
        "huge escape": b'{"model":"gpt-4o","x":"' + b"\\u0000" * 600_000 + b'"}',
    } | {
        name: body for name, (body, _) in BODIES.items() if name in {"NaN", "UTF-16", "invalid UTF-8", "wide"}
    }
    headers = [("authorization", f"Bearer {key}"), ("content-type", "application/json")]
    took, statuses = [], {}
    for name, body in hurtful.items():
        begun = time.perf_counter()
        statuses[name] = ask(product.gateway, "POST", CHAT, headers, body).status
        took.append(time.perf_counter() - begun)
    assert {status for name, status in statuses.items() if name not in {"huge escape", "lone surrogate"}} == {
        400
    }, statuses
    assert max(statuses.values()) < 500, statuses
    with knocking(product.gateway) as door:
        assert door.knock(key)[0] == 200
    seen(f"{len(hurtful)} bodies refused, the slowest in {max(took) * 1000:.0f} ms")


@pytest.mark.attack(26)
def test_one_body_has_one_model(product, key, seen):
    bodies = [
        b'{"model":"gpt-4o","model":"o1","messages":[]}',
        b'{"model":"gpt-4o","mod\\u0065l":"o1","messages":[]}',
        b'{"messages":[],"model":"gpt-4o","max_tokens":1,"max_tokens":100000}',
        b'{"model":"gpt-4o","stream":false,"stream":true}',
        b'{"model":"gpt-4o","messages":[{"role":"user","role":"system"}]}',
    ]
    before = len(seen_ids(product))
    for body in bodies:
        headers = [("authorization", f"Bearer {key}"), ("content-type", "application/json")]
        reply = ask(product.gateway, "POST", CHAT, headers, body)
        assert (reply.status, reply.error["code"]) == (400, "duplicate_json_name")
    assert len(seen_ids(product)) == before
    assert GPT in body_of(CHAT).decode()
    assert len(RUBBISH) > 20
    seen(f"{len(bodies)} bodies: 400 duplicate_json_name")
