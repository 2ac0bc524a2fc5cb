"""The addresses of signing in, of one's own account, and of who may enter."""

from django.urls import path

from visionality.web.accounts import joining, login, oidc, own, step_up
from visionality.web.accounts.settings import members, service_tokens, sign_in

urlpatterns = [
    *own.urlpatterns,
    path("login", login.ask, name="login"),
    path("login", login.ask, name="account_login"),
    path("login/passkey", login.passkey, name="mfa_login_webauthn"),
    path("login/company", oidc.start, name="sign_on"),
    path("login/company/cancelled", login.ask, name="socialaccount_login_cancelled"),
    path("login/company/<uuid:provider_id>/callback", oidc.finish, name="openid_connect_callback"),
    path("login/<str:token>", login.use, name="use_link"),
    path("logout", login.leave, name="logout"),
    path("logout", login.leave, name="account_logout"),
    path("organisation", login.switch, name="switch"),
    path("join/<str:token>", joining.page, name="join"),
    path("confirm", step_up.confirm, name="confirm"),
    path("confirm/done", step_up.confirmed, name="confirmed"),
    path("settings/members", members.page, name="members"),
    path("settings/members/change", members.change, name="change_member"),
    path("settings/sign-in", sign_in.page, name="sign_in_settings"),
    path("settings/service-tokens", service_tokens.page, name="service_tokens"),
]
