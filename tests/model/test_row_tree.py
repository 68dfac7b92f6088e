from __future__ import annotations

import os

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.model.row_tree import RowTree, level_labels, level_names, tree_of
from xstat_ray.model.study import Dimension, Level
from xstat_ray.roles.blinding import Blinding

sizes = st.lists(st.integers(1, 6), min_size=1, max_size=4)


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


groups = st.lists(st.integers(0, 3), min_size=1, max_size=12)


@given(groups, st.data())
def test_a_ragged_tree_keeps_declared_numbers_and_consecutive_children(fine, data):
    coarse = data.draw(st.lists(st.integers(0, 1), min_size=4, max_size=4))
    tree = RowTree.product([RowTree.of_groups(len(fine), [fine, coarse]), RowTree.of_groups(2, [])])
    assert tree.sizes[0] == 2 * len(fine) and tree.sizes[-1] == 1
    for lower, first in enumerate(tree.first_children):
        assert len(first) == tree.sizes[lower + 1]
    # The declared ancestors of a declared cell are what the groups say.
    for index, cell in enumerate(tree.nodes[0]):
        leaf = int(cell) // 2
        chain = [leaf, fine[leaf], coarse[fine[leaf]]]
        assert [
            int(tree.nodes[level][tree.ancestors(0, level)[index]]) for level in (1, 2, 3)
        ] == chain


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


def test_names_of_levels_and_labels_of_their_nodes():
    coast = Level("coast", ("east", "west"), (0, 1, 0))
    area = Dimension("area", "area", ("a", "b", "c"), (("a",), ("b",), ("c",)), hierarchy=(coast,))
    sex = Dimension("sex", "sex", ("f", "m"), (("f",), ("m",)))
    assert level_names([sex, area]) == ("cell", "coast", "sex", "total")
    assert level_names([area, sex]) == ("cell", "area", "coast", "total")
    assert level_labels([sex, area], 0)[:2] == ["f / a", "f / b"]
    assert level_labels([sex, area], 1) == ["f / east", "f / west", "m / east", "m / west"]
    assert level_labels([area, sex], 2) == ["east", "west"]
    assert level_labels([area, sex], 3) == ["total"]
    tree = tree_of([sex, area])
    assert tree.sizes == (6, 4, 2, 1)
