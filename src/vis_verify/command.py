"""The command line: `vis-verify pack.json --key keys.json`. It reads what it is told to and nothing else.

No configuration, no environment, no network. The exit code is the verdict (docs/audit/verify.md).
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import NoReturn

import vis_verify
from vis_verify.asked import Asked
from vis_verify.check import FIGURE, PACK, verify_envelope, verify_receipt
from vis_verify.keys import BadKeys, Key, Keys, read_bare, read_list, read_vkey
from vis_verify.note import BadNote, Note, Witness, read_note
from vis_verify.period import days_of
from vis_verify.pinned import own_digest, pinned
from vis_verify.quiet import refuse_all_but_reading
from vis_verify.spelling import is_hash
from vis_verify.verdict import Code, Verdict, shown

MOST = 1024 * 1024
"""Bytes of a file of keys, a head, a receipt or a proof."""

_EPILOG = """exit codes: 0 all checks passed; 2 usage; 3 the verifier failed; 10 unreadable; 11 version; 12 type;
20 bad signature; 21 untrusted key; 22 key expired or revoked; 30 a fingerprint differs; 31 not in its one form;
40 inclusion; 41 consistency; 42 checkpoint; 43 a witness is missing; 50 gap or omission; 51 totals differ;
60 another scope or period; 61 stale; 80 a control is not satisfied. Nothing but 0 may be relied on."""

_NO_KEYS = (
    "Expected the keys that are believed, but none were given and this build pins none: get the list that "
    "`vis evidence keys` prints from the organisation, compare its fingerprints on a path of your own, and say "
    "--key keys.json."
)


class Usage(Exception):
    """What was typed cannot be followed; the message is a sentence."""


def run() -> NoReturn:
    """What an auditor's shell starts: the command, in a process that may only read."""
    refuse_all_but_reading()
    gc.disable()  # reading rows leaves nothing behind that only it would find
    sys.excepthook = _failed
    sys.exit(main(sys.argv[1:], datetime.now(timezone.utc)))  # noqa: TID251 - it stands alone


def _failed(kind: type[BaseException], error: BaseException, trace: object) -> None:
    """Nothing that this program did not foresee may look like a verdict."""
    del trace
    sys.stderr.write(shown(f"NOT VERIFIED  the verifier failed ({kind.__name__}: {str(error)[:200]})") + "\n")
    sys.stderr.flush()
    os._exit(Code.INTERNAL)


def main(words: Sequence[str], now: datetime) -> int:
    """Check what the words name, print the verdict, return the exit code."""
    given = _parser(words[0] if words and words[0] in _COMMANDS else "").parse_args(_rest(words))
    try:
        if given.self:
            return _print_self()
        verdict = _verdict(given, now)
    except (Usage, BadKeys) as error:
        verdict = Verdict(Code.USAGE, str(error), [shown(str(error))], {"sentence": str(error)})
        verdict.facts.update(verdict="not verified", exit_code=int(Code.USAGE), meaning="usage")
    _print(json.dumps(verdict.facts, indent=2, sort_keys=True) if given.json else "\n".join(verdict.lines))
    return int(verdict.exit_code)


_COMMANDS = {"pack": PACK, "figure": FIGURE, "receipt": None}


def _rest(words: Sequence[str]) -> Sequence[str]:
    return words[1:] if words and words[0] in _COMMANDS else words


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vis-verify",
        usage="vis-verify [pack|figure|receipt] FILE --key KEYS [...]",
        description="Checks evidence of Visionality offline: evidence packs, signed figures and spend receipts.",
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=100),
    )
    parser.set_defaults(command=command)
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="the pack, figure or receipt; a receipt also as its text"
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="KEYS",
        help="list of keys, or ROLE=KEY: base64, PEM or a verifier key, as text or in a file; ROLE is log, pack or receipt",
    )
    parser.add_argument("--org", metavar="ORG", help="id, slug or name that it must be of")
    parser.add_argument("--project", metavar="NAME", help="the project that it must be of")
    parser.add_argument("--customer", metavar="NAME", help="the customer that it must be of")
    parser.add_argument("--period", metavar="PERIOD", help="2026-11, or FROM..TO as 2026-11-01..2026-11-15")
    parser.add_argument("--fingerprint", metavar="HEX", help="the fingerprint that it must have")
    parser.add_argument("--prev", metavar="HEAD", help="file with a head you kept, which it must extend")
    parser.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="NAME=KEY",
        help="a witness that must have signed its head; KEY is a verifier key or base64",
    )
    parser.add_argument("--rows", metavar="FILE", help="the file of rows that came with the pack")
    parser.add_argument("--proof", metavar="FILE", help="of a receipt: the proof that its row was sealed")
    parser.add_argument("--fresh-within", type=int, metavar="DAYS", help="refuse what was made longer ago")
    parser.add_argument(
        "--require-satisfied", action="store_true", help="refuse a pack with a control that is not satisfied"
    )
    parser.add_argument("--json", action="store_true", help="print the verdict as JSON")
    parser.add_argument(
        "--self", action="store_true", help="print what this program is, and the keys that it pins"
    )
    parser.add_argument("--version", action="version", version=f"vis-verify {vis_verify.__version__}")
    return parser


def _verdict(given: argparse.Namespace, now: datetime) -> Verdict:
    if given.file is None:
        raise Usage("Expected a file to check, but none was named: say vis-verify pack.json --key keys.json.")
    keys = _keys(given.key)
    asked = _asked(given, now)
    if given.command == "receipt":
        path = Path(given.file)
        text = (
            _small(path, "the receipt").rstrip("\n")
            if "." not in given.file or _is_file(path)
            else given.file
        )
        proof = None if given.proof is None else _small(Path(given.proof), "the proof")
        return verify_receipt(text, keys, proof, asked)
    if given.proof is not None:
        raise Usage("Expected --proof with a receipt, but this is none: say vis-verify receipt.")
    path = Path(given.file)
    if not _is_file(path):
        raise Usage(f"Expected a file, but {given.file} is none: give the path of the pack.")
    return verify_envelope(path, keys, asked, path.name, _COMMANDS.get(given.command))


def _asked(given: argparse.Namespace, now: datetime) -> Asked:
    try:
        days = None if given.period is None else days_of(given.period)
    except ValueError:
        raise Usage(
            f"Expected --period as 2026-11 or FROM..TO, but it is {given.period}: give both days."
        ) from None
    if given.fingerprint is not None and not is_hash(given.fingerprint.lower()):
        raise Usage("Expected --fingerprint to have 64 hexadecimal digits, but it has not: copy it whole.")
    if given.fresh_within is not None and not 0 <= given.fresh_within <= 36_500:
        raise Usage(
            f"Expected --fresh-within as days from 0 to 36500, but it is {given.fresh_within}: give days."
        )
    return Asked(
        org=given.org,
        project=given.project,
        customer=given.customer,
        days=days,
        fingerprint=given.fingerprint,
        previous=None if given.prev is None else _head(Path(given.prev)),
        witnesses=tuple(_witness(text) for text in given.witness),
        rows=None if given.rows is None else Path(given.rows),
        fresh_within_days=given.fresh_within,
        now=now,
        require_satisfied=given.require_satisfied,
    )


def _keys(given: Sequence[str]) -> Keys:
    """The keys that are believed. Raises Usage, BadKeys."""
    if not given:
        found = pinned()
        if found is None:
            raise Usage(_NO_KEYS)
        return found
    if len(given) == 1 and given[0].partition("=")[0] not in ("log", "pack", "receipt"):
        try:
            return read_list(_small(Path(given[0]), "the list of keys"))
        except BadKeys as bad:
            raise BadKeys(
                f"Expected a list of keys in {given[0]}, but {bad}: get the list again, or say --key pack=... and --key log=...."
            ) from None
    return Keys(tuple(_bare_key(text) for text in given))


def _bare_key(text: str) -> Key:
    role, sign, value = text.partition("=")
    if not sign:
        raise Usage(
            f"Expected one list of keys or keys as ROLE=KEY, but one is {text[:60]}: say which role it has."
        )
    try:
        return read_bare(role, _small(Path(value), "the key") if _is_file(Path(value)) else value)
    except BadKeys as bad:
        raise Usage(f"Expected --key {role}=KEY, but {bad}: give base64, PEM or a verifier key.") from None


def _witness(text: str) -> Witness:
    name, sign, value = text.partition("=")
    try:
        if "+" in value and len(value) > 44:
            said, public = read_vkey(value, 4)
        else:
            said, public = name, read_bare("log", value).public
    except BadKeys as bad:
        raise Usage(f"Expected --witness NAME=KEY, but {bad}: copy what the witness gave you.") from None
    if not sign or said != name or not name:
        raise Usage(
            f"Expected --witness NAME=KEY, but the name {name[:60]!r} is not that of the key: copy both."
        )
    return Witness(name, public)


def _head(path: Path) -> Note:
    try:
        return read_note(_small(path, "the head"))
    except BadNote as bad:
        raise Usage(f"Expected a signed head in {path}, but {bad}: give the file as you kept it.") from None


def _small(path: Path, what: str) -> str:
    """The text of a file that is never large. Raises Usage."""
    try:
        with path.open("rb") as file:
            found = file.read(MOST + 1)
        if len(found) > MOST:
            raise Usage(f"Expected {what} in {path}, but it is larger than a megabyte: give another file.")
        return found.decode()
    except OSError as error:
        raise Usage(
            f"Expected {what} in {path}, but it cannot be read ({error.strerror}): give its path."
        ) from None
    except UnicodeDecodeError:
        raise Usage(f"Expected {what} in {path}, but it is not text: give another file.") from None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _print_self() -> int:
    """What this program is, so that two people can compare it."""
    digest = own_digest()
    lines = [f"vis-verify {vis_verify.__version__}"]
    lines.append(
        f"sha256 {digest}" if digest else "installed as a package: it has no file of its own to compare"
    )
    keys = pinned()
    if keys is None:
        lines.append("pins no keys: say --key")
    else:
        lines.append(f"pins keys of {keys.org['name'] if keys.org else ''}, installation {keys.installation}")
        lines += [f"  {key.role:<8}{key.fingerprint}" for key in keys.keys]
    _print("\n".join(shown(line) for line in lines))
    return 0


def _print(text: str) -> None:
    """Print text, whatever the terminal can show."""
    sys.stdout.buffer.write((text + "\n").encode(sys.stdout.encoding or "utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()
