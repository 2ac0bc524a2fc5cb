"""AWS Signature Version 4 of a request that came in, made again to be compared.

Source: AWS, "Create a signed AWS API request" (IAM User Guide); botocore.auth, which signs in the tests. The path is
taken as it was received and encoded once more, as for every service but S3.

A key pair is a second presentation of a virtual key. Both halves follow from what is at rest of its handle: the access
key id is that value, and the secret is its HMAC under a secret of the installation. So nothing more is stored, the
database alone gives no secret away, and a pair ends with its key.
"""

import hmac
import re
from base64 import b32decode, b32encode, b64encode
from binascii import Error
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from urllib.parse import quote

from visionality.core.call import Request

SKEW = timedelta(minutes=5)
"""How far a client's clock may be off, either way."""

_PREFIX = "VISK"
_AT_REST_BYTES = 32
_ALGORITHM = "AWS4-HMAC-SHA256"
_SHAPE = re.compile(
    _ALGORITHM + r" Credential=([A-Z0-9]{16,128})/(\d{8})/([a-z0-9-]{1,40})/bedrock/aws4_request, ?"
    r"SignedHeaders=([a-z0-9;-]{1,4000}), ?Signature=([0-9a-f]{64})"
)


class BadSignature(Exception):
    """The request is not signed as it must be. The text is a sentence for the person who signed."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What an `authorization` header of this kind says."""

    access_key: str
    day: str
    region: str
    names: tuple[str, ...]
    digest: str

    @property
    def handle_at_rest(self) -> bytes:
        """What is at rest of the handle whose pair this is; empty for an access key that is not ours."""
        text = self.access_key.removeprefix(_PREFIX)
        try:
            at_rest = b32decode(text + "=" * (-len(text) % 8))
        except Error:
            return b""
        return at_rest if len(at_rest) == _AT_REST_BYTES and access_key(at_rest) == self.access_key else b""


def access_key(at_rest: bytes) -> str:
    """The public half of the pair."""
    return _PREFIX + b32encode(at_rest).decode().rstrip("=")


def secret_key(pairing: bytes, at_rest: bytes) -> str:
    """The secret half; `pairing` is the installation's secret for this purpose."""
    return b64encode(hmac.digest(pairing, at_rest, "sha256")).decode()


def is_signed(authorization: str) -> bool:
    return authorization.startswith(_ALGORITHM)


def read(authorization: str) -> Signature:
    """Raises BadSignature."""
    found = _SHAPE.fullmatch(authorization)
    if found is None:
        raise BadSignature("the signature is not one of AWS Signature Version 4 for the service bedrock")
    access, day, region, names, digest = found.groups()
    return Signature(access, day, region, tuple(names.split(";")), digest)


def verify(signature: Signature, secret: str, request: Request, now: datetime) -> None:
    """Raise BadSignature unless this very request was signed with this secret, not long ago. `path` is as received."""
    stamp = request.header(b"x-amz-date") or ""
    _check_time(stamp, signature.day, now)
    present = {name.decode("latin-1") for name, _ in request.headers}
    needed = {"host"} | {name for name in present if name.startswith("x-amz-")}
    if not needed <= set(signature.names) <= present:
        raise BadSignature(
            "the signature must cover host and every x-amz- header, and nothing that is not there"
        )
    digest = sha256(request.body).hexdigest()
    if request.header(b"x-amz-content-sha256") not in {None, digest}:
        raise BadSignature("x-amz-content-sha256 is not the hash of the body")
    scope = f"{signature.day}/{signature.region}/bedrock/aws4_request"
    canonical = sha256(_canonical(signature.names, request, digest).encode("latin-1")).hexdigest()
    text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{canonical}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    if not hmac.compare_digest(hmac.digest(key, text.encode(), "sha256").hex(), signature.digest):
        raise BadSignature("the signature is not that of this request")


def _check_time(stamp: str, day: str, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise BadSignature("x-amz-date is missing or no time") from None
    if stamp[:8] != day or abs(now - signed_at) > SKEW:
        raise BadSignature(
            f"the signature is of {stamp}, more than {SKEW.seconds // 60} minutes from the time here"
        )


def _canonical(names: tuple[str, ...], request: Request, body_digest: str) -> str:
    lines = [f"{name}:{_values(name, request)}" for name in names]
    query = "&".join(sorted(part if "=" in part else f"{part}=" for part in request.query.split("&") if part))
    path = quote(request.path, safe="/~", encoding="latin-1")
    return "\n".join([request.method, path, query, *lines, "", ";".join(names), body_digest])


def _values(name: str, request: Request) -> str:
    """All values of a header, each with its spaces drawn together."""
    values = [value.decode("latin-1") for key, value in request.headers if key == name.encode()]
    return ",".join(" ".join(value.split()) for value in values)
