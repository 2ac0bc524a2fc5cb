"""A project's key out of its name, for whoever does not say one."""

import re

LONGEST = 8


def initials(name: str) -> str:
    """A key made of a name: HPC of Houston Power Contract, BILLING of billing; empty where nothing of it could stand in one."""
    words = re.findall(r"[A-Za-z0-9]+", name)
    text = "".join(word[0] for word in words) if len(words) > 1 else "".join(words)
    return text[:LONGEST].upper()
