"""Providers, one file each, in reading order."""

from visionality.gateway.providers._core import Provider, Route
from visionality.gateway.providers.anthropic import ANTHROPIC
from visionality.gateway.providers.compatible import NAME, OPENROUTER, compatible
from visionality.gateway.providers.openai import OPENAI

PROVIDERS: tuple[Provider, ...] = (OPENAI, ANTHROPIC, OPENROUTER)
BY_NAME = {provider.name: provider for provider in PROVIDERS}

__all__ = ["ANTHROPIC", "BY_NAME", "NAME", "OPENAI", "PROVIDERS", "Provider", "Route", "compatible"]
