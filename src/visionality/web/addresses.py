"""What follows for Django from where browsers find the pages, and from the server that takes mail."""

from typing import Any
from urllib.parse import unquote, urlsplit

from django.http import HttpRequest

from visionality.web.plane import WebSettings, plane
from visionality.web.settings import ALLOWED_HOSTS

SECURE_COOKIE = "__Host-vis_session"
"""A browser takes a cookie of this name only over TLS, from this host and for all of its paths (RFC 6265bis, 4.1.3.2)."""


def absolute(request: HttpRequest, path: str) -> str:
    """The address of a path of ours as browsers elsewhere find it: that of the request, where none was configured."""
    public = plane().public_url
    return public + path if public else request.build_absolute_uri(path)


def settings_of(given: WebSettings) -> dict[str, Any]:
    """Django's settings for this address and this mail server."""
    return {**_of_address(given.public_url), **_of_mail(given)}


def _of_address(public_url: str) -> dict[str, Any]:
    parts = urlsplit(public_url)
    found: dict[str, Any] = {"ALLOWED_HOSTS": [*ALLOWED_HOSTS, *filter(None, [parts.hostname])]}
    if parts.scheme == "https":
        found |= {
            "SESSION_COOKIE_NAME": SECURE_COOKIE,
            "SESSION_COOKIE_SECURE": True,
            "CSRF_COOKIE_NAME": "__Host-vis_csrf",
            "CSRF_COOKIE_SECURE": True,
            "CSRF_TRUSTED_ORIGINS": [f"https://{parts.netloc}"],
            "ACCOUNT_DEFAULT_HTTP_PROTOCOL": "https",
        }
    return found


def _of_mail(given: WebSettings) -> dict[str, Any]:
    if given.smtp_url is None:
        return {}
    parts = urlsplit(given.smtp_url)
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or (465 if parts.scheme == "smtps" else 587 if parts.username else 25),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp" and parts.username is not None,
        "EMAIL_TIMEOUT": 10,
        "DEFAULT_FROM_EMAIL": given.mail_from,
    }
