"""How OpenAI says no: `{"error":{"message","type","param","code"}}` in a body, and the same as an event of a stream."""

import msgspec

_encode = msgspec.json.Encoder().encode

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


class OpenAIErrors:
    """The refusals of every dialect that is OpenAI's."""

    def error(self, status: int, code: str, message: str, request_id: str) -> bytes:  # noqa: ARG002 -- OpenAI's id is a header
        kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
        return _encode({"error": {"message": message, "type": kind, "param": None, "code": code}})

    def stream_error(self, code: str, message: str, request_id: str) -> bytes:
        return b"data: " + self.error(500, code, message, request_id) + b"\n\n"
