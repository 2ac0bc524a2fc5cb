"""One repository has one name, however its remote is written (promise A2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionality.core.remote import directory_name, last_segment, normalised

REPO = "bitbucket.org/arctrade/hpc-billing"


@pytest.mark.parametrize(
    "remote",
    [
        "git@bitbucket.org:arctrade/hpc-billing.git",
        "git@bitbucket.org:arctrade/hpc-billing",
        "bitbucket.org:arctrade/hpc-billing.git",
        "ssh://git@bitbucket.org/arctrade/hpc-billing.git",
        "ssh://git@bitbucket.org:7999/arctrade/hpc-billing.git",
        "https://bitbucket.org/arctrade/hpc-billing",
        "https://bitbucket.org/arctrade/hpc-billing/",
        "https://alice:secret@Bitbucket.org/ArcTrade/HPC-Billing.git",
        "https://bitbucket.org/scm/arctrade/hpc-billing.git",
        "https://bitbucket.org/arctrade/hpc-billing.git?x=1#y",
        "git://bitbucket.org/arctrade/hpc-billing.git",
        "  bitbucket.org/arctrade/hpc-billing\n",
        REPO,
    ],
)
def test_each_form_of_a_remote_is_the_same_repository(remote):
    assert normalised(remote) == REPO
    assert last_segment(REPO) == "hpc-billing"


@pytest.mark.parametrize(
    "remote",
    [
        "",
        "hpc-billing",
        "/srv/git/hpc-billing.git",
        "../hpc-billing",
        "C:\\src\\hpc-billing",
        "file:///srv/git/hpc-billing.git",
        "https://bitbucket.org",
        "https://bitbucket.org/",
        "https://bitbucket.org/arctrade/../hpc-billing",
        "https://bitbucket.org/arctrade//hpc-billing",
        "https://bitbucket.org/arc trade/hpc-billing",
        "https://-bad.org/a/b",
        "https://bitbucket.org/" + "a/" * 400,
    ],
)
def test_what_another_machine_could_not_know_is_no_remote(remote):
    assert normalised(remote) is None


@given(st.text(max_size=60))
def test_a_normalised_remote_is_normal(text):
    once = normalised(text)
    assert once is None or normalised(once) == once


@given(st.text(max_size=60))
def test_no_user_or_password_is_left_in_a_remote(text):
    assert "secret" not in (
        normalised(f"https://alice:secret@bitbucket.org/{text.replace('secret', '')}") or ""
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/home/alice/src/hpc-billing", "hpc-billing"),
        ("/home/alice/src/HPC-Billing/", "hpc-billing"),
        ("C:\\Users\\alice\\hpc-billing", "hpc-billing"),
        ("`/home/alice/hpc-billing`", "hpc-billing"),
        ("/src/hpc-billing/.claude/worktrees/brave-otter", "hpc-billing"),
        ("/src/hpc-billing/.worktrees/fix", "hpc-billing"),
        ("/src/hpc-billing/worktrees/fix", "hpc-billing"),
        ("/src/hpc-billing-worktrees/fix", "hpc-billing"),
        ("/src/hpc-billing.worktrees/fix", "hpc-billing"),
        ("/home/alice/.cursor/worktrees/hpc-billing/a1b2", "hpc-billing"),
        ("/home/alice/.codex/worktrees/a1b2/hpc-billing", "hpc-billing"),
        ("/home/alice/.codex/worktrees/a1b2", "a1b2"),
        ("/src/worktrees", "worktrees"),
        ("/", None),
        ("", None),
        ("/src/..", None),
        ("~", None),
        ("/home/alice/my project", None),
        ("/src/hpc\x00billing", None),
        ("/a" * 300, None),
    ],
)
def test_a_directory_or_a_worktree_names_its_repository(path, name):
    assert directory_name(path) == name
