"""What a check of the ledger found: the first place where a log is not what was sealed of it, by name."""

from typing import Literal
from uuid import UUID

import msgspec

Kind = Literal[
    "edited", "missing", "doubled", "inserted", "gap", "stranger", "seal", "numbering", "segment", "head"
]
"""edited: a row's columns do not give its leaf. missing: a sealed row is gone. doubled: a number or an id twice. inserted: a row
that no seal has, below what is sealed. gap: a number that is missing and was not sealed. stranger: rows of a writer that never
was. seal: a head, its leaves or its signature. numbering, segment: of a project. head: one that is kept elsewhere."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`place` is the row's place in its log, where it is known, from 0."""

    kind: Kind
    log: str
    sentence: str
    writer_no: int | None = None
    number: int | None = None
    row_id: UUID | None = None
    place: int | None = None
