"""Rate limits of keys, agents and projects: 429 in the caller's dialect with `retry-after` (budgets, issue part 9)."""

import json

import anthropic
import openai
import pytest

from gateway.calls import CHAT, MESSAGES, Caller, body_of, new_id


def limited(product, scope: str, *words: str) -> None:
    product.run("limit", "set", scope, *words)


@pytest.fixture(scope="module")
def throttled(product) -> Caller:
    """Three requests a minute for each key of this agent's project."""
    product.run("project", "add", "slow")
    product.run("agent", "add", "bot@arctrade", "--owner", "Bot")
    limited(product, "project:slow", "--requests-per-minute", "3")
    return Caller(product, product.issue(agent="bot@arctrade", project="slow"))


def statuses(caller: Caller, calls: int, path: str = CHAT) -> list[int]:
    return [caller.post(path, new_id()).status for _ in range(calls)]


def test_the_fourth_request_of_a_minute_is_told_when_to_come_again(throttled, product):
    product.until(lambda: 429 in statuses(throttled, 1))
    call = new_id()
    reply = throttled.post(MESSAGES, call)
    assert reply.status == 429
    assert 1 <= int(reply.header("retry-after")) <= 61
    assert json.loads(reply.body)["error"]["type"] == "rate_limit_error"
    refused = product.query(
        "select count(*) as n from vis.request_logs where project_id = 'slow' and reason = 'rate_limited' and status_code = 429"
    )
    assert refused[0]["n"] >= 1


def test_official_clients_see_their_own_rate_limit_error(throttled, product):
    product.until(lambda: 429 in statuses(throttled, 1))
    chat = openai.OpenAI(api_key=throttled.key, base_url=f"{product.gateway}/v1", max_retries=0)
    with pytest.raises(openai.RateLimitError) as refused:
        chat.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x"}])
    assert refused.value.code == "rate_limited"
    claude = anthropic.Anthropic(api_key=throttled.key, base_url=product.gateway, max_retries=0)
    with pytest.raises(anthropic.RateLimitError):
        claude.messages.create(
            model="claude-haiku-4-5", max_tokens=9, messages=[{"role": "user", "content": "x"}]
        )


def test_lists_of_models_are_not_limited(throttled, product):
    product.until(lambda: 429 in statuses(throttled, 1))
    assert product.status(throttled.key) == 200


def test_tokens_that_calls_used_count_towards_the_minute(product):
    product.run("project", "add", "wordy")
    product.run("agent", "add", "wordy@arctrade", "--owner", "W")
    caller = Caller(product, product.issue(agent="wordy@arctrade", project="wordy"))
    limited(product, "agent:wordy@arctrade", "--tokens-per-minute", "5000")
    plan = {"usage": {"prompt_tokens": 400, "completion_tokens": 600}}

    def is_limited() -> bool:
        return caller.post(CHAT, new_id(), body_of(CHAT), **plan).status == 429

    product.until(is_limited)
    passed = product.query(
        "select coalesce(sum(input_tokens + output_tokens), 0) as tokens, count(*) as n from vis.request_logs where project_id = 'wordy' and decision = 'allowed'"
    )[0]
    assert passed["tokens"] >= 5000 - 1000


def test_a_call_that_is_larger_than_a_minute_s_tokens_is_told_that_no_wait_helps(product):
    product.run("project", "add", "tiny")
    product.run("agent", "add", "tiny@arctrade", "--owner", "T")
    caller = Caller(product, product.issue(agent="tiny@arctrade", project="tiny"))
    limited(product, "agent:tiny@arctrade", "--tokens-per-minute", "10")
    large = body_of(CHAT, messages=[{"role": "user", "content": "word " * 100}])

    def is_refused() -> bool:
        return caller.post(CHAT, new_id(), large).status == 413

    product.until(is_refused)
