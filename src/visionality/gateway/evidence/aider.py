"""Aider: known by how its instructions begin, and nothing else; it says neither where nor for what (seen at 0.86.2)."""

from visionality.gateway.evidence.said import Found, Said

CLIENT = "aider"
_OPENINGS = ("Act as an expert software developer.\n", "Act as an expert code analyst.\n")


def read(said: Said) -> Found | None:
    """The client alone, or None when it is another one."""
    return Found(CLIENT) if said.begins(*_OPENINGS) else None
