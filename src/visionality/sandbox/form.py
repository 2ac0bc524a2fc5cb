"""The fields of a request: of a JSON body, or of a form (RFC 7578) as the official SDKs write it, files left out."""

import re
from typing import Any, Final

import msgspec

from visionality.sandbox.chat_completions import decode, invalid

_NAME: Final = re.compile(rb'content-disposition: form-data; name="([^"]+)"(; filename)?', re.IGNORECASE)
_BAD_FORM: Final = "Could not parse multipart form"

Fields = dict[str, Any]


def fields_of(body: bytes) -> Fields:
    """Raises Refusal when the body is neither."""
    if body.startswith(b"--"):
        return _form(body)
    decode(body)
    fields: Fields = msgspec.json.decode(body)
    return fields


def _form(body: bytes) -> Fields:
    delimiter = body.partition(b"\r\n")[0]
    fields: Fields = {}
    for part in body.split(delimiter)[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        found = _NAME.search(head)
        if found is None:
            raise invalid(_BAD_FORM)
        fields[found[1].decode()] = None if found[2] else value.removesuffix(b"\r\n").decode()
    return fields
