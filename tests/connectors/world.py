"""What the stand-ins hold: one small company, as trackers and Git hosts would know it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SINCE = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
OLD = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
RECENT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def sha(digit: str) -> str:
    return digit * 40


@dataclass
class Item:
    """An issue."""

    id: str
    key: str
    kind: str
    level: int
    summary: str
    updated: datetime
    parent: str | None = None
    epic_link: str | None = None
    status: str = "In Progress"
    category: str = "indeterminate"

    @property
    def project(self) -> str:
        return self.key.partition("-")[0]


def issues() -> list[Item]:
    return [
        Item("10100", "HPC-1100", "Epic", 1, "Rebill epic", OLD),
        Item("10234", "HPC-1234", "Story", 0, "PJM rebill rules", RECENT, parent="HPC-1100"),
        Item("10235", "HPC-1235", "Sub-task", -1, "Rules for ERCOT", OLD, parent="HPC-1234"),
        Item("10236", "HPC-1236", "Task", 0, "Linked the old way", OLD, epic_link="HPC-1100"),
        Item("10300", "SOCE-7", "Task", 0, "Meter reads", OLD, status="Erledigt", category="done"),
    ]


@dataclass
class Pull:
    number: int
    title: str
    state: str
    source: str
    updated: datetime
    commits: list[str]
    author: str | None = "alice"
    fork: bool = False
    """From a fork that was deleted since."""
    merge: str | None = None


@dataclass
class Repo:
    id: int
    path: str
    changed: datetime
    default: str | None = "main"
    branches: dict[str, str] = field(default_factory=dict)
    pulls: list[Pull] = field(default_factory=list)


def repositories() -> list[Repo]:
    billing = Repo(
        501,
        "arctrade/hpc-billing",
        RECENT,
        branches={"main": sha("a"), "HPC-1234-add-pjm-rebill-rules": sha("b"), "fix/zero": sha("c")},
        pulls=[
            Pull(40, "Long ago", "merged", "old", OLD, [sha("1")], merge=sha("2")),
            Pull(41, "Given up", "declined", "up", OLD, [sha("3")]),
            Pull(
                42,
                "HPC-1234 PJM rebill",
                "merged",
                "HPC-1234-add-pjm-rebill-rules",
                RECENT,
                [sha("4"), sha("5"), sha("6")],
                merge=sha("d"),
            ),
            Pull(43, "From outside", "open", "main", RECENT, [sha("7")], author=None, fork=True),
        ],
    )
    quiet = Repo(502, "arctrade/soce", OLD, branches={"main": sha("e")})
    empty = Repo(503, "arctrade/new", RECENT, default=None)
    return [billing, quiet, empty]
