from __future__ import annotations

import os

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.row_tree import Blinding, RowTree

sizes = st.lists(st.integers(1, 6), min_size=1, max_size=4)


@given(sizes, st.binary(min_size=32, max_size=32))
def test_blinding_is_an_automorphism_of_the_tree(sizes, secret):
    tree = RowTree.of_dimensions(sizes)
    blinding = Blinding(tree, secret)
    assert sorted(blinding.forward) == list(range(int(np.prod(sizes))))
    assert (blinding.inverse[blinding.forward] == np.arange(tree.cells)).all()
    # Cells with a common ancestor keep one: the blinded ancestors are a function of the ancestors, at every level.
    own, blinded = np.arange(tree.cells), blinding.forward.astype(int)
    for parent in tree.parents:
        own, blinded = parent[own], parent[blinded]
        pairs = set(zip(own.tolist(), blinded.tolist(), strict=True))
        assert len(pairs) == len(set(own.tolist())) == len(set(blinded.tolist()))


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
