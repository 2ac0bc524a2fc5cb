"""A control is satisfied only when everything that carries it operates and nothing failed (S3)."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionality.core.control import Failed, Judged, Mechanism, control, rows_digest

reasons = st.sampled_from(["", "", "not built"])


@given(st.integers(0, 50), st.integers(0, 20), st.integers(0, 20), st.lists(reasons, max_size=4))
def test_nothing_passes_that_failed_or_does_not_operate(passed, failed, unjudged, why_not):
    judged = Judged(
        passed + failed + unjudged,
        passed,
        [Failed(f"key {number}", "no owner") for number in reversed(range(failed))],
        [Mechanism(f"mechanism {number}", not why, why) for number, why in enumerate(why_not)],
    )
    found = control("CC6.1", "Keys", judged, "keys.sql sha256:00", [])
    assert (found.status == "not_satisfied") == bool(failed)
    assert (found.status == "satisfied") == (not failed and bool(why_not) and not any(why_not))
    assert found.not_judged == unjudged
    assert found.exceptions == sorted(judged.exceptions)


def test_the_digest_is_that_of_the_rows_one_a_line():
    rows = [{"kind": "key", "id": "1", "facts": {"level": 1}}, {"kind": "key", "id": "2", "facts": {}}]
    by_hand = b'{"facts":{"level":1},"id":"1","kind":"key","v":1}\n{"facts":{},"id":"2","kind":"key","v":1}\n'
    assert rows_digest(rows) == hashlib.sha256(by_hand).hexdigest()


def test_more_cannot_pass_than_there_is():
    with pytest.raises(AssertionError, match="more was judged"):
        control("CC6.1", "Keys", Judged(1, 1, [Failed("key 1", "no owner")], []), "q", [])


def test_what_does_not_operate_must_say_why():
    with pytest.raises(AssertionError, match="says why"):
        control("CC6.1", "Keys", Judged(0, 0, [], [Mechanism("detectors", operating=False)]), "q", [])
