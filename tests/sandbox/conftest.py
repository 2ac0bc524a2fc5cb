"""A real server on a free loopback port, and the official clients of both vendors."""

import http.client
import json
import socket
import threading
from contextlib import closing

import anthropic
import openai
import pytest
import uvicorn

from visionality.sandbox.app import Sandbox


class Provider:
    """The running sandbox as its tests reach it."""

    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def call(self, method, path, *, body=None, headers=None):
        """The status, headers and body of one plain HTTP call."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def get(self, path):
        return json.loads(self.call("GET", path)[2])

    def chat(self, *, plan=None, **fields):
        """Chat Completions without an SDK, for answers that an SDK would not let through."""
        headers = {"authorization": "Bearer sk-any", **plan_header(plan)}
        return self.call("POST", "/v1/chat/completions", body=chat_body(**fields), headers=headers)

    def messages(self, *, plan=None, **fields):
        headers = {"x-api-key": "any", "anthropic-version": "2023-06-01", **plan_header(plan)}
        return self.call("POST", "/v1/messages", body=messages_body(**fields), headers=headers)


def plan_header(plan):
    return {} if plan is None else {"x-sandbox-plan": json.dumps(plan)}


def chat_body(**fields):
    return json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "two words"}]} | fields)


def messages_body(**fields):
    request = {"model": "claude-sonnet-4-6", "max_tokens": 100}
    return json.dumps(request | {"messages": [{"role": "user", "content": "two words"}]} | fields)


@pytest.fixture(scope="session")
def server_port():
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(Sandbox(), log_level="error", access_log=False, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield listener.getsockname()[1]  # the kernel queues connections until the server accepts them
    server.should_exit = True
    thread.join(timeout=5)
    listener.close()


@pytest.fixture
def provider(server_port):
    running = Provider(server_port)
    running.call("POST", "/sandbox/reset")
    return running


@pytest.fixture
def openai_client(provider):
    with openai.OpenAI(base_url=provider.url + "/v1", api_key="sk-any", max_retries=0, timeout=5) as client:
        yield client


@pytest.fixture
def anthropic_client(provider):
    with anthropic.Anthropic(base_url=provider.url, api_key="any", max_retries=0, timeout=5) as client:
        yield client
