"""`POST /device-keys`: the credential helper exchanges a device's credential for a short-lived key of one checkout (A1, K2).

The key is the person's and says where they stand: repository, branch and commit, as git said on their device. It calls
models and nothing else, draws on the budgets that its parent draws on, and ends with it: with its rotation too, since a
thief of a device's credential needs no second factor to make keys of it. What it says of a place is
evidence of level 6 (docs/reference/attribution.md): it chooses among what the credential allows.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from visionality.core.call import Refusal
from visionality.core.level import BEARER, longest
from visionality.core.remote import LONGEST, normalised
from visionality.core.spend_token import Bound, Claims
from visionality.gateway import allowed
from visionality.gateway.deriving import Asking, Way, content_of, inherited

SHORTEST_SECONDS, LONGEST_SECONDS = 900, 12 * 3600
LONGEST_BRANCH = 255


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the person stands. What is left out is not known: outside a repository all of it is."""

    repo: Annotated[str, Meta(min_length=1, max_length=LONGEST)] | None = None
    """A remote as git prints it. One that no other machine could know counts as none."""
    branch: Annotated[str, Meta(min_length=1, max_length=LONGEST_BRANCH)] | None = None
    commit: Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{7,64}\Z")] | None = None
    ttl_seconds: Annotated[int, Meta(ge=SHORTEST_SECONDS, le=LONGEST_SECONDS)] = 3600


_read = msgspec.json.Decoder(Wanted).decode


async def _claims(asking: Asking) -> Claims:
    content, _, level = await content_of(asking, allowed.EXCHANGE, BEARER)
    wanted, grant = _wanted(content), asking.principal.grant
    lifetime = min(timedelta(seconds=wanted.ttl_seconds), longest(level))
    ends = min(asking.arrived + lifetime, grant.expires_at)
    bound = Bound(level, None, asking.principal.thumbprint, grant.callers)
    return replace(
        inherited(asking, bound, ends),
        rot=asking.principal.rotation,
        rep=normalised(wanted.repo) if wanted.repo else None,
        brn=wanted.branch,
        cmt=wanted.commit.lower() if wanted.commit else None,
    )


def _wanted(content: bytes) -> Wanted:
    try:
        wanted = _read(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(400, "bad_request", f"the body does not say what the key is for: {error}") from None
    for name in ("repo", "branch"):
        if not (getattr(wanted, name) or "").isprintable():
            raise Refusal(400, "bad_request", f"`{name}` must be printable")
    return wanted


def _place(claims: Claims) -> dict[str, str]:
    named = {"repo": claims.rep, "branch": claims.brn, "commit": claims.cmt}
    return {name: value for name, value in named.items() if value}


def _document(claims: Claims, key: str, ends: str) -> Mapping[str, object]:
    return {"key": key, "expires_at": ends, "agent": claims.agt, **_place(claims)}


WAY = Way("/device-keys", _claims, "exchanged", "exchange_refused", _place, _document)
