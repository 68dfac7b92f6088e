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
    sums = dict(enumerate(levels(cells)))
    estimates = {level: sums[level] for level in reporting}
    small = {level: values < threshold for level, values in estimates.items()}
    return {level: h[:, 0].tolist() for level, h in suppress(TREE, estimates, small).items()}


def test_small_estimates_and_nothing_else():
    assert hidden([1, 2, 9, 9, 9, 9], 3)[0] == [True, True, False, False, False, False]
    assert not any(any(level) for level in hidden([5] * 6, 0).values())


def test_a_lone_missing_part_takes_the_smallest_other_part_with_it():
    assert hidden([1, 7, 5, 9, 9, 9], 3)[0] == [True, False, True, False, False, False]
    # Of equally small parts one is enough.
    assert hidden([1, 5, 5, 9, 9, 9], 3)[0] == [True, True, False, False, False, False]


def test_an_only_child_cannot_be_hidden_behind_a_sibling():
    # The last area has one cell: if that is small, so is the area, and the area's smallest sibling
    # goes with it, and with that one of the two cells that add up to it.
    assert hidden([9, 9, 9, 5, 5, 1], 3) == {
        0: [False, False, False, True, False, True],
        1: [False, True, True],
        2: [False],
    }


def test_the_area_is_withheld_and_not_a_part_that_is_nearly_all_of_it():
    # The second area is 35 + 0: the 35 says more than the sum, and says where. The third area is
    # withheld as it is small, so that the total gives none of the two away.
    assert hidden([20, 20, 20, 35, 0, 5], 10) == {
        0: [False, False, False, False, True, True],
        1: [False, True, True],
        2: [False],
    }
    tree = RowTree.of_groups(2, [])
    cells = np.array([[35], [0]])
    estimates = {0: cells, 1: cells.sum(axis=0, keepdims=True)}
    small = {level: values < 10 for level, values in estimates.items()}
    found = suppress(tree, estimates, small)
    assert (found[0].ravel().tolist(), found[1].ravel().tolist()) == ([False, True], [True])
    # What was given is as it was.
    assert not small[1].any()


def test_the_part_is_withheld_where_figures_beside_the_area_would_go_with_it():
    assert hidden([20, 20, 20, 35, 0, 50], 10) == {
        0: [False, False, False, True, True, False],
        1: [False, False, False],
        2: [False],
    }


def test_an_area_is_withheld_with_its_only_part():
    # As it happens where a level is judged by itself.
    given = {0: np.zeros((6, 1), bool), 1: np.zeros((3, 1), bool), 2: np.zeros((1, 1), bool)}
    given[0][5] = True
    found = suppress(TREE, dict(enumerate(levels([9, 9, 9, 5, 5, 7]))), given)
    assert [found[level].ravel().tolist() for level in range(3)] == [
        [False, False, False, True, False, True],
        [False, True, True],
        [False],
    ]


def test_nothing_is_to_be_had_by_subtraction_where_the_total_is_not_published():
    assert hidden([1, 7, 5, 9, 9, 9], 3, reporting=(0,))[0] == [
        True,
        False,
        False,
        False,
        False,
        False,
    ]


def unknowns(result):
    """Withheld figures, as (level, node)."""
    return [(level, i) for level, h in result.items() for i in np.flatnonzero(h).tolist()]


def by_subtraction(result):
    """The withheld figures that follow from the published ones, by linear algebra."""
    names = unknowns(result)
    equations = []
    for lower, upper in ((0, 1), (1, 2)):
        parent = TREE.ancestors(lower, upper)
        for node in range(TREE.sizes[upper]):
            sign = {(upper, node): -1.0} | {
                (lower, i): 1.0 for i in np.flatnonzero(parent == node).tolist()
            }
            equations.append([sign.get(name, 0.0) for name in names])
    matrix = np.array(equations).reshape(len(equations), len(names))
    rank = np.linalg.matrix_rank(matrix) if names else 0
    return {
        name
        for number, name in enumerate(names)
        if np.linalg.matrix_rank(np.vstack([matrix, np.eye(len(names))[number]])) == rank
    }


def test_what_follows_by_subtraction_is_found():
    nothing = {0: [False] * 6, 1: [False] * 3, 2: [False]}
    lone = nothing | {0: [True] + [False] * 5}
    assert by_subtraction(lone) == {(0, 0)}
    # The sum of an area is withheld, and that of the only cell of another: cells give both away.
    chain = nothing | {0: [False] * 5 + [True], 1: [False, True, True]}
    assert by_subtraction(chain) == {(0, 5), (1, 1), (1, 2)}
    assert by_subtraction(nothing | {0: [True, True] + [False] * 4}) == set()


@given(st.lists(st.integers(0, 12), min_size=6, max_size=6), st.integers(0, 6))
def test_no_published_area_has_exactly_one_missing_part(cells, threshold):
    result = hidden(cells, threshold)
    for lower, upper in ((0, 1), (1, 2)):
        parent = TREE.ancestors(lower, upper)
        for node in range(TREE.sizes[upper]):
            parts = [result[lower][i] for i in np.flatnonzero(parent == node)]
            assert sum(parts) + result[upper][node] != 1
    assert not (by_subtraction(result) & set(unknowns(result)))
    estimates_of = levels(cells)
    for level in range(3):
        assert all(
            h or e >= threshold
            for h, e in zip(result[level], estimates_of[level][:, 0], strict=True)
        )
