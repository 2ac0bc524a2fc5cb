"""The lines of a first call, ready to be pasted, for each provider that one key pays for.

None holds a key: they name the variable that does, as `vis ide setup` does.
"""

import json
from collections.abc import Callable

KEY = "VIS_KEY"
PROMPT = "Say in one sentence what a ledger is."
_JSON = "content-type: application/json"


def first_call(gateway: str, providers: tuple[str, ...]) -> str:
    """A call by curl of the first of these providers that it is known of, or of the simulated one."""
    name = next((name for name in CALLS if name in providers), "anthropic")
    return CALLS[name](gateway)


def _anthropic(gateway: str) -> str:
    body = {"model": "claude-sonnet-4-6", "max_tokens": 100, "messages": _said()}
    return _curl(f"{gateway}/v1/messages", [f"x-api-key: ${KEY}", "anthropic-version: 2023-06-01"], body)


def _openai(gateway: str) -> str:
    return _chat(f"{gateway}/v1", "gpt-5.1")


def _google(gateway: str) -> str:
    address = f"{gateway}/v1beta/models/gemini-2.5-flash:generateContent"
    return _curl(address, [f"x-goog-api-key: ${KEY}"], {"contents": [{"parts": [{"text": PROMPT}]}]})


def _openrouter(gateway: str) -> str:
    return _chat(f"{gateway}/openrouter/v1", "openai/gpt-5.1")


def _chat(base: str, model: str) -> str:
    return _curl(
        f"{base}/chat/completions", [f"authorization: Bearer ${KEY}"], {"model": model, "messages": _said()}
    )


def _said() -> list[dict[str, str]]:
    return [{"role": "user", "content": PROMPT}]


def _curl(address: str, headers: list[str], body: object) -> str:
    told = "".join(f' \\\n  -H "{header}"' for header in [*headers, _JSON])
    return f"curl {address}{told} \\\n  -d '{json.dumps(body)}'"


CALLS: dict[str, Callable[[str], str]] = {
    "anthropic": _anthropic,
    "openai": _openai,
    "google": _google,
    "openrouter": _openrouter,
}
