"""Promises of connectors.throttle: what each service's headers ask for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionality.connectors.throttle import LONGEST, asked_wait, is_throttled

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "30"}, 30),
        ({"retry-after": "0"}, 1),
        ({"retry-after": "Sun, 22 Nov 2026 10:02:00 GMT"}, 120),
        ({"retry-after": "Sun, 22 Nov 2026 09:00:00 GMT"}, 1),
        ({"ratelimit-reason": "jira-quota-tenant-based", "x-ratelimit-reset": "2026-11-22T10:30Z"}, 1800),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(EPOCH + 90)}, 90),
        ({"ratelimit-remaining": "0", "ratelimit-reset": str(EPOCH + 45)}, 45),
        ({"ratelimit-reset": "45"}, 45),
        ({"retry-after": "30", "x-ratelimit-reset": str(EPOCH + 900)}, 30),
        ({"retry-after": "999999999999999999"}, 86400),
        ({"x-ratelimit-reset": "9" * 40}, None),
        ({"x-ratelimit-remaining": "4000", "x-ratelimit-reset": str(EPOCH + 3600)}, None),
        ({"retry-after": "soon", "x-ratelimit-reset": "soon"}, None),
        ({"retry-after": "²"}, None),
        ({}, None),
    ],
)
def test_the_wait_is_the_one_that_the_headers_ask_for(headers, seconds):
    assert asked_wait(headers, NOW) == (None if seconds is None else timedelta(seconds=seconds))


@given(st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset", "ratelimit-reset"]), st.text()))
def test_no_header_makes_the_wait_negative_endless_or_a_crash(headers):
    wait = asked_wait(headers, NOW)
    assert wait is None or timedelta(seconds=1) <= wait <= LONGEST


@pytest.mark.parametrize(
    ("status", "headers", "body", "is_so"),
    [
        (429, {}, b"", True),
        (503, {"retry-after": "5"}, b"", True),
        (503, {}, b"", False),
        (403, {"x-ratelimit-remaining": "0"}, b"", True),
        (
            403,
            {"x-ratelimit-remaining": "12"},
            b'{"message":"You have exceeded a secondary rate limit"}',
            True,
        ),
        (403, {"x-ratelimit-remaining": "12"}, b'{"message":"Must have admin rights"}', False),
        (401, {"retry-after": "5"}, b"", False),
    ],
)
def test_later_is_told_from_no(status, headers, body, is_so):
    assert is_throttled(status, headers, body) == is_so
