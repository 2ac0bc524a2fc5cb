"""Django's own `auth` and `contenttypes`, loaded because allauth imports them, and with no tables.

Nobody has permissions or groups of Django's: what somebody may do stands in their membership. Their apps would fill those
tables after each migration, so these do not ask to be told of one.
"""

from django.contrib.auth.apps import AuthConfig
from django.contrib.contenttypes.apps import ContentTypesConfig


class BareAuth(AuthConfig):
    default = False

    def ready(self) -> None:
        """Without permissions to make and checks of a superuser's model."""


class BareContentTypes(ContentTypesConfig):
    default = False

    def ready(self) -> None:
        """Without content types to make."""
