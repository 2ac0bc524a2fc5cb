"""Server-sent events, cut where the events end (WHATWG HTML, section 9.2).

Sans-I/O: bytes come in as the network cut them and go out as whole events, unchanged. Line ends are LF or CRLF;
comments, unknown fields and several `data` lines are kept as they are.
"""

import re

EVENT_LIMIT = 4 * 1024 * 1024
"""An event longer than this is passed on in pieces, unread: no provider sends one."""

_END = re.compile(rb"\r?\n\r?\n")


class Events:
    """Feed bytes, get whole events with their trailing blank line. `rest` is what has not ended yet."""

    def __init__(self) -> None:
        self.rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        buffer = self.rest + data if self.rest else data
        events = []
        start = 0
        search_from = max(0, len(self.rest) - 3)
        while end := _END.search(buffer, max(start, search_from)):
            events.append(buffer[start : end.end()])
            start = end.end()
        self.rest = buffer[start:]
        if len(self.rest) > EVENT_LIMIT:
            events.append(self.rest)
            self.rest = b""
        return events


def payload(event: bytes) -> bytes:
    """The event's data: its `data` lines, joined by LF."""
    if event.startswith(b"data: ") and event.count(b"\n") <= 2:
        return event[6:].strip()
    lines = []
    for line in event.splitlines():
        if line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
    return b"\n".join(lines)
