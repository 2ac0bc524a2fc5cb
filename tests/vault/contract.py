"""What every KeyProvider keeps to (promise K6). tests/vault/test_keyproviders.py plays it over all five."""

import os
from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from visionality.vault.keyproviders._core import KeyDisabled, KeyProvider, KeysAway
from visionality.vault.keyproviders.cached import LONGEST, MOST, Cached
from visionality.vault.sealing import Context, SealBroken

CONTEXT = Context("0190-org", "0190-kek", "master", 1, "organisation key")
KEY = bytes(range(100, 132))


class Counted:
    """A KeyProvider that counts how often it is asked to unwrap."""

    def __init__(self, keys: KeyProvider) -> None:
        self.name, self.secret, self.health, self.wrap = keys.name, keys.secret, keys.health, keys.wrap
        self.asked = 0
        self._keys = keys

    def unwrap(self, context, blob):
        self.asked += 1
        return self._keys.unwrap(context, blob)


def check_round_trip(keys: KeyProvider) -> None:
    first, second = keys.wrap(CONTEXT, KEY), keys.wrap(CONTEXT, KEY)
    assert keys.unwrap(CONTEXT, first) == keys.unwrap(CONTEXT, second) == KEY
    assert first != second
    assert KEY not in first


def check_moved(keys: KeyProvider) -> None:
    blob = keys.wrap(CONTEXT, KEY)
    for field in fields(Context):
        moved = replace(CONTEXT, **{field.name: 2 if field.name == "generation" else "another"})
        with pytest.raises(SealBroken):
            keys.unwrap(moved, blob)


def check_changed(keys: KeyProvider) -> None:
    blob = keys.wrap(CONTEXT, KEY)
    assert keys.unwrap(CONTEXT, blob) == KEY
    for at in range(len(blob)):
        with pytest.raises(SealBroken):
            keys.unwrap(CONTEXT, blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :])


def check_cut(keys: KeyProvider) -> None:
    blob = keys.wrap(CONTEXT, KEY)
    for changed in (b"", blob[:1], blob[:2], blob[:40], blob[:-1], blob + b"\0", blob[:1] + b"\xff" * 20):
        with pytest.raises(SealBroken):
            keys.unwrap(CONTEXT, changed)


def check_secrets(made: Callable[[], KeyProvider]) -> None:
    secrets = [made().secret(purpose) for purpose in ("a", "b", "a")]
    assert secrets[0] == secrets[2] != secrets[1]
    assert all(len(secret) == 32 for secret in secrets)


def check_cache(keys: KeyProvider) -> None:
    now = 1000.0
    counted = Counted(keys)
    cached = Cached(counted, lambda: now)
    blob = cached.wrap(CONTEXT, KEY)
    assert [cached.unwrap(CONTEXT, blob) for _ in range(3)] == [KEY] * 3
    assert counted.asked == 1
    with pytest.raises(SealBroken):
        cached.unwrap(replace(CONTEXT, org="another"), blob)
    assert counted.asked == 2
    now += LONGEST - 0.001
    assert cached.unwrap(CONTEXT, blob) == KEY
    assert counted.asked == 2
    now += 0.001
    assert cached.unwrap(CONTEXT, blob) == KEY
    assert counted.asked == 3
    assert LONGEST == 15 * 60
    assert cached.secret("a") == keys.secret("a")
    cached.health()


def check_cache_is_bounded() -> None:
    class Free:
        name = "free"

        def unwrap(self, context, blob):
            return blob

    counted = Counted.__new__(Counted)
    counted.name, counted.asked, counted._keys = "free", 0, Free()
    cached = Cached(counted, lambda: 0.0)
    blobs = [os.urandom(16) for _ in range(MOST + 1)]
    for blob in blobs:
        cached.unwrap(CONTEXT, blob)
    assert len(cached._opened) == MOST
    assert cached.unwrap(CONTEXT, blobs[-1]) == blobs[-1]
    assert counted.asked == MOST + 1
    cached.unwrap(CONTEXT, blobs[0])
    assert counted.asked == MOST + 2


def check_refused(keys: KeyProvider, blob: bytes, kind: type[KeyDisabled | KeysAway]) -> None:
    """That a service's refusal is told as what it is, in a sentence without a secret."""
    with pytest.raises(kind) as refused:
        keys.unwrap(CONTEXT, blob)
    sentence = str(refused.value)
    assert len(sentence) > 20
    assert KEY.hex() not in sentence
