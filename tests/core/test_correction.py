"""A correction adds up to zero and books the row as it was said (promise A6)."""

from datetime import UTC, datetime
from uuid import UUID

from visionality.core.correction import Order, Standing, amounts, corrected
from visionality.core.row import Row

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
