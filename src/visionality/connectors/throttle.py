"""What a service says when it is asked too often, and for how long it wants to be left alone.

Sources: RFC 9110 10.2.3 (`Retry-After`); Atlassian "Rate limiting" (February 2026: `X-RateLimit-Reset` in ISO 8601); GitHub
"Rate limits for the REST API" (403 or 429, `x-ratelimit-reset` in epoch seconds, secondary limits); GitLab "Rate limits"
(`RateLimit-Reset` in epoch seconds). Bitbucket Cloud documents no header at all.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST = timedelta(days=1)
"""What a service may ask for; more than that is taken for this."""
_EPOCH_FROM = 1_000_000_000
"""A smaller number is seconds from now and no date: 2001 is over."""
_SOONEST = timedelta(seconds=1)


def is_throttled(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether an answer means "later" rather than "no"."""
    if status == 429 or (status == 503 and "retry-after" in headers):
        return True
    return status == 403 and (
        "retry-after" in headers
        or headers.get("x-ratelimit-remaining") == "0"
        or b"secondary rate limit" in body[:4096].lower()
    )


def asked_wait(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long the service wants to be left alone, from one second to a day; None when it does not say."""
    until = _retry_after(headers.get("retry-after", ""), now)
    for family in ("x-ratelimit", "ratelimit"):
        # A limit that is not used up is not the one that was hit: GitHub sends it beside its secondary limits.
        if until is None and headers.get(f"{family}-remaining", "0") == "0":
            until = _moment(headers.get(f"{family}-reset", ""), now)
    return None if until is None else min(max(until - now, _SOONEST), LONGEST)


def _retry_after(text: str, now: datetime) -> datetime | None:
    if text.isdecimal():
        return now + min(timedelta(seconds=int(text[:9])), LONGEST)
    try:
        return _aware(parsedate_to_datetime(text))
    except ValueError:
        return None


def _moment(text: str, now: datetime) -> datetime | None:
    try:
        if not text.isdecimal():
            return _aware(datetime.fromisoformat(text))
        seconds = int(text[:12])
        return datetime.fromtimestamp(seconds, UTC) if seconds >= _EPOCH_FROM else _retry_after(text, now)
    except (ValueError, OverflowError):
        return None


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
