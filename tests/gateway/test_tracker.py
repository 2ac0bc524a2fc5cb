"""Where a tracker is connected, a branch's key leads to one of its issues, and gives the row its epic (A3, A4)."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from gateway.calls import CHAT, Caller, ask, body_of, new_id
from jobs.connecting import Desk, issue, page
from product import Product, running, set_up
from visionality.postgres.access import access
from visionality.runtime.settings import Settings

MAP = """\
version: 1
projects: {HPC: {customer: houston-power}, SOCE: {}}
repos:
  bitbucket.org/arctrade/hpc-billing: {project: HPC, default_epic: HPC-100}
"""
NOT_BY_ITSELF = datetime(2099, 1, 1, tzinfo=UTC)
"""So that the product's own jobs leave the connector to the test, whose service is scripted."""


class OfProduct:
    """The database of a running product, as the tests of sync know one."""

    def __init__(self, product: Product) -> None:
        self.access = access(Settings(data_dir=product.data_dir))

    def dsn(self, role: str) -> str:
        return self.access.dsn(role)

    @contextmanager
    def as_role(self, role: str, org_id: UUID | None = None) -> Iterator[psycopg.Connection[Any]]:
        address = self.access.admin_dsn() if role == "vis_super" else self.dsn(role)
        with psycopg.connect(address) as connection:
            if org_id is not None:
                connection.execute("select set_config('vis.org_id', %s, true)", [str(org_id)])
            yield connection


@pytest.fixture(scope="module")
def caller(tmp_path_factory) -> Iterator[Caller]:
    """Alice, whose organisation has read its tracker; one of its own, since it changes what every branch means."""
    with running() as product:
        set_up(product)
        path = tmp_path_factory.mktemp("map") / "map.yaml"
        path.write_text(MAP)
        product.run("map", "apply", str(path), "--yes")
        ((org,),) = [
            tuple(row.values())
            for row in product.query("select org_id from vis.orgs_v1 where slug = 'default'")
        ]
        desk = Desk(OfProduct(product), org, now=NOT_BY_ITSELF)
        desk.run(
            page(
                issue("HPC-1100", level=1),
                issue("HPC-1234", parent_key="HPC-1100"),
                issue("HPC-77", parent_key="HPC-1234", level=-1),
            )
        )
        desk.later(minutes=10)
        desk.run(page(issue("SOCE-4", "77", parent_key="HPC-1234", level=-1)))
        key = product.run("key", "issue", "--agent", "alice@arctrade").strip()
        product.until(lambda: product.status(key) != 401)
        caller = Caller(product, key)
        product.until(lambda: sent(caller, "SOCE-4-fix")["epic_id"] == "HPC-1100")
        yield caller


def sent(caller: Caller, branch: str) -> dict[str, Any]:
    call_id = new_id()
    named = [("x-vis-repo", "git@bitbucket.org:arctrade/hpc-billing.git"), ("x-vis-branch", branch)]
    headers = [*caller.headers(CHAT, call_id), *named]
    assert ask(caller.product.gateway, "POST", CHAT, headers, body_of(CHAT)).status == 200
    return caller.row(call_id)


def purpose(row: dict[str, Any]) -> tuple:
    return row["project_id"], row["task_id"], row["epic_id"]


def test_a_branch_named_by_an_issue_gives_its_task_and_the_epic_above_it(caller):
    assert purpose(sent(caller, "HPC-1234-add-pjm-rebill-rules")) == ("HPC", "HPC-1234", "HPC-1100")
    assert purpose(sent(caller, "HPC-1100")) == ("HPC", "HPC-1100", "HPC-1100")


def test_a_branch_of_an_issue_that_was_not_read_yet_keeps_its_task_in_the_project_of_its_repo_and_is_flagged(
    caller,
):
    row = sent(caller, "HPC-9999-made-a-minute-ago")
    assert purpose(row) == ("HPC", "HPC-9999", "HPC-100")
    assert "HPC-9999, which is no known issue of its tracker" in row["tags"]["attribution_conflict"]
    assert purpose(sent(caller, "SOCE-9999-of-another-project")) == ("HPC", None, "HPC-100")


def test_the_key_that_an_issue_had_before_it_moved_still_leads_to_its_epic(caller):
    assert purpose(sent(caller, "HPC-77-old-name")) == ("HPC", "HPC-77", "HPC-1100")
    assert purpose(sent(caller, "SOCE-4-new-name")) == ("SOCE", "SOCE-4", "HPC-1100")
