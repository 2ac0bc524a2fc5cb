"""What allauth asks us: where one may be sent, what a sign-in means here, and how a second factor's secret lies at rest."""

import base64
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse

from visionality.vault.purposes import SECOND_FACTORS, second_factor_context
from visionality.vault.sealing import seal, unseal
from visionality.web.accounts.entering import enter
from visionality.web.accounts.models import User
from visionality.web.accounts.paths import is_safe_path
from visionality.web.accounts.step_up import is_fresh
from visionality.web.plane import plane

_DUMMY = "dummy"


class AccountAdapter(DefaultAccountAdapter):
    """Nobody signs up by themselves, and a session that begins is known to its organisation."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def is_safe_url(self, url: str) -> bool:
        return is_safe_path(url)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:  # noqa: ARG002
        """The check that allauth makes of its pages, by our rule: signing in counts for ten minutes."""
        return not is_fresh(context.request)

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **said: Any) -> HttpResponse:
        assert isinstance(user, User)
        enter(request, user)
        return super().post_login(request, user, **said)

    def get_reset_password_from_key_url(self, key: str) -> str:
        """At the address that was configured: a request may name another host that leads here."""
        made: str = super().get_reset_password_from_key_url(key)
        public = plane().public_url
        return public + urlsplit(made).path if public else made


class SecondFactors(DefaultMFAAdapter):
    """Secrets of authenticator apps and recovery codes are sealed; a passkey says which pages it is for."""

    def encrypt(self, text: str) -> str:
        sealed = seal(plane().keys.secret(SECOND_FACTORS), second_factor_context(), text.encode())
        return base64.b64encode(sealed).decode()

    def decrypt(self, encrypted_text: str) -> str:
        record = base64.b64decode(encrypted_text)
        return unseal(plane().keys.secret(SECOND_FACTORS), second_factor_context(), record).decode()

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:  # noqa: A002
        there = Authenticator.objects.filter(user_id=user.pk, type=type).count()
        return f"Passkey {there + 1}"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        said: dict[str, str] = super().get_public_key_credential_rp_entity()
        return {**said, "name": "Visionality"}


def takes_mail() -> bool:
    """Whether there is a server that takes our mail."""
    return _DUMMY not in settings.EMAIL_BACKEND
