"""Promise K4: whichever HTTP library sends it, each attempt arrives with a proof of its own that holds."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import aiohttp
import anthropic
import httpx2
import openai
import pytest
import requests  # noqa: TID251 - the adapter under test is for it

import visionality_client
from clients.vectors import AUD, CALLER, KEY, KEY_ID
from visionality_client import BindingKey, CannotSign, Signer
from visionality_client.aiohttp_client import BindingMiddleware
from visionality_client.httpx2_auth import BindingAuth
from visionality_client.requests_adapter import BindingAdapter

TOKEN = "vis2_live_" + "aB3-_" * 20
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ASK = {"model": "m", "messages": [{"role": "user", "content": "Σύνολο ✓"}]}
FAILED = (500, {"retry-after-ms": "1"}, {"error": {"message": "once more"}})
LIMITED = (429, {"retry-after-ms": "1"}, {"error": {"message": "once more"}})
COMPLETION = (200, {}, {"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": []})
MESSAGE = (200, {}, {
    "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": "end_turn",
    "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
})  # fmt: skip
ODD = "/v1/files/a%2Fb%20c?after=x%2By&name=%CE%A3"


def moved(to: str) -> tuple[int, dict[str, str], dict[str, str]]:
    return 307, {"location": to}, {}


# ---------------------------------------------------------------- httpx and the SDKs upon it


def test_openai_signs_each_of_its_retries(gateway, signer):
    gateway.answers_with(FAILED, LIMITED, COMPLETION)
    client = openai.DefaultHttpxClient(auth=BindingAuth(signer))
    with openai.OpenAI(api_key=TOKEN, base_url=f"{gateway.url}/v1", http_client=client) as sdk:
        assert sdk.chat.completions.create(**ASK).id == "c"
    gateway.check(requests=3)
    assert {seen.credential for seen in gateway.seen} == {TOKEN}
    assert {seen.target for seen in gateway.seen} == {"/v1/chat/completions"}


async def test_openai_signs_each_of_its_retries_when_it_waits_for_others(gateway, signer):
    gateway.answers_with(FAILED, COMPLETION)
    client = openai.DefaultAsyncHttpxClient(auth=BindingAuth(signer))
    async with openai.AsyncOpenAI(api_key=TOKEN, base_url=f"{gateway.url}/v1", http_client=client) as sdk:
        assert (await sdk.chat.completions.create(**ASK)).id == "c"
    gateway.check(requests=2)


def test_anthropic_signs_each_of_its_retries(gateway, signer):
    gateway.answers_with(FAILED, LIMITED, MESSAGE)
    client = anthropic.DefaultHttpxClient(auth=BindingAuth(signer))
    with anthropic.Anthropic(api_key=TOKEN, base_url=gateway.url, http_client=client) as sdk:
        assert sdk.messages.create(max_tokens=9, **ASK).id == "m"
    gateway.check(requests=3)
    assert {seen.credential for seen in gateway.seen} == {TOKEN}


async def test_anthropic_signs_each_of_its_retries_when_it_waits_for_others(gateway, signer):
    gateway.answers_with(FAILED, MESSAGE)
    client = anthropic.DefaultAsyncHttpxClient(auth=BindingAuth(signer))
    async with anthropic.AsyncAnthropic(api_key=TOKEN, base_url=gateway.url, http_client=client) as sdk:
        assert (await sdk.messages.create(max_tokens=9, **ASK)).id == "m"
    gateway.check(requests=2)


def test_openai_signs_a_file_that_it_uploads(gateway, signer):
    gateway.answers_with((200, {}, {"id": "f"}))
    client = openai.DefaultHttpxClient(auth=BindingAuth(signer))
    with openai.OpenAI(api_key=TOKEN, base_url=f"{gateway.url}/v1", http_client=client) as sdk:
        assert sdk.files.create(file=("lines.jsonl", b"{}\n"), purpose="batch").id == "f"
    gateway.check(requests=1)
    assert gateway.seen[0].headers["content-type"].startswith("multipart/form-data; boundary=")


def test_httpx_signs_a_body_that_it_streams_and_a_target_as_it_is_sent(gateway, signer):
    with httpx2.Client(auth=BindingAuth(signer), headers=BEARER) as client:
        client.post(gateway.url + ODD, content=iter([b"a", b"b"]))
        client.get(gateway.url + ODD + "#fragment")
        client.get(f"{gateway.url}/v1/models?")
    gateway.check(requests=3)
    assert [seen.body for seen in gateway.seen] == [b"ab", b"", b""]
    assert gateway.seen[0].target == ODD


def test_httpx_of_before_version_2_is_signed_the_same_way(gateway, signer):
    httpx = pytest.importorskip("httpx", reason="httpx is not installed here, httpx2 is")
    from visionality_client.httpx_auth import BindingAuth as Legacy  # noqa: PLC0415

    gateway.answers_with(FAILED, COMPLETION)
    client = httpx.Client(auth=Legacy(signer))
    with openai.OpenAI(api_key=TOKEN, base_url=f"{gateway.url}/v1", http_client=client) as sdk:
        assert sdk.chat.completions.create(**ASK).id == "c"
    gateway.check(requests=2)


# ---------------------------------------------------------------- requests


def test_requests_signs_what_a_session_sends(gateway, signer):
    with requests.Session() as session:
        session.mount(f"{gateway.url}/", BindingAdapter(signer))
        session.headers.update(BEARER)
        session.post(f"{gateway.url}/v1/chat/completions", json=ASK)
        session.post(f"{gateway.url}/v1/a", data="text")
        session.post(f"{gateway.url}/v1/a", files={"file": ("a.txt", b"1")})
        session.get(gateway.url + ODD, params={"limit": "2"})
    gateway.check(requests=4)
    assert gateway.seen[3].target == f"{ODD}&limit=2"


def test_requests_signs_a_redirect_as_the_request_that_it_is(gateway, signer):
    gateway.answers_with(moved("/v2/chat/completions"), COMPLETION)
    with requests.Session() as session:
        session.mount(f"{gateway.url}/", BindingAdapter(signer))
        assert (
            session.post(f"{gateway.url}/v1/chat/completions", json=ASK, headers=BEARER).json()["id"] == "c"
        )
    gateway.check(requests=2)
    assert gateway.seen[1].target == "/v2/chat/completions"


def test_requests_sends_nothing_that_it_could_not_sign(gateway, signer):
    with requests.Session() as session:
        session.mount(f"{gateway.url}/", BindingAdapter(signer))
        with pytest.raises(CannotSign, match="give it as bytes"):
            session.post(f"{gateway.url}/v1/a", data=iter([b"a"]), headers=BEARER)
        with pytest.raises(CannotSign, match="none came"):
            session.post(f"{gateway.url}/v1/a", data=b"a")
    assert gateway.seen == []


# ---------------------------------------------------------------- aiohttp


async def test_aiohttp_signs_what_a_session_sends(gateway, signer):
    async def pieces():
        yield b"a"
        yield b"b"

    async with aiohttp.ClientSession(middlewares=(BindingMiddleware(signer),), headers=BEARER) as session:
        for body in (
            {"json": ASK},
            {"data": b"bytes"},
            {"data": "text"},
            {"data": pieces()},
            {"data": {"a": "1"}},
            {"data": {"file": BytesIO(b"1")}},
            {},
        ):
            async with session.post(f"{gateway.url}/v1/chat/completions", **body) as answer:
                assert answer.status == 200
        async with session.get(gateway.url + ODD, params={"limit": "2"}):
            pass
    gateway.check(requests=8)
    assert [seen.body for seen in gateway.seen[1:4]] == [b"bytes", b"text", b"ab"]


async def test_aiohttp_signs_a_redirect_and_a_repeat_as_the_requests_that_they_are(gateway, signer):
    async def once_more(request, handler):
        answer = await handler(request)
        if answer.status == 500:
            answer.release()
            return await handler(request)
        return answer

    gateway.answers_with(FAILED, moved("/v2/chat/completions"), COMPLETION)
    middlewares = (once_more, BindingMiddleware(signer))
    async with (
        aiohttp.ClientSession(middlewares=middlewares, headers=BEARER) as session,
        session.post(f"{gateway.url}/v1/chat/completions", json=ASK) as answer,
    ):
        assert (await answer.json())["id"] == "c"
    gateway.check(requests=3)


async def test_aiohttp_sends_nothing_that_it_would_change_after_it_was_signed(gateway, signer):
    async with aiohttp.ClientSession(middlewares=(BindingMiddleware(signer),), headers=BEARER) as session:
        with pytest.raises(CannotSign, match="compress it before"):
            await session.post(f"{gateway.url}/v1/a", data=b"a", compress="gzip")
    assert gateway.seen == []


# ---------------------------------------------------------------- all of them


def test_a_gateway_below_a_path_sees_what_was_signed(gateway):
    """An ingress takes the path away before the gateway sees the target."""
    signer = Signer(BindingKey(KEY_ID, KEY, AUD), CALLER, base_path="/ai")
    with requests.Session() as session:
        session.mount(f"{gateway.url}/", BindingAdapter(signer))
        session.post(f"{gateway.url}/ai/v1/messages", data=b"{}", headers=BEARER)
    (seen,) = gateway.seen
    assert seen.target == "/ai/v1/messages"
    assert not seen.proven
    assert seen.proven_at("/v1/messages")


def test_the_package_alone_imports_nothing_but_the_standard_library():
    program = (
        "import sys, visionality_client\n"
        "print({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names - {'__main__'})"
    )
    source = {"PYTHONPATH": str(Path(visionality_client.__file__).parents[1])}
    ran = subprocess.run(
        [sys.executable, "-S", "-c", program], env=source, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "{'visionality_client'}"
