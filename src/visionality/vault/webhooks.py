"""The keys that webhooks are signed with: one a channel, following from one secret of the installation."""

import base64
import hashlib
import hmac
from uuid import UUID

WEBHOOKS = "webhooks"
"""The secret's name with the KeyProvider."""
PREFIX = "whsec_"


def webhook_key(secret: bytes, channel_id: UUID) -> bytes:
    """The 32 bytes that sign what goes to this channel."""
    return hmac.digest(secret, channel_id.bytes, hashlib.sha256)


def spelled(key: bytes) -> str:
    """The key as a receiver is given it (Standard Webhooks 1.0)."""
    return PREFIX + base64.b64encode(key).decode()
