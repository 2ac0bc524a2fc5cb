"""What reading a JSON body costs, told from its bytes alone, slice by slice: the same for any cut into pieces.

A byte of plain text takes about a nanosecond of one core; the other weights were measured against it, the worst of a
kind, duplicates and all.
"""

import re

WEIGHT_LIMIT = 44_000_000
"""What reading one body may cost, in bytes of plain text; 32 MiB of that pass, with 10 million left for structure."""
SLICE = 16 * 1024

# What the contents of a slice weigh beside its bytes, of which each weighs 1.
WIDE = 2
"""A byte of a slice that is not all ASCII, `\\u` included, or of a string that has one: an emoji makes it all four times as large."""
WIDE_QUOTE = 80
"""A quotation mark in such a slice, beside its weight as any: even short texts are made dearly there."""
ESCAPED = 1
"""A byte of a slice with an escape, since the escapes must be counted."""
QUOTED = 2
"""A byte of a slice with an escaped quotation mark, and again of one with an escaped backslash before one."""
ESCAPE = 7
QUOTE = 50
NAME = 150
CONTAINER = 350
ELEMENT = 75
OUTSIDE = 8
"""A byte that is in no string and no white space."""
LONG = 20
"""Such a byte of a slice whose numbers are longer than a machine's: those are read digit by digit."""
DIGITS = 10
"""More than these a number, on the average of a slice, means that long ones are among them."""
SPACE = 2
"""A byte that is in no string."""
POINT = 100
EXPONENT = 600
"""A float with an exponent may be the dearest to read: 1e300, 5e-324."""

_has_wide_escape = re.compile(rb"\\u").search
_ESCAPED_AGAIN = rb"\u00"
"""How both of the escapes begin that are written for `\\"` and for the backslash before a quotation mark."""


def is_within_an_escape(text: bytes) -> bool:
    """Whether it ends between a backslash and what that escapes."""
    return text.endswith(b"\\") and (len(text) - len(text.rstrip(b"\\"))) % 2 == 1


class Scale:
    """Weighs a body slice by slice; no slice ends within an escape."""

    def __init__(self) -> None:
        self.weight = self.names = 0
        """Names are colons outside of strings."""
        self.is_in_string = False
        self._is_wide = False
        """Whether what has come of the string that is open is weighed as wide; otherwise, so many bytes are not."""
        self._narrow = 0

    def add(self, piece: bytes, *, is_text: bool = False) -> list[bytes]:
        """Weigh a slice, and return it cut where its strings begin and end. One that is text alone comes back whole.

        Quotation marks within strings are escaped by their number then, and mean the same.
        """
        has_escapes = b"\\" in piece
        is_ascii = piece.isascii() and not (has_escapes and _has_wide_escape(piece))
        self.weight += len(piece)
        if has_escapes:
            self.weight += ESCAPED * len(piece) + ESCAPE * piece.count(b"\\")
        if is_ascii and not self._is_wide:
            self._narrow += len(piece)
        else:
            self.weight += WIDE * (self._narrow + len(piece)) + WIDE_QUOTE * piece.count(b'"')
            self._narrow, self._is_wide = 0, True
        if self.is_in_string and b'"' not in piece:
            return [piece]
        if has_escapes and rb"\"" in piece:
            has_backslashes = b'\\\\"' in piece
            self.weight += (QUOTED + QUOTED * has_backslashes) * len(piece) + QUOTE * piece.count(b'"')
            if is_text:
                return [piece]
            if has_backslashes:
                piece = piece.replace(rb"\\", rb"\u005c")
            parts = piece.replace(rb"\"", rb"\u0022").split(b'"')
        else:
            parts = piece.split(b'"')
            self.weight += QUOTE * (len(parts) - 1)
        self._add_structure(b"".join(parts[self.is_in_string :: 2]))
        if len(parts) > 1:
            self.is_in_string ^= len(parts) % 2 == 0
            self._is_wide = self.is_in_string and not is_ascii
            self._narrow = 0 if self._is_wide else len(parts[-1]) - 6 * parts[-1].count(_ESCAPED_AGAIN)
        return parts

    def _add_structure(self, structure: bytes) -> None:
        dense = structure.translate(None, b" \t\r\n")
        names = dense.count(b":")
        exponents = dense.count(b"e") + dense.count(b"E") - dense.count(b"true") - dense.count(b"false")
        elements, containers = dense.count(b","), dense.count(b"[") + dense.count(b"{")
        is_long = len(dense) > DIGITS * (names + elements + containers + 1)
        self.names += names
        self.weight += (
            SPACE * len(structure)
            + (OUTSIDE + LONG if is_long else OUTSIDE) * len(dense)
            + NAME * names
            + ELEMENT * elements
            + CONTAINER * containers
            + POINT * dense.count(b".")
            + EXPONENT * exponents
        )
