"""Heads go to the places that the operator named: every minute while they change, and by mail once a day.

A place that fails or contradicts is an alert, once for each time that it begins, and stands on the pages until it is over. It
stops no other place and no sealing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

import psycopg
import structlog

from visionality.core.alert import Told
from visionality.evidence.heads import LOGS, Head, Log, newest
from visionality.evidence.places._core import Place
from visionality.evidence.publishing import (
    Failed,
    Organisation,
    digest,
    failed_in,
    mailed_at,
    organisations,
    publish,
    remember,
)
from visionality.jobs.deliver import Mail, NotDelivered
from visionality.jobs.tell import tell
from visionality.runtime.clock import Clock

log = structlog.get_logger()

EVERY = 60.0
"""Seconds between two looks."""
SCOPE = "heads"


@dataclass(slots=True)
class Publisher:
    """`dsn` reaches the database as vis_jobs. `mail` is None where no server was set: then mail waits."""

    dsn: str
    places: Sequence[Place]
    mailboxes: frozenset[str]
    mail: Mail | None
    clock: Clock
    kept: int = field(default=0, init=False)
    failures: int = field(default=0, init=False)

    def look(self) -> int:
        """Keep what is new. Returns how many alerts are new. Raises psycopg.Error."""
        if not self.places and not self.mailboxes:
            return 0
        told = 0
        with psycopg.connect(self.dsn, connect_timeout=5, autocommit=True) as connection:
            for whose in organisations(connection):
                now = self.clock()
                failed = self._mailed(connection, whose, now)
                for place in self.places:
                    kept, more = publish(connection, place, whose, now)
                    self.kept += kept
                    failed += more
                self.failures += len(failed)
                told += sum(_tell(connection, whose, now, one) for one in failed)
        return told

    def _mailed(
        self, connection: psycopg.Connection[Any], whose: Organisation, now: datetime
    ) -> list[Failed]:
        """Send the digest of a day of the organisation to each mailbox that has not had it."""
        zone = ZoneInfo(whose.time_zone)
        failed: list[Failed] = []
        for mailbox in sorted(self.mailboxes):
            place = f"mailto:{mailbox}"
            last = mailed_at(connection, whose.org_id, place)
            if last is not None and last.astimezone(zone).date() == now.astimezone(zone).date():
                continue
            heads = {one: head for one in LOGS if (head := newest(connection, whose.org_id, one))}
            if not heads:
                continue
            try:
                self._send(mailbox, whose, heads, now)
            except NotDelivered as error:
                failed += [failed_in(connection, place, whose, one, error, now) for one in heads]
                continue
            for one, head in heads.items():
                remember(connection, whose.org_id, place, one, head.size, now)
            self.kept += len(heads)
        return failed

    def _send(self, mailbox: str, whose: Organisation, heads: Mapping[Log, Head], now: datetime) -> None:
        if self.mail is None:
            raise NotDelivered("no mail server is set: VIS_SMTP_URL")
        message = EmailMessage()
        message["From"], message["To"] = self.mail.sender, mailbox
        message["Subject"] = (
            f"Heads of the ledger of {whose.slug}, {now.astimezone(ZoneInfo(whose.time_zone)):%d %B %Y}"
        )
        message["Date"] = now
        message.set_content(digest(whose, heads))
        for one, head in heads.items():
            name = f"{one}.checkpoint"
            message.add_attachment(
                head.note.encode(), maintype="application", subtype="octet-stream", filename=name
            )
        self.mail.send(message)


def _tell(connection: psycopg.Connection[Any], whose: Organisation, now: datetime, failed: Failed) -> bool:
    say = log.error if failed.contradicts else log.warning
    say(
        "head_contradicted" if failed.contradicts else "head_not_kept",
        org_id=str(whose.org_id),
        place=failed.place,
        log=failed.log,
        error=failed.sentence,
    )
    title = (
        f"{failed.place} keeps a head that this ledger contradicts"
        if failed.contradicts
        else f"Heads do not reach {failed.place}"
    )
    lines = [failed.sentence]
    lines += (
        ["`vis ledger verify --full` names the rows. Nothing more is kept there until somebody has looked."]
        if failed.contradicts
        else [
            "It is tried again every minute. Sealing goes on; what is kept elsewhere is older than it could be."
        ]
    )
    detail: dict[str, object] = {"place": failed.place, "log": failed.log, "contradicts": failed.contradicts}
    subject = uuid5(NAMESPACE_URL, f"{failed.place} {failed.since.isoformat()} {failed.contradicts}")
    return tell(
        connection, whose.org_id, now, "heads", subject, 0, SCOPE, Told(title, "\n".join(lines), detail)
    )
