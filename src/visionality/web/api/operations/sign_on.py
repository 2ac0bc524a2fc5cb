"""The organisation's own sign-on: shown, tried, kept up and switched off.

Whom the issuer vouches for is let in as the member with their address, so naming another issuer is naming who everybody is:
people do that, on the page or by `vis org oidc set`. For the same reason a program opens nothing that a person closed.
"""

from dataclasses import replace
from typing import Annotated, Any

from ninja import Query
from pydantic import Field

from visionality.web.accounts import sign_on as policy
from visionality.web.accounts.access import access_sign_on
from visionality.web.accounts.issuer_trial import tried
from visionality.web.accounts.models import SignOn
from visionality.web.addresses import absolute
from visionality.web.api.bearer import Ask
from visionality.web.api.giving import check_may_give
from visionality.web.api.operations.members import RoleName
from visionality.web.api.operations.providers import Secret
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_MEMBERS, WRITE_MEMBERS
from visionality.web.api.shapes import Done, Given, Moment, Reason, Removing, Text80, Told
from visionality.web.plane import plane

Domain = Annotated[str, Field(min_length=1, max_length=255, examples=["arctrade.example"])]


class SignOnTold(Told):
    title: str
    issuer: str
    client_id: str
    domains: list[str]
    joins_as: list[RoleName] = Field(
        description="As what somebody of these domains joins without an invitation; nobody does where it is empty."
    )
    only: bool = Field(description="Whether passwords and passkeys no longer open the organisation.")
    redirect_uri: str = Field(description="What is registered with the issuer.")
    set_at: Moment


class SignOnChange(Given):
    """What is left out stays as it is. The issuer and the client id are set by people."""

    title: Text80 | None = None
    secret: Secret | None = Field(
        None, description="Its next client secret: sealed at once, and never shown."
    )
    domains: Annotated[list[Domain], Field(max_length=40)] | None = None
    joins_as: Annotated[list[RoleName], Field(max_length=6)] | None = None
    only: bool | None = None
    reason: Reason | None = None


class Trial(Told):
    works: bool
    told: str = Field(description="What the issuer says of itself, or what is wrong.")


@API.on("GET", "sign-on", *READ_MEMBERS, answer=SignOnTold)
def sign_on(ask: Ask) -> dict[str, Any]:
    """Without its client secret, which never comes out."""
    there = _there(ask)
    names = ("title", "issuer", "client_id", "domains", "set_at")
    return {name: getattr(there, name) for name in names} | {
        "joins_as": there.joins_as if there.joins else [],
        "only": there.org.sign_on_only,
        "redirect_uri": absolute(ask.request, policy.callback_path(ask.act.org_id)),
    }


@API.on("PATCH", "sign-on", *WRITE_MEMBERS, answer=SignOnTold)
def change_sign_on(ask: Ask, body: SignOnChange) -> dict[str, Any]:
    """Its name, its next client secret, its domains, who joins as what, and that it is the only way in."""
    there = _there(ask)
    now_as = tuple(there.joins_as if there.joins else ())
    wanted = policy.Wanted(
        title=there.title if body.title is None else body.title,
        issuer=there.issuer,
        client_id=there.client_id,
        secret=body.secret or "",
        domains=tuple(there.domains if body.domains is None else body.domains),
        joins_as=now_as if body.joins_as is None else tuple(body.joins_as),
        only=there.org.sign_on_only if body.only is None else body.only,
    )
    if there.org.sign_on_only and not wanted.only:
        raise _opens()
    more_join = bool(set(wanted.domains) - set(there.domains))
    check_may_give(ask, wanted.joins_as if more_join else set(wanted.joins_as) - set(now_as))
    policy.set_sign_on(replace(ask.act, reason=body.reason or ""), plane().keys, wanted)
    return sign_on(ask)


@API.on("DELETE", "sign-on", *WRITE_MEMBERS, answer=Done)
def remove_sign_on(ask: Ask, asked: Query[Removing]) -> dict[str, Any]:
    """Nobody comes in by it any more; members with a password or passkey still do."""
    if _there(ask).org.sign_on_only:
        raise _opens()
    policy.remove_sign_on(replace(ask.act, reason=asked.reason or ""))
    return {}


@API.on("POST", "sign-on/test", *WRITE_MEMBERS, answer=Trial)
def try_sign_on(ask: Ask) -> dict[str, Any]:
    """Ask the issuer who it is and for the keys that it signs with. Nobody is signed in."""
    _there(ask)
    works, told = tried(ask.request, ask.act.org_id)
    return {"works": works, "told": told}


def _there(ask: Ask) -> SignOn:
    found = access_sign_on(ask.act.org_id)
    if found is None:
        raise Problem(404, "the organisation has no sign-on of its own: an operator sets one up")
    return found


def _opens() -> Problem:
    return Problem(
        403,
        "members come in by the sign-on only: an operator opens the organisation to passwords, on the page of the sign-on",
    )
