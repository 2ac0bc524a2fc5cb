"""A new password for a member whose installation sends no mail, made on the machine itself."""

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.urls import reverse

from visionality.web.accounts.access import access_member
from visionality.web.policy.acts import Act, Unknown


def password_path(act: Act, email: str, secret_key: str) -> str:
    """The path by which a member sets a new password: it ends with its first use, or in `PASSWORD_RESET_TIMEOUT`. Raises Unknown."""
    member = access_member(act, email)
    if member is None:
        raise Unknown(f"there is no member {email}")
    settings.SECRET_KEY = secret_key
    key = default_token_generator.make_token(member.user)
    act.record("password_link_made", {"member": member.user.email})
    named = {"uidb36": user_pk_to_url_str(member.user), "key": key}
    return reverse("account_reset_password_from_key", kwargs=named)
