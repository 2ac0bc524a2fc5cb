"""Issue 8, operating it: each line of a log is one JSON object, and none holds what a caller sent or a provider said."""

import json
import socket
import subprocess
import sys
from datetime import datetime
from urllib.parse import urlsplit

import pytest

from gateway.calls import CHAT, MESSAGES, Caller, ask, body_of, new_id
from product import PATIENCE, running, set_up

PROMPT, ANSWER = "prompt-Zebedee-is-ill", "answer-Zebedee-is-well"
IN_QUERY, IN_PATH, IN_HOST = "sk-in-query-1", "sk-in-path-2", "sk-in-host-3"
PASSWORD, COOKIE, HEADER, RAW = "a-password-4", "a-cookie-5", "a-header-6", "sk-raw-7"
SECRETS = (PROMPT, ANSWER, "Zebedee", IN_QUERY, IN_PATH, IN_HOST, PASSWORD, COOKIE, HEADER, RAW)
PROCESSES = ("gateway", "web", "jobs")
LEVELS = {"debug", "info", "warning", "error", "critical"}


@pytest.fixture(scope="module")
def product():
    with running() as product:
        set_up(product)
        yield product


def lines(product, name):
    return (product.data_dir / "logs" / f"{name}.log").read_text().splitlines()


def raw(address, data):
    host = urlsplit(address)
    with socket.create_connection((host.hostname, host.port), PATIENCE) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def call(someone):
    """Whole, failed and broken answers, and bodies that are none."""
    said = [{"role": "user", "content": PROMPT}]
    for path in (CHAT, MESSAGES):
        for plan in (
            {"text": ANSWER},
            {"status": 500, "error_type": ANSWER},
            {"garbage": True},
            {"content_length_lie": True},
        ):
            someone.post(path, new_id(), body_of(path, messages=said), **plan)
        for plan in (
            {"break_after_chunks": 1, "text": ANSWER},
            {"stream_error_after_chunks": 1},
            {"truncate": True},
        ):
            someone.post(path, new_id(), body_of(path, messages=said, stream=True), **plan)
        for body in (
            PROMPT.encode(),
            b'{"model": "' + PROMPT.encode(),
            b"\xff" * 40 + PROMPT.encode(),
            b"[" * 5000,
        ):
            someone.post(path, new_id(), body)


def intrude(product):
    """What strangers send to every door: secrets in paths, queries, hosts, headers, forms and no HTTP at all."""
    for name in PROCESSES:
        address = product.summary[name]
        for path in (
            f"/nope?key={IN_QUERY}",
            f"/{IN_PATH}",
            f"/login/{IN_PATH}",
            f'/figures/{IN_PATH}"x',
            f"/v1/chat/completions?key={IN_QUERY}",
        ):
            for method in ("GET", "POST", "BREW"):
                ask(
                    address,
                    method,
                    path,
                    [("authorization", f"Bearer {HEADER}"), ("cookie", f"vis_session={COOKIE}")],
                    b"",
                )
        form = [("content-type", "application/x-www-form-urlencoded")]
        ask(address, "POST", "/login", form, f"login=x&password={PASSWORD}".encode())
        ask(address, "GET", "/", [("host", f"{IN_HOST}.example")])
        for data in (
            f"GARBAGE {RAW}\r\n\r\n",
            f"GET /{RAW} HTTP/9.9\r\n\r\n",
            f"GET / HTTP/1.1\r\n{RAW}\r\n\r\n",
        ):
            raw(address, data.encode())


def test_what_strangers_clients_and_providers_say_is_in_no_log(product):
    someone = Caller(product, product.issue())
    call(someone)
    intrude(product)
    told = "\n".join(line for name in PROCESSES for line in lines(product, name))
    assert "Not Found" in told  # the pages did log something
    for secret in (*SECRETS, someone.key, someone.key.rpartition("_")[2]):
        assert secret not in told
    for name in PROCESSES:
        for line in lines(product, name):
            assert_is_one_object(line)


def assert_is_one_object(line):
    said = json.loads(line)
    assert datetime.fromisoformat(said["timestamp"]).utcoffset() is not None
    assert said["level"] in LEVELS
    assert said["event"]
    assert said["process"]


PROGRAM = """
import asyncio, gc, logging, sys, threading, warnings
from visionality.runtime.logging import configure
configure("gateway")
import structlog
secret = "sk-in-an-exception"
def fails(): raise ValueError(secret)
warnings.warn("a warning of Python's")
logging.getLogger("uvicorn.error").error("Exception in ASGI application\\n", exc_info=None)
try:
    try: fails()
    except ValueError as error: raise RuntimeError(secret) from error
except RuntimeError:
    structlog.get_logger().exception("call_failed", request_id="r1")
    logging.getLogger("anything").exception("it failed")
threading.Thread(target=fails).start()
async def main():
    async def forgotten(): fails()
    task = asyncio.ensure_future(forgotten())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
asyncio.run(main())
gc.collect()
class Breaks:
    def __del__(self): fails()
one = Breaks(); del one
fails()
"""


def test_an_exception_is_one_line_with_its_type_and_places_and_not_what_it_says():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    told = done.stderr.splitlines()
    for line in told:
        assert_is_one_object(line)
    events = [json.loads(line)["event"] for line in told]
    assert {"call_failed", "it failed", "thread_failed", "unraisable", "uncaught"} <= set(events), events
    assert any(event.startswith("Task exception was never retrieved") for event in events)
    assert "sk-in-an-exception" not in done.stderr
    chained = json.loads(told[events.index("call_failed")])["exception"]
    assert chained.startswith("builtins.RuntimeError")
    assert "after builtins.ValueError" in chained
    assert "in fails" in chained
