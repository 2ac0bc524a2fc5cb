"""The ledger is checked every night of each organisation, whole, and in samples in between (promise L3).

A finding is an alert, once, a line of the log, and stands on the pages until a whole check finds it no longer. Organisations whose
night begins together are checked together: it is one ledger.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

import psycopg
import structlog

from visionality.core.alert import Told
from visionality.core.finding import Finding
from visionality.evidence.kept_heads import of_places
from visionality.evidence.places._core import Place
from visionality.evidence.publishing import organisations
from visionality.evidence.verification import Check, Extent, KeptHead, Verified, broken_off
from visionality.evidence.verifications import Night, keep, nights
from visionality.jobs.tell import tell
from visionality.runtime.clock import Clock

log = structlog.get_logger()

EVERY = 300.0
"""Seconds between two looks: each takes a sample, or the whole where a night has begun."""
SAMPLED = 200
"""Rows of each log that a sample has at least, where there are so many."""
KIND, SCOPE = "evidence", "ledger"


@dataclass(slots=True)
class Verifier:
    """`dsn_of` gives the address of the ledger for a role of ours."""

    dsn_of: Callable[[str], str]
    places: Sequence[Place]
    clock: Clock
    rows: int = field(default=0, init=False)
    findings: int = field(default=0, init=False)
    """What the last whole check of every organisation found, and samples since."""

    def look(self) -> int:
        """Check what is due. Returns how many alerts are new. Raises psycopg.Error."""
        now = self.clock()
        with psycopg.connect(self.dsn_of("vis_jobs"), connect_timeout=5, autocommit=True) as jobs:
            due: dict[tuple[Extent, date], list[Night]] = defaultdict(list)
            for night in nights(jobs):
                today = now.astimezone(ZoneInfo(night.time_zone)).date()
                due["sample" if night.day == today else "full", today].append(night)
            return sum(self._check(jobs, extent, day, those) for (extent, day), those in due.items())

    def _check(self, jobs: psycopg.Connection, extent: Extent, day: date, those: list[Night]) -> int:
        started_at = self.clock()
        names = {night.org_id: night.slug for night in those}
        kept = self._kept(jobs, names) if extent == "full" else []
        try:
            done = self._checked(names, extent, kept)
        except psycopg.OperationalError:
            raise
        except Exception as error:
            log.exception("verification_broke_off")
            done = [broken_off(org_id, name, error) for org_id, name in names.items()]
        told = 0
        for one in done:
            self.rows += one.rows
            keep(jobs, one, extent, day, started_at, self.clock())
            told += sum(self._tell(jobs, one, finding, started_at) for finding in one.findings)
        return told

    def _checked(self, names: dict[UUID, str], extent: Extent, kept: list[KeptHead]) -> list[Verified]:
        with psycopg.connect(self.dsn_of("vis_auditor"), connect_timeout=5, autocommit=True) as auditor:
            check = Check(auditor, names)
            return check.full(kept) if extent == "full" else check.sample(SAMPLED)

    def _kept(self, jobs: psycopg.Connection, names: dict[UUID, str]) -> list[KeptHead]:
        return [
            kept
            for whose in organisations(jobs)
            if whose.org_id in names
            for kept in of_places(self.places, whose.installation_id, whose.org_id)
        ]

    def _tell(self, jobs: psycopg.Connection, done: Verified, finding: Finding, now: datetime) -> bool:
        named = {"log_name": finding.log, "writer_no": finding.writer_no, "number": finding.number}
        log.error("ledger_finding", org=done.name, kind=finding.kind, **named, sentence=finding.sentence)
        self.findings += 1
        # the count of others like it may grow without being news
        mark = f"{finding.kind} {finding.log} {finding.writer_no} {finding.number} {finding.row_id} {finding.place}"
        lines = [
            finding.sentence,
            "It stands on the page of the security seat until a whole check finds it no longer.",
            "`vis ledger verify --full` checks now; docs/audit/heads.md says what each finding means.",
        ]
        detail: dict[str, object] = {
            "finding": finding.kind,
            "log": finding.log,
            "writer_no": finding.writer_no,
            "number": finding.number,
            "row_id": str(finding.row_id) if finding.row_id else None,
        }
        told = Told(
            f"The ledger is not what was sealed: {finding.kind} in {finding.log}", "\n".join(lines), detail
        )
        return tell(jobs, done.org_id, now, KIND, uuid5(NAMESPACE_URL, mark), 0, SCOPE, told)
