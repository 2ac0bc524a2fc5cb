"""The keys that a build carries, when whoever built it put some in."""

from __future__ import annotations

import hashlib
import pkgutil
import sys
from pathlib import Path

from vis_verify.keys import Keys, read_list

NAME = "pinned.json"
"""Within the package, a list of keys as docs/audit/formats.md section 4 has it."""


def pinned() -> Keys | None:
    """The keys of this build. Raises BadKeys."""
    try:
        found = pkgutil.get_data("vis_verify", NAME)
    except OSError:
        return None
    return None if found is None else read_list(found.decode())


def own_digest() -> str | None:
    """SHA-256 of the zipapp that runs; None when it is no file of its own."""
    archive = Path(sys.argv[0])
    if not archive.is_file() or not str(__file__).startswith(str(archive.resolve())):
        return None
    return hashlib.sha256(archive.read_bytes()).hexdigest()
