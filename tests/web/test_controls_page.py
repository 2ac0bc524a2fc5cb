"""The page of the six controls: what failed, what does not operate and why, how to repeat it; and the file of exceptions (S3)."""

import csv
import io
import re

import pytest

from ledger.rows import insert, smallest
from visionality.runtime.clock import utc_now
from web.test_ledger_page import words

HURTFUL = '<script>alert(1)</script>"><img src=x>'
CONTROLS = ("CC6.1", "CC6.2-6.3", "CC6.6-6.7", "CC7.1-7.2", "CC7.3-7.4", "CC8.1")


@pytest.fixture
def self_approved(office):
    """A floor that whoever asked for it lowered; with a name that would hurt."""
    row = smallest("admin_events", office.org_id, utc_now()) | {
        "kind": "floor_lowered",
        "actor": HURTFUL,
    }
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        insert(
            connection,
            "admin_events",
            row | {"detail": '{"requested_by": "<script>alert(1)</script>\\"><img src=x>"}'},
        )
    return row["id"]


def part(page, control):
    return re.search(
        rf'<section class="panel" aria-labelledby="{re.escape(control)}".*?</section>', page, re.DOTALL
    )[0]


def test_each_control_says_what_does_not_operate_and_why(office):
    page = office.browser.get("/evidence/controls").text
    for control in CONTROLS:
        said = words(part(page, control))
        assert "not operating" in said
        assert "not built: " in said
        assert "Mappings version 1, reviewed by nobody yet." in said
        assert f"--rows {control} | sha256sum" in said
    assert "no audit opinion" in words(page)
    assert "0 of 6" in words(page)
    assert "Eight anomaly detectors no not built" in words(part(page, "CC7.1-7.2"))


def test_an_exception_is_shown_with_the_way_to_what_it_is_of(office, self_approved):
    page = office.browser.get("/evidence/controls").text
    said = part(page, "CC8.1")
    assert "not satisfied" in words(said)
    assert "whoever asked for it approved it" in said
    assert f'href="/audit/{self_approved}"' in said
    assert office.browser.get(f"/audit/{self_approved}").status == 200
    assert "<script>alert" not in page


def test_the_file_has_every_exception_and_taking_it_is_written_up(office, self_approved):
    answer = office.browser.get("/evidence/controls.csv")
    (line,) = csv.DictReader(io.StringIO(answer.text))
    assert (line["control"], line["status"]) == ("CC8.1", "not_satisfied")
    assert line["subject"] == f"change {self_approved}"
    audit = office.browser.get("/audit?kind=exceptions_exported").text
    assert "month=" in audit


def test_another_organisations_exceptions_are_not_shown(office, new_office, self_approved):
    other = new_office().browser
    assert str(self_approved) not in other.get("/evidence/controls").text
    assert list(csv.reader(io.StringIO(other.get("/evidence/controls.csv").text)))[1:] == []


def test_a_period_has_its_days_and_no_others(office, self_approved):
    assert str(self_approved) not in office.browser.get("/evidence/controls?month=2026-01").text
    assert office.browser.get("/evidence/controls?month=never").status == 400
    assert office.browser.get("/evidence/controls?from=2020-01-01&to=2026-01-01").status == 400


def test_it_is_for_security_and_whoever_looks_at_everything(plane):
    found = {one["address"]: one["roles"] for one in plane.tell("routes")}
    assert found["/evidence/controls"] == found["/evidence/controls.csv"] == ["security"]
