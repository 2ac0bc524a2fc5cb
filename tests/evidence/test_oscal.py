"""OSCAL assessment results that another's library takes, the same for the same content (S6, issue 9)."""

import json
import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import ValidationError
from trestle.oscal import OSCAL_VERSION as ITS_VERSION
from trestle.oscal.assessment_results import AssessmentResults

from visionality.core.control import Control, Failed, Mechanism
from visionality.core.period import month
from visionality.evidence.controls import COLLECTORS
from visionality.evidence.oscal import OSCAL_VERSION, assessment_results

ORG = "01991d3a-0000-7000-8000-000000000000"
NOVEMBER = month("2026-11")
AT = datetime(2026, 12, 1, tzinfo=UTC)
STATUSES = ("satisfied", "not_satisfied", "not_operating")


def six(**changed: object) -> list[Control]:
    """Two of each status."""
    return [
        Control(
            **{
                "control": collector.control,
                "title": collector.title,
                "population": 3,
                "passed": 1,
                "exceptions": [Failed("key 1", "never ends")] if status == "not_satisfied" else [],
                "mechanisms": [
                    Mechanism(
                        "detectors",
                        status != "not_operating",
                        "" if status != "not_operating" else "not built",
                    )
                ],
                "query": "x.sql sha256:00",
                "rows_sha256": "00" * 32,
                "status": status,
            }
            | changed
        )
        for collector, status in zip(COLLECTORS, STATUSES * 2, strict=True)
    ]


def results(controls: list[Control], at: datetime = AT) -> bytes:
    return assessment_results(ORG, "arctrade", NOVEMBER, controls, at)


def parsed(controls: list[Control]) -> dict:
    return json.loads(results(controls))["assessment-results"]


def test_another_library_reads_it(tmp_path):
    path = tmp_path / "results.json"
    path.write_bytes(results(six()))
    found = AssessmentResults.oscal_read(path)
    assert found.metadata.title == "Controls of arctrade, November 2026"
    assert [one.target.target_id for one in found.results[0].findings] == [
        one.control.replace("/", "-") for one in COLLECTORS
    ]


def test_what_does_not_operate_is_not_satisfied_with_the_reason():
    states = [one["target"]["status"] for one in parsed(six())["results"][0]["findings"]]
    assert [one["state"] for one in states] == ["satisfied", "not-satisfied", "not-satisfied"] * 2
    assert [one["reason"] for one in states] == ["pass", "fail", "other"] * 2
    assert states[2]["remarks"] == "Nothing that was judged failed. Not operating: detectors: not built."
    assert "remarks" not in states[0]


def test_each_criterion_is_reviewed_and_each_exception_observed():
    (result,) = parsed(six())["results"]
    (selection,) = result["reviewed-controls"]["control-selections"]
    assert [one["control-id"] for one in selection["include-controls"]] == [
        *("CC6.1", "CC6.2", "CC6.3", "CC6.6", "CC6.7", "CC7.1", "CC7.2", "CC7.3", "CC7.4", "CC8.1")
    ]
    observed = {one["uuid"]: one for one in result["observations"]}
    assert [one["description"] for one in observed.values() if one["title"] == "key 1"] == ["never ends"] * 2
    for finding in result["findings"]:
        assert {one["observation-uuid"] for one in finding["related-observations"]} <= set(observed)


def test_the_plan_that_is_not_there_is_a_note():
    found = parsed(six())
    (note,) = found["back-matter"]["resources"]
    assert found["import-ap"]["href"] == f"#{note['uuid']}"
    assert "no audit opinion" in note["description"]


def test_the_same_content_gives_the_same_file_and_other_content_other_ids():
    assert results(six()) == results(six())
    ours = re.findall(rb'"uuid": "([^"]+)"', results(six()))
    theirs = re.findall(rb'"uuid": "([^"]+)"', results(six(population=4)))
    assert not set(ours) & set(theirs)
    assert len(set(ours)) == len(ours)
    assert {UUID(one.decode()).version for one in ours} == {5}


def test_the_library_refuses_what_the_model_does_not_have():
    told = parsed(six())
    AssessmentResults.model_validate(told)
    told["results"][0]["findings"][0]["target"]["status"]["state"] = "not-operating"
    with pytest.raises(ValidationError, match="state"):
        AssessmentResults.model_validate(told)


def test_it_names_the_version_that_it_is_checked_against():
    assert ITS_VERSION == OSCAL_VERSION
