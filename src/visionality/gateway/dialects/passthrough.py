"""Bytes that nobody understands here: passed on as they come, counted by nothing."""

from collections.abc import Mapping
from typing import Any

from visionality.core.call import Ask, Headers, Request
from visionality.core.usage import Metered, Usage
from visionality.gateway.dialects._core import Dialect, is_of_type


class PassThrough:
    """A dialect that understands nothing, and refuses in the words of the provider's own."""

    name = "passthrough"

    def __init__(self, own: Dialect) -> None:
        self.error = own.error
        self.error_headers = own.error_headers
        self.stream_error = own.stream_error

    def document(self, request: Request) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def ask(self, document: Mapping[str, Any], model: str | None = None) -> Ask:  # noqa: ARG002
        return Ask(None, stream=True, output_limit=None)

    def outgoing(self, request: Request, ask: Ask) -> bytes:  # noqa: ARG002
        return request.body

    def limited(self, body: bytes, document: Mapping[str, Any], limit: int) -> bytes | None:  # noqa: ARG002
        return None

    def streams(self, headers: Headers) -> bool:
        return is_of_type(headers, b"text/event-stream")

    def reader(self, ask: Ask) -> "PassThroughStream":  # noqa: ARG002
        return PassThroughStream()

    def metered_body(
        self,
        body: bytes,  # noqa: ARG002
        document: Mapping[str, Any],  # noqa: ARG002
        headers: Headers = (),  # noqa: ARG002
    ) -> Metered | None:
        return None

    def served_tier(self, headers: Headers) -> dict[str, str]:  # noqa: ARG002
        return {}


class PassThroughStream:
    """Every byte at once. The end of the body alone is held until the row is durable."""

    complete = False

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        self.complete = True
        return b""

    def metered(self, document: Mapping[str, Any]) -> Metered:  # noqa: ARG002
        return Metered(Usage(), "none")


class Download(PassThrough):
    """What a provider keeps, however large: it comes to the client as it arrives."""

    def __init__(self, own: Dialect) -> None:
        super().__init__(own)
        self.name = own.name

    def streams(self, headers: Headers) -> bool:  # noqa: ARG002 -- whatever it is
        return True
