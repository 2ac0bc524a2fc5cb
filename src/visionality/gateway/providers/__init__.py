"""Providers, one file each, in reading order."""

from visionality.gateway.providers._core import Provider, Route, Signer
from visionality.gateway.providers.anthropic import ANTHROPIC
from visionality.gateway.providers.azure import AZURE
from visionality.gateway.providers.bedrock import BEDROCK
from visionality.gateway.providers.compatible import LITELLM, NAME, OPENROUTER, OWN_SEGMENTS, compatible
from visionality.gateway.providers.google import GOOGLE
from visionality.gateway.providers.openai import OPENAI

PROVIDERS: tuple[Provider, ...] = (OPENAI, ANTHROPIC, OPENROUTER, LITELLM, AZURE, BEDROCK, GOOGLE)
BY_NAME = {provider.name: provider for provider in PROVIDERS}

RESERVED = OWN_SEGMENTS | {route.path.split("/")[1] for provider in PROVIDERS for route in provider.routes}
RESERVED |= {alias for provider in PROVIDERS for alias in provider.aliases}
"""First segments of paths, which no other provider can have for its name."""


def named(name: str) -> Provider | None:
    """The provider of this name: a known one, else one that an operator sets up; None where it can be neither."""
    if name in BY_NAME:
        return BY_NAME[name]
    return compatible(name) if NAME.fullmatch(name) and name not in RESERVED else None


__all__ = ["ANTHROPIC", "BY_NAME", "GOOGLE", "OPENAI", "PROVIDERS", "Provider", "Route", "Signer", "named"]
