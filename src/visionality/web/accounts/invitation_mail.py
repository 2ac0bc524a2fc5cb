"""The link of an invitation, and the mail that it goes out by where there is a server that takes mail."""

from django.core.mail import send_mail
from django.http import HttpRequest
from django.urls import reverse

from visionality.web.accounts.adapters import takes_mail
from visionality.web.accounts.models import Invitation
from visionality.web.addresses import absolute


def link_of(request: HttpRequest, token: str) -> str:
    """The address that makes whoever opens it a member."""
    return absolute(request, reverse("join", args=[token]))


def mailed(invitation: Invitation, link: str) -> bool:
    """Whether the invitation went out by mail; where it could not, somebody hands the link over."""
    if not takes_mail():
        return False
    words = (
        f"{invitation.invited_by} invites you to the AI spend ledger.\n\n{link}\n\n"
        f"The link works once, until {invitation.expires_at:%Y-%m-%d %H:%M} UTC.\n"
    )
    try:
        return bool(send_mail("An invitation to Visionality", words, None, [invitation.email]))
    except OSError:
        return False
