"""Trees and their proofs as RFC 6962 defines them, for every size and place up to 40, and for none that is bent."""

import hashlib

import pytest

from packs import builder
from vis_verify.merkle import EMPTY_ROOT, Growing, extends, includes, leaf

LEAVES = [leaf(b"%d" % n) for n in range(41)]
ROOTS = [builder.root(LEAVES[:size]) for size in range(41)]


def test_a_growing_tree_has_the_root_of_the_rfc_at_every_size():
    tree = Growing()
    for size, expected in enumerate(ROOTS):
        assert tree.root() == expected
        tree.add(LEAVES[size])
    assert EMPTY_ROOT == hashlib.sha256(b"").digest() == ROOTS[0]


@pytest.mark.parametrize("size", range(1, 41))
def test_every_leaf_is_shown_where_it_stands_and_nowhere_else(size):
    for index in range(size):
        path = builder.inclusion(LEAVES[:size], index)
        assert includes(ROOTS[size], size, index, LEAVES[index], path)
        for wrong in {index - 1, index + 1, index ^ 1, size, -1} - {index}:
            assert not includes(ROOTS[size], size, wrong, LEAVES[index], path)
        assert not includes(ROOTS[size], size, index, LEAVES[index + 1], path)
        assert not includes(ROOTS[size - 1], size, index, LEAVES[index], path)
        assert not includes(ROOTS[size], size, index, LEAVES[index], [*path, LEAVES[0]])
        if path:
            assert not includes(ROOTS[size], size, index, LEAVES[index], path[:-1])
            assert not includes(ROOTS[size], size, index, LEAVES[index], [*path[:-1], LEAVES[40]])


@pytest.mark.parametrize("second", range(41))
def test_a_tree_extends_each_of_its_beginnings_and_no_other(second):
    for first in range(second + 1):
        path = builder.consistency(LEAVES[:second], first) if 0 < first < second else []
        assert extends(first, ROOTS[first], second, ROOTS[second], path)
        assert not extends(first, LEAVES[0] if first != 1 else LEAVES[1], second, ROOTS[second], path)
        if first:
            assert not extends(first, ROOTS[first], second, LEAVES[40], path)
        assert not extends(first, ROOTS[first], second, ROOTS[second], [*path, LEAVES[0]])
        for at in range(len(path)):
            assert not extends(first, ROOTS[first], second, ROOTS[second], path[:at] + path[at + 1 :])
            bent = [*path[:at], LEAVES[40], *path[at + 1 :]]
            assert not extends(first, ROOTS[first], second, ROOTS[second], bent)
    assert not extends(second + 1, ROOTS[second], second, ROOTS[second], [])
