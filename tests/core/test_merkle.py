"""Trees against the published vectors of Certificate Transparency, and against the definition of RFC 6962 for all sizes (L3)."""

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionality.core.merkle import (
    EMPTY_ROOT,
    Frontier,
    check_consistency,
    check_inclusion,
    consistency,
    consistency_ranges,
    inclusion,
    inclusion_ranges,
    node,
    root,
)

# github.com/google/certificate-transparency/blob/master/cpp/merkletree/merkle_tree_test.cc
INPUTS = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
VECTORS = [sha256(b"\x00" + bytes.fromhex(one)).digest() for one in INPUTS]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
_A = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
_B = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
_C = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
_D = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
_E = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
PATHS = {(0, 8): (_D, _A, _E), (5, 8): (_B, _C, ROOTS[4]), (2, 3): (ROOTS[2],), (1, 5): (ROOTS[1], _A, _B)}
EXTENSIONS = {
    (1, 8): (_D, _A, _E),
    (6, 8): ("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a", _C, ROOTS[4]),
    (2, 5): (_A, _B),
    (1, 1): (),
}

leaves_of = st.integers(0, 140).map(lambda size: [sha256(bytes([at, 7])).digest() for at in range(size)])


def defined(leaves):
    """MTH of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node(defined(leaves[:split]), defined(leaves[split:]))


def test_roots_are_the_published_ones():
    assert [root(VECTORS[:size]).hex() for size in range(9)] == list(ROOTS)
    assert EMPTY_ROOT.hex() == ROOTS[0]


@pytest.mark.parametrize(("index", "size"), PATHS)
def test_paths_are_the_published_ones(index, size):
    assert tuple(one.hex() for one in inclusion(VECTORS[:size], index)) == PATHS[index, size]


@pytest.mark.parametrize(("first", "second"), EXTENSIONS)
def test_extensions_are_the_published_ones(first, second):
    assert tuple(one.hex() for one in consistency(VECTORS[:second], first)) == EXTENSIONS[first, second]


@given(leaves_of, st.lists(st.integers(0, 140), max_size=6))
def test_a_frontier_that_grows_in_steps_has_the_root_of_the_whole_at_each(leaves, cuts):
    frontier = Frontier()
    points = sorted({0, *(cut for cut in cuts if cut < len(leaves)), len(leaves)})
    for start, end in pairwise(points):
        frontier = Frontier.unpacked(frontier.size, frontier.packed()).extend(leaves[start:end])
        assert frontier.root() == defined(leaves[:end])
        assert frontier.size == end


@given(leaves_of.filter(bool), st.data())
def test_every_leaf_is_shown_by_its_path_and_by_no_other(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    path, top = inclusion(leaves, index), defined(leaves)
    assert check_inclusion(leaves[index], index, len(leaves), path, top)
    assert not check_inclusion(sha256(b"x").digest(), index, len(leaves), path, top)
    assert not check_inclusion(leaves[index], index, len(leaves), [*path, top], top)
    if path:
        assert not check_inclusion(leaves[index], index, len(leaves), path[:-1], top)
        at = data.draw(st.integers(0, len(path) - 1))
        assert not check_inclusion(
            leaves[index], index, len(leaves), [*path[:at], sha256(path[at]).digest(), *path[at + 1 :]], top
        )
    other = data.draw(st.integers(0, len(leaves) - 1).filter(lambda one: one != index or len(leaves) == 1))
    if other != index:
        assert not check_inclusion(leaves[index], other, len(leaves), path, top)


def test_every_tree_is_shown_to_extend_every_smaller_one_and_no_changed_one():
    leaves = [sha256(bytes([at])).digest() for at in range(40)]
    changed = [sha256(b"changed").digest(), *leaves[1:]]
    for second in range(1, len(leaves) + 1):
        top = defined(leaves[:second])
        for first in range(second + 1):
            path, before = consistency(leaves[:second], first), defined(leaves[:first])
            assert check_consistency(first, before, second, top, path)
            assert not check_consistency(first, before, second, top, [*path, top])
            if first:
                assert not check_consistency(first, defined(changed[:first]), second, top, path)
                assert not check_consistency(first, before, second, defined(changed[:second]), path)
            if path:
                assert not check_consistency(first, before, second, top, path[:-1])


def test_a_tree_neither_shrinks_nor_holds_what_lies_beyond_it():
    assert not check_consistency(3, root(VECTORS[:3]), 2, root(VECTORS[:2]), [])
    assert not check_consistency(-1, EMPTY_ROOT, 2, root(VECTORS[:2]), [])
    assert not check_consistency(0, root(VECTORS[:1]), 2, root(VECTORS[:2]), [])
    assert not check_consistency(0, EMPTY_ROOT, 0, root(VECTORS[:2]), [])
    assert not check_consistency(2, root(VECTORS[:2]), 3, root(VECTORS[:3]), [])
    assert not check_consistency(3, root(VECTORS[:3]), 5, root(VECTORS[:5]), [])
    assert not check_inclusion(VECTORS[0], 1, 1, [], VECTORS[0])
    assert not check_inclusion(VECTORS[0], -1, 1, [], VECTORS[0])
    for wrong in (
        lambda: inclusion_ranges(2, 2),
        lambda: inclusion_ranges(-1, 2),
        lambda: consistency_ranges(3, 2),
    ):
        with pytest.raises(ValueError, match="leaves"):
            wrong()


@given(leaves_of.filter(bool), st.data())
def test_the_root_of_any_subtree_that_ends_with_the_log_is_read_off_its_frontier(leaves, data):
    frontier = Frontier().extend(leaves)
    starts = [0]
    while (rest := len(leaves) - starts[-1]) & (rest - 1):
        starts.append(starts[-1] + (1 << rest.bit_length() - 1))
    start = data.draw(st.sampled_from(starts))
    assert frontier.since(start).root() == defined(leaves[start:])


def test_a_frontier_of_another_size_is_none():
    with pytest.raises(ValueError, match="3 leaves"):
        Frontier(3, (bytes(32),))
    with pytest.raises(ValueError, match="no list of hashes"):
        Frontier.unpacked(1, bytes(31))
    with pytest.raises(ValueError, match="begins at leaf 1"):
        Frontier(2, (bytes(32),)).since(1)
    with pytest.raises(ValueError, match="begins at leaf 2"):
        Frontier(2, (bytes(32),)).since(2)
