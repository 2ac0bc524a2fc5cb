"""Who may sign in to the organisation and as what: members, their sessions, and invitations.

A role that may do more than the token is given by people only (web/api/giving.py).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from django.db import transaction
from ninja import Query
from pydantic import Field

from visionality.web.accounts import membership
from visionality.web.accounts.access import (
    access_invitations,
    access_member,
    access_members,
    access_membership,
)
from visionality.web.accounts.adapters import takes_mail
from visionality.web.accounts.invitation_mail import link_of, mailed
from visionality.web.accounts.models import Invitation, Membership
from visionality.web.accounts.roles import Role
from visionality.web.accounts.sessions import access_sessions, end_session
from visionality.web.api.bearer import Ask
from visionality.web.api.giving import check_may_give
from visionality.web.api.operations.names import by, listed
from visionality.web.api.problem import Problem
from visionality.web.api.routing import API
from visionality.web.api.scopes import READ_MEMBERS, WRITE_MEMBERS
from visionality.web.api.shapes import Because, Given, Listed, Moment, Page, Reason, Removing, Text255, Told

RoleName = Literal["operator", "finance", "people", "projects", "security", "auditor"]
Roles = Annotated[list[RoleName], Field(min_length=1, max_length=len(Role), examples=[["finance"]])]
SessionId = Annotated[int, Field(ge=0, le=2**31 - 1)]
Address = Annotated[str, Field(min_length=3, max_length=254, examples=["dana@arctrade.example"])]


class Member(Told):
    id: UUID
    email: str
    name: str
    roles: list[RoleName]
    state: Literal["active", "removed"]
    sso_sub: str = Field(description="Their subject at the company's sign-on; empty until they used it.")
    joined_at: Moment
    entered_at: Moment | None = Field(description="When they last signed in.")


class MemberPage(Page):
    state: Literal["active", "removed"] | None = None
    email: Text255 | None = None


class NewRoles(Given):
    roles: Roles
    reason: Reason | None = None


class Session(Told):
    id: int
    since: Moment
    address: str
    browser: str


class Sessions(Told):
    items: list[Session]


class Open(Told):
    """An invitation that still works."""

    id: UUID
    email: str
    roles: list[RoleName]
    invited_by: str
    invited_at: Moment
    expires_at: Moment


class NewInvitation(Given):
    email: Address
    roles: Roles
    reason: Reason | None = None


class Invited(Told):
    invitation: Open
    link: str = Field(description="Makes whoever opens it a member, once. Shown now and never again.")
    is_mailed: bool = Field(description="Whether it goes out by mail as well.")


class Ended(Told):
    id: UUID


@API.on("GET", "members", *READ_MEMBERS, answer=Listed[Member])
def members(ask: Ask, page: Query[MemberPage]) -> dict[str, Any]:
    """By their addresses, those who were members too."""
    wanted = {name: value for name in ("state", "email") if (value := getattr(page, name))}
    found = map(_member, access_members(ask.act))
    kept = [one for one in found if all(one[name] == value for name, value in wanted.items())]
    return listed(ask, kept, by("email", "id"), page)


@API.on("GET", "members/{member_id}", *READ_MEMBERS, answer=Member)
def member(ask: Ask, member_id: UUID) -> dict[str, Any]:
    return _member(_found(ask, member_id))


@API.on("PATCH", "members/{member_id}", *WRITE_MEMBERS, answer=Member)
def set_member_roles(ask: Ask, member_id: UUID, body: NewRoles) -> dict[str, Any]:
    """What they are from now on, in the sessions that they have too."""
    email = _found(ask, member_id).user.email
    held = access_member(ask.act, email)
    check_may_give(ask, set(body.roles) - set(held.roles if held else ()))
    membership.set_roles(replace(ask.act, reason=body.reason or ""), email, body.roles)
    return member(ask, member_id)


@API.on("DELETE", "members/{member_id}", *WRITE_MEMBERS, answer=Member)
def remove_member(ask: Ask, member_id: UUID, asked: Query[Removing]) -> dict[str, Any]:
    """End a membership, its sessions here, and the invitations by which they could come back."""
    membership.remove(replace(ask.act, reason=asked.reason or ""), _found(ask, member_id).user.email)
    return member(ask, member_id)


@API.on("GET", "members/{member_id}/sessions", *READ_MEMBERS, answer=Sessions)
def member_sessions(ask: Ask, member_id: UUID) -> dict[str, Any]:
    """Where they are signed in to this organisation, the newest first."""
    found = _found(ask, member_id)
    seen = access_sessions(ask.act, [found]).get(found.pk, [])
    return {"items": [{name: getattr(one, name) for name in Session.model_fields} for one in seen]}


@API.on("DELETE", "members/{member_id}/sessions/{session_id}", *WRITE_MEMBERS, answer=Sessions)
def end_member_session(
    ask: Ask, member_id: UUID, session_id: SessionId, asked: Query[Removing]
) -> dict[str, Any]:
    """End one session, all of it. The answer is those that are left."""
    end_session(replace(ask.act, reason=asked.reason or ""), _found(ask, member_id), session_id)
    return member_sessions(ask, member_id)


@API.on("POST", "members/{member_id}/sign-out", *WRITE_MEMBERS, answer=Member)
def sign_member_out(ask: Ask, member_id: UUID, body: Because) -> dict[str, Any]:
    """Sign them out of this organisation wherever they are signed in."""
    membership.end_sessions(replace(ask.act, reason=body.reason or ""), _found(ask, member_id).user.email)
    return member(ask, member_id)


@API.on("GET", "invitations", *READ_MEMBERS, answer=Listed[Open])
def invitations(ask: Ask, page: Query[Page]) -> dict[str, Any]:
    """Those that still work, by their addresses. No link is in it."""
    return listed(ask, map(_open, access_invitations(ask.act)), by("email", "id"), page)


@API.on("POST", "invitations", *WRITE_MEMBERS, answer=Invited, status=201)
def invite(ask: Ask, body: NewInvitation) -> dict[str, Any]:
    """Invite somebody; an earlier invitation of theirs ends."""
    return _invited(ask, body.email, body.roles, body.reason)


@API.on("POST", "invitations/{invitation_id}/resend", *WRITE_MEMBERS, answer=Invited, status=201)
def resend_invitation(ask: Ask, invitation_id: UUID, body: Because) -> dict[str, Any]:
    """A new link in place of one that was lost; the earlier one ends."""
    found = next((one for one in access_invitations(ask.act) if one.id == invitation_id), None)
    if found is None:
        raise Problem(404, f"there is no open invitation {invitation_id}")
    return _invited(ask, found.email, found.roles, body.reason)


@API.on("DELETE", "invitations/{invitation_id}", *WRITE_MEMBERS, answer=Ended)
def withdraw_invitation(ask: Ask, invitation_id: UUID, asked: Query[Removing]) -> dict[str, UUID]:
    """Its link lets nobody in any more."""
    membership.withdraw(replace(ask.act, reason=asked.reason or ""), invitation_id)
    return {"id": invitation_id}


def _invited(ask: Ask, email: str, roles: Sequence[str], reason: str | None) -> dict[str, Any]:
    check_may_give(ask, roles)
    made, token = membership.invite(replace(ask.act, reason=reason or ""), email, roles)
    link = link_of(ask.request, token)
    transaction.on_commit(partial(mailed, made, link), robust=True)
    return {"invitation": _open(made), "link": link, "is_mailed": takes_mail()}


def _found(ask: Ask, member_id: UUID) -> Membership:
    found = access_membership(ask.act, member_id)
    if found is None:
        raise Problem(404, f"there is no member {member_id}")
    return found


def _member(one: Membership) -> dict[str, Any]:
    names = ("id", "roles", "state", "sso_sub", "joined_at", "entered_at")
    return {"email": one.user.email, "name": one.user.name} | {name: getattr(one, name) for name in names}


def _open(one: Invitation) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Open.model_fields}
