"""The web plane as an ASGI application, for uvicorn."""

from typing import TYPE_CHECKING

from visionality.web.plane import WebSettings
from visionality.web.start import start_django

if TYPE_CHECKING:
    from visionality.web.handler import Handler

__all__ = ["WebSettings", "application", "load"]


def load() -> None:
    """Import what the pages are made of, before their database can be reached."""
    start_django({})
    from visionality.web import handler, urls  # noqa: F401, PLC0415 -- Django must be set up first


def application(given: WebSettings) -> "Handler":
    """Set Django up and return its ASGI application. Once a process, as Django wants it."""
    start_django({"default": given.web_dsn}, given.secret_key)
    from django.conf import settings  # noqa: PLC0415 -- Django must be set up first

    settings.VIS = given
    from visionality.web.addresses import settings_of  # noqa: PLC0415 -- Django must be set up first

    for name, value in settings_of(given).items():
        setattr(settings, name, value)
    from visionality.web.handler import Handler  # noqa: PLC0415 -- Django must be set up first

    return Handler()
