"""What a process tree has used, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds of a process and its children, and its resident bytes."""

    cpu_s: float
    resident: int


def used(pid: int) -> Used:
    cpu, resident = 0.0, 0
    for one in tree(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            pages = int(Path(f"/proc/{one}/statm").read_text().split()[1])
        except OSError:
            continue
        cpu += sum(int(fields[at]) for at in (11, 12, 13, 14)) / TICK
        resident += pages * os.sysconf("SC_PAGESIZE")
    return Used(cpu, resident)


def tree(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(path.parent.name))
    found, queue = [], [pid]
    while queue:
        found.append(one := queue.pop())
        queue += children.get(one, [])
    return found
