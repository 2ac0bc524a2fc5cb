"""What a key may do, beyond what it may spend: where it is used from, for what, and with which models (promise K1)."""

from collections.abc import Iterable, Mapping
from typing import Any

from visionality.core.call import Refusal
from visionality.core.narrowing import is_from, is_named
from visionality.registry.snapshot import Grant

CALL, MINT, EXCHANGE = "call", "mint", "exchange"
_MEANT = {CALL: "call models", MINT: "mint spend tokens", EXCHANGE: "be exchanged for a device's keys"}


def peer_of(scope: Mapping[str, Any]) -> str:
    """The address of whoever is connected."""
    peer = scope.get("client")
    return peer[0] if peer else ""


def check_scope(grant: Grant, scope: str) -> None:
    """Raise Refusal where the key is not for this."""
    if scope != EXCHANGE and EXCHANGE in grant.scopes:
        check_spends(grant)
    if scope not in grant.scopes:
        raise Refusal(
            403, "scope_denied", f"this key may not {_MEANT[scope]}: issue one with `--scope {scope}`"
        )


def check_spends(grant: Grant) -> None:
    """Raise Refusal for a device's credential, which is for nothing but to be exchanged."""
    if EXCHANGE in grant.scopes:
        raise Refusal(
            403,
            "scope_denied",
            "this is a device's credential: use the key that `vis-credential key` prints",
        )


def check_network(grant: Grant, address: str) -> None:
    """Raise Refusal where the key is pinned to other networks."""
    if not is_from(grant.networks, address):
        raise Refusal(403, "network_denied", "this key may not be used from this network")


def check_models(grant: Grant, provider: str, models: Iterable[str | None]) -> None:
    """Raise Refusal for a provider or a model that the key is not for; a call that names no model names none of its own."""
    if grant.providers and provider not in grant.providers:
        raise Refusal(403, "model_not_allowed", f"this key may not be used for {provider}")
    if not grant.models:
        return
    for model in models:
        if model is None:
            raise Refusal(403, "model_not_allowed", "this key is for certain models: name one in the request")
        if not is_named(grant.models, model):
            raise Refusal(403, "model_not_allowed", f"this key may not be used for {model}")


def fallbacks(document: dict[str, Any]) -> list[str | None]:
    """The further models that a body names for the case that the first is away (OpenRouter's `models`, `route`)."""
    named = document.get("models")
    if not isinstance(named, list):
        return []
    return [model if isinstance(model, str) else None for model in named]
