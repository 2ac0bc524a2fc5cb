"""The fields of a request: of a JSON body, or of a form (RFC 7578) as the official SDKs write it."""

import re
from typing import Any, Final

import msgspec

from visionality.sandbox.chat_completions import decode, invalid

_NAME: Final = re.compile(
    rb'content-disposition: form-data; name="([^"]+)"(?:; filename="([^"]*)")?', re.IGNORECASE
)
_BAD_FORM: Final = "Could not parse multipart form"

Fields = dict[str, Any]


def fields_of(body: bytes) -> Fields:
    """The fields; a file is None. Raises Refusal when the body is neither."""
    if body.startswith(b"--"):
        return {name: value for name, value, _ in _parts(body)}
    decode(body)
    fields: Fields = msgspec.json.decode(body)
    return fields


def file_of(body: bytes) -> tuple[Fields, str, bytes]:
    """The fields of a form, and the name and the content of its only file. Raises Refusal when it has not one."""
    parts = _parts(body)
    files = [file for _, value, file in parts if value is None]
    if len(files) != 1:
        raise invalid("'file' is a required property", param="file")
    return {name: value for name, value, _ in parts}, *files[0]


def _parts(body: bytes) -> list[tuple[str, str | None, tuple[str, bytes]]]:
    """Each part: its name, its value if it is no file, and its file name and content."""
    delimiter = b"\r\n" + body.partition(b"\r\n")[0]
    parts = []
    for part in (b"\r\n" + body).split(delimiter)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        found = _NAME.search(head)
        if found is None:
            raise invalid(_BAD_FORM)
        value = content.decode() if found[2] is None else None
        parts.append((found[1].decode(), value, ((found[2] or b"").decode(), content)))
    return parts
