"""Mints a spend token: a short-lived budget for one end customer, narrower than the credential that it is made from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Unpack

    from visionality_client.signer import Signer

TIMEOUT_SECONDS = 30.0


class Narrowing(TypedDict, total=False):
    """What a token may be bound to beside its cap and its time; what is absent is as its credential has it."""

    customer_id: str
    project_id: str
    task_id: str
    task_class: str
    memo: str
    url: str
    models: Sequence[str]
    providers: Sequence[str]
    networks: Sequence[str]
    callers: Sequence[str]
    level: int


@dataclass(frozen=True)
class Minted:
    """A spend token, once: the gateway keeps no copy of it."""

    token: str
    jti: str
    expires_at: str
    """RFC 3339."""
    cap_usd: Decimal

    def __repr__(self) -> str:
        return f"Minted(jti={self.jti!r}, expires_at={self.expires_at!r}, cap_usd={self.cap_usd!r})"


class MintRefused(Exception):
    """The gateway made no token. `status` and `code` are its own, the text is its message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class _NoRedirect(HTTPRedirectHandler):
    """A credential goes where it was sent, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = build_opener(_NoRedirect)


def mint(
    base_url: str,
    credential: str,
    signer: Signer,
    *,
    cap_usd: Decimal | str,
    ttl_seconds: int,
    **narrowing: Unpack[Narrowing],
) -> Minted:
    """A token that may spend `cap_usd` dollars within `ttl_seconds`, made by the gateway at `base_url`.

    Raises MintRefused for the gateway's refusal, URLError when it cannot be reached.
    """
    if not isinstance(cap_usd, (Decimal, str)):
        raise TypeError("cap_usd: expected a Decimal or decimal text, since a float has no exact cents")
    url = base_url.rstrip("/") + "/spend-tokens"
    cap = cap_usd if isinstance(cap_usd, str) else f"{cap_usd:f}"
    body = json.dumps({**narrowing, "cap_usd": cap, "ttl_seconds": ttl_seconds}).encode()
    headers = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}
    headers.update(signer.headers("POST", urlsplit(url).path, headers, body))
    request = Request(url, body, headers, method="POST")  # noqa: S310 - the address is the operator's own
    try:
        with _opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            said = json.load(answer)
    except HTTPError as refused:
        with refused:
            raise _refusal(refused) from None
    return Minted(said["token"], said["jti"], said["expires_at"], Decimal(said["cap_usd"]))


def _refusal(refused: HTTPError) -> MintRefused:
    try:
        error = json.load(refused)["error"]
        return MintRefused(refused.code, error["code"], error["message"])
    except (ValueError, KeyError, TypeError):
        words = f"the gateway answered {refused.code} without saying why: is {refused.url} its address?"
        return MintRefused(refused.code, "", words)
