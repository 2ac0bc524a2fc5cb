"""One web plane for all tests of this room, and an organisation of its own for each test."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from conftest import Server, clone_of
from visionality.core.row import Row
from visionality.runtime.ids import uuid7
from web.browsing import Browser, Plane, plane_on
from web.rows import write


@dataclass(frozen=True)
class Office:
    """An organisation and somebody signed in to it."""

    org_id: UUID
    browser: Browser
    plane: Plane
    data_dir: Path

    def write(self, *rows: Row) -> list[Row]:
        """Have the ledger's own writer append rows, the newest last. They become this organisation's."""
        return write(self.plane.database.dsn("vis_writer"), self.data_dir, self.org_id, rows)


@pytest.fixture(scope="session")
def plane(cluster: Server, template: str) -> Iterator[Plane]:
    """A web plane whose installation has the sandbox on."""
    with clone_of(cluster, template) as database, plane_on(database, "sandbox") as running:
        yield running


@pytest.fixture(scope="session")
def plain_plane(plane: Plane) -> Iterator[Plane]:
    """A web plane on the same database, without the sandbox."""
    with plane_on(plane.database, "no sandbox") as running:
        yield running


def office_on(plane: Plane, data_dir: Path) -> Office:
    """A new organisation with somebody signed in."""
    org_id = uuid7()
    with plane.database.as_role("vis_web", org_id) as connection:
        connection.execute(
            "insert into vis_control.organisation (id, slug, name, created_at) values (%s, %s, %s, now())",
            [org_id, org_id.hex, "ArcTrade"],
        )
    return Office(org_id, plane.signed_in(org_id), plane, data_dir)


@pytest.fixture
def new_office(plane: Plane, tmp_path: Path) -> Callable[[], Office]:
    return lambda: office_on(plane, tmp_path)


@pytest.fixture
def office(new_office: Callable[[], Office]) -> Office:
    return new_office()
