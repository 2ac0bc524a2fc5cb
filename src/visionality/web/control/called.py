"""What pages call the scopes of budgets: a key by the part of its text that may be shown and its agent, all else as it is written."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from visionality.web.issuing.access import access_key_names
from visionality.web.policy.budgets import Standing


def key_names(org_id: UUID, found: Iterable[Standing]) -> dict[str, str]:
    """Names of the keys that these budgets are for, and of those that spent in them, by their ids."""
    of_keys = [one for one in found if one.scope.kind == "key"]
    values = {balance.value for one in of_keys for balance in one.balances}
    return access_key_names(org_id, values | {one.scope.value for one in of_keys})


def called(standing: Standing, names: Mapping[str, str]) -> str:
    known = names.get(standing.scope.value) if standing.scope.kind == "key" else None
    return f"key {known}" if known else str(standing.scope)
