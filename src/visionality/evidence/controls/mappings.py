"""What of other frameworks each control supports: data with a version, and the name of who reviewed it, null until somebody has.

Whoever changes the entries counts the version up and sets `reviewed_by` back to null. A control *supports* a clause; whether it
satisfies one is an auditor's to say, from the licensed texts.
"""

from functools import cache
from typing import Literal

import msgspec

from visionality.runtime.sql import text


class Mappings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As a pack carries them: docs/audit/formats.md, section 5."""

    entries: dict[str, dict[str, list[str]]]
    """Control, framework, clauses."""
    reviewed_by: str | None
    version: int
    wording: Literal["supports"]


@cache
def mappings() -> Mappings:
    return msgspec.json.decode(text("visionality.evidence.controls", "mappings.json"), type=Mappings)
