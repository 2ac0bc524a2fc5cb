"""AWS Signature Version 4 towards AWS, by botocore's own signer (AWS, "Signature Version 4 signing process").

A client's signature cannot go on: it holds for the gateway's host and the client's key. So each call is signed anew with
the key pair that is stored as `ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]`, for the region that the address names.
"""

import re
from dataclasses import dataclass

from visionality.core.call import Headers, Refusal

_PAIR = re.compile(r"([A-Z0-9]{16,128}):([A-Za-z0-9/+=]+)(?::(\S+))?")
_REGION = re.compile(r"(?<![a-z0-9-])[a-z]{2}(?:-[a-z]+){1,3}-\d(?![a-z0-9-])")
_SERVICE = "bedrock"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Signs calls to one address."""

    base_url: str
    region: str
    access_key: str
    secret_key: str
    token: str | None

    @property
    def identity(self) -> bytes:
        """Whose calls these are, without the secret."""
        return self.access_key.encode()

    def headers(self, method: str, target: str, headers: Headers, body: bytes) -> Headers:
        """What makes a signed request of one with these headers: the signature, its date, and the session's token."""
        from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # noqa: PLC0415 -- an optional part of the product
        from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # noqa: PLC0415
        from botocore.credentials import Credentials  # type: ignore[import-untyped]  # noqa: PLC0415

        request = AWSRequest(method, self.base_url + target, data=body)
        for name, value in headers:
            if _is_covered(name):
                request.headers.add_header(name.decode(), value.decode("latin-1"))
        covered = set(request.headers)
        pair = Credentials(self.access_key, self.secret_key, self.token)
        SigV4Auth(pair, _SERVICE, self.region).add_auth(request)
        return tuple(
            (name.lower().encode(), value.encode("latin-1"))
            for name, value in request.headers.items()
            if name not in covered
        )


def _is_covered(name: bytes) -> bool:
    return name == b"content-type" or name.startswith(b"x-amz")


def key_pair(secret: bytes, base_url: str) -> KeyPair | None:
    """The signer of a stored key; None for one that is no pair. Raises Refusal when nothing can be signed with it."""
    found = _PAIR.fullmatch(secret.decode("latin-1"))
    if found is None:
        return None
    region = _REGION.search(base_url)
    if region is None:
        raise Refusal(
            403,
            "provider_not_configured",
            f"the address {base_url} names no AWS region, and a signature is for one region: set one with `vis provider add`",
        )
    try:
        import botocore  # type: ignore[import-untyped] # noqa: F401, PLC0415 -- as above
    except ImportError:
        raise Refusal(
            403,
            "provider_not_configured",
            "the stored key is an AWS key pair, and signing with it needs botocore: pip install 'visionality[bedrock]'",
        ) from None
    return KeyPair(base_url, region[0], found[1], found[2], found[3])
