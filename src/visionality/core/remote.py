"""Names of repositories: what git prints as a remote, what a registry lists, and what a directory is called.

A normalised remote is `host/path` in lower case without scheme, user, port or `.git`, so that
`git@bitbucket.org:arctrade/HPC-Billing.git` and `https://alice@bitbucket.org/arctrade/hpc-billing` are one repository.
The forms are those of git-clone(1), "GIT URLS".
"""

import re

LONGEST = 500
"""Of a remote or a path, in characters: what is longer is no name."""

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,252})")
_SEGMENT = re.compile(r"[a-z0-9._~+-]{1,100}")
_SCHEMES = ("https", "http", "ssh", "git", "git+ssh")
_SERVER_PREFIX = "scm"
"""What Bitbucket Data Center puts before the project in its https remotes, and not in its ssh ones."""
_WORKTREES = (".worktrees", "worktrees")


def normalised(remote: str) -> str | None:
    """`host/owner/name` of a remote, or None when it is none that another machine could know."""
    remote = remote.strip()
    if not remote or len(remote) > LONGEST:
        return None
    remote = remote.lower().replace("\\", "/")
    if "://" in remote:
        scheme, _, rest = remote.partition("://")
        if scheme not in _SCHEMES:
            return None
        host, _, path = rest.partition("/")
    elif ":" in remote.partition("/")[0]:
        host, _, path = remote.partition(":")
    else:
        host, _, path = remote.partition("/")
    host = host.rpartition("@")[2].partition(":")[0]
    path = path.partition("?")[0].partition("#")[0].strip("/").removesuffix(".git")
    segments = path.split("/")
    if segments[0] == _SERVER_PREFIX and len(segments) > 2:
        segments = segments[1:]
    if "." not in host and host != "localhost":
        return None
    if not _HOST.fullmatch(host) or not all(
        _SEGMENT.fullmatch(segment) and segment.strip(".") for segment in segments
    ):
        return None
    return "/".join((host, *segments))


def last_segment(repo: str) -> str:
    """What a clone of the repository is called by default."""
    return repo.rpartition("/")[2]


def directory_name(path: str) -> str | None:
    """The name that a working directory gives its repository, in lower case, or None.

    A worktree is named after its branch, so the known layouts give the repository instead:
    `hpc-billing/.worktrees/fix`, `hpc-billing/.claude/worktrees/fix`, `hpc-billing-worktrees/fix`,
    `~/.cursor/worktrees/hpc-billing/a1b2`, `~/.codex/worktrees/a1b2/hpc-billing`.
    """
    path = path.strip().strip("`\"'")
    if not path or len(path) > LONGEST or not path.isprintable():
        return None
    parts = [part for part in path.lower().replace("\\", "/").split("/") if part]
    name = _of_a_worktree(parts) or (parts[-1] if parts else "")
    return name if _SEGMENT.fullmatch(name) and name.strip(".~") else None


def _of_a_worktree(parts: list[str]) -> str | None:
    for at in range(len(parts) - 1, 0, -1):
        above, folder, below = parts[at - 1], parts[at], parts[at + 1 :]
        if not below:
            for ending in ("-worktrees", ".worktrees", "-wt"):
                if above.endswith(ending) and len(above) > len(ending):
                    return above.removesuffix(ending)
        if folder not in _WORKTREES or not below:
            continue
        if above == ".cursor":
            return below[0]
        if above == ".codex":
            return below[1] if len(below) > 1 else None
        return parts[at - 2] if above.startswith(".") and at > 1 else above
    return None
