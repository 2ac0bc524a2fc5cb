"""A refusal of the gateway is an exception of the official SDKs, and of the class that its status means."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import msgspec
import openai
import pytest

from visionality.core.sse import payload
from visionality.gateway.dialects import CHAT_COMPLETIONS, MESSAGES

OPENAI = {
    400: (openai.BadRequestError, "invalid_request_error"), 401: (openai.AuthenticationError, "authentication_error"),
    402: (openai.APIStatusError, "insufficient_quota"), 403: (openai.PermissionDeniedError, "permission_error"),
    404: (openai.NotFoundError, "invalid_request_error"), 413: (openai.APIStatusError, "invalid_request_error"),
    429: (openai.RateLimitError, "rate_limit_error"), 500: (openai.InternalServerError, "server_error"),
    502: (openai.InternalServerError, "server_error"), 503: (openai.InternalServerError, "server_error"),
    504: (openai.InternalServerError, "server_error"),
}  # fmt: skip
ANTHROPIC = {
    400: (anthropic.BadRequestError, "invalid_request_error"), 401: (anthropic.AuthenticationError, "authentication_error"),
    402: (anthropic.APIStatusError, "billing_error"), 403: (anthropic.PermissionDeniedError, "permission_error"),
    404: (anthropic.NotFoundError, "not_found_error"), 413: (anthropic.APIStatusError, "request_too_large"),
    429: (anthropic.RateLimitError, "rate_limit_error"), 500: (anthropic.InternalServerError, "api_error"),
    502: (anthropic.InternalServerError, "api_error"), 503: (anthropic.InternalServerError, "api_error"),
    504: (anthropic.InternalServerError, "timeout_error"),
}  # fmt: skip
WORDS = 'no “budget” is left\n for "HPC"'


class Refuser(BaseHTTPRequestHandler):
    """Answers with the status that the model's name says, in the dialect of the path."""

    def do_POST(self):
        status = int(msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])))["model"])
        dialect = MESSAGES if self.path.endswith("/messages") else CHAT_COMPLETIONS
        body = dialect.error(status, "spend_token_blocked", WORDS, "req-1")
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        """Say nothing."""


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuser)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("status", "meaning"), OPENAI.items())
def test_the_openai_sdk_raises_what_the_status_means(address, status, meaning):
    with (
        openai.OpenAI(api_key="x", base_url=f"{address}/v1", max_retries=0) as client,
        pytest.raises(meaning[0]) as raised,
    ):
        client.chat.completions.create(model=str(status), messages=[])
    error = raised.value
    assert (error.status_code, error.code, error.type, error.param) == (
        status,
        "spend_token_blocked",
        meaning[1],
        None,
    )
    assert error.body["message"] == WORDS


@pytest.mark.parametrize(("status", "meaning"), ANTHROPIC.items())
def test_the_anthropic_sdk_raises_what_the_status_means(address, status, meaning):
    with (
        anthropic.Anthropic(api_key="x", base_url=address, max_retries=0) as client,
        pytest.raises(meaning[0]) as raised,
    ):
        client.messages.create(model=str(status), messages=[], max_tokens=1)
    error = raised.value
    assert error.status_code == status
    assert error.body == {
        "type": "error",
        "error": {"type": meaning[1], "message": WORDS, "code": "spend_token_blocked"},
        "request_id": "req-1",
    }


@pytest.mark.parametrize("status", [415, 418, 529, 599])
def test_other_statuses_have_a_type_too(status):
    for dialect in (CHAT_COMPLETIONS, MESSAGES):
        error = msgspec.json.decode(dialect.error(status, "c", "m", "r"))["error"]
        assert error["type"].endswith("_error")


def test_an_error_in_a_stream_is_one_event_of_the_dialect():
    event = MESSAGES.stream_error("ledger_unavailable", WORDS, "r")
    assert event.startswith(b"event: error\ndata: ")
    assert msgspec.json.decode(payload(event))["type"] == "error"
    event = CHAT_COMPLETIONS.stream_error("ledger_unavailable", WORDS, "r")
    assert msgspec.json.decode(payload(event))["error"]["code"] == "ledger_unavailable"
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 2
