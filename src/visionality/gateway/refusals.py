"""The gateway's own no, in the caller's dialect (docs/reference/errors.md).

`x-should-retry: false` is what the official OpenAI and Anthropic SDKs obey first; without it they would repeat a
refusal that cannot change.
"""

from visionality.core.call import Headers, Refusal
from visionality.gateway.client import Send, answer
from visionality.gateway.dialects import Dialect

_FINAL = frozenset({400, 401, 402, 403, 404, 413, 415, 426})


async def refuse(
    send: Send, dialect: Dialect, refusal: Refusal, request_id: str, beside: Headers = ()
) -> None:
    """Answer with a refusal; `beside` are headers of this answer, which no repetition of it has."""
    headers = [
        (b"content-type", b"application/json"),
        (b"x-vis-request-id", request_id.encode()),
        (b"x-acc-error", refusal.code.encode()),
    ]
    if refusal.status in _FINAL:
        headers.append((b"x-should-retry", b"false"))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="visionality"'))
    if refusal.status in {408, 413}:
        headers.append((b"connection", b"close"))
    headers += refusal.headers
    headers += beside
    headers += dialect.error_headers(refusal.status, refusal.code, request_id)
    body = dialect.error(refusal.status, refusal.code, refusal.message, request_id)
    await answer(send, refusal.status, headers, body)
