"""OpenAI's Files, as far as batches need them: upload, look, read, delete.

Source: the types of openai-python (3.54) and openai-openapi, "Files".
"""

import time
from dataclasses import dataclass, field
from typing import Final

from visionality.sandbox.batch import Download, Json
from visionality.sandbox.chat_completions import invalid
from visionality.sandbox.dialect import new_serial
from visionality.sandbox.exchange import Exchange
from visionality.sandbox.form import file_of
from visionality.sandbox.plan import NO_PLAN, Plan
from visionality.sandbox.shelf import Shelf

PATH: Final = "/v1/files"


@dataclass(frozen=True, slots=True)
class File:
    """A file that is kept. Its content comes as its plan has it."""

    name: str
    purpose: str
    size_bytes: int
    content: Download
    id: str = field(default_factory=lambda: f"file-{new_serial()}")
    created_s: int = field(default_factory=lambda: int(time.time()))

    def told(self) -> Json:
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size_bytes,
            "created_at": self.created_s,
            "expires_at": None,
            "filename": self.name,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


class Files:
    """The files of one sandbox."""

    def __init__(self) -> None:
        self._shelf: Shelf[File] = Shelf()

    def keep(self, name: str, purpose: str, lines: list[bytes], plan: Plan) -> File:
        disposition = f'attachment; filename="{name}"'.encode("ascii", "replace")
        headers = (b"content-type", b"application/octet-stream"), (b"content-disposition", disposition)
        file = File(name, purpose, sum(map(len, lines)), Download(lines, plan, headers))
        self._shelf.put(file.id, file, file.size_bytes)
        return file

    def find(self, file_id: str) -> File:
        """Raises Refusal when there is no such file."""
        file = self._shelf.get(file_id)
        if file is None:
            raise invalid(f"No such File object: {file_id}", status=404, param="id")
        return file

    def tell(self, exchange: Exchange, body: bytes, plan: Plan) -> Json | Download:  # noqa: ARG002 - a file has its own
        """The answer to a request about files. Raises Refusal."""
        file_id, _, verb = exchange.path.removeprefix(PATH).removeprefix("/").partition("/")
        match exchange.method, file_id, verb:
            case "POST", "", "":
                return self._upload(body).told()
            case "GET", _, "" if file_id:
                return self.find(file_id).told()
            case "GET", _, "content":
                return self.find(file_id).content
            case "DELETE", _, "" if file_id:
                self.find(file_id)
                self._shelf.drop(file_id)
                return {"id": file_id, "object": "file", "deleted": True}
        raise invalid(f"Invalid URL ({exchange.method} {exchange.path}).", status=404)

    def _upload(self, body: bytes) -> File:
        fields, name, content = file_of(body)
        purpose = fields.get("purpose")
        if not isinstance(purpose, str):
            raise invalid("'purpose' is a required property", param="purpose")
        return self.keep(name, purpose, content.splitlines(keepends=True), NO_PLAN)
