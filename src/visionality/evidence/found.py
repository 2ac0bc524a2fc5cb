"""What a check finds in one organisation, the first of each kind in each log, and how many more there are."""

from collections.abc import Iterator
from uuid import UUID

from msgspec.structs import replace

from visionality.core.finding import Finding, Kind

_LAST = 2**62


class Found:
    """Findings of one organisation, as they come in any order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._first: dict[tuple[str, Kind], Finding] = {}
        self._count: dict[tuple[str, Kind], int] = {}

    def add(
        self,
        kind: Kind,
        log: str,
        words: str,
        *,
        writer_no: int | None = None,
        number: int | None = None,
        row_id: UUID | None = None,
        place: int | None = None,
    ) -> None:
        """`words` say what is the matter, after the place has been named."""
        names = [f"organisation {self.name}", f"log {log}"]
        names += [f"writer {writer_no}"] if writer_no is not None else []
        names += [f"number {number}"] if number is not None else []
        found = Finding(
            kind=kind,
            log=log,
            sentence=f"{', '.join(names)}: {words}",
            writer_no=writer_no,
            number=number,
            row_id=row_id,
            place=place,
        )
        key = (log, kind)
        self._count[key] = self._count.get(key, 0) + 1
        if key not in self._first or _order(found) < _order(self._first[key]):
            self._first[key] = found

    def __len__(self) -> int:
        return len(self._first)

    def __iter__(self) -> Iterator[Finding]:
        for key, one in self._first.items():
            more = self._count[key] - 1
            yield replace(one, sentence=f"{one.sentence} ({more:,} more like this)") if more else one


def _order(found: Finding) -> tuple[int, int, int]:
    """First is what comes first in its log; where that is not known, what has the least number."""
    return (
        _LAST if found.place is None else found.place,
        -1 if found.writer_no is None else found.writer_no,
        -1 if found.number is None else found.number,
    )
