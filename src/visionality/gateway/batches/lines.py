"""Lines out of bytes as they come, however the network cut them (JSON Lines, jsonlines.org)."""

from collections.abc import Iterator


class Lines:
    """Fed the bytes of a file, it gives back its lines without their ends; None for one of more than `limit` bytes.

    Blank lines are given back too, so that lines can be counted.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._is_too_long = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """The lines that these bytes complete. All of them must be taken before more is fed."""
        *ends, rest = data.split(b"\n")
        for end in ends:
            self._keep(end)
            yield self._line()
        self._keep(rest)

    def finish(self) -> Iterator[bytes | None]:
        """The last line, where the file does not end with an end of line."""
        if self._size or self._is_too_long:
            yield self._line()

    def _keep(self, part: bytes) -> None:
        if self._size + len(part) > self._limit:
            self._is_too_long = True
        if self._is_too_long:
            self._parts, self._size = [], 0
        elif part:
            self._parts.append(part)
            self._size += len(part)

    def _line(self) -> bytes | None:
        line = None if self._is_too_long else b"".join(self._parts)
        self._parts, self._size, self._is_too_long = [], 0, False
        return line
