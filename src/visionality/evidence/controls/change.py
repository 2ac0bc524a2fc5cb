"""CC8.1, change: what is decided is in the audit log with its author, and nobody approves their own."""

from collections.abc import Sequence

from visionality.core.control import Judged
from visionality.evidence.controls._core import Asked, Collector, Facts, Record, judged, mechanism

KINDS = (
    "alert_channel_added",
    "alert_channel_removed",
    "budget_removed",
    "budget_set",
    "connector_added",
    "connector_removed",
    "connector_secret_set",
    "connector_webhook_set",
    "floor_lower_declined",
    "floor_lower_requested",
    "floor_lowered",
    "floor_raised",
    "hint_added",
    "hint_removed",
    "identity_set",
    "limit_removed",
    "limit_set",
    "map_applied",
    "markup_set",
    "organisation_set",
    "passthrough_closed",
    "passthrough_opened",
    "price_set",
    "project_set",
    "provider_added",
    "provider_removed",
    "sign_on_removed",
    "sign_on_set",
    "split_set",
    "team_set",
)
"""The acts (docs/reference/audit.md) that change how calls are judged, priced, sent or told of."""


def judge(rows: Sequence[Record], asked: Asked) -> Judged:  # noqa: ARG001 -- every judge is given both
    return judged(
        rows,
        {"change": _change, "decision": _decision, "migration": _migration},
        [
            mechanism("Every act is in the audit log with its author, in the transaction of the act", ""),
            mechanism("Two people lower a floor", ""),
            mechanism(
                "A second person approves prices, budgets, rules, providers and the map",
                "not built: one operator decides alone, and no change of these is judged approved",
            ),
            mechanism(
                "Deploys, test results, image digests and bills of material",
                "not built: of a release only the migrations are known here, and not who applied them",
            ),
        ],
    )


def _change(change: Facts) -> str | None:
    if not change["author_is_said"]:
        return "the audit row names no author"
    if change["is_self_approved"]:
        return "whoever asked for it approved it"
    return "" if change["is_approved"] else None


def _decision(decision: Facts) -> str:
    return (
        ""
        if decision["is_recorded"]
        else f"decided at {decision['made_at']}, and the audit log has nothing of it"
    )


def _migration(_: Facts) -> None:
    """Nothing can be said of one while nobody is named."""


CHANGE = Collector("CC8.1", "Change", "change.sql", judge)
