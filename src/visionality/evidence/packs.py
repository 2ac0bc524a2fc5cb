"""Evidence packs: gathered at one moment, checked row by row, signed, and then checked as a receiver will check them.

What is in one is said in docs/audit/formats.md, section 5, and how to make and use one in docs/audit/packs.md.

Memory does not grow with the rows: they pass by once, into a file that is then signed as it lies there.
"""

import hashlib
import mmap
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO, Literal, Self, cast
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import dict_row, tuple_row
from psycopg.types.json import set_json_loads

import vis_verify
from visionality.core import dsse
from visionality.core.checkpoint import read_note
from visionality.core.pack import (
    Chain,
    Header,
    Organisation,
    Pack,
    Previous,
    RowsFile,
    Scope,
    ScopeKind,
    Tally,
    header_of,
    limits,
    statement,
)
from visionality.core.period import Period
from visionality.evidence import heads, keys, segments
from visionality.evidence.controls import collect
from visionality.evidence.controls.mappings import mappings
from visionality.evidence.cosignatures import cosigned_note, witnessed
from visionality.evidence.segment_rows import Segment, rows_of
from visionality.runtime.clock import Clock
from visionality.runtime.ids import uuid7
from visionality.runtime.sql import statements
from visionality.vault.keyproviders._core import KeyProvider

RowsMode = Literal["embedded", "file", "none"]
PATIENCE = 600
"""Seconds to wait for a sealer that works to close the segments that were asked for: it seals what piled up first."""
SILENT = timedelta(seconds=15)
"""After so long without a step there is no sealer."""

_SQL = statements("visionality.evidence.sql", "packs.sql")
_ROOM = 64
"""Bytes before a payload in its file, for what stands there in what is signed."""
_BLOCK = 3 * 256 * 1024
"""A multiple of three, so that base64 has no padding within."""

WITHOUT_PREVIOUS = (
    "The head of the pack before it of this scope was signed by a key that is revoked: "
    "that this one extends it is not shown."
)
_LOOK_EVERY = 0.1
"""Seconds."""
_TELL_EVERY = 1_000
"""Rows."""

Progress = Callable[[int, int], None]
"""Is told how many rows more were read, and how many there are in all."""


class CannotMake(Exception):
    """No pack was made; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """The installation: `reader_dsn` reaches its database as `vis_reader`, `web_dsn` as `vis_web`."""

    reader_dsn: str
    web_dsn: str
    keys: KeyProvider
    clock: Clock


@dataclass(frozen=True, slots=True)
class Asked:
    """What a pack is to be about. An organisation needs no name. `most` is how many rows may have to be read for it.

    With a `witness` named, the pack waits until that witness has co-signed a head with all of it, and carries that head.
    """

    org_id: UUID
    kind: ScopeKind
    name: str
    period: Period
    rows: RowsMode
    most: int | None = None
    witness: str = ""


@dataclass(frozen=True, slots=True)
class Output:
    """Open files with names: one for the envelope, and with rows by reference another, which will be called `rows_name`."""

    envelope: BinaryIO
    rows: BinaryIO | None = None
    rows_name: str = ""

    @property
    def path(self) -> Path:
        return Path(self.envelope.name)


@dataclass(frozen=True, slots=True)
class Made:
    """A pack that was written, and that its own verifier believes."""

    pack: Pack
    rows: RowsMode
    row_count: int
    """Rows of the segments that the period meets, those at its edges too."""
    totals: dict[str, dict[str, Any]]
    fingerprint: bytes
    size: int
    checkpoint_size: int
    verdict: str
    """What vis-verify says of it."""


def scope_of(place: Place, asked: Asked) -> tuple[Organisation, Scope]:
    """What was asked for, as it is called here. Raises CannotMake for what is not there."""
    with psycopg.connect(place.web_dsn, row_factory=tuple_row) as connection:
        _enter(connection, asked.org_id)
        named = {"org_id": asked.org_id, "name": asked.name}
        found = connection.execute(_SQL["organisation"], named).fetchone()
        if found is None:
            raise CannotMake("there is no such organisation")
        org = Organisation(found[0], found[1], found[2])
        if asked.kind == "organisation":
            projects = [key for (key,) in connection.execute(_SQL["projects"], named)]
            return org, Scope("organisation", org.slug, tuple(sorted(projects)))
        lines = connection.execute(_SQL[asked.kind], named).fetchall()
    if not lines:
        raise CannotMake(f"there is no {asked.kind} {asked.name} in this organisation")
    projects = sorted(key for (key,) in lines if key is not None)
    if not projects:
        raise CannotMake(
            f"the customer {asked.name} has no project, and a pack of a customer is of its projects: "
            f"`vis project add KEY --customer {asked.name}` adds one"
        )
    return org, Scope(asked.kind, asked.name, tuple(projects))


def make(
    place: Place,
    asked: Asked,
    output: Output,
    progress: Progress = lambda *_: None,
    *,
    patience: float = PATIENCE,
) -> Made:
    """Write a pack. Raises CannotMake, RowAltered, NoKeyYet, and what the database and the file system raise; then none was made."""
    asked_at = place.clock()
    if asked.period.start > asked_at:
        raise CannotMake(f"{asked.period.title} is yet to come: a pack is about days that have begun")
    org, scope = scope_of(place, asked)
    _close_segments(place, asked.org_id, scope, asked_at, patience)
    if asked.witness:
        _await_witness(place, asked, patience)
    with psycopg.connect(place.reader_dsn, row_factory=dict_row) as connection:
        _begin_reading(connection, asked.org_id)
        signing, private = keys.active(connection, place.keys, asked.org_id, "pack")
        pack, checkpoint_size = _gathered(connection, place, asked, org, scope, signing.fingerprint)
        reading = _Reading(connection, pack, progress)
        if asked.most is not None and reading.in_all > asked.most:
            raise CannotMake(
                f"its segments have {reading.in_all:,} rows, and {asked.most:,} at most are read here: "
                "make it with `vis evidence pack`"
            )
        with _Payload(output.path.parent) as payload:
            rows = _rows_mode(asked, reading, output)
            payload.write(statement(pack, reading.tally, rows, reading.embedded))
            size = payload.envelope(private, output.envelope)
        published = keys.published(connection, asked.org_id, place.clock())
    verdict = _verified(output, published, asked, scope, payload.digest)
    return Made(
        pack=pack,
        rows=asked.rows,
        row_count=reading.count,
        totals=reading.tally.totals(),
        fingerprint=payload.digest,
        size=size,
        checkpoint_size=checkpoint_size,
        verdict=verdict,
    )


def _close_segments(place: Place, org_id: UUID, scope: Scope, asked_at: datetime, patience: float) -> None:
    """Have all that stands by now sealed and closed, so that what came late is in it too."""
    with psycopg.connect(place.web_dsn) as connection:
        _enter(connection, org_id)
        segments.ask_to_close(connection, org_id, scope.projects, asked_at)
    give_up = time.monotonic() + patience
    silent_until = time.monotonic() + SILENT.total_seconds() / 3
    with psycopg.connect(place.reader_dsn, row_factory=tuple_row) as connection:
        while True:
            with connection.transaction():
                _enter(connection, org_id)
                if segments.is_closed_until(connection, org_id, scope.projects, asked_at):
                    return
                stepped = connection.execute(_SQL["stepped"]).fetchone()
            is_silent = stepped is None or stepped[0] < place.clock() - SILENT
            if is_silent and time.monotonic() > silent_until:
                since = f" since {stepped[0]:%Y-%m-%d %H:%M:%S} UTC" if stepped else ""
                raise CannotMake(
                    f"no sealer has worked{since}, and a pack is made of what is sealed: see that `vis jobs` runs, or `vis up`"
                )
            if time.monotonic() > give_up:
                raise CannotMake(
                    f"the sealer has not closed the segments within {patience:.0f} seconds: it works on what piled up; ask later"
                )
            time.sleep(_LOOK_EVERY)


def _await_witness(place: Place, asked: Asked, patience: float) -> None:
    """Until the witness has co-signed a head of all that is closed by now. Raises CannotMake."""
    give_up = time.monotonic() + patience
    with psycopg.connect(place.reader_dsn, row_factory=tuple_row) as connection:
        _enter(connection, asked.org_id)
        newest = heads.newest(connection, asked.org_id, "segments")
        assert newest is not None, "segments were closed"
        while (seen := _seen_by(connection, asked)) < newest.size:
            connection.commit()
            if not seen:
                raise CannotMake(
                    f"no line of a witness {asked.witness} ever came back for the log segments: `vis evidence heads --log segments` "
                    "gives what it signs, and `vis evidence heads add-witness` takes its answer"
                )
            if time.monotonic() > give_up:
                raise CannotMake(
                    f"the witness {asked.witness} has co-signed {seen:,} leaves of the log segments, and the pack needs {newest.size:,}: "
                    "have it sign the newest head, and ask again"
                )
            time.sleep(_LOOK_EVERY)
            _enter(connection, asked.org_id)


def _seen_by(connection: psycopg.Connection[Any], asked: Asked) -> int:
    """Leaves of the greatest head of the log of segments that the witness asked for has signed; 0 when none."""
    return next(
        (one.size for one in witnessed(connection, asked.org_id, "segments") if one.name == asked.witness), 0
    )


def _head(connection: psycopg.Connection[Any], asked: Asked) -> heads.Head:
    """The head that the pack's proofs lead to."""
    if asked.witness:
        head = heads.at_size(connection, asked.org_id, "segments", _seen_by(connection, asked))
    else:
        head = heads.newest(connection, asked.org_id, "segments")
    assert head is not None, "segments were closed, and their head co-signed"
    return head


def _begin_reading(connection: psycopg.Connection[Any], org_id: UUID) -> None:
    """A transaction that sees one moment. Times and JSON come as the form of a row wants them."""
    connection.read_only = True
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    set_json_loads(msgspec.json.decode, connection)
    connection.execute("set timezone to 'UTC'")
    _enter(connection, org_id)


def _verified(output: Output, published: bytes, asked: Asked, scope: Scope, fingerprint: bytes) -> str:
    """What its receiver will be told by vis-verify. Raises CannotMake when it refuses the pack."""
    wanted = vis_verify.Asked(
        org=str(asked.org_id),
        project=scope.name if scope.kind == "project" else None,
        customer=scope.name if scope.kind == "customer" else None,
        days=(asked.period.first.isoformat(), asked.period.last.isoformat()),
        fingerprint=fingerprint.hex(),
        rows=Path(output.rows.name) if output.rows else None,
    )
    verdict = vis_verify.verify_pack(output.path, published, wanted)
    if verdict.exit_code:
        raise CannotMake(f"its own verifier refuses it: {verdict.sentence}")
    return f"verified, {verdict.facts['attestation']}"


def _enter(connection: psycopg.Connection[Any], org_id: UUID) -> None:
    connection.execute("select set_config('vis.org_id', %s, true)", [str(org_id)])


def _gathered(
    connection: psycopg.Connection[Any],
    place: Place,
    asked: Asked,
    org: Organisation,
    scope: Scope,
    pack_key: str,
) -> tuple[Pack, int]:
    """All of a pack but its rows, and the size of the log that its checkpoint is of."""
    head = _head(connection, asked)
    facts = connection.execute(_SQL["facts"], {"org_id": asked.org_id}).fetchone()
    assert facts is not None, "an installation has its one row"
    now = place.clock()
    previous, left_out = _previous(connection, asked.org_id, scope, head.size)
    note = cosigned_note(connection, asked.org_id, "segments", head)
    notes = [note] + ([previous.checkpoint] if previous else [])
    return (
        Pack(
            pack_id=uuid7(),
            generated_at=now,
            version=version("visionality"),
            installation=facts["installation_id"],
            org=org,
            scope=scope,
            period=asked.period,
            policy_revision=facts["revision"],
            controls=collect(connection, asked.org_id, asked.period, now),
            mappings=mappings(),
            chains=[_chain(connection, asked.org_id, project, head.size) for project in scope.projects],
            checkpoint=note,
            previous=previous,
            keys=[
                (pack_key, "pack"),
                *((key.fingerprint, key.role) for key in _log_keys(connection, asked.org_id, notes)),
            ],
            limits=[*limits(scope, asked.period, now, asked.rows), *filter(None, [left_out])],
        ),
        head.size,
    )


def _chain(connection: psycopg.Connection[Any], org_id: UUID, project_id: str, size: int) -> Chain:
    named = {"org_id": org_id, "project_id": project_id, "size": size}
    newest = connection.execute(_SQL["newest_segment"], named).fetchone()
    if newest is None:
        raise CannotMake(f"project {project_id} has no closed segment: ask again")
    headers = segments.headers(connection, org_id, project_id)[: newest["segment_no"]]
    index = newest["leaf_index"]
    return Chain(project_id, headers, index, heads.inclusion_of(connection, org_id, "segments", index, size))


def _previous(
    connection: psycopg.Connection[Any], org_id: UUID, scope: Scope, size: int
) -> tuple[Previous | None, str]:
    """The head of the scope's previous pack, or why it is left out: nobody believes one whose key was revoked."""
    named = {"org_id": org_id, "kind": scope.kind, "name": scope.name}
    found = connection.execute(_SQL["previous"], named).fetchone()
    if found is None:
        return None, ""
    first = found["checkpoint_size"]
    if first > size:
        raise CannotMake(
            f"the log of segments has {size} leaves, and a pack of this scope was handed out when it had {first}: "
            "the database is older than what it once signed, as after an old backup"
        )
    if any(key.revoked_at for key in _log_keys(connection, org_id, [found["checkpoint"]])):
        return None, WITHOUT_PREVIOUS
    path = heads.consistency_of(connection, org_id, "segments", first, size)
    return Previous(found["checkpoint"], path), ""


def _log_keys(connection: psycopg.Connection[Any], org_id: UUID, notes: list[str]) -> list[keys.EvidenceKey]:
    """The keys that signed these heads."""
    known = [key for key in keys.everything(connection, org_id) if key.role == "log"]
    signed = [read_note(note) for note in notes]
    return [key for key in known if any(note.is_by(key.public) for note in signed)]


class _Reading:
    """The rows of a pack as they pass by: checked, counted and added up, once."""

    def __init__(self, connection: psycopg.Connection[Any], pack: Pack, progress: Progress) -> None:
        self.tally = Tally(pack.period)
        self.count = 0
        self._connection = connection
        self._pack = pack
        self._progress = progress
        headers = [header_of(one) for chain in pack.chains for one in chain.headers]
        self.in_all = sum(one.count for one in headers if one.meets(pack.period))

    def embedded(self, chain: Chain) -> Iterator[Iterator[bytes]]:
        """For each header of a chain, its rows where the period meets it."""
        for written in chain.headers:
            header = header_of(written)
            yield self._rows(chain, header) if header.meets(self._pack.period) else iter(())

    def all(self) -> Iterator[bytes]:
        """Every row, chain after chain."""
        for chain in self._pack.chains:
            for rows in self.embedded(chain):
                yield from rows

    def _rows(self, chain: Chain, header: Header) -> Iterator[bytes]:
        told = 0
        for row, written in rows_of(self._connection, Segment(self._pack.org.id, chain.project_id, header)):
            self.tally.add(row)
            self.count += 1
            told += 1
            if told == _TELL_EVERY:
                self._progress(told, self.in_all)
                told = 0
            yield written
        self._progress(told, self.in_all)


def _rows_mode(asked: Asked, reading: _Reading, output: Output) -> Literal["embedded", "none"] | RowsFile:
    """How rows come along; those that are not embedded are read here."""
    if asked.rows == "embedded":
        return "embedded"
    if asked.rows == "none":
        for _ in reading.all():
            pass
        return "none"
    assert output.rows is not None, "rows by reference go into a file"
    digest, size = hashlib.sha256(), 0
    for row in reading.all():
        line = row + b"\n"
        output.rows.write(line)
        digest.update(line)
        size += len(line)
    output.rows.flush()
    return RowsFile(output.rows_name, digest.hexdigest(), size, reading.count)


class _Payload:
    """A payload in a file of nobody's name, where it is signed as it lies."""

    def __init__(self, folder: Path) -> None:
        self._file = cast("BinaryIO", TemporaryFile(dir=folder))  # noqa: SIM115 -- closed by __exit__
        self._sha256 = hashlib.sha256()
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def digest(self) -> bytes:
        return self._sha256.digest()

    def write(self, pieces: Iterator[bytes]) -> None:
        self._file.seek(_ROOM)
        for piece in pieces:
            self._file.write(piece)
            self._sha256.update(piece)
            self._size += len(piece)

    def envelope(self, private: Any, out: BinaryIO) -> int:
        """Sign the payload and write it out. Returns the envelope's bytes."""
        head = dsse.pae_head(self._size)
        begin = _ROOM - len(head)
        self._file.seek(begin)
        self._file.write(head)
        self._file.flush()
        with (
            mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as lying,
            memoryview(lying) as all_of_it,
        ):
            with all_of_it[begin:] as signed:
                closing = dsse.closing(private, signed)
            written = out.write(dsse.OPENING)
            for at in range(_ROOM, _ROOM + self._size, _BLOCK):
                written += out.write(b64encode(all_of_it[at : at + _BLOCK]))
            written += out.write(closing)
        out.flush()
        return written
