"""A pack that is made while somebody waits for it, at a page or through the API: one at a time, and of few rows (S3)."""

from contextlib import AbstractContextManager
from tempfile import NamedTemporaryFile
from threading import Lock
from typing import BinaryIO, cast
from uuid import UUID

from visionality.core.pack import ScopeKind
from visionality.core.period import Period
from visionality.evidence.keys import NoKeyYet
from visionality.evidence.packs import Asked, CannotMake, Made, Output, Place, RowsMode, make
from visionality.evidence.segment_rows import RowAltered
from visionality.web.issuing.packs import KEPT, record_pack
from visionality.web.plane import plane
from visionality.web.policy.acts import Act

CHECKED_AT_MOST = 50_000
"""Rows of a pack that is made here: some five seconds of reading."""
EMBEDDED_AT_MOST = 2_000
"""Rows that come along: some six million bytes."""
PATIENCE = 15
"""Seconds that whoever waits here waits for the sealer."""

_making = Lock()


class NotMade(Exception):
    """No pack was made; the message says why and what to do."""


def asked_here(org_id: UUID, kind: ScopeKind, name: str, period: Period, rows: RowsMode) -> Asked:
    """What is asked for, with the bound that holds here."""
    return Asked(
        org_id, kind, name, period, rows, EMBEDDED_AT_MOST if rows == "embedded" else CHECKED_AT_MOST
    )


def make_here(asked: Asked, doing: AbstractContextManager[Act]) -> Made:
    """Make it, check it, keep it, and write that down in the transaction of `doing`. Raises NotMade."""
    if not _making.acquire(blocking=False):
        raise NotMade("another one is being made: ask again in a moment")
    try:
        with cast("BinaryIO", NamedTemporaryFile()) as written:
            place = Place(plane().reader_dsn, plane().web_dsn, plane().keys, plane().clock)
            made = make(place, asked, Output(written), patience=PATIENCE)
            if made.size > KEPT:
                raise NotMade("it is larger than what is kept here: make it with `vis evidence pack`")
            with doing as act:
                record_pack(act, made, written)
    except (CannotMake, NoKeyYet, RowAltered) as refusal:
        raise NotMade(str(refusal)) from refusal
    finally:
        _making.release()
    return made
