"""Rate limits of keys, agents and projects: requests and tokens a minute, answered 429 with `retry-after`.

What a call may use is not known when it comes: its input is estimated from its length, and the tokens that it used in
the end are counted then. Each gateway allows its share of a limit, by how many gateways there are; the workers of one port
count together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from visionality.core.call import Refusal
from visionality.core.rate_limit import Limit, RateLimiter
from visionality.core.row import Row
from visionality.core.scope import EACH
from visionality.gateway.counted_together import Key, Limiter
from visionality.registry.snapshot import Organisation, RateLimitRecord

RATE_LIMITED = "rate_limited"
BYTES_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Taken:
    """What a call was admitted with."""

    limits: Mapping[Key, Limit]
    at: float
    tokens: int


class RateLimits:
    """The limits of all organisations, and what was used of them here, by so many gateways that count together."""

    def __init__(self, limiter: Limiter | None = None, together: int = 1) -> None:
        self._rules: dict[UUID, dict[tuple[str, str], RateLimitRecord]] = {}
        self._limiter: Limiter = RateLimiter() if limiter is None else limiter
        self._together = together

    def follow(self, organisation: Organisation) -> None:
        """The rules of an organisation are these now. What was used stays counted."""
        rules = {(rule.scope_kind, rule.scope_value): rule for rule in organisation.rate_limits}
        self._rules[organisation.org_id] = rules

    def take(self, row: Row, now: float, body_bytes: int, gateways: int) -> Taken | None:
        """Count a call towards the limits that apply to it. Raises Refusal."""
        rules = self._rules.get(row.org_id)
        if not rules:
            return None
        limits: dict[Key, Limit] = {}
        for kind, value in (
            ("key", str(row.key_id)),
            ("agent", row.agent_sub),
            ("project", row.project_id),
        ):
            for rule in (rules.get((kind, value or "")), rules.get((kind, EACH))):
                if rule is not None and value:
                    allowed = Limit(rule.requests_per_minute, rule.tokens_per_minute)
                    limits[rule.limit_id, value] = allowed.shared_by(
                        max(gateways, self._together), self._together
                    )
        if not limits:
            return None
        tokens = body_bytes // BYTES_A_TOKEN
        wait = self._limiter.take(now, limits, tokens)
        if wait is None:
            return Taken(limits, now, tokens)
        if not wait.limit:
            raise Refusal(429, RATE_LIMITED, f"a limit of no {wait.unit} a minute is set: nothing passes")
        if wait.seconds is None:
            raise Refusal(
                413,
                "over_token_limit",
                f"this call alone has more than the {wait.limit} {wait.unit} a minute that are allowed: send less at once",
            )
        raise Refusal(
            429,
            RATE_LIMITED,
            f"more than {wait.limit} {wait.unit} a minute: try again in {wait.seconds} s",
            headers=((b"retry-after", str(wait.seconds).encode()),),
        )

    def correct(self, taken: Taken, row: Row, now: float) -> None:
        """The call used so many tokens in the end."""
        used = row.input_tokens + row.cache_read_tokens + row.cache_write_tokens + row.output_tokens
        self._limiter.correct(now, taken.limits, taken.at, taken.tokens, used)
