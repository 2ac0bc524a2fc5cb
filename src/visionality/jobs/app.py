"""The jobs process: loops that run on their own, behind an ASGI face for health and metrics only."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import structlog

from visionality.evidence.publishing import places_of
from visionality.jobs.afterwards import look
from visionality.jobs.burn import watch
from visionality.jobs.corrections import Corrector
from visionality.jobs.deliver import Deliverer, Mail
from visionality.jobs.guard import EVERY as GUARD_EVERY
from visionality.jobs.guard import guard
from visionality.jobs.health import Spend, metrics
from visionality.jobs.periods import begin
from visionality.jobs.publish import EVERY as PUBLISH_EVERY
from visionality.jobs.publish import Publisher
from visionality.jobs.reaper import Reaper
from visionality.jobs.rollup import Roller
from visionality.jobs.sealer import Sealer
from visionality.jobs.sync import Syncs
from visionality.jobs.tidy import tidy
from visionality.jobs.verify import EVERY as VERIFY_EVERY
from visionality.jobs.verify import Verifier
from visionality.ledger.writer import LedgerWriter
from visionality.runtime.away import why
from visionality.runtime.clock import Clock
from visionality.runtime.lifespan import lifespan
from visionality.runtime.settings import Settings
from visionality.vault.keyproviders._core import KeyProvider
from visionality.vault.webhooks import WEBHOOKS

log = structlog.get_logger()


class JobsApp:
    """`dsn_of` gives the address of the ledger for a role of ours."""

    def __init__(
        self, settings: Settings, clock: Clock, dsn_of: Callable[[str], str], keys: KeyProvider
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._dsn_of = dsn_of
        self._writer_dsn = dsn_of("vis_writer")
        self._jobs_dsn = jobs_dsn = dsn_of("vis_jobs")
        self._tasks: list[asyncio.Task[None]] = []
        mail = Mail(settings.smtp_url, settings.mail_from) if settings.smtp_url else None
        self._deliverer = Deliverer(jobs_dsn, mail, keys.secret(WEBHOOKS), clock)
        self._syncs = Syncs(jobs_dsn, keys, clock)
        self._roller = Roller(dsn_of("vis_sealer"), clock)
        self._sealer = Sealer(dsn_of("vis_sealer"), jobs_dsn, keys, clock)
        places = places_of(settings.heads_dir, settings.heads_bucket)
        mailboxes = settings.heads_mail or frozenset()
        self._publisher = Publisher(jobs_dsn, places, mailboxes, mail, clock)
        self._verifier = Verifier(dsn_of, places, clock)
        self._told = 0
        self._spend = Spend()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send, self._start, self._stop)
        elif scope["type"] == "http":
            status, text = await self._page(scope["path"])
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": text.encode()})

    async def _page(self, path: str) -> tuple[int, str]:
        if path == "/livez":
            return 200, "ok\n"
        if path == "/readyz":
            trouble = self._writer.trouble
            return (503, f"{trouble}\n") if trouble else (200, "ok\n")
        if path != "/metrics":
            return 404, "this process has /livez, /readyz and /metrics\n"
        counters = {
            "visionality_calls_in_doubt_total": self._reaper.charged,
            "visionality_holds_released_total": self._reaper.released,
            "visionality_correction_rows_total": self._corrector.corrected,
            "visionality_alerts_total": self._told,
            "visionality_rollup_rows_total": self._roller.rolled,
            "visionality_rollup_gaps_total": self._roller.gaps,
            "visionality_rollup_differences_total": self._roller.differences,
            "visionality_heads_kept_total": self._publisher.kept,
            "visionality_heads_failures_total": self._publisher.failures,
            "visionality_verified_rows_total": self._verifier.rows,
            "visionality_ledger_findings_total": self._verifier.findings,
            "visionality_sealed_leaves_total": self._sealer.sealed,
            "visionality_seal_breaks_total": self._sealer.breaks,
            "visionality_seal_altered_rows_total": self._sealer.altered,
        }
        try:
            return 200, await asyncio.to_thread(metrics, self._jobs_dsn, self._clock(), counters, self._spend)
        except psycopg.Error as error:
            return 503, f"{why(error)}\n"

    async def _start(self) -> None:
        settings = self._settings
        self._writer = LedgerWriter(self._writer_dsn, "jobs", self._clock, settings)
        await self._writer.start()
        self._reaper = Reaper(self._writer_dsn, self._writer, self._clock, settings.fence_after)
        self._corrector = Corrector(self._writer_dsn, self._writer, self._clock)
        self._syncs.start()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._reaper.run(), name="reaper"),
            loop.create_task(self._corrector.run(), name="corrections"),
            loop.create_task(self._watch(), name="burn"),
            loop.create_task(self._again("guard", GUARD_EVERY, self._guard), name="guard"),
            loop.create_task(self._again("heads", PUBLISH_EVERY, self._publisher.look), name="heads"),
            loop.create_task(
                self._again("verification", VERIFY_EVERY, self._verifier.look), name="verification"
            ),
            loop.create_task(self._roller.run(), name="rollup"),
            loop.create_task(self._sealer.run(), name="sealer"),
        ]

    async def _watch(self) -> None:
        """Watch budgets, send what is to be sent, forget what is over, begin what begins, order what became known; for ever."""
        while True:
            try:
                self._told += await asyncio.to_thread(watch, self._jobs_dsn, self._clock())
                await asyncio.to_thread(self._deliverer.deliver)
                skew = timedelta(seconds=self._settings.binding_skew)
                await asyncio.to_thread(tidy, self._jobs_dsn, self._clock(), skew)
                await asyncio.to_thread(begin, self._jobs_dsn)
                await asyncio.to_thread(look, self._jobs_dsn, self._clock())
            except psycopg.Error as error:
                log.warning("burn_waits", error=str(error), error_type=type(error).__name__)
            except Exception:
                log.exception("burn_failed")
            await asyncio.sleep(self._settings.burn_every)

    async def _again(self, name: str, seconds: float, look: Callable[[], int]) -> None:
        """Look again and again, and count the alerts that are new; for ever."""
        while True:
            try:
                self._told += await asyncio.to_thread(look)
            except psycopg.Error as error:
                log.warning("look_waits", look=name, error=str(error), error_type=type(error).__name__)
            except Exception:
                log.exception("look_failed", look=name)
            await asyncio.sleep(seconds)

    def _guard(self) -> int:
        """Whether history can be changed by now."""
        return guard(self._dsn_of, self._clock())

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._syncs.stop)
        await asyncio.to_thread(self._roller.close)
        await asyncio.to_thread(self._sealer.close)
        self._reaper.close()
        self._corrector.close()
        await self._writer.close()
