"""Sessions whose contents are sealed at rest.

Django signs them and no more, and allauth keeps in them the seed of an authenticator app that is being set up, we the token of
an invitation whose bearer is away at their sign-on: neither may stand in a row, or in a backup of it.
"""

import base64
from typing import Any

from django.contrib.sessions.backends import db

from visionality.vault.purposes import SESSION_CONTENTS, session_context
from visionality.vault.sealing import SealBroken, seal, unseal
from visionality.web.plane import plane


class SessionStore(db.SessionStore):
    """Django's sessions in the database. One that does not open is an empty one: its owner signs in again."""

    def encode(self, session_dict: dict[str, Any]) -> str:
        text: bytes = self.serializer().dumps(session_dict)
        return base64.b64encode(seal(plane().keys.secret(SESSION_CONTENTS), session_context(), text)).decode()

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        try:
            record = base64.b64decode(session_data)
            text = unseal(plane().keys.secret(SESSION_CONTENTS), session_context(), record)
        except (SealBroken, ValueError):
            return {}
        found: dict[str, Any] = self.serializer().loads(text)
        return found
