"""The keys that are believed, and how a person gives them: as the list of docs/audit/formats.md section 4, or bare.

They come from outside of what is checked, always. A key believes nothing it did not sign for its own role.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from vis_verify import ed25519
from vis_verify.canonical import NotStrict, read
from vis_verify.spelling import is_moment_form, of_base64
from vis_verify.verdict import Code, Refused

ROLES = ("log", "pack", "receipt")
TYPE = "visionality verification keys"
_LIST = {"installation", "issued_at", "keys", "org", "type", "v"}
_KEY = {"active_from", "alg", "fingerprint", "public", "revoked_at", "role", "verify_until"}
_PEM = re.compile(r"-----BEGIN PUBLIC KEY-----\s([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----")
_DER = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410)."""


class BadKeys(Exception):
    """Keys that cannot be used; the message says why, as half a sentence about them."""


@dataclass(frozen=True)
class Key:
    """One public key. What it signed counts from `active_from` until `verify_until`, and never once it is revoked."""

    role: str
    public: bytes
    active_from: str | None = None
    verify_until: str | None = None
    revoked_at: str | None = None

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.public).hexdigest()

    def must_count(self, signed_at: str) -> None:
        """Raises Refused unless what this key signed at that time is believed."""
        if self.revoked_at is not None:
            came, do = f"it was revoked at {self.revoked_at}", "ask for evidence that a key in force signed"
        elif self.active_from is not None and signed_at < self.active_from:
            came, do = f"it is in force only from {self.active_from}", "ask who signed with it before"
        elif self.verify_until is not None and signed_at > self.verify_until:
            came, do = (
                f"it counts only until {self.verify_until}",
                "ask for evidence that a key in force signed",
            )
        else:
            return
        what = f"the {self.role} key {self.fingerprint[:16]} to be in force at {signed_at}"
        raise Refused(Code.KEY_EXPIRED, what, came, do)


@dataclass(frozen=True)
class Keys:
    """The keys that are believed. `installation` and `org` are known when a list gave them."""

    keys: tuple[Key, ...]
    installation: str | None = None
    org: dict[str, str] | None = None

    def must_have(self, fingerprint: str, role: str) -> Key:
        """The key with this fingerprint. Raises Refused when it was not given, or for another role."""
        found = next((key for key in self.keys if key.fingerprint == fingerprint), None)
        if found is None:
            came = f"it is signed by {fingerprint[:16]}"
            do = "get the list of keys anew on a path of your own, and believe no key that came with the evidence"
            raise Refused(Code.UNTRUSTED_KEY, "a signature by one of the keys that were given", came, do)
        if found.role != role:
            came = f"{fingerprint[:16]} is a {found.role} key"
            raise Refused(Code.UNTRUSTED_KEY, f"a signature by a {role} key", came, "refuse it")
        return found

    def of_role(self, role: str) -> list[Key]:
        return [key for key in self.keys if key.role == role]


def read_list(text: str) -> Keys:
    """The list of keys that an installation gives out, laid out in any way. Raises BadKeys."""
    try:
        found = read(text)
    except NotStrict as refused:
        raise BadKeys(str(refused)) from None
    if not isinstance(found, dict) or found.get("type") != TYPE:
        raise BadKeys(f'it is not of the type "{TYPE}"')
    if found.get("v") != 1 or set(found) != _LIST:
        raise BadKeys("it has other fields than version 1 of this list")
    org = found["org"]
    if not (isinstance(org, dict) and {"id", "name", "slug"} == set(org) and _are_texts(*org.values())):
        raise BadKeys("its organisation is not an id, a name and a slug")
    if not (_are_texts(found["installation"], found["issued_at"]) and isinstance(found["keys"], list)):
        raise BadKeys("its installation, time or keys are missing")
    keys = tuple(_listed(item) for item in found["keys"])
    if not keys or len({key.public for key in keys}) != len(keys):
        raise BadKeys("it has no key, or one key twice")
    return Keys(keys, found["installation"], org)


def read_bare(role: str, text: str) -> Key:
    """One public key for a role: base64 of its 32 bytes, PEM, or a verifier key of a note. Raises BadKeys."""
    if role not in ROLES:
        raise BadKeys(f"{role!r} is no role: say log, pack or receipt")
    text = text.strip()
    pem = _PEM.fullmatch(text)
    try:
        if pem:
            der = of_base64("".join(pem[1].split()))
            public = der[len(_DER) :] if der.startswith(_DER) else b""
        elif "+" in text and len(text) > 44:
            _, public = read_vkey(text, 1)
        else:
            public = of_base64(text)
    except ValueError:
        public = b""
    return Key(role, _checked(public))


def read_vkey(text: str, kind: int) -> tuple[str, bytes]:
    """Name and public key of a verifier key, `name+hexadecimal id+base64` (C2SP signed-note). Raises BadKeys."""
    name, _, rest = text.partition("+")
    number, _, spelled = rest.partition("+")
    try:
        content = of_base64(spelled)
    except ValueError:
        content = b""
    if len(content) != 33 or content[0] != kind or number != key_id(name, kind, content[1:]).hex():
        raise BadKeys(
            f"{text[:60]!r} is no verifier key of type {kind} with the id that its name and key give"
        )
    return name, _checked(content[1:])


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """The 4 bytes by which a line of a note says which key it is of: a hint only."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def _listed(item: Any) -> Key:
    if not isinstance(item, dict) or set(item) != _KEY:
        raise BadKeys("a key in it has other fields than version 1 of this list")
    if item["role"] not in ROLES or item["alg"] != "Ed25519" or not _are_texts(item["public"]):
        raise BadKeys("a key in it has a role or an algorithm that this verifier does not know")
    times = (item["active_from"], item["verify_until"], item["revoked_at"])
    if times[0] is None or not all(time is None or _is_moment(time) for time in times):
        raise BadKeys("a time in it is not in UTC with six digits of a second")
    try:
        public = of_base64(item["public"])
    except ValueError:
        public = b""
    key = Key(item["role"], _checked(public), *times)
    if key.fingerprint != item["fingerprint"]:
        raise BadKeys("a fingerprint in it is not that of its key")
    return key


def _checked(public: bytes) -> bytes:
    if ed25519.usable(public) is None:
        raise BadKeys("it is not an Ed25519 public key of 32 bytes")
    return public


def _are_texts(*values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _is_moment(value: Any) -> bool:
    return isinstance(value, str) and is_moment_form(value) is not None
