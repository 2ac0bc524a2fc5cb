"""What an attacker has: many requests over one connection, tokens of any shape, and eyes for what they left behind."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlsplit
from zlib import crc32

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.calls import WITHIN
from product import Product
from visionality.core.handle import base62
from visionality.core.spend_token import kid_of, taken_apart

DOMAIN = b"visionality spend token v2\0"


@dataclass(frozen=True)
class Knocking:
    """One open connection to the gateway."""

    connection: HTTPConnection

    def knock(
        self, credential: str, path: str = "/v1/models", name: str = "authorization", **headers: str
    ) -> tuple[int, str]:
        """Status and error code that a credential gets."""
        value = f"Bearer {credential}" if name == "authorization" else credential
        self.connection.putrequest("GET", path)
        self.connection.putheader(name, value.encode("latin-1"))
        for more, said in headers.items():
            self.connection.putheader(more.replace("_", "-"), said)
        self.connection.endheaders()
        answer = self.connection.getresponse()
        answer.read()
        return answer.status, answer.getheader("x-acc-error") or ""


@contextmanager
def knocking(address: str) -> Iterator[Knocking]:
    host = urlsplit(address)
    connection = HTTPConnection(host.hostname, host.port, timeout=WITHIN)
    try:
        yield Knocking(connection)
    finally:
        connection.close()


def public_of(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def with_crc(whole: str) -> str:
    return f"{whole}_{base62(crc32(whole.encode()), 6)}"


def around(body: bytes) -> str:
    """A token with any bytes in it and a right checksum."""
    return with_crc("vis2_live_" + urlsafe_b64encode(body).rstrip(b"=").decode())


def signed_by(key: Ed25519PrivateKey, payload: bytes, head: bytes = b"\x02\x01", kid: bytes = b"") -> str:
    """A token around any payload, rightly signed."""
    signed = head + (kid or kid_of(public_of(key))) + len(payload).to_bytes(2, "big") + payload
    return around(signed + key.sign(DOMAIN + signed))


def claims_of(token: str) -> dict:
    return json.loads(taken_apart(token).payload)


def saying(key: Ed25519PrivateKey, token: str, **claims: object) -> str:
    """A token like another, with other claims, signed anew."""
    return signed_by(key, rfc8785.dumps(claims_of(token) | claims))


def trust(product: Product) -> Ed25519PrivateKey:
    """A signing key of the organisation that the attacker has, so that only what follows the signature is on trial."""
    key = Ed25519PrivateKey.generate()
    product.query(
        """insert into vis_control.signing_key (id, org_id, organisation_key_id, public, sealed, made_at, active_from,
                                                active_until, verify_until)
           select gen_random_uuid(), org_id, organisation_key_id, %s, sealed, now(), now() - interval '1 hour',
                  now() - interval '1 minute', now() + interval '1 day'
             from vis_control.signing_key where active_until is null returning id""",
        public_of(key),
    )
    return key


def rows(product: Product) -> int:
    return product.query("select count(*) as n from vis.request_logs")[0]["n"]


def counted(product: Product) -> int:
    """How many credentials of nobody were counted."""
    return product.query("select coalesce(sum(times), 0)::bigint as n from vis.strangers")[0]["n"]


def logs(product: Product) -> dict[str, str]:
    """What stands in each log, by its name."""
    return {path.name: path.read_text(errors="replace") for path in (product.data_dir / "logs").iterdir()}
