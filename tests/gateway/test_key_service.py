"""The product with its keys under a key service that comes and goes (promise K6)."""

import json
import urllib.error
import urllib.request

import pytest

from gateway.calls import CHAT, GPT
from product import PATIENCE, running, set_up
from vault.key_services import TOKEN, said
from vault.key_services import running as service_running


def call(product, key):
    """The status of a call that costs, and its code where it was refused."""
    asked = {"model": GPT, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(
        product.gateway + CHAT,
        json.dumps(asked).encode(),
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["error"]["code"]


def test_calls_go_on_while_the_key_service_is_away_and_only_new_secrets_wait(tmp_path, monkeypatch):
    with service_running("transit", tmp_path) as service, service.key() as master:
        monkeypatch.setenv("BAO_TOKEN", TOKEN)
        with running(key_provider=master.address) as product:
            set_up(product)
            assert not (product.data_dir / "master.key").exists()
            key = product.issue()
            product.run("provider", "add", "openai", "--base-url", f"{product.sandbox}/v1", stdin="sk-real\n")
            master.front.fault = lambda _: master.throttled
            product.until(lambda: call(product, key)[0] == 503)
            assert call(product, key) == (503, "key_service_unavailable")
            assert product.query("select reason from vis.request_logs order by created_at desc limit 1") == [
                {"reason": "key_service_unavailable"}
            ]
            master.front.fault = None
            assert call(product, key) == (200, None)

            master.front.fault = lambda _: master.throttled
            asked = len(master.front.asked)
            assert call(product, key) == (200, None)
            assert len(master.front.asked) == asked
            refused = product.try_run("provider", "add", "anthropic", stdin="sk-other\n")
            assert refused.returncode == 1
            assert refused.stderr.startswith("vis: the transit engine answered 429")


def test_a_start_with_a_disabled_key_ends_with_a_sentence(tmp_path, monkeypatch):
    with service_running("transit", tmp_path) as service, service.key() as master:
        monkeypatch.setenv("BAO_TOKEN", TOKEN)
        master.front.fault = lambda _: said(403, {"errors": ["permission denied"]})
        started = running(key_provider=master.address)
        with pytest.raises(AssertionError, match="403 to encrypt: permission denied") as refused, started:
            pass
        assert "Traceback" not in str(refused.value)
