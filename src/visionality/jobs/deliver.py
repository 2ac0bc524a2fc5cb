"""Alerts leave the house: by e-mail over SMTP, and as signed webhooks.

Each delivery is tried again with growing waits for a day, then given up; the alert stays in the inbox. A webhook follows
the Standard Webhooks specification: HMAC-SHA256 over its id, its time and its bytes, so that its receiver can tell that it
is ours, fresh, and not sent before. It is sent once more when the answer was lost, under the same id. Redirects are not followed.
"""

import base64
import hashlib
import hmac
import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.message import EmailMessage
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit
from uuid import UUID

import msgspec
import psycopg
import structlog

from visionality.runtime.clock import Clock
from visionality.runtime.destination import is_refused
from visionality.runtime.sql import statements
from visionality.vault.webhooks import webhook_key

log = structlog.get_logger()

WAITS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=3),
    timedelta(hours=12),
)
"""Before each further try."""
AT_ONCE = 100
PATIENCE = 10.0
"""Seconds for a mail server or a receiver to answer."""

_SQL = statements("visionality.jobs", "deliver.sql")
_encode = msgspec.json.Encoder().encode


class NotDelivered(Exception):
    """The other side did not take it; the message says why."""


class Due(NamedTuple):
    """One alert for one channel."""

    org_id: UUID
    alert_id: UUID
    channel_id: UUID
    attempts: int
    channel: str
    target: str
    created_at: datetime
    kind: str
    scope: str
    title: str
    body: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mail:
    """The server that takes our mail: `smtp://user:password@host:587`, or `smtps://` for TLS from the first byte."""

    url: str = field(repr=False)
    sender: str

    def send(self, message: EmailMessage) -> None:
        """Raises NotDelivered."""
        server = urlsplit(self.url)
        host, context = server.hostname or "", ssl.create_default_context()
        try:
            if server.scheme == "smtps":
                smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                    host, server.port or 465, timeout=PATIENCE, context=context
                )
            else:
                smtp = smtplib.SMTP(host, server.port or 587, timeout=PATIENCE)
            with smtp:
                smtp.ehlo()
                if server.scheme == "smtp" and smtp.has_extn("starttls"):
                    smtp.starttls(context=context)
                if server.username:
                    smtp.login(unquote(server.username), unquote(server.password or ""))
                smtp.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise NotDelivered(f"{type(error).__name__}: {error}") from None


@dataclass(frozen=True, slots=True)
class Deliverer:
    """`mail` is None where no server was set: then mail waits. `secret` is what the keys of webhooks follow from."""

    dsn: str
    mail: Mail | None
    secret: bytes = field(repr=False)
    clock: Clock

    def deliver(self) -> int:
        """Try everything that is due. Returns how many arrived. Raises what psycopg raises."""
        arrived = 0
        with psycopg.connect(self.dsn, connect_timeout=5) as connection:
            for _ in range(AT_ONCE):
                with connection.transaction():
                    found = connection.execute(_SQL["due"], {"now": self.clock()}).fetchone()
                    if found is None:
                        break
                    arrived += self._try(connection, Due(*found))
        return arrived

    def _try(self, connection: psycopg.Connection, due: Due) -> bool:
        key = {"org_id": due.org_id, "alert_id": due.alert_id, "channel_id": due.channel_id}
        try:
            if due.channel == "email":
                self._mail(due)
            else:
                self._webhook(due)
        except NotDelivered as error:
            log.warning(
                "alert_not_delivered", channel=due.channel, error=str(error), attempts=due.attempts + 1
            )
            now = self.clock()
            is_last = due.attempts >= len(WAITS)
            due_at = now if is_last else now + WAITS[due.attempts]
            given_up_at = now if is_last else None
            failed = {**key, "error": str(error)[:500], "due_at": due_at, "given_up_at": given_up_at}
            connection.execute(_SQL["failed"], failed)
            return False
        connection.execute(_SQL["delivered"], {**key, "now": self.clock()})
        return True

    def _mail(self, due: Due) -> None:
        if self.mail is None:
            raise NotDelivered("no mail server is set: VIS_SMTP_URL")
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.mail.sender, due.target, due.title
        message["Message-ID"] = f"<{due.alert_id}.{due.channel_id}@visionality>"
        message["Date"] = due.created_at
        message.set_content(due.body)
        self.mail.send(message)

    def _webhook(self, due: Due) -> None:
        content = {
            "type": due.kind,
            "timestamp": due.created_at.isoformat(),
            "data": {"alert_id": str(due.alert_id), "scope": due.scope, "title": due.title, "text": due.body}
            | due.detail,
        }
        body, at = _encode(content), str(int(self.clock().timestamp()))
        key = webhook_key(self.secret, due.channel_id)
        headers = {
            "content-type": "application/json",
            "webhook-id": str(due.alert_id),
            "webhook-timestamp": at,
            "webhook-signature": signature(key, str(due.alert_id), at, body),
        }
        _post(due.target, headers, body)


def signature(key: bytes, message_id: str, at: str, body: bytes) -> str:
    """`v1,` and the signature in base64 (Standard Webhooks 1.0)."""
    signed = hmac.digest(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"


def _post(url: str, headers: dict[str, str], body: bytes) -> None:
    """Raises NotDelivered unless the answer is 2xx."""
    target = urlsplit(url)
    kind = HTTPSConnection if target.scheme == "https" else HTTPConnection
    connection = kind(target.hostname or "", target.port, timeout=PATIENCE)
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    try:
        connection.connect()
        if is_refused(connection.sock.getpeername()[0]):
            raise NotDelivered("its name leads to a machine's metadata service")
        connection.request("POST", path, body, headers)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise NotDelivered(f"{type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise NotDelivered(f"it answered {status}")
