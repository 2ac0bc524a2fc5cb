"""Each control is mapped, each clause is named as its framework names clauses, and nobody is said to have reviewed them (S3)."""

import re

from visionality.evidence.controls import COLLECTORS
from visionality.evidence.controls.mappings import mappings

FORMS = {
    "ISO/IEC 27001:2022": r"A\.(5\.([1-9]|[12][0-9]|3[0-7])|6\.[1-8]|7\.([1-9]|1[0-4])|8\.([1-9]|[12][0-9]|3[0-4]))",
    "ISO/IEC 42001:2023": r"A\.([2-9]|10)\.[1-9](\.[1-9])?",
    "NIST AI RMF 1.0": r"(GOVERN [1-6]|MAP [1-5]|MEASURE [1-4]|MANAGE [1-4])\.([1-9]|1[0-3])",
    "NIST CSF 2.0": r"(GV|ID|PR|DE|RS|RC)\.[A-Z]{2}-(0[1-9]|1[0-2])",
}


def test_each_control_is_mapped_to_each_framework():
    assert set(mappings().entries) == {one.control for one in COLLECTORS}
    for clauses in mappings().entries.values():
        assert list(clauses) == list(FORMS)
        assert all(clauses.values())


def test_each_clause_has_the_form_of_its_framework_and_stands_once():
    for frameworks in mappings().entries.values():
        for framework, clauses in frameworks.items():
            assert [one for one in clauses if not re.fullmatch(FORMS[framework], one)] == []
            assert len(set(clauses)) == len(clauses)


def test_a_control_supports_and_nobody_has_reviewed_that_yet():
    assert mappings().wording == "supports"
    assert mappings().reviewed_by is None
    assert mappings().version == 1
