"""What of an organisation's connectors may be read."""

from collections.abc import Iterable
from uuid import UUID

from visionality.web.connecting.models import Connector, ConnectorRun, TrackedIssue
from visionality.web.policy.acts import Act, Unknown


def access_connector(act: Act, name: str) -> Connector:
    """The connector of that name. Raises Unknown."""
    found = Connector.objects.filter(org_id=act.org_id, name=name, enabled=True).first()
    if found is None:
        raise Unknown(f"there is no connector {name}: `vis connector list` shows those that there are")
    return found


def access_run(act: Act, connector_id: UUID) -> ConnectorRun:
    """How reading a connector goes."""
    return ConnectorRun.objects.get(org_id=act.org_id, connector_id=connector_id)


def access_runs(act: Act) -> Iterable[ConnectorRun]:
    """How reading goes, of every connector that is in use, by its name."""
    runs = ConnectorRun.objects.filter(org_id=act.org_id, connector__enabled=True)
    return runs.select_related("connector").order_by("connector__name")


def access_summaries(act: Act, keys: Iterable[str]) -> dict[str, str]:
    """What the trackers in use call these issues, by key; none for a key that is no issue."""
    issues = TrackedIssue.objects.filter(
        org_id=act.org_id, key__in=list(keys), gone_at=None, connector__enabled=True
    )
    return dict(issues.values_list("key", "summary"))
