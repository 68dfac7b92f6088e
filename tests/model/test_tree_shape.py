"""What can be taken for what in a tree without names, beside all its automorphisms."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xstat_ray.model.row_tree import RowTree
from xstat_ray.model.tree_shape import lookalikes


def images(tree: RowTree) -> list[list[set[int]]]:
    """For every level and node, the nodes that an automorphism takes it to, by trying all orders.

    An order of the cells is an automorphism if cells with one ancestor, on any level, keep one.
    """
    above = [tree.ancestors(0, level) for level in range(len(tree.sizes))]
    found = [[set() for _ in range(size)] for size in tree.sizes]
    for order in permutations(range(tree.cells)):
        moved = [ancestors[list(order)] for ancestors in above]
        pairs = [set(zip(old, new, strict=True)) for old, new in zip(above, moved, strict=True)]
        if all(len(pair) == size for pair, size in zip(pairs, tree.sizes, strict=True)):
            for level, pair in enumerate(pairs):
                for old, new in pair:
                    found[level][old].add(int(new))
    return found


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=6),
    st.lists(st.integers(0, 2), min_size=4, max_size=4),
)
def test_a_node_can_be_taken_for_those_that_an_automorphism_takes_it_to(fine, coarse):
    tree = RowTree.of_groups(len(fine), [fine, coarse])
    for level, counted in zip(images(tree), lookalikes(tree), strict=True):
        assert [len(nodes) for nodes in level] == counted.tolist()


def test_an_even_or_filled_tree_names_nothing():
    for tree in (
        RowTree.of_dimensions([3, 4, 2]),
        RowTree.of_groups(5, [[0, 1, 1, 2, 2]]).filled(),
    ):
        assert [level.tolist() for level in lookalikes(tree)] == [
            [size] * size for size in tree.sizes
        ]


def test_the_only_cell_of_the_only_lone_county_is_named():
    tree = RowTree.of_groups(5, [[0, 0, 1, 2, 2]])
    cells, counties, _ = lookalikes(tree)
    assert counties.tolist() == [2, 1, 2] and cells.tolist() == [4, 4, 1, 4, 4]


def test_a_large_tree_is_looked_at_in_no_time():
    draw = np.random.default_rng(1)
    tree = RowTree.of_groups(
        300_000, [draw.integers(0, 20_000, 300_000), draw.integers(0, 99, 20_000)]
    )
    assert lookalikes(tree)[1].max() >= 1
