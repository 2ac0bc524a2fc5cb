"""People with agents and keys, as the control plane's tables have them."""

from datetime import timedelta
from uuid import UUID

from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from web.conftest import Office

NEVER = timedelta(days=80)


def person(office: Office, sso_sub: str, name: str = "") -> UUID:
    return _insert(office, "person", sso_sub=sso_sub, name=name or sso_sub, epoch=1, created_at=utc_now())


def agent(office: Office, sub: str, person_id: UUID | None = None, team_id: UUID | None = None) -> UUID:
    given = {"sub": sub, "owner": sub, "person_id": person_id, "team_id": team_id, "created_at": utc_now()}
    return _insert(office, "agent_identity", **given)


def team(office: Office, key: str) -> UUID:
    return _insert(office, "team", key=key, name=key, cost_center="", business_unit="", created_at=utc_now())


def project(office: Office, key: str, name: str = "") -> UUID:
    return _insert(office, "project", key=key, name=name or key, gl_code="", created_at=utc_now())


def key(
    office: Office,
    agent_id: UUID,
    project_id: UUID | None = None,
    *,
    issued: timedelta = timedelta(days=1),
    expires: timedelta = NEVER,
    **given: object,
) -> UUID:
    """A key that was issued so long ago and expires in so long from now."""
    handle = uuid7()
    columns = {
        "handle_hmac": handle.bytes * 2,
        "shown": f"visk_live_{handle.hex[-2:]}",
        "task_class": "",
        "memo": "",
        "url": "",
    }
    times = {"issued_at": utc_now() - issued, "expires_at": utc_now() + expires}
    ids = {"agent_id": agent_id, "project_id": project_id, "task_id": ""}
    return _insert(office, "virtual_key", **(columns | times | ids | given))


def _insert(office: Office, table: str, **columns: object) -> UUID:
    made = uuid7()
    names = ", ".join(["id", "org_id", *columns])
    places = ", ".join(["%s"] * (len(columns) + 2))
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        connection.execute(
            f"insert into vis_control.{table} ({names}) values ({places})",
            [made, office.org_id, *columns.values()],
        )
    return made
