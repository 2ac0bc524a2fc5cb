"""Which headers go on, both ways (docs/reference/headers.md)."""

from visionality.core.call import Headers

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NOT_UP = _HOP_BY_HOP | {
    b"host",
    b"content-length",
    b"expect",
    b"authorization",
    b"x-api-key",
    b"api-key",
    b"x-goog-api-key",
    b"x-litellm-api-key",
    b"x-portkey-metadata",
    b"cookie",
    b"accept-encoding",
    b"openai-organization",
    b"openai-project",
    b"x-goog-user-project",
    b"x-amz-date",
    b"x-amz-security-token",
    b"x-amz-content-sha256",
    b"forwarded",
    b"via",
    # What makes another call of a call, or hides its usage from the meter:
    b"x-http-method",
    b"x-http-method-override",
    b"x-method-override",
    b"x-original-url",
    b"x-rewrite-url",
    b"x-goog-fieldmask",
}
_NOT_UP_PREFIXES = (b"x-acc-", b"x-vis-", b"x-forwarded-", b"helicone-property-")
_HANDLE, _ENVELOPE = b"visk_live_", b"vis2_live_"
_NOT_DOWN = _HOP_BY_HOP | {
    b"content-length",
    b"set-cookie",
    b"server",
    b"date",
    b"alt-svc",
    b"strict-transport-security",
    b"x-litellm-model-api-base",
    # What only we say of a call; a provider may be a gateway of this kind too:
    b"x-vis-request-id",
    b"x-vis-cost-usd",
    b"x-vis-receipt",
    b"x-vis-receipt-absent",
}


def upwards(headers: Headers, sends: Headers = ()) -> Headers:
    """The client's headers without its credential, wherever it sits, and without what is between it and us.

    What `sends` names stands in place of the client's own.
    """
    kept = [
        header
        for header in headers
        if header[0] not in _NOT_UP and not header[0].startswith(_NOT_UP_PREFIXES)
    ]
    said = b"\n".join([value for _, value in kept])
    if _HANDLE in said or _ENVELOPE in said:
        kept = [header for header in kept if _HANDLE not in header[1] and _ENVELOPE not in header[1]]
    listed = {name for name, _ in sends} if sends else set()
    for name, value in headers:
        if name == b"connection":
            listed.update([token.strip().lower() for token in value.split(b",")])
    if not listed <= _NOT_UP:
        kept = [header for header in kept if header[0] not in listed]
    return (*kept, *sends)


def downwards(headers: Headers, request_id: str) -> list[tuple[bytes, bytes]]:
    """The provider's headers without what describes its own connection, and our id."""
    kept = [(name, value) for name, value in headers if name not in _NOT_DOWN]
    kept.append((b"x-vis-request-id", request_id.encode()))
    return kept
