"""CC6.2 and CC6.3, joiners, movers and leavers: whose access ended spends nothing more, and nobody raises themselves."""

from collections.abc import Sequence

from visionality.core.control import Judged
from visionality.evidence.controls._core import Asked, Collector, Facts, Record, judged, mechanism, together

_ROLES = "member_roles_set"
"""Joining by an invitation, and leaving, are one's own to do."""


def judge(rows: Sequence[Record], asked: Asked) -> Judged:  # noqa: ARG001 -- every judge is given both
    return judged(
        rows,
        {"leaver": _leaver, "change of access": _change},
        [
            mechanism("A person's end of access ends all their keys at once", ""),
            mechanism(
                "Leavers are heard of from the HR system or by SCIM",
                "not built: an operator ends access by hand, so a leaver whom nobody named is not found",
            ),
            mechanism("A second person approves a change of roles", "not built: one operator decides alone"),
            mechanism("Reviews of who has access", "not built: nobody is asked to confirm what people hold"),
        ],
    )


def _leaver(leaver: Facts) -> str:
    after = leaver["calls_after"]
    return together(
        f"calls served more than five minutes after access had ended: {after}" if after else "",
        "" if leaver["actor_is_said"] else "the audit row names nobody who ended it",
    )


def _change(change: Facts) -> str | None:
    """Nothing can be said of the rest while nobody approves it."""
    if not change["actor_is_said"]:
        return "the audit row names nobody who did it"
    return "a member changed their own roles" if change["is_own"] and change["kind"] == _ROLES else None


LEAVERS = Collector("CC6.2/6.3", "Joiners, movers and leavers", "leavers.sql", judge)
