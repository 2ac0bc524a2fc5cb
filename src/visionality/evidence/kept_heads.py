"""Heads that are kept elsewhere, read back to be held against the ledger."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from visionality.core.checkpoint import BadNote
from visionality.core.proven_head import BadHead, read_all
from visionality.evidence.heads import LOGS
from visionality.evidence.places._core import NotKept, Place
from visionality.evidence.verification import KeptHead


def of_file(content: bytes, where: str, org_id: UUID) -> list[KeptHead]:
    """The heads of a file: a note, or lines with their proofs. Raises BadHead where one is of another organisation, BadNote."""
    found = []
    for one in read_all(content):
        note = one.note()
        _, _, rest = note.checkpoint.origin.partition("/")
        whose, _, name = rest.partition("/")
        log = next((log for log in LOGS if log == name), None)
        if log is None or whose != str(org_id):
            raise BadHead(
                f"{where} has a head of {note.checkpoint.origin}, which is no log of this organisation"
            )
        found.append(KeptHead(org_id, log, note, where))
    return found


def of_places(places: Sequence[Place], installation_id: UUID, org_id: UUID) -> Iterator[KeptHead]:
    """The newest heads of an organisation in each place that answers."""
    for place in places:
        for log in LOGS:
            try:
                kept = place.newest(f"{installation_id}/{org_id}/{log}")
                if kept is not None:
                    yield KeptHead(org_id, log, kept.note(), place.name)
            except (NotKept, BadHead, BadNote):
                continue  # the publisher tells of places that do not answer
