"""Attacks 35 to 37: what the product itself calls (promises B5, S3). Deeper: tests/jobs/test_burn.py, tests/gateway/test_providers.py."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import click
import pytest

from attacks.attacker import knocking, logs
from gateway.calls import CHAT, ask, body_of
from visionality.cli import providers
from visionality.jobs.deliver import NotDelivered, _post, signature
from visionality.runtime.destination import is_refused

METADATA = [
    "http://169.254.169.254/v1", "http://169.254.170.2/v1", "http://[fe80::1]/v1", "http://[::ffff:169.254.169.254]/v1",
    "http://2852039166/v1", "http://0xa9fea9fe/v1", "http://0251.0376.0251.0376/v1", "http://169.254.43518/v1",
    "http://[fd00:ec2::254]/v1", "http://100.100.100.200/v1", "http://0.0.0.0/v1", "http://[::]/v1",
]  # fmt: skip
ODD = [
    "http://user:password@provider.example/v1", "https://api.openai.com@evil.example/v1", "file:///etc/passwd",
    "gopher://provider.example/v1", "http:///v1", "http://provider.example:99999/v1", "https://provider.example/v1?x=1",
    "https://provider.example/v1#x", "http://provider.example/ v1", "ftp://provider.example/v1",
]  # fmt: skip
KEY = "sk-canary-0123456789abcdefghijklmnop"


@contextmanager
def server(*answers: tuple[int, dict[str, str], str]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these answers, the last of them for ever; `{key}` in one is the key that it was sent."""
    paths: list[str] = []
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            paths.append(f"{self.command} {self.path}")
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            sent = body.replace(
                "{key}", self.headers.get("authorization", "").removeprefix("Bearer ")
            ).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value.replace("{key}", KEY))
            self.send_header("content-length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.server_port}", paths
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()


@pytest.fixture(scope="module")
def key(product) -> str:
    """Without a cap, so that what has no price is called too."""
    return product.issue()


@pytest.mark.attack(35)
def test_the_machines_metadata_service_is_no_place_to_send_to(product, seen):
    """In every spelling; the commands are asked in two."""
    assert not [url for url in METADATA if not is_refused(urlsplit(url).hostname)]
    for words in (("provider", "add", "vllm", "--base-url"), ("alert", "channel", "add", "webhook")):
        for url in (METADATA[0], METADATA[4]):
            done = product.try_run(*words, url, stdin=f"{KEY}\n")
            assert done.returncode != 0, (words, url)
            assert "metadata service" in done.stderr
    assert not [
        host for host in ("127.0.0.1", "10.0.0.5", "llm.acme.example", "2001:db8::1", "") if is_refused(host)
    ]
    seen(f"{len(METADATA)} spellings of metadata services refused for providers and webhooks")


@pytest.mark.attack(35)
def test_an_address_that_says_two_things_is_none(seen):
    for url in ODD:
        with pytest.raises(click.UsageError):
            providers._address("vllm", url)
    seen(f"{len(ODD)} odd addresses refused")


@pytest.mark.attack(35)
def test_a_redirect_is_not_followed(product, key, seen):
    with (
        server((200, {}, "inner")) as (inner, reached),
        server((302, {"location": inner}, "")) as (outer, paths),
    ):
        product.run("provider", "add", "redirecting", "--base-url", f"{outer}/v1", stdin=f"{KEY}\n")
        call = ("POST", f"/redirecting{CHAT}", [("authorization", f"Bearer {key}")], body_of(CHAT))
        product.until(lambda: (ask(product.gateway, *call), paths)[1])
        for status in (301, 302, 303, 307, 308):
            assert ask(product.gateway, *call).status != 200, status
        with pytest.raises(NotDelivered):
            _post(f"{outer}/hook", {}, b"{}")
        assert reached == []
    seen("provider and webhook: the answer 302 is the end")


@pytest.mark.attack(36)
def test_a_webhook_tells_a_forged_a_changed_and_an_old_one(seen):
    """As its receiver checks it (Standard Webhooks): with the key, over id, time and bytes."""
    key, body = b"k" * 32, b'{"type":"budget_burn"}'
    sent = signature(key, "msg_1", "1763800000", body)
    expected = hmac.digest(key, b"msg_1.1763800000." + body, hashlib.sha256)
    assert sent == f"v1,{base64.b64encode(expected).decode()}"
    forged = [
        signature(b"x" * 32, "msg_1", "1763800000", body),
        signature(key, "msg_2", "1763800000", body),
        signature(key, "msg_1", "1763800001", body),
        signature(key, "msg_1", "1763800000", body + b" "),
        signature(key, "msg_1.1763800000", "", body),
    ]
    assert sent not in forged
    seen(
        f"{len(forged)} changes each change the signature; delivered once under one id (tests/jobs/test_burn.py)"
    )


@pytest.mark.attack(37)
def test_a_provider_that_says_our_key_back_is_not_passed_on(product, key, seen):
    error = json.dumps(
        {"error": {"message": "Incorrect API key provided: {key}.", "type": "invalid_request_error"}}
    )
    with server((401, {"www-authenticate": 'Bearer error="{key}"'}, error)) as (place, paths):
        product.run("provider", "add", "tattler", "--base-url", f"{place}/v1", stdin=f"{KEY}\n")
        headers = [("authorization", f"Bearer {key}"), ("content-type", "application/json")]

        def called(**fields: object):
            return ask(product.gateway, "POST", f"/tattler{CHAT}", headers, body_of(CHAT, **fields))

        product.until(lambda: (called(), paths)[1])
        for reply in (called(), called(stream=True), called(max_tokens=5)):
            assert reply.status == 401
            assert KEY.encode() not in reply.body
            assert KEY not in str(reply.headers)
            assert b"Incorrect API key provided: [key]." in reply.body
    with knocking(product.gateway) as door:
        assert door.knock(key)[0] == 200
    assert not [name for name, text in logs(product).items() if KEY in text]
    seen("body, header and stream: the client reads [key]; no log has it")
