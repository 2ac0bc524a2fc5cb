"""Signing in by an organisation's own OpenID Connect issuer, by allauth, and stricter than it in six points.

The issuer's own words must name the issuer that was set up; the signature of the id_token is checked although it came over
TLS; it must carry our nonce and name us as its party; userinfo must be of the same subject; and who somebody is follows from
(issuer, subject) within the organisation, never from an e-mail address that the issuer does not call verified (OpenID Connect
Core 1.0, sections 3.1.3.7 and 5.3.2; attacks 42 and 43).
"""

import re
import secrets
from typing import Any
from uuid import UUID

import requests  # noqa: TID251 -- the faults of what allauth calls the issuer by
from allauth.account.internal.flows.login import record_authentication
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from visionality.web.accounts.access import access_sign_on, organisation_of_domain
from visionality.web.accounts.issuer_calls import Calls, conversation
from visionality.web.accounts.joining import carried_invitation, carry
from visionality.web.accounts.members import open_to_all, sign_on_of
from visionality.web.accounts.membership import accept, join
from visionality.web.accounts.models import Membership, Organisation, SignOn, User
from visionality.web.accounts.paths import safe_path
from visionality.web.accounts.sign_on import client_secret
from visionality.web.plane import plane
from visionality.web.policy.acts import Act
from visionality.web.start import organisation_context

_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
_ADDRESS = re.compile(r"https?://[^/?#\s]")
UNREADABLE = (OAuth2Error, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading an answer of another form than expected ends in, in allauth and PyJWT."""
_AGAIN = {"prompt": "login", "max_age": "0"}
"""Asks the issuer to have somebody say again who they are (Core, section 3.1.2.1)."""


class Issuer(OpenIDConnectOAuth2Adapter):
    """One conversation with an organisation's issuer."""

    @property
    def openid_config(self) -> dict[str, Any]:
        """What the issuer says of itself. Raises OAuth2Error where it is another one."""
        said: dict[str, Any] = super().openid_config
        if not isinstance(said, dict) or not all(_ADDRESS.match(str(said.get(name))) for name in _ENDPOINTS):
            raise OAuth2Error("expected a discovery document with the addresses that a sign-in takes")
        expected = self.get_provider().app.settings["issuer"]  # type: ignore[no-untyped-call]
        if said.get("issuer") != expected:
            raise OAuth2Error(f"expected the issuer {expected}, and it calls itself {said.get('issuer')}")
        return said

    def _decode_id_token(self, app: SocialApp, id_token: str) -> dict[str, Any]:
        self.did_fetch_access_token = False  # which would leave the signature unchecked
        claims: dict[str, Any] = super()._decode_id_token(app, id_token)
        if missing := {"exp", "iat", "sub"} - claims.keys():
            raise OAuth2Error(f"the id_token does not say its {', '.join(sorted(missing))}")
        if claims.get("azp", app.client_id) != app.client_id or (
            isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and "azp" not in claims
        ):
            raise OAuth2Error("the id_token is for another party")
        return claims

    def complete_login(self, request: HttpRequest, app: SocialApp, token: Any, **said: Any) -> SocialLogin:
        if not said["response"].get("id_token"):
            raise OAuth2Error("the issuer gave no id_token")
        found: SocialLogin = super().complete_login(request, app, token, **said)
        told = found.account.extra_data
        if told["userinfo"].get("sub") != told["id_token"].get("sub"):
            raise OAuth2Error("userinfo is of another subject than the id_token")
        return found


class SignOns(DefaultSocialAccountAdapter):
    """allauth's providers are the organisations' sign-ons, each under its organisation's id."""

    def list_apps(
        self,
        request: HttpRequest,  # noqa: ARG002
        provider: str | None = None,
        client_id: str | None = None,
    ) -> list[SocialApp]:
        try:
            org_id = UUID(str(provider))
        except ValueError:
            return []
        with organisation_context(org_id):
            found = access_sign_on(org_id)
            if found is None or (client_id and client_id != found.client_id):
                return []
            secret = client_secret(plane().keys, found)
        return [
            SocialApp(
                provider="openid_connect",
                provider_id=str(org_id),
                name=found.title,
                client_id=found.client_id,
                secret=secret,
                settings={"server_url": found.issuer.rstrip("/"), "issuer": found.issuer},
            )
        ]

    def get_provider(self, request: HttpRequest, provider: str, client_id: str | None = None) -> Any:
        found = super().get_provider(request, provider, client_id)
        found.oauth2_adapter_class = Issuer
        return found

    def get_requests_session(self) -> requests.Session:
        return Calls()

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:  # noqa: ARG002
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Find the account of somebody whom the issuer vouches for, or turn them away."""
        state = sociallogin.state["data"]
        claims: dict[str, Any] = sociallogin.account.extra_data["id_token"]
        if not secrets.compare_digest(str(claims.get("nonce", "")), state["nonce"]):
            raise ImmediateHttpResponse(_refused(request, "Its answer was not for this sign-in."))
        org_id = UUID(sociallogin.account.provider)
        member = _member(request, org_id, sociallogin)
        if member is None:
            words = (
                "It knows you, and you are no member here: ask an operator for an invitation. If you have an account already, "
                "sign in to it first and then open the invitation."
            )
            raise ImmediateHttpResponse(_refused(request, words))
        if (
            request.user.is_authenticated
            and request.user.pk == member.user_id
            and sign_on_of(request) == org_id
        ):
            said = {"provider": sociallogin.account.provider, "uid": sociallogin.account.uid}
            record_authentication(request, member.user, "socialaccount", reauthenticated=True, **said)
            raise ImmediateHttpResponse(
                HttpResponseRedirect(safe_path(sociallogin.state.get("next"), reverse("home")))
            )
        sociallogin.user = member.user


@open_to_all
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Lead somebody to their organisation's issuer: by the organisation's slug, or by the domain of their address."""
    if token := request.POST.get("invitation"):
        if (invited := carry(request, token)) is None:
            raise Http404
        return leave_for(request, invited, reverse("home"))
    organisation = _organisation(request)
    if organisation is None:
        typed = {"login": request.POST.get("login", ""), "no_sign_on": True}
        return render(request, "account/login.html", typed, status=404)
    return leave_for(request, organisation.id, safe_path(request.POST.get("next"), reverse("home")))


def leave_for(request: HttpRequest, org_id: UUID, back: str) -> HttpResponse:
    """The page that goes on to the issuer. A redirect would not do: a form of ours may be sent to ourselves only."""
    try:
        provider = SignOns(request).get_provider(request, str(org_id))
        nonce = secrets.token_urlsafe(24)
        again = _AGAIN if sign_on_of(request) == org_id else {}
        with conversation(org_id):
            answer = provider.redirect(
                request, "login", back, {"nonce": nonce}, auth_params={"nonce": nonce, **again}
            )
    except SocialApp.DoesNotExist:
        raise Http404 from None
    except (requests.RequestException, *UNREADABLE):
        return _silent(request)
    return render(request, "sign_on_leave.html", {"title": provider.name, "url": answer["Location"]})


@open_to_all
@require_safe
def finish(request: HttpRequest, provider_id: UUID) -> HttpResponse:
    """Where an issuer sends somebody back."""
    try:
        view = OAuth2CallbackView.adapter_view(Issuer(request, str(provider_id)))  # type: ignore[no-untyped-call]
        with conversation(provider_id):
            response: HttpResponse = view(request)
    except SocialApp.DoesNotExist:
        raise Http404 from None
    except requests.RequestException:
        return _silent(request)
    except UNREADABLE:
        return _refused(request, "Its answer was not one that can be read.")
    return response


def _organisation(request: HttpRequest) -> Organisation | None:
    if slug := request.POST.get("org", "").strip():
        return Organisation.objects.filter(slug=slug).first()
    _, at, domain = request.POST.get("login", "").strip().rpartition("@")
    return organisation_of_domain(domain) if at else None


def _member(request: HttpRequest, org_id: UUID, found: SocialLogin) -> Membership | None:
    """Whose account it is, made or tied to the issuer's subject when this is the first time."""
    subject, (email, verified) = found.account.uid, _address(found.account.extra_data)
    with organisation_context(org_id):
        sign_on = access_sign_on(org_id)
        assert sign_on is not None
        members = Membership.objects.filter(org_id=org_id).select_related("user")
        known = members.filter(sso_issuer=sign_on.issuer, sso_sub=subject).first()
        if known is not None and known.state == "active":
            return known
        act = Act(
            org_id,
            email or subject,
            plane().clock(),
            subject,
            address=request.META.get("REMOTE_ADDR") or None,
        )
        if invitation := carried_invitation(request, org_id, act.now):
            user = known.user if known else made_account(invitation.email, _name(found, invitation.email))
            return _tied(sign_on, subject, accept(act, invitation, user)) if user else None
        if known is not None or not verified:
            return None
        member = members.filter(user__email=email, state="active", sso_sub="").first()
        if member is None and sign_on.joins and email.rpartition("@")[2] in sign_on.domains:
            if members.filter(user__email=email).exists():
                return None  # who was removed, or is tied to another subject, comes back by an invitation
            user = made_account(email, _name(found, email))
            member = join(act, user, sign_on.joins_as, "company sign-on") if user else None
        return _tied(sign_on, subject, member) if member else None


def made_account(email: str, name: str) -> User | None:
    """The account with this address, made without a password where there is none.

    None for one that has ways in of its own. Whoever made it need not be whom the issuer speaks of: an operator of another
    organisation can invite any address and open the link. Its holder signs in to it and accepts an invitation; then the
    sign-on is tied to them like to any member.
    """
    there = User.objects.filter(email=email).first()
    if there is None:
        there = User(email=email, name=name[:200])
        there.set_unusable_password()
        there.save()
    elif there.has_usable_password() or Authenticator.objects.filter(user=there).exists():
        return None
    return there


def _tied(sign_on: SignOn, subject: str, member: Membership) -> Membership:
    if (member.sso_issuer, member.sso_sub) != (sign_on.issuer, subject):
        member.sso_issuer, member.sso_sub = sign_on.issuer, subject
        member.save(update_fields=["sso_issuer", "sso_sub"])
    return member


def _address(told: dict[str, Any]) -> tuple[str, bool]:
    """The e-mail address, and whether the issuer calls it verified: `true` and nothing that merely looks so."""
    for claims in (told["userinfo"], told["id_token"]):
        if claims.get("email"):
            return str(claims["email"]).strip().lower(), claims.get("email_verified") is True
    return "", False


def _name(found: SocialLogin, otherwise: str) -> str:
    return str(found.account.extra_data["userinfo"].get("name") or otherwise)


def _silent(request: HttpRequest) -> HttpResponse:
    return _refused(request, "Its issuer does not answer as it should. Try again, or tell an operator.", 502)


def _refused(request: HttpRequest, words: str, status: int = 403) -> HttpResponse:
    return render(request, "sign_on_refused.html", {"words": words}, status=status)
