"""The controls of a period as OSCAL assessment results (NIST OSCAL 1.2.1, assessment-results model), for programs of auditors.

OSCAL knows two states: what does not operate is `not-satisfied`, and the remarks say that nothing failed but something is missing.
There is no assessment plan to import, so `import-ap` leads to a note. Ids are UUIDv5 of the organisation, the period and the
content: whoever asks again gets the same file as long as the content is the same; of a period that runs, the times move.
"""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from visionality.core.canonical import timestamp
from visionality.core.control import Control
from visionality.core.period import Period
from visionality.evidence.controls.mappings import mappings

OSCAL_VERSION = "1.2.1"
_NAMESPACE = "urn:visionality:oscal"
_REASONS = {"satisfied": "pass", "not_satisfied": "fail", "not_operating": "other"}
_NOTE = (
    "There is no assessment plan: the controls are collected by the product itself, over the whole population of the period. This "
    "file evidences operation of controls and is no audit opinion."
)

_encode = msgspec.json.Encoder(order="sorted").encode


def assessment_results(
    org_id: str, org: str, period: Period, controls: Sequence[Control], at: datetime
) -> bytes:
    """The file. `at` is up to when was looked: the end of the period, or now while it runs."""
    content = hashlib.sha256(_encode(controls)).hexdigest()
    root = uuid5(NAMESPACE_URL, f"{_NAMESPACE}:{org_id}:{period.first}:{period.last}:{content}")
    plan = str(uuid5(root, "plan"))
    told = {
        "uuid": str(root),
        "metadata": {
            "title": f"Controls of {org}, {period.title}",
            "last-modified": timestamp(at),
            "version": content[:16],
            "oscal-version": OSCAL_VERSION,
        },
        "import-ap": {"href": f"#{plan}"},
        "results": [_result(root, period, controls, at)],
        "back-matter": {"resources": [{"uuid": plan, "title": "No assessment plan", "description": _NOTE}]},
    }
    return msgspec.json.format(_encode({"assessment-results": told}), indent=2) + b"\n"


def _result(root: UUID, period: Period, controls: Sequence[Control], at: datetime) -> dict[str, Any]:
    return {
        "uuid": str(uuid5(root, "result")),
        "title": f"Six SOC 2 controls, {period.title}",
        "description": _NOTE,
        "start": timestamp(period.start),
        "end": timestamp(at),
        "reviewed-controls": {
            "control-selections": [
                {
                    "include-controls": [
                        {"control-id": name} for one in controls for name in _criteria(one.control)
                    ]
                }
            ]
        },
        "observations": [told for one in controls for told in _observations(root, one, at)],
        "findings": [_finding(root, one) for one in controls],
    }


def _observations(root: UUID, one: Control, at: datetime) -> Iterator[dict[str, Any]]:
    """How the population stands, then each exception."""
    counts = {"population": one.population, "passed": one.passed, "exceptions": len(one.exceptions)}
    yield {
        "uuid": _population_id(root, one),
        "title": f"{one.control}: the whole population",
        "description": f"{one.passed} of {one.population} passed, {len(one.exceptions)} failed, {one.not_judged} could not be judged.",
        "props": [
            *(_prop(name, str(count)) for name, count in counts.items()),
            _prop("query", one.query),
            _prop("rows-sha256", one.rows_sha256),
        ],
        "methods": ["TEST"],
        "collected": timestamp(at),
    }
    for failed in one.exceptions:
        yield {
            "uuid": _exception_id(root, one, failed.subject),
            "title": failed.subject,
            "description": failed.detail,
            "methods": ["TEST"],
            "types": ["finding"],
            "collected": timestamp(at),
        }


def _finding(root: UUID, one: Control) -> dict[str, Any]:
    missing = [f"{each.name}: {each.reason}." for each in one.mechanisms if not each.operating]
    state: dict[str, Any] = {
        "state": "satisfied" if one.status == "satisfied" else "not-satisfied",
        "reason": _REASONS[one.status],
    }
    if missing:
        began = "Nothing that was judged failed. " if one.status == "not_operating" else ""
        state["remarks"] = f"{began}Not operating: {' '.join(missing)}"
    observed = [
        _population_id(root, one),
        *(_exception_id(root, one, each.subject) for each in one.exceptions),
    ]
    supported = mappings().entries[one.control].items()
    return {
        "uuid": str(uuid5(root, f"finding {one.control}")),
        "title": one.title,
        "description": f"{one.control} stands as {one.status.replace('_', ' ')}.",
        "props": [
            _prop("supports", clause, framework) for framework, clauses in supported for clause in clauses
        ],
        "target": {"type": "objective-id", "target-id": one.slug, "status": state},
        "related-observations": [{"observation-uuid": each} for each in observed],
    }


def _prop(name: str, value: str, of: str = "") -> dict[str, str]:
    told = {"name": name, "ns": _NAMESPACE, "value": value}
    return told | {"remarks": of} if of else told


def _population_id(root: UUID, one: Control) -> str:
    return str(uuid5(root, f"population {one.control}"))


def _exception_id(root: UUID, one: Control, subject: str) -> str:
    return str(uuid5(root, f"exception {one.control} {subject}"))


def _criteria(control: str) -> Iterator[str]:
    """`CC6.2/6.3` is CC6.2 and CC6.3."""
    first, *others = control.split("/")
    yield first
    for other in others:
        yield f"CC{other}"
