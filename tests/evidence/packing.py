"""Packs made in a test's own process, beside a sealer that works as the one of the jobs does."""

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

import vis_verify
from evidence.sealed import Installation
from visionality.core.period import Period
from visionality.evidence.keys import published
from visionality.evidence.packs import Asked, Made, Output, Place, make

NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 30))
DECEMBER_3 = datetime(2026, 12, 3, 12, tzinfo=UTC)


@dataclass
class Packer:
    """Whoever makes packs of an installation, in `folder`, when it is `now`."""

    installation: Installation
    folder: Path
    now: datetime = DECEMBER_3

    def project(self, *keys: str, customer: str | None = None) -> None:
        """Projects of the control plane, and their customer."""
        org = self.installation.org
        with self.installation.database.as_role("vis_web", org) as connection:
            if customer:
                connection.execute(
                    "insert into vis_control.end_customer (id, org_id, key, name, created_at)"
                    " values (gen_random_uuid(), %s, %s, %s, now()) on conflict do nothing",
                    [org, customer, customer],
                )
            for key in keys:
                connection.execute(
                    "insert into vis_control.project (id, org_id, key, name, gl_code, customer_id, created_at)"
                    " select gen_random_uuid(), %s, %s, %s, '',"
                    " (select id from vis_control.end_customer where org_id = %s and key = %s), now()",
                    [org, key, key, org, customer],
                )

    def asked(
        self, kind: str = "project", name: str = "HPC", rows: str = "embedded", period=NOVEMBER, **more: Any
    ) -> Asked:
        return Asked(self.installation.org, kind, name, period, rows, **more)

    def make(self, *words: str, patience: float = 30, **more: Any) -> tuple[Made, Path]:
        asked = self.asked(*words, **more)
        path = self.folder / f"{asked.kind}-{asked.name}-{asked.rows}.json"
        beside = path.with_suffix(".jsonl")
        dsn = self.installation.database.dsn
        place = Place(dsn("vis_reader"), dsn("vis_web"), self.installation.keys, lambda: self.now)
        with path.open("w+b") as file, beside.open("w+b") as rows, self.sealing():
            output = Output(file, rows, beside.name) if asked.rows == "file" else Output(file)
            return make(place, asked, output, patience=patience), path

    def keys(self) -> bytes:
        with self.installation.database.as_role("vis_web", self.installation.org) as connection:
            return published(connection, self.installation.org, self.now)

    def verdict(self, path: Path, **asked: Any) -> vis_verify.Verdict:
        """What whoever gets it is told."""
        return vis_verify.verify_pack(path, self.keys(), vis_verify.Asked(**asked))

    @contextmanager
    def sealing(self) -> Iterator[None]:
        """A sealer at work."""
        done = Event()

        def work() -> None:
            while not done.wait(0.02):
                self.installation.seal(self.now)

        worker = Thread(target=work)
        worker.start()
        try:
            yield
        finally:
            done.set()
            worker.join()


def payload_of(path: Path) -> dict[str, Any]:
    return json.loads(b64decode(json.loads(path.read_bytes())["payload"]))


def predicate_of(path: Path) -> dict[str, Any]:
    return payload_of(path)["predicate"]


def rows_in(path: Path) -> list[dict[str, Any]]:
    chains = predicate_of(path)["ledger"]["chains"]
    return [row for chain in chains for segment in chain["rows"] for row in segment]
