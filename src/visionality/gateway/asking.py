"""Whoever asks for something of its own that no provider is needed for, with a request that has no body."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from visionality.core.call import Refusal
from visionality.core.client_address import client_address
from visionality.gateway import allowed, binding
from visionality.gateway.authenticate import check, presented, principal_of
from visionality.gateway.principal import Principal
from visionality.gateway.state import Gateway
from visionality.registry.snapshot import Organisation, SnapshotStale


async def asker(gateway: Gateway, scope: Mapping[str, Any], now: datetime) -> tuple[Organisation, Principal]:
    """Whose key it is, once it may be used here and now, as for a call. Raises Refusal."""
    headers = tuple(scope["headers"])
    try:
        snapshot = await gateway.snapshots.current()
    except SnapshotStale as error:
        raise Refusal(503, "revocation_stale", str(error)) from None
    principal = principal_of(gateway, snapshot, presented(headers))
    organisation = snapshot.organisations[principal.grant.org_id]
    check(organisation, principal, now)
    allowed.check_spends(principal.grant)
    hops = gateway.settings.trusted_hops
    allowed.check_network(principal.grant, client_address(allowed.peer_of(scope), headers, hops))
    await binding.prove_empty(gateway, organisation, principal, scope, now)
    return organisation, principal
