"""Evidence chooses among what the key allows, in a documented order, and never widens it (promises A1 to A4, P1)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as but

from visionality.core.attribution import (
    SUFFICIENT,
    UNATTRIBUTED,
    BadPattern,
    Barred,
    Bound,
    Evidence,
    Registry,
    RepoRecord,
    Tracked,
    resolve,
)

REMOTE = "bitbucket.org/arctrade/hpc-billing"
CAISO = "bitbucket.org/arctrade/caiso-q3"
BRANCH = "HPC-1234-add-pjm-rebill-rules"
REGISTRY = Registry(
    repos=(
        RepoRecord(REMOTE, "hpc-billing", "HPC", "pjm", default_epic="HPC-1"),
        RepoRecord(CAISO, "caiso-q3", "CAISO-Q3", "caiso"),
        RepoRecord("github.com/arctrade/tools", "tools"),
        RepoRecord("bitbucket.org/arctrade/site", "site", "HPC"),
        RepoRecord("github.com/arctrade/site", "site", "PJM"),
        RepoRecord("bitbucket.org/arctrade/odd", "odd", "PJM", branch_pattern=r"work/[a-z]+/(PJM-\d+)"),
    ),
    projects=("HPC", "PJM", "CAISO-Q3"),
    aliases={"CAISOQ3": "CAISO-Q3", "GONE": "NO-SUCH"},
    tracked=Tracked(
        {"HPC-1234": "HPC-100", "HPC-7": None, "PJM-5": "PJM-1", "CAISOQ3-45": None},
        frozenset({"HPC", "PJM", "CAISOQ3"}),
    ),
)
UNTRACKED = replace(REGISTRY, tracked=Tracked())
WIDE = Bound()
CLAUDE = Evidence(4, "claude-code environment", 60, repo="hpc-billing", branch=BRANCH)
CODEX = Evidence(3, "codex turn metadata", 85, repo=REMOTE, commit="1a2b3c4d5e")


def test_a_branch_in_a_known_repository_gives_project_issue_epic_and_customer():
    row = resolve(WIDE, [CLAUDE], REGISTRY)
    assert (row.project_id, row.task_id, row.epic_id, row.customer_id) == (
        "HPC",
        "HPC-1234",
        "HPC-100",
        "pjm",
    )
    assert (row.repo, row.branch, row.level, row.confidence) == (REMOTE, BRANCH, 4, 60)
    assert (row.conflicts, row.denied) == ((), None)


def test_without_an_issue_key_the_repository_gives_project_and_default_epic():
    row = resolve(WIDE, [CODEX], REGISTRY)
    assert (row.project_id, row.task_id, row.epic_id, row.commit) == ("HPC", None, "HPC-1", "1a2b3c4d5e")
    assert (row.level, row.confidence) == (3, 85)


def test_nothing_said_is_unattributed_and_has_a_hash_all_the_same():
    row = resolve(WIDE, [], REGISTRY)
    assert (row.project_id, row.level, row.confidence, row.conflicts) == (None, UNATTRIBUTED, 0, ())
    assert len(row.evidence_sha256) == 32


HELPER = Evidence(6, "credential helper", 95, repo=REMOTE, branch=BRANCH, commit="1a2b3c4d5e")


def test_the_credential_helper_adds_what_the_request_does_not_say():
    row = resolve(WIDE, [HELPER, but(CODEX, commit=None)], REGISTRY)
    assert (row.project_id, row.task_id, row.branch, row.commit) == ("HPC", "HPC-1234", BRANCH, "1a2b3c4d5e")
    assert row.conflicts == ()


def test_a_tool_that_moved_on_to_another_repository_is_not_booked_by_the_branch_that_its_key_was_made_on():
    moved = Evidence(4, "cline environment", 60, repo="caiso-q3")
    row = resolve(WIDE, [HELPER, moved], REGISTRY)
    assert (row.project_id, row.task_id, row.branch, row.commit) == ("CAISO-Q3", None, None, None)
    assert row.level == 4
    assert row.conflicts == (f"repo: cline environment says {CAISO}, credential helper says {REMOTE}",)


@pytest.mark.parametrize("trunk", ["main", "master", "develop", "Main"])
def test_a_trunk_names_no_issue(trunk):
    record = RepoRecord(REMOTE, "hpc-billing", "HPC", branch_pattern=r"(.*)")
    row = resolve(WIDE, [but(CLAUDE, branch=trunk)], replace(REGISTRY, repos=(record,)))
    assert (row.project_id, row.task_id, row.branch) == ("HPC", None, trunk)


@pytest.mark.parametrize(
    ("branch", "task"),
    [
        ("HPC-7", "HPC-7"),
        ("hpc-7-lower-case", "HPC-7"),
        ("feature/HPC-7-x", "HPC-7"),
        ("feature/HPC-7_x", "HPC-7"),
        ("CAISOQ3-45-x", "CAISOQ3-45"),
        ("CAISO-Q3-45", None),
        ("XHPC-7", None),
        ("fix-HPC-7", None),
        ("HPC-7abc", None),
        ("HPC-07", None),
        ("HPC-", None),
        ("HPC", None),
        ("GONE-3", None),
    ],
)
def test_an_issue_key_counts_where_a_branch_begins_with_it_and_its_whole_prefix_is_known(branch, task):
    row = resolve(WIDE, [Evidence(4, "e", 60, branch=branch)], REGISTRY)
    assert row.task_id == task
    assert row.conflicts == ()


def test_a_key_of_an_unknown_project_falls_back_to_the_repository():
    row = resolve(WIDE, [but(CLAUDE, repo="caiso-q3", branch="CAISO-Q3-45")], REGISTRY)
    assert (row.project_id, row.task_id, row.conflicts) == ("CAISO-Q3", None, ())


def test_an_alias_in_a_branch_gives_the_project_that_it_stands_for():
    row = resolve(WIDE, [but(CLAUDE, repo="caiso-q3", branch="CAISOQ3-45-x")], REGISTRY)
    assert (row.project_id, row.task_id, row.customer_id) == ("CAISO-Q3", "CAISOQ3-45", "caiso")


UNKNOWN = "task: claude-code environment says HPC-9999, which is no known issue of its tracker"


def test_an_issue_that_the_tracker_does_not_know_yet_is_kept_and_flagged():
    row = resolve(WIDE, [but(CLAUDE, branch="HPC-9999-x")], REGISTRY)
    assert (row.project_id, row.task_id, row.epic_id) == ("HPC", "HPC-9999", "HPC-1")
    assert row.conflicts == (UNKNOWN,)
    row = resolve(WIDE, [but(CLAUDE, repo="nowhere-in-the-map", branch="HPC-9999-x")], REGISTRY)
    assert (row.project_id, row.task_id, row.epic_id, row.level) == ("HPC", "HPC-9999", None, 4)


def test_an_issue_that_the_tracker_does_not_know_takes_no_call_to_another_project():
    row = resolve(WIDE, [but(CLAUDE, repo="caiso-q3", branch="HPC-9999-x")], REGISTRY)
    assert (row.project_id, row.task_id) == ("CAISO-Q3", None)
    assert UNKNOWN in row.conflicts
    bound = Bound(projects=frozenset({"PJM"}))
    row = resolve(bound, [but(CLAUDE, repo="nowhere", branch="HPC-9999-x")], REGISTRY)
    assert (row.project_id, row.task_id, row.denied, row.barred) == (None, None, None, None)


def test_an_issue_that_the_tracker_knows_goes_before_a_more_trusted_one_that_it_does_not_know():
    named = Evidence(2, "header x-vis-task", 95, task="HPC-9999")
    row = resolve(WIDE, [CLAUDE, named], REGISTRY)
    assert (row.task_id, row.epic_id) == ("HPC-1234", "HPC-100")
    assert row.conflicts == ("task: header x-vis-task says HPC-9999, which is no known issue of its tracker",)


def test_a_project_that_the_tracker_does_not_read_keeps_its_tasks():
    """As behind `vis connector add jira_cloud --scope HPC`."""
    scoped = replace(REGISTRY, tracked=Tracked({"HPC-1234": "HPC-100"}, frozenset({"HPC"})))
    row = resolve(WIDE, [but(CLAUDE, repo="caiso-q3", branch="CAISOQ3-46-x")], scoped)
    assert (row.project_id, row.task_id, row.conflicts) == ("CAISO-Q3", "CAISOQ3-46", ())
    assert resolve(WIDE, [but(CLAUDE, branch="PJM-9")], scoped).project_id == "PJM"


def test_without_a_tracker_the_prefix_is_enough():
    row = resolve(WIDE, [but(CLAUDE, branch="HPC-9999-x")], UNTRACKED)
    assert (row.project_id, row.task_id, row.epic_id, row.conflicts) == ("HPC", "HPC-9999", "HPC-1", ())


def test_a_repositorys_own_branch_pattern_is_used_and_others_still_count_there():
    odd = Evidence(4, "e", 60, repo="odd", branch="work/alice/PJM-5-x")
    assert resolve(WIDE, [odd], REGISTRY).task_id == "PJM-5"
    assert resolve(WIDE, [but(odd, branch="PJM-5-x")], REGISTRY).task_id == "PJM-5"
    assert resolve(WIDE, [but(odd, repo="hpc-billing")], REGISTRY).task_id == "PJM-5"
    assert resolve(WIDE, [but(odd, branch="work/alice/fix")], REGISTRY).task_id is None


@pytest.mark.parametrize("pattern", ["(", "no-group", "(a)(b)", "((?:a+)+)b"])
def test_a_branch_pattern_that_may_not_run_is_refused(pattern):
    with pytest.raises(BadPattern, match="branch pattern"):
        Registry(repos=(RepoRecord(REMOTE, "hpc-billing", branch_pattern=pattern),))


def test_the_more_trusted_level_decides_and_the_other_is_named():
    header = Evidence(2, "header x-vis-project", 95, project="pjm")
    row = resolve(WIDE, [CLAUDE, header], REGISTRY)
    assert (row.project_id, row.level, row.confidence) == ("PJM", 2, 95)
    assert (row.task_id, row.epic_id, row.customer_id) == (None, None, None)
    assert "project: header x-vis-project says PJM, claude-code environment says HPC" in row.conflicts


def test_an_issue_decides_before_the_repository_it_is_worked_on_in():
    row = resolve(WIDE, [but(CLAUDE, branch="PJM-5-x"), CODEX], REGISTRY)
    assert (row.project_id, row.task_id, row.epic_id, row.repo) == ("PJM", "PJM-5", "PJM-1", REMOTE)
    assert row.customer_id is None
    assert row.conflicts == ("project: claude-code environment says PJM, codex turn metadata says HPC",)


def test_two_that_are_trusted_alike_and_disagree_decide_nothing():
    first = Evidence(2, "header x-vis-project", 95, project="HPC")
    row = resolve(WIDE, [first, but(first, project="PJM"), CLAUDE], REGISTRY)
    assert (row.project_id, row.level) == (None, UNATTRIBUTED)
    assert "project: header x-vis-project says HPC, header x-vis-project says PJM" in row.conflicts


def test_two_branches_that_are_trusted_alike_leave_the_repository_to_decide():
    row = resolve(WIDE, [CLAUDE, but(CLAUDE, branch="PJM-5-x")], REGISTRY)
    assert (row.project_id, row.task_id, row.branch) == ("HPC", None, None)
    assert len(row.conflicts) == 1
    assert row.conflicts[0].startswith("branch: ")


def test_a_directory_and_a_remote_of_one_repository_agree():
    row = resolve(WIDE, [CLAUDE, CODEX, Evidence(2, "header", 95, repo="HPC-Billing")], REGISTRY)
    assert (row.repo, row.conflicts) == (REMOTE, ())


def test_a_long_and_a_short_hash_of_one_commit_agree():
    row = resolve(WIDE, [CODEX, Evidence(4, "e", 60, commit="1A2B3C4")], REGISTRY)
    assert (row.commit, row.conflicts) == ("1a2b3c4d5e", ())


def test_a_name_that_two_repositories_have_is_none_of_them_and_is_flagged():
    row = resolve(WIDE, [Evidence(4, "e", 60, repo="site")], REGISTRY)
    assert (row.repo, row.project_id) == (None, None)
    assert row.conflicts == ("repo: e says site, and 2 repositories have that name",)


def test_an_unknown_directory_is_dropped_and_an_unknown_remote_kept():
    assert resolve(WIDE, [Evidence(4, "e", 60, repo="diary")], REGISTRY).repo is None
    row = resolve(WIDE, [Evidence(3, "e", 85, repo="github.com/alice/diary")], REGISTRY)
    assert (row.repo, row.project_id, row.conflicts) == ("github.com/alice/diary", None, ())


def test_a_bare_name_in_the_map_stands_for_any_remote_that_ends_in_it():
    registry = Registry(repos=[RepoRecord("ingest", "ingest", "SOCE")], projects=["SOCE"])
    remote = Evidence(3, "codex", 85, repo="git@bitbucket.org:arctrade/ingest.git")
    row = resolve(WIDE, [remote, Evidence(4, "e", 60, repo="ingest")], registry)
    assert (row.repo, row.project_id, row.conflicts) == ("bitbucket.org/arctrade/ingest", "SOCE", ())
    row = resolve(WIDE, [Evidence(4, "e", 60, repo="ingest"), Evidence(4, "f", 60, repo="tools")], registry)
    assert (row.repo, row.project_id) == ("ingest", "SOCE")
    assert resolve(WIDE, [but(remote, repo="bitbucket.org/arctrade/other")], registry).project_id is None


def test_a_repository_without_a_project_gives_only_itself():
    row = resolve(WIDE, [Evidence(4, "e", 60, repo="tools", branch=BRANCH)], REGISTRY)
    assert (row.project_id, row.repo, row.customer_id) == ("HPC", "github.com/arctrade/tools", None)


def test_a_narrow_key_cannot_be_overridden():
    bound = Bound("HPC", "HPC-7")
    header = Evidence(2, "header", 95, project="PJM", task="PJM-5")
    row = resolve(bound, [header, CODEX], REGISTRY)
    assert (row.project_id, row.task_id, row.level, row.confidence) == ("HPC", "HPC-7", 1, 100)
    assert (row.denied, row.customer_id) == (None, "pjm")
    assert row.conflicts == (
        "project: the key says HPC, header says PJM",
        "task: the key says HPC-7, header says PJM-5",
    )


def test_a_key_with_a_project_takes_its_issue_from_the_branch_only_within_it():
    assert resolve(Bound("HPC"), [CLAUDE], REGISTRY).task_id == "HPC-1234"
    row = resolve(Bound("PJM"), [CLAUDE], REGISTRY)
    assert (row.project_id, row.task_id, row.customer_id) == ("PJM", None, None)
    assert row.conflicts == ("project: the key says PJM, claude-code environment says HPC",)


def test_a_task_of_the_key_that_no_tracker_knows_agrees_with_itself():
    row = resolve(Bound("HPC", "rebill"), [Evidence(2, "header", 95, task="rebill")], REGISTRY)
    assert (row.task_id, row.epic_id, row.conflicts) == ("rebill", None, ())


def test_a_project_outside_of_the_keys_list_is_denied_and_nothing_stands_in_for_it():
    bound = Bound(projects=frozenset({"HPC"}))
    row = resolve(bound, [but(CLAUDE, branch="PJM-5-x")], REGISTRY)
    assert (row.project_id, row.denied, row.level, row.task_id) == (None, "PJM", UNATTRIBUTED, None)
    assert resolve(bound, [CLAUDE], REGISTRY).project_id == "HPC"


@pytest.mark.parametrize(
    ("evidence", "barred"),
    [
        (Evidence(2, "header x-vis-project", 95, project="pjm"), Barred("pjm", "header x-vis-project")),
        (Evidence(2, "path /at/", 90, project="CAISOQ3"), Barred("CAISOQ3", "path /at/")),
        (Evidence(2, "path /at/", 90, project="NO-SUCH"), Barred("NO-SUCH", "path /at/")),
        (Evidence(3, "metadata", 80, project="PJM"), Barred("PJM", "metadata")),
        (Evidence(3, "metadata", 80, project="NO-SUCH"), None),
        (Evidence(4, "e", 60, repo="caiso-q3"), Barred("caiso-q3", "e")),
        (Evidence(4, "e", 60, repo="nobody-knows-it"), None),
        (Evidence(4, "e", 60, repo="hpc-billing", branch="PJM-5-x"), Barred("PJM-5-x", "e")),
        (Evidence(2, "header", 95, project="HPC"), None),
        (CLAUDE, None),
    ],
)
def test_what_a_policy_may_refuse_is_told_in_the_words_of_the_claim(evidence, barred):
    assert resolve(Bound(projects=frozenset({"HPC"})), [evidence], REGISTRY).barred == barred
    assert resolve(Bound("HPC"), [evidence], REGISTRY).barred is None


@given(
    st.lists(
        st.builds(
            Evidence,
            level=st.just(2),
            source=st.sampled_from(["a", "b"]),
            confidence=st.sampled_from([90, 95]),
            project=st.sampled_from(["HPC", "PJM", "CAISO-Q3", "NO-SUCH"]),
        ),
        max_size=4,
    ),
    st.booleans(),
)
def test_a_refusal_does_not_tell_which_other_projects_there_are(named, with_environment):
    """The same answer with the projects that the key may not claim, and without there being any."""
    evidence = [*named, CLAUDE] if with_environment else named
    bound = Bound(projects=frozenset({"HPC"}))
    alone = Registry(REGISTRY.repos[:1], ["HPC"], {}, REGISTRY.tracked)
    assert resolve(bound, evidence, REGISTRY).barred == resolve(bound, evidence, alone).barred


def test_a_project_that_nobody_knows_is_flagged_and_not_booked():
    row = resolve(WIDE, [Evidence(2, "header", 95, project="NO-SUCH")], REGISTRY)
    assert row.project_id is None
    assert row.conflicts == ("project: header says NO-SUCH, which is no known project",)


def test_evidence_that_is_hardly_believed_is_kept_and_decides_nothing():
    row = resolve(WIDE, [but(CLAUDE, confidence=SUFFICIENT - 1)], REGISTRY)
    assert row.project_id is None
    assert row.evidence_sha256 != resolve(WIDE, [], REGISTRY).evidence_sha256


def test_an_issue_by_name_beats_the_one_in_the_branch():
    row = resolve(WIDE, [CLAUDE, Evidence(2, "header x-vis-task", 95, task="hpc-7")], REGISTRY)
    assert (row.task_id, row.epic_id, row.level) == ("HPC-7", "HPC-1", 2)
    assert row.conflicts == ("task: header x-vis-task says HPC-7, claude-code environment says HPC-1234",)


NAMES = st.sampled_from(["HPC", "pjm", "CAISO-Q3", "CAISOQ3", "NO-SUCH", "GONE"]) | st.text(max_size=8)
TASKS = st.sampled_from(["HPC-7", "HPC-1234", "PJM-5", "CAISOQ3-45", "HPC-9999"]) | st.text(max_size=8)
REPOS = st.sampled_from(
    [REMOTE, CAISO, "hpc-billing", "site", "odd", "diary", "git@bitbucket.org:arctrade/odd.git"]
)
BRANCHES = st.sampled_from([BRANCH, "PJM-5-x", "CAISO-Q3-45", "main", "work/a/PJM-5"]) | st.text(max_size=12)
EVIDENCE = st.builds(
    Evidence,
    level=st.integers(2, 6),
    source=st.sampled_from(["a", "b"]),
    confidence=st.integers(0, 100) | st.just(60),
    project=st.none() | NAMES,
    task=st.none() | TASKS,
    repo=st.none() | REPOS | st.text(max_size=12),
    branch=st.none() | BRANCHES,
    commit=st.none() | st.sampled_from(["1a2b3c4", "1a2b3c4d", "ffffff0"]) | st.text(max_size=8),
)
LISTS = st.lists(EVIDENCE, max_size=6)
BOUNDS = st.builds(
    Bound,
    project_id=st.none() | st.sampled_from(["HPC", "PJM"]),
    task_id=st.none() | st.just("HPC-7"),
    projects=st.frozensets(st.sampled_from(["HPC", "PJM", "CAISO-Q3"])),
)
REGISTRIES = st.sampled_from([REGISTRY, UNTRACKED, Registry()])


@given(BOUNDS, LISTS, REGISTRIES)
def test_no_evidence_ever_leads_out_of_what_the_key_allows(bound, evidence, registry):
    row = resolve(bound, evidence, registry)
    if bound.project_id:
        assert (row.project_id, row.level, row.denied) == (bound.project_id, 1, None)
    elif row.project_id is not None:
        assert row.project_id in (bound.projects or set(registry.projects))
    if bound.task_id:
        assert row.task_id == bound.task_id
    elif row.task_id:
        assert registry.issue(row.task_id).project_id == row.project_id
    if row.denied:
        assert row.denied not in bound.projects
        assert row.project_id is None


@given(BOUNDS, LISTS, REGISTRIES, st.randoms(use_true_random=False))
def test_the_order_of_the_evidence_does_not_matter(bound, evidence, registry, random):
    shuffled = [*evidence, *evidence[:1]]
    random.shuffle(shuffled)
    assert resolve(bound, shuffled, registry) == resolve(bound, evidence, registry)


@given(LISTS, LISTS)
def test_other_evidence_is_another_hash(one, other):
    same = set(one) == set(other)
    hashes = {resolve(WIDE, evidence, REGISTRY).evidence_sha256 for evidence in (one, other)}
    assert (len(hashes) == 1) == same


@given(LISTS)
def test_what_disagrees_with_the_row_is_named(evidence):
    row = resolve(WIDE, evidence, REGISTRY)
    believed = {one.branch for one in evidence if one.branch and one.confidence >= SUFFICIENT}
    if len(believed) > 1 and len(row.conflicts) < 16:
        assert any(line.startswith("branch: ") for line in row.conflicts)
