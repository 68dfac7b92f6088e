from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.model.dimension import Dimension, Level
from xstat_ray.model.row_tree import EMPTY, RowTree, level_labels, level_names, tree_of

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


@st.composite
def ragged(draw: st.DrawFn) -> RowTree:
    """A tree of cells in towns in counties, in any order, and of two sexes below them."""
    fine = draw(groups)
    coarse = draw(st.lists(st.integers(0, 1), min_size=4, max_size=4))
    return RowTree.product([RowTree.of_groups(len(fine), [fine, coarse]), RowTree.of_groups(2, [])])


@given(ragged(), st.sets(st.integers(1, 4)))
def test_the_tree_of_some_levels_keeps_their_nodes_and_who_lies_under_whom(tree, upper):
    levels = sorted({0, *upper})
    some = tree.only(levels)
    assert some.sizes == (*(tree.sizes[level] for level in levels), 1)
    for place, level in enumerate(levels):
        assert (some.nodes[place] == tree.nodes[level]).all()
        assert (some.ancestors(0, place) == tree.ancestors(0, level)).all()


@given(ragged(), st.sets(st.integers(1, 4)))
def test_a_filled_tree_has_every_node_in_its_place_and_as_many_children_everywhere(tree, upper):
    some = tree.only(sorted({0, *upper}))
    filled = some.filled()
    assert filled.sizes == some.filled_sizes
    for level, parent in enumerate(filled.parents):
        children = np.bincount(parent)
        assert (children == children[0]).all() and children[0] == some.most_children[level]
        # No more than needed: somebody has that many.
        assert children[0] == np.bincount(some.parents[level]).max()
        there = filled.nodes[level] != EMPTY
        assert (filled.nodes[level][there] == some.nodes[level]).all()
        above = filled.nodes[level + 1][parent]
        assert (above[there] == some.nodes[level + 1][some.parents[level]]).all()
    assert len(filled.first_children) == len(some.first_children)


def test_an_even_tree_is_full_already():
    tree = RowTree.of_dimensions([3, 4, 2])
    filled = tree.filled()
    assert filled.sizes == tree.sizes == tree.filled_sizes
    assert all((one == other).all() for one, other in zip(filled.nodes, tree.nodes, strict=True))
