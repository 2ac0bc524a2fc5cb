"""A multipart/form-data body (RFC 7578), read once and beside the bytes: its small fields, and how large its files are.

What one reader takes for the model and another does not would be a hole, so whatever leaves room for two readings is
refused: a boundary or a name given twice, an encoding of a field, a form that does not end.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from visionality.core.body import BadBody
from visionality.core.call import Headers, Request

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

PARTS_LIMIT = 128
FIELDS_LIMIT = 512 * 1024
"""Bytes of all fields that are no files; the longest prompt that OpenAI takes has 32,000 characters."""
BOUNDARY_LIMIT = 70
"""RFC 2046 section 5.1.1."""

FILE_BYTES = "file_bytes"
"""Under this name stands what the files of a form add up to."""

_PARAMETER = r';\s*[a-z]+\*?=(?:"(?:[^"\\]|\\.)*"|[^\s;"]+)\s*'
_DISPOSITION = re.compile(rf"form-data\s*(?:{_PARAMETER})+", re.IGNORECASE)
_PARAMETER_NAME = re.compile(r';\s*([a-z]+\*?)=(?:"(?:[^"\\]|\\.)*"|[^\s;"]+)', re.IGNORECASE)
_AS_IT_IS = frozenset({b"7bit", b"8bit", b"binary"})


def is_form(headers: Headers) -> bool:
    return any(name == b"content-type" and value[:10].lower() == b"multipart/" for name, value in headers)


def form_of(request: Request) -> dict[str, Any]:
    """The fields of a form as text, one whose name ends in `[]` as a list, and FILE_BYTES. Raises BadBody."""
    boundary = _boundary(request.headers)
    delimiter = b"\r\n--" + boundary
    if request.body.count(delimiter) > PARTS_LIMIT:
        raise BadBody("bad_request", f"the form has more than {PARTS_LIMIT} parts")
    if (
        delimiter + b" " in request.body or delimiter + b"\t" in request.body
    ):  # which the parser reads byte by byte
        raise BadBody("bad_request", "the form has white space behind a boundary")
    parts = _Parts()
    try:
        MultipartParser(boundary, parts.callbacks).write(request.body)
    except FormParserError as error:
        raise BadBody("bad_request", f"the body is not a valid form: {error}") from None
    if not parts.ended:
        raise BadBody("bad_request", "the form does not end with its boundary")
    return parts.fields | {FILE_BYTES: parts.file_bytes}


def is_yes(value: object) -> bool:
    """Whether a field of a form, or a member of a JSON body, switches something on."""
    return value is True or (isinstance(value, str) and value.strip().lower() not in {"", "false", "0", "no"})


def whole(value: object) -> object:
    """A number in a form is text; anything else stays what it is."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) else value


def _boundary(headers: Headers) -> bytes:
    types = [value for name, value in headers if name == b"content-type"]
    if len(types) != 1 or types[0].lower().count(b"boundary=") != 1:
        raise BadBody("bad_request", "send a form: one content-type multipart/form-data, with one boundary")
    media_type, options = parse_options_header(types[0])
    boundary = options.get(b"boundary", b"")
    if media_type.strip() != b"multipart/form-data" or not 0 < len(boundary) <= BOUNDARY_LIMIT:
        raise BadBody("bad_request", "expected multipart/form-data with a boundary of 1 to 70 characters")
    return boundary


class _Parts:
    """What the parser says, part by part. The bytes of a file are counted and not kept."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}
        self.file_bytes = 0
        self.ended = False
        self._room = FIELDS_LIMIT
        self._header = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._name: str | None = None
        self._value = b""

    @property
    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._headers.clear,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_headers_finished": self._begin,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._all,
        }

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = data[start:end].lower()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers.append((self._header, data[start:end]))

    def _begin(self) -> None:
        """The headers of a part are there: which field it is, or that it is a file."""
        headers: Mapping[bytes, bytes] = dict(self._headers)
        if len(headers) != len(self._headers):
            raise BadBody("bad_request", "a part of the form has a header twice")
        if headers.get(b"content-transfer-encoding", b"binary").strip().lower() not in _AS_IT_IS:
            raise BadBody("bad_request", "a part of the form has a content-transfer-encoding")
        disposition = headers.get(b"content-disposition", b"").strip().decode("latin-1")
        names = [name.lower() for name in _PARAMETER_NAME.findall(disposition)]
        if not _DISPOSITION.fullmatch(disposition) or len(set(names)) != len(names) or "name" not in names:
            raise BadBody("bad_request", "a part of the form has no name, or more than one")
        name = parse_options_header(disposition)[1][b"name"].decode("latin-1")
        self._name = None if "filename" in names or "filename*" in names else name
        self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._name is None:
            self.file_bytes += end - start
            return
        self._room -= end - start
        if self._room < 0:
            raise BadBody("bad_request", f"the fields of the form have more than {FIELDS_LIMIT} bytes")
        self._value += data[start:end]

    def _end(self) -> None:
        name = self._name
        if name is None:
            return
        try:
            value = self._value.decode()
        except UnicodeDecodeError:
            raise BadBody("bad_request", "a field of the form is not UTF-8") from None
        if name.endswith("[]"):
            self.fields.setdefault(name, []).append(value)
        elif name in self.fields:
            raise BadBody("duplicate_json_name", f"the form has the field `{name[:40]}` twice")
        else:
            self.fields[name] = value

    def _all(self) -> None:
        self.ended = True
