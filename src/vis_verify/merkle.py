"""RFC 6962 trees, as a verifier meets them: roots of leaves, and proofs (RFC 9162 sections 2.1.3.2 and 2.1.4.2).

Leaves and nodes are 32 bytes. A leaf is SHA-256(0x00 and the bytes), a node SHA-256(0x01 and both sides).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf(content: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + content).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Growing:
    """A tree that leaves are added to one at a time; it keeps one node for each bit of its size."""

    def __init__(self) -> None:
        self.size = 0
        self._nodes: list[bytes] = []

    def add(self, one: bytes) -> None:
        at = self.size
        while at & 1:
            one = hashlib.sha256(b"\x01" + self._nodes.pop() + one).digest()
            at >>= 1
        self._nodes.append(one)
        self.size += 1

    def root(self) -> bytes:
        if not self._nodes:
            return EMPTY_ROOT
        whole = self._nodes[-1]
        for left in reversed(self._nodes[:-1]):
            whole = node(left, whole)
        return whole


def includes(root: bytes, size: int, index: int, one: bytes, path: Sequence[bytes]) -> bool:
    """Whether the path shows that the leaf stands at this index, from 0, of the tree of this size and root."""
    if not 0 <= index < size:
        return False
    at, last, whole = index, size - 1, one
    for step in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            whole = node(step, whole)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            whole = node(whole, step)
        at, last = at >> 1, last >> 1
    return last == 0 and whole == root


def extends(first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the path shows that the second tree begins with all leaves of the first, in their order."""
    if not 0 <= first <= second:
        return False
    if first == second:
        return not path and first_root == second_root
    if first == 0:
        return not path and first_root == EMPTY_ROOT
    steps = [first_root, *path] if first & (first - 1) == 0 else list(path)
    return bool(steps) and _grown(first - 1, second - 1, steps) == (first_root, second_root)


def _grown(at: int, last: int, steps: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The roots that a consistency path makes of both trees; None when it is too long or too short."""
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return None
        if at & 1 or at == last:
            old, new = node(step, old), node(step, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node(new, step)
        at, last = at >> 1, last >> 1
    return (old, new) if last == 0 else None
