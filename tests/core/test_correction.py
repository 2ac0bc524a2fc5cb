"""A correction adds up to zero and books the row as it was said (promise A6)."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from visionality.core.allocation import Dated
from visionality.core.correction import Order, Standing, amounts, corrected, is_overtaken
from visionality.core.row import Row
from visionality.registry.snapshot import MarkupRecord

ORG, NOW = UUID(int=1), datetime(2026, 11, 22, tzinfo=UTC)
NOTHING = (0,) * 7


def a_row(**columns) -> Row:
    given = {"id": UUID(int=3), "created_at": NOW, "provider": "openai", "dialect": "chat", "cost_nusd": 5}
    return Row(org_id=ORG, request_id=UUID(int=2), **(given | columns))


def an_order(**said) -> Order:
    blank = dict.fromkeys(Order.__dataclass_fields__)
    given = {
        "org_id": ORG,
        "correction_id": UUID(int=9),
        "author": "cli:alice",
        "reason": "wrong",
        "project_id": "HPC",
    }
    return Order(**{**blank, "level": 8, "confidence": 100, **given, **said})  # fmt: skip


def rebooked(row: Row, order: Order, **about) -> Row:
    made = corrected(Standing(row, NOTHING, **about), order, NOW)
    assert [sum(column) for column in zip(*map(amounts, made), strict=True)] == list(NOTHING)
    return made[-1]


def test_what_the_key_bound_goes_before_what_the_project_brings():
    row = a_row(customer_id="of-the-key", gl_code="of-the-agent", tags={"business_unit": "of-the-team"})
    brings = {"project_customer_id": "of-the-project"}
    found = rebooked(row, an_order(**brings))
    assert (found.customer_id, found.gl_code, found.tags["business_unit"]) == ("of-the-key", "of-the-agent", "of-the-team")  # fmt: skip
    assert rebooked(row, an_order(customer_id="said", **brings)).customer_id == "said"
    assert rebooked(row, an_order(gl_code="7000", business_unit="power")).gl_code == "7000"


def test_what_was_the_old_projects_is_left_behind():
    tags = {"business_unit": "old-unit", "attribution_conflict": "x", "evidence": "y", "client": "aider"}
    row = a_row(
        project_id="OLD",
        customer_id="old-customer",
        gl_code="6000",
        task_id="OLD-1",
        epic_id="OLD-0",
        tags=tags,
    )
    old = {"project_gl_code": "6000", "project_business_unit": "old-unit"}
    found = rebooked(row, an_order(), **old)
    assert (found.customer_id, found.gl_code, found.task_id, found.epic_id) == (None, None, None, None)
    assert set(found.tags) == {"client", "correction", "correction_id", "author", "reason", "of", "entry"}


def test_within_a_project_what_is_not_said_stays():
    row = a_row(project_id="HPC", task_id="HPC-1", epic_id="HPC-0", repo="here", branch="fix")
    kept = rebooked(row, an_order())
    assert (kept.task_id, kept.epic_id, kept.repo, kept.branch) == ("HPC-1", "HPC-0", "here", "fix")
    other = rebooked(row, an_order(task_id="HPC-2", branch="said"))
    assert (other.task_id, other.epic_id, other.branch) == ("HPC-2", None, "said")


def test_within_a_project_the_end_customer_the_code_and_the_unit_stay_too():
    row = a_row(
        project_id="HPC", customer_id="of-the-key", gl_code="6000", tags={"business_unit": "of-the-token"}
    )
    brings = {"project_customer_id": "of-the-project", "gl_code": "7000", "business_unit": "power"}
    found = rebooked(row, an_order(task_id="HPC-2", **brings))
    assert (found.customer_id, found.gl_code, found.tags["business_unit"]) == ("of-the-key", "6000", "of-the-token")  # fmt: skip


MARKUPS = [("project", "OLD", "1.5"), ("project", "HPC", "1.25"), ("customer", "clinic", "2")]


def marked(project: str | None = None, cost_nusd: int = 10, billed_nusd: int = 10, **about) -> Standing:
    """A row at the time of three markups."""
    tags = about.pop("tags", None)
    row = a_row(project_id=project, cost_nusd=cost_nusd, billed_nusd=billed_nusd, tags=tags)
    begun = NOW - timedelta(days=1)
    markups = [
        MarkupRecord(UUID(int=n), kind, value, Decimal(by), begun)
        for n, (kind, value, by) in enumerate(MARKUPS)
    ]
    return Standing(row, about.pop("true_ups", NOTHING), markups=Dated(markups), **about)


@pytest.mark.parametrize(
    ("standing", "said", "billed", "multiplier"),
    [
        (marked(), {}, 12, "1.25"),
        (marked(exact=Decimal("10.4")), {}, 13, "1.25"),
        (marked("OLD", billed_nusd=15, tags={"multiplier": "1.5"}), {}, 12, "1.25"),
        (marked("OLD", billed_nusd=15, tags={"multiplier": "1.5"}), {"project_id": "SOCE"}, 10, None),
        (marked("OLD", billed_nusd=17, tags={"multiplier": "1.7"}), {"project_id": "OLD"}, 17, "1.7"),
        (marked(), {"project_id": "SOCE", "customer_id": "clinic"}, 20, "2"),
        (marked(exact=Decimal("10.4"), true_ups=(0, 0, 0, 0, 0, 10, 10)), {}, 25, "1.25"),
    ],
)
def test_what_is_billed_has_the_markup_of_where_it_is_booked(standing, said, billed, multiplier):
    reversal, last = corrected(standing, an_order(**said), NOW)
    assert reversal.billed_nusd == -standing.whole[-1]
    assert (last.billed_nusd, last.tags.get("multiplier")) == (billed, multiplier)
    assert reversal.cost_nusd + last.cost_nusd == 0


def test_a_booking_of_a_person_overtakes_what_the_resolver_ordered_before():
    order = an_order(author="resolver", level=5, task_id="HPC-1")
    row = a_row(project_id=None)
    same = a_row(project_id="HPC", task_id="HPC-1", attribution_level=5)
    other = a_row(project_id="SOCE", attribution_level=8)
    assert not is_overtaken(Standing(row, NOTHING), order)
    assert not is_overtaken(Standing(row, NOTHING, same), order)
    assert is_overtaken(Standing(row, NOTHING, other), order)
    assert not is_overtaken(Standing(row, NOTHING, other), an_order(author="cli:alice"))
