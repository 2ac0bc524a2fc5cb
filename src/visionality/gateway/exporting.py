"""Whether spans are to be exported, by OpenTelemetry's own variables (opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables)."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class CannotExport(Exception):
    """An exporter is configured that this installation does not have. The text is a sentence for the operator."""


def exporter(environment: Mapping[str, str]) -> Any | None:
    """The class that makes spans of rows; None, and nothing loaded, where no endpoint is set. Raises CannotExport."""
    if not _is_wanted(environment):
        return None
    protocol = next((environment[name] for name in PROTOCOLS if environment.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        raise CannotExport(
            f"spans are exported by http/protobuf, and {PROTOCOLS[1]} or {PROTOCOLS[0]} says {protocol!r}: "
            "unset it, and give the collector's HTTP address, whose port is mostly 4318"
        )
    try:
        return import_module("visionality.gateway.spans").Spans
    except ModuleNotFoundError as missing:
        raise CannotExport(
            f"{ENDPOINTS[1]} or {ENDPOINTS[0]} is set, but {missing.name} is not installed: "
            "run `pip install 'visionality[otel]'`, or unset the variable"
        ) from None


def _is_wanted(environment: Mapping[str, str]) -> bool:
    """The specification's booleans are `true` in any case, and nothing else."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return False
    return any(environment.get(name, "").strip() for name in ENDPOINTS)
