"""Trees over leaves as RFC 6962 (section 2.1) and RFC 9162 (section 2.1) have them: roots, proofs, and what checks them.

    node = SHA-256(0x01 || left || right)      of no leaf: SHA-256 of nothing

Leaves, nodes and roots are 32 bytes. A tree is never held whole: what a log needs in order to grow is the roots of the full
subtrees at its right edge, its frontier. A proof is a list of ranges of leaves, each by its root: whoever has the roots
elsewhere (evidence/heads.py) looks the ranges up, whoever has the leaves hashes them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()
DIGEST = 32

Range = tuple[int, int]
"""Leaves from the first number up to and without the second."""


def node(left: bytes, right: bytes) -> bytes:
    """What stands above two subtrees."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A log of `size` leaves as far as it takes to go on: the roots of its full subtrees, the largest first."""

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.nodes) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves has other full subtrees than {len(self.nodes)}")

    def extend(self, leaves: Iterable[bytes]) -> "Frontier":
        """The log with these leaves behind it."""
        size, nodes = self.size, list(self.nodes)
        for leaf in leaves:
            top, full = leaf, size
            while full & 1:
                top = sha256(b"\x01" + nodes.pop() + top).digest()
                full >>= 1
            nodes.append(top)
            size += 1
        return Frontier(size, tuple(nodes))

    def root(self) -> bytes:
        """The root of the whole."""
        return _folded(self.nodes)

    def since(self, start: int) -> "Frontier":
        """The leaves from here on as a tree of their own, where a full subtree begins here. Raises ValueError where none does."""
        at, left = 0, 0
        while left < start:
            left += 1 << ((self.size - left).bit_length() - 1)
            at += 1
        if left != start or at == len(self.nodes):
            raise ValueError(f"no subtree of a tree of {self.size} leaves begins at leaf {start}")
        return Frontier(self.size - start, self.nodes[at:])

    def packed(self) -> bytes:
        """The nodes in one string, for storage beside the size."""
        return b"".join(self.nodes)

    @classmethod
    def unpacked(cls, size: int, packed: bytes) -> "Frontier":
        """What was packed. Raises ValueError where it is not the frontier of a tree of this size."""
        if len(packed) % DIGEST:
            raise ValueError(f"{len(packed)} bytes are no list of hashes")
        return cls(size, tuple(cut(packed)))


def cut(packed: bytes) -> list[bytes]:
    """Hashes that stand side by side, one by one."""
    return [packed[at : at + DIGEST] for at in range(0, len(packed), DIGEST)]


def root(leaves: Iterable[bytes]) -> bytes:
    """The root over these leaves."""
    return Frontier().extend(leaves).root()


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The subtrees whose roots show that leaf `index` is in a tree of `size`, from the leaf upwards. Raises ValueError."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    ranges, start, end = [], 0, size
    while end - start > 1:
        middle = start + _left_of(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """The subtrees whose roots show that a tree of `second` leaves extends one of `first`; none from 0 and from itself.

    Raises ValueError where the second is the smaller one.
    """
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {second} leaves cannot extend one of {first}")
    if first in (0, second):
        return []
    ranges, start, end, is_whole = [], 0, second, True
    while first != end:
        middle = start + _left_of(end - start)
        if first <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start, is_whole = middle, False
    if not is_whole:
        ranges.append((start, end))
    return ranges[::-1]


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The path from a leaf to the root over all of them. Raises ValueError where there is no such leaf."""
    return [root(leaves[start:end]) for start, end in inclusion_ranges(index, len(leaves))]


def consistency(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """What shows that the tree over these leaves extends the one over the `first` of them. Raises ValueError."""
    return [root(leaves[start:end]) for start, end in consistency_ranges(first, len(leaves))]


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the path shows the leaf at this place of the tree with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, top = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            top = node(step, top)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            top = node(top, step)
        at, last = at >> 1, last >> 1
    return last == 0 and top == root


def check_consistency(
    first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether the path shows that the second tree extends the first (RFC 9162, 2.1.4.2). Every tree extends the empty one."""
    if not 0 <= first <= second:
        return False
    if first == 0:
        return not path and first_root == EMPTY_ROOT and (second > 0 or second_root == EMPTY_ROOT)
    if first == second:
        return not path and first_root == second_root
    steps = list(path) if first & (first - 1) else [first_root, *path]
    if not steps:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old, new = node(step, old), node(step, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node(new, step)
        at, last = at >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _left_of(size: int) -> int:
    """How many leaves stand in the left subtree: the largest power of two below the size."""
    return 1 << ((size - 1).bit_length() - 1)


def _folded(nodes: Sequence[bytes]) -> bytes:
    if not nodes:
        return EMPTY_ROOT
    top = nodes[-1]
    for left in reversed(nodes[:-1]):
        top = node(left, top)
    return top
