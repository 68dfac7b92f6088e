from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.model.row_tree import RowTree
from xstat_ray.privacy.suppress import suppress

TREE = RowTree.of_groups(6, [[0, 0, 0, 1, 1, 2]])


def levels(cells):
    cells = np.array(cells)[:, None]
    middle = np.add.reduceat(cells, TREE.first_children[0], axis=0)
    return cells, middle, middle.sum(axis=0, keepdims=True)


def hidden(cells, threshold, reporting=(0, 1, 2)):
    return {
        level: h[:, 0].tolist()
        for level, h in suppress(TREE, levels(cells), reporting, threshold).items()
    }


def test_small_estimates_and_nothing_else():
    assert hidden([1, 2, 9, 9, 9, 9], 3)[0] == [True, True, False, False, False, False]
    assert not any(any(level) for level in hidden([5] * 6, 0).values())


def test_a_lone_missing_part_takes_the_smallest_other_part_with_it():
    assert hidden([1, 7, 5, 9, 9, 9], 3)[0] == [True, False, True, False, False, False]
    # Of equally small parts one is enough.
    assert hidden([1, 5, 5, 9, 9, 9], 3)[0] == [True, True, False, False, False, False]


def test_an_only_child_cannot_be_hidden_behind_a_sibling():
    # The last area has one cell: if that is small, so is the area, and the area's smallest sibling
    # goes with it.
    assert hidden([9, 9, 9, 5, 5, 1], 3) == {
        0: [False] * 5 + [True],
        1: [False, True, True],
        2: [False],
    }


def test_nothing_is_to_be_had_by_subtraction_where_the_total_is_not_published():
    assert hidden([1, 7, 5, 9, 9, 9], 3, reporting=(0,))[0] == [
        True,
        False,
        False,
        False,
        False,
        False,
    ]


@given(st.lists(st.integers(0, 12), min_size=6, max_size=6), st.integers(0, 6))
def test_no_published_area_has_exactly_one_missing_part(cells, threshold):
    result = hidden(cells, threshold)
    for lower, upper in ((0, 1), (1, 2)):
        parent = TREE.ancestors(lower, upper)
        for node in range(TREE.sizes[upper]):
            parts = [result[lower][i] for i in np.flatnonzero(parent == node)]
            if not result[upper][node] and len(parts) > 1:
                assert sum(parts) != 1
    estimates_of = levels(cells)
    for level in range(3):
        assert all(
            h or e >= threshold
            for h, e in zip(result[level], estimates_of[level][:, 0], strict=True)
        )
