"""Why a row waits is told from its own fields, in words that name what is missing (promise A6)."""

import pytest

from visionality.core.queue_cause import Known, Waiting, cause

KNOWN = Known({"HPC", "CAISO-Q3"}, {"CAISOQ3"}, {"bitbucket.org/a/billing": "HPC", "ingest": "CAISO-Q3"})


@pytest.mark.parametrize(
    ("row", "kind", "subject", "project"),
    [
        ({"denied": "HPC", "repo": "x.org/a/b"}, "denied", "HPC", "HPC"),
        ({"denied": "GONE"}, "denied", "GONE", ""),
        ({"repo": "x.org/a/b", "branch": "NO-1-fix"}, "repo", "x.org/a/b", ""),
        ({"repo": "bitbucket.org/a/billing"}, "repo", "bitbucket.org/a/billing", "HPC"),
        ({"repo": "x.org/b/ingest"}, "repo", "x.org/b/ingest", "CAISO-Q3"),
        ({"branch": "feature/SOCE-7-rates"}, "branch", "SOCE", ""),
        ({"branch": "caisoq3-7-rates", "client": "aider 0.86"}, "no_evidence", "aider", ""),
        ({"branch": "fix"}, "no_evidence", "", ""),
        ({"conflict": "repo: cline environment says ingest, and 2 repositories have that name"}, "shared_name", "ingest", ""),
        ({"conflict": "project: header x-vis-project says FOO, which is no known project"}, "unknown_project", "FOO", ""),
        ({"conflict": "task: branch says HPC-9, which is no known issue of a known project"}, "branch", "HPC", ""),
        ({"conflict": "branch: a says x, b says y; project: a says A, b says B"}, "disagree", "project: a says A, b says B", ""),
        ({"conflict": "commit: a says x, b says y"}, "disagree", "commit: a says x, b says y", ""),
        ({"conflict": "commit: a says x, b says y", "project_id": "HPC", "repo": "x"}, "disagree", "commit: a says x, b says y", ""),
        ({}, "no_evidence", "", ""),
    ],
)  # fmt: skip
def test_a_cause_names_what_is_missing(row, kind, subject, project):
    blank = dict.fromkeys(Waiting.__dataclass_fields__)
    found = cause(Waiting(**{**blank, **row}), KNOWN)
    assert (found.kind, found.subject, found.project) == (kind, subject, project)
    assert subject in found.words


def test_a_cause_has_one_code_whatever_else_waits():
    blank = dict.fromkeys(Waiting.__dataclass_fields__)
    one, other = (cause(Waiting(**{**blank, "denied": name}), KNOWN) for name in ("A", "B"))
    assert one.code != other.code
    assert len(one.code) == 6
    assert one.code == cause(Waiting(**{**blank, "denied": "A", "client": "aider"}), KNOWN).code
