"""The blinding: a secret order that keeps areas together, and names nothing."""

from __future__ import annotations

import os

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.model.row_tree import EMPTY, RowTree
from xstat_ray.roles.blinding import Blinding

sizes = st.lists(st.integers(1, 6), min_size=1, max_size=4)
groups = st.lists(st.integers(0, 3), min_size=1, max_size=12)


@given(sizes, st.binary(min_size=32, max_size=32))
def test_blinding_is_an_automorphism_of_the_tree(sizes, secret):
    tree = RowTree.of_dimensions(sizes)
    blinding = Blinding(tree, secret)
    assert sorted(blinding.forward) == list(range(int(np.prod(sizes))))
    # Cells with a common ancestor keep one: the blinded ancestors are a function of the ancestors,
    # at every level.
    ancestor = np.arange(tree.cells)
    blinded = blinding.forward.astype(int)
    for parent in tree.parents:
        ancestor = parent[ancestor]
        blinded = parent[blinded]
        pairs = set(zip(ancestor.tolist(), blinded.tolist(), strict=True))
        assert len(pairs) == len(set(ancestor.tolist())) == len(set(blinded.tolist()))


def test_the_order_depends_on_the_secret_and_on_nothing_else():
    tree = RowTree.of_dimensions([30, 40])
    secret = os.urandom(32)
    first = Blinding(tree, secret).forward
    assert (first == Blinding(tree, secret).forward).all()
    assert (first != Blinding(tree, os.urandom(32)).forward).any()
    assert (first != np.arange(1200)).any()


def test_every_child_lands_everywhere_equally_often():
    tree = RowTree.of_dimensions([5])
    where = np.zeros((5, 5), int)
    for seed in range(2000):
        where[np.arange(5), Blinding(tree, seed.to_bytes(32, "little")).forward] += 1
    # 400 expected in each of 25 places, standard deviation 18.
    assert (abs(where - 400) < 5 * 18).all()


def test_it_refuses_to_print_its_order():
    assert "redacted" in repr(Blinding(RowTree.of_dimensions([3]), bytes(32)))


@given(groups, st.binary(min_size=32, max_size=32), st.integers(0, 2**32))
def test_sums_of_blinded_neighbours_are_the_sums_of_the_groups(fine, secret, seed):
    fine = np.unique(fine, return_inverse=True)[1]
    tree = RowTree.of_groups(len(fine), [fine])
    counts = np.random.default_rng(seed).integers(0, 100, (len(fine), 2))
    blinding = Blinding(tree, secret)
    blinded = np.empty_like(counts)
    blinded[blinding.forward] = counts
    assert (blinding.restore(0, blinded) == counts).all()
    sums = np.add.reduceat(blinded, blinding.starts(0, 1), axis=0)
    want = np.zeros((max(fine) + 1, 2), int)
    np.add.at(want, fine, counts)
    assert (blinding.restore(1, sums) == want).all()
    assert np.add.reduceat(blinded, blinding.starts(0, 2), axis=0).tolist() == [
        counts.sum(axis=0).tolist()
    ]


@given(groups, st.binary(min_size=32, max_size=32), st.integers(0, 2**32))
def test_sums_over_a_filled_tree_are_the_sums_of_the_groups(fine, secret, seed):
    fine = np.unique(fine, return_inverse=True)[1]
    tree = RowTree.of_groups(len(fine), [fine]).filled()
    counts = np.random.default_rng(seed).integers(0, 100, (len(fine), 2))
    blinding = Blinding(tree, secret)
    assert len(set(blinding.forward.tolist())) == len(fine)
    blinded = np.zeros((tree.cells, 2), int)
    blinded[blinding.forward] = counts
    assert (blinding.restore(0, blinded) == counts).all()
    starts = blinding.starts(0, 1)
    assert (starts == np.arange(tree.sizes[1]) * tree.most_children[0]).all()
    want = np.zeros((max(fine) + 1, 2), int)
    np.add.at(want, fine, counts)
    assert (blinding.restore(1, np.add.reduceat(blinded, starts, axis=0)) == want).all()


def test_empty_nodes_land_everywhere_equally_often():
    tree = RowTree.of_groups(4, [[0, 0, 0, 1]]).filled()
    assert tree.sizes == (6, 2, 1) and (tree.nodes[0] == EMPTY).sum() == 2
    where = np.zeros((4, 6), int)
    for seed in range(3000):
        where[np.arange(4), Blinding(tree, seed.to_bytes(32, "little")).forward] += 1
    # 500 expected in each of 24 places, standard deviation 20.
    assert (abs(where - 500) < 5 * 21).all()
