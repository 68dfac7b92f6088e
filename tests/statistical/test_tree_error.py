"""Error of the tree mechanism, with the planner's shares, on a map that is four fifths empty.

Root mean square error at epsilon 1 of the sums over blocks of cells, by 400 draws:

    cells          1     4    16    64   256  4,096  65,536
    tree        1.48  2.79  2.77  5.45  5.81   10.8    12.9
    quadtree    4.06  4.19  4.66  5.46  6.77    9.9    10.6
    Haar        4.82  5.50  6.30  7.55  9.38   14.1    25.1

At the two largest sizes the equal-budget quadtree is better, and must be: the least budget with
which a 16-way tree reaches 1.5, 2.9 and 6.0 at 1, 16 and 256 cells and the quadtree's error at all
sizes is 1.025 times the budget that there is. At 64 cells the two tie. docs/privacy.md has more
sizes.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from xstat_ray.benchmarks.privacy_baselines import town_map
from xstat_ray.benchmarks.privacy_suite import BLOCKS, MECHANISM, area_errors
from xstat_ray.model.row_tree import RowTree
from xstat_ray.privacy.shares import choose

SIZES = [BLOCKS.index(cells) for cells in (1, 4, 16, 64, 256, 4096, 65536)]
TIE = np.array([1, 1, 1, 1.03, 1])
"""Factors of the quadtree's error; at 64 cells the tree is better by less than the draws tell."""


def errors(draws: int) -> list[NDArray[np.float64]]:
    """Find the root mean square errors of the tree, the quadtree and Haar at the sizes."""
    found = area_errors(draws, lambda _: None)
    return [found[name][SIZES] for name in ("tree", "quadtree", "haar")]


def test_the_planner_chooses_the_tree_for_the_map_most_of_which_is_empty():
    assert 0.8 < (town_map() == 0).mean() < 0.83
    assert choose(RowTree.of_dimensions([16] * 4), MECHANISM, range(5)).mechanism == "tree"
    assert np.array(BLOCKS)[SIZES].tolist() == [1, 4, 16, 64, 256, 4096, 65536]


def test_short():
    ours, quad, haar = errors(20)
    # Up to 256 cells there are hundreds of blocks, and 20 draws are exact to some 2 %; the total is
    # a single block, exact to 20 %.
    assert (ours[[0, 2, 4]] < [1.5, 2.9, 6.0]).all()
    assert (ours[:5] < TIE * quad[:5]).all()
    assert (ours < haar).all()
    assert (ours[5:] < [13, 24]).all()


@pytest.mark.slow
def test_long():
    ours, quad, haar = errors(100)
    for name, row in (("tree", ours), ("quadtree", quad), ("Haar", haar)):
        print(f"{name:10}", *(f"{value:6.2f}" for value in row))
    assert (ours[[0, 2, 4, 5, 6]] < [1.5, 2.9, 6.0, 11.5, 16]).all()
    assert (ours < haar).all()
    assert (ours[:5] < TIE * quad[:5]).all()
