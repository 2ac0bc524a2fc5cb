"""Server-sent events, cut where the events end (WHATWG HTML, section 9.2).

Sans-I/O: bytes come in as the network cut them and go out as whole events, unchanged. Line ends are LF or CRLF;
comments, unknown fields and several `data` lines are kept as they are.
"""

import re

EVENT_LIMIT = 4 * 1024 * 1024
"""An event longer than this is passed on in pieces of this size, unread: no provider sends text in one."""

_END = re.compile(rb"\n\r?\n")
_BEFORE_END = 2
"""Bytes of an end that may have come already; as many are kept back when an event is passed on in pieces."""


class Events:
    """Feed bytes, get whole events with their trailing blank line."""

    def __init__(self, limit: int = EVENT_LIMIT) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The events that end in these bytes. Time grows with the bytes fed, however small the pieces."""
        if not self._rest and b"\r" not in data and 0 <= data.find(b"\n\n") == len(data) - 2 < self._limit:
            return [data]  # one event, as providers mostly send them
        search_from = max(0, len(self._rest) - _BEFORE_END)
        if self._rest:
            self._rest += data
        buffer = self._rest or data
        events = []
        start = 0
        while True:
            found = _END.search(buffer, search_from)
            search_from = end = found.end() if found else len(buffer)
            while end - start > self._limit + _BEFORE_END:
                events.append(bytes(buffer[start : start + self._limit]))
                start += self._limit
            if not found:
                break
            events.append(bytes(buffer[start:end]))
            start = end
        if self._rest:
            del self._rest[:start]
        else:
            self._rest += data[start:]
        return events

    def take_rest(self) -> bytes:
        """What has not ended yet; it is then no longer kept."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest


def payload(event: bytes) -> bytes:
    """The event's data: its `data` lines, joined by LF."""
    if event.startswith(b"data: ") and event.count(b"\n") <= 2:
        return event[6:].strip()
    return b"\n".join(line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:"))


def with_payload(event: bytes, data: bytes, changed: bytes) -> bytes:
    """The event with `changed` for its `data`; its other lines and its line ends stay."""
    if data in event:
        return event.replace(data, changed, 1)
    lines = event.splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if line.startswith(b"data:"))
    end = b"\r\n" if lines[first].endswith(b"\r\n") else b"\n"
    kept = [line for line in lines[first:] if not line.startswith(b"data:")]
    return b"".join([*lines[:first], *(b"data: " + line + end for line in changed.split(b"\n")), *kept])
