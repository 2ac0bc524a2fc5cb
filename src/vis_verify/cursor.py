"""Reads JSON in its one form out of pieces of bytes, a value at a time, so that no tree of the whole is ever built."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterator
from typing import Any

from vis_verify.alike import Look
from vis_verify.canonical import DEEPEST, NotCanonical, NotStrict, check_depth, is_canonical, place, scan
from vis_verify.verdict import Code, Refused

MOST_CHARACTERS = 64 * 1024**2
"""Of one value, be it a row or a list of exceptions."""
_FORM = "the payload to be spelled as RFC 8785 has it"
_ASK = "refuse it: whoever made it did not follow the form, and two programs may read it differently"


class Cursor:
    """A place in a text that comes in pieces. Whatever it raises is Refused."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._text = ""
        self._at = 0
        self._digest = hashlib.sha256()
        self._is_over = False

    def peek(self) -> str:
        """The next character, "" at the end."""
        while self._at == len(self._text):
            if not self._more():
                return ""
        return self._text[self._at]

    def take(self, expected: str) -> None:
        found = self.peek()
        if found != expected:
            came = f"{found!r} stands there" if found else "it ends there"
            code = Code.FORM if found.isspace() else Code.UNREADABLE
            raise Refused(code, f"{expected!r} at a place of the payload", came, _ASK)
        self._at += 1

    def value(self) -> tuple[str, Any]:
        """The text of the next value, which is in its one form, and the value."""
        value, end = self._scanned()
        text = self._text[self._at : end]
        if not is_canonical(text, value):
            raise Refused(Code.FORM, _FORM, f"a value begins {text[:40]!r}", _ASK)
        if "[" in text or text.count("{") > DEEPEST:
            self._check_depth(value)
        self._at = end
        return text, value

    def look(self, look: Look) -> re.Match[str] | None:
        """What is found at this place of the text that is here."""
        return look(self._text, self._at)

    def pass_over(self, found: re.Match[str]) -> None:
        """Go on behind what `look` found."""
        self._at = found.end()

    def _scanned(self) -> tuple[Any, int]:
        """The next value, and where it ends in the text that is here: more of it is fetched when it is cut."""
        while True:
            try:
                value, end = scan(self._text, self._at)
            except NotStrict as refused:
                raise Refused(Code.UNREADABLE, "strict JSON", str(refused), _ASK) from None
            except NotCanonical as refused:
                raise Refused(Code.FORM, _FORM, str(refused), _ASK) from None
            except RecursionError:
                raise Refused(Code.UNREADABLE, "strict JSON", "it is nested without end", _ASK) from None
            except (StopIteration, ValueError):
                if self._more():
                    continue
                if self.peek().isspace():
                    raise Refused(Code.FORM, _FORM, "a space stands before a value", _ASK) from None
                came = "a value in it is not, or is cut"
                raise Refused(Code.UNREADABLE, "strict JSON", came, _ASK) from None
            if end < len(self._text) or not self._more():
                return value, end

    def names(self) -> Iterator[str]:
        """The names of an object, each before its value, which the caller reads."""
        self.take("{")
        last = None
        while self.peek() != "}":
            if last is not None:
                self.take(",")
            if self.peek() != '"':
                self.take('"')
            _, name = self.value()
            if last is not None and place(name) <= place(last):
                came = f"{name[:40]!r} stands after {last[:40]!r}"
                code = Code.UNREADABLE if name == last else Code.FORM
                raise Refused(code, "names of an object once each and in order", came, _ASK)
            self.take(":")
            yield name
            last = name
        self.take("}")

    def items(self) -> Iterator[None]:
        """One step for each item of a list, which the caller reads."""
        self.take("[")
        if self.peek() != "]":
            yield None
            while self.peek() == ",":
                self._at += 1
                yield None
        self.take("]")

    def end(self) -> str:
        """SHA-256 of all that was read. Raises Refused when something is left."""
        if self.peek():
            raise Refused(Code.UNREADABLE, "the payload to end with its object", "more follows", _ASK)
        return self._digest.hexdigest()

    def _check_depth(self, value: Any) -> None:
        try:
            check_depth(value)
        except NotStrict as refused:
            raise Refused(Code.UNREADABLE, "strict JSON", str(refused), _ASK) from None

    def _more(self) -> bool:
        """Whether there was more to read; what was used is let go."""
        if self._is_over:
            return False
        if len(self._text) - self._at > MOST_CHARACTERS:
            came = "one is longer"
            raise Refused(Code.UNREADABLE, f"values of at most {MOST_CHARACTERS} characters", came, _ASK)
        piece = next(self._pieces, b"")
        self._is_over = not piece
        self._digest.update(piece)
        try:
            more = self._decoder.decode(piece, self._is_over)
        except UnicodeDecodeError:
            raise Refused(Code.UNREADABLE, "UTF-8", "the payload is not", _ASK) from None
        if self._is_over:
            return False
        self._text, self._at = self._text[self._at :] + more, 0
        return True
