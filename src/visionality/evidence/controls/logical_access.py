"""CC6.1, logical access and keys: everything that opens a door has an owner, an end, and what its level asks for."""

from collections.abc import Sequence

from visionality.core.control import Judged
from visionality.evidence.controls._core import (
    Asked,
    Collector,
    Facts,
    Record,
    facts_of,
    judged,
    mechanism,
    switched_on,
    together,
)

LONGEST_LIFE_DAYS = {"key": 90, "service token": 366}
"""What issuing allows (core/level.py, web/issuing/service_tokens.py); longer is somebody's doing behind its back."""
ROTATED_WITHIN_DAYS = 90
"""For what signs and what proves; the pages tell an operator by the same age."""


def judge(rows: Sequence[Record], asked: Asked) -> Judged:  # noqa: ARG001 -- every judge is given both
    uncapped = sum(key["is_live"] and not key["is_capped"] for key in facts_of(rows, "key"))
    return judged(
        rows,
        {
            "key": _key,
            "member": _member,
            "service token": _service_token,
            "signing key": _rotated,
            "binding key": _rotated,
            "provider key": _sealed,
            "organisation key": _organisation_key,
        },
        [
            mechanism("Every key ends by itself", ""),
            mechanism(
                "Members enter by the company's sign-on",
                "" if switched_on(rows, "has_sign_on") else "not switched on: no sign-on is set",
            ),
            mechanism(
                "Hard caps on what a key may spend",
                f"not switched on for all: live keys under no hard cap: {uncapped}" if uncapped else "",
            ),
            mechanism("Secrets at rest are sealed under the organisation's key", ""),
            mechanism(
                "Rotation of the organisation's key",
                "not built: there is one generation, which is never replaced",
            ),
        ],
    )


def _key(key: Facts) -> str:
    return together(
        "" if key["has_person"] else "its agent is bound to no person",
        _ends(key["lives_days"], LONGEST_LIFE_DAYS["key"]),
        f"made at level {key['level']}, the floor is {key['floor']}"
        if key["is_live"] and key["level"] < key["floor"]
        else "",
    )


def _member(member: Facts) -> str:
    if not member["is_operator"] or member["has_second_factor"] or member["has_subject"]:
        return ""
    return "may change everything, with neither a second factor nor a subject at the company's sign-on"


def _service_token(token: Facts) -> str:
    return _ends(token["lives_days"], LONGEST_LIFE_DAYS["service token"])


def _rotated(secret: Facts) -> str:
    old = secret["age_days"] > ROTATED_WITHIN_DAYS
    return together(
        _sealed(secret),
        f"{secret['age_days']} days old, expected {ROTATED_WITHIN_DAYS} at most" if old else "",
    )


def _sealed(secret: Facts) -> str:
    return "" if secret["is_sealed"] else "not sealed"


def _organisation_key(key: Facts) -> str | None:
    """Its age is nothing to judge by while nothing can replace it."""
    return None if key["is_sealed"] else "not wrapped by the master key"


def _ends(lives_days: int | None, longest: int) -> str:
    if lives_days is None:
        return "never ends"
    return f"lives {lives_days} days, expected {longest} at most" if lives_days > longest else ""


LOGICAL_ACCESS = Collector("CC6.1", "Logical access and keys", "logical_access.sql", judge)
