"""Smooths the cells of a release: trades a little bias for much less noise.

Cells of a table resemble each other: passengers of one route spread over municipalities much alike
from hour to hour. A table of low rank says that in far fewer numbers than there are cells, so that
it averages much of the noise away. Smoothing finds the structure, and goes back towards the
measured value of a cell where the noise is small beside what cells differ from the structure.

Post-processing: it sees noisy values and refined sums only and costs no budget.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.row_tree import RowTree
from xstat_ray.privacy.least_squares import Estimate
from xstat_ray.privacy.refine import largest_remainder


class Tuning(NamedTuple):
    """What smoothing assumes of a table. `xstat-ray benchmark suite=smoothing` compares values."""

    beyond: int = 1
    """Rank of the structure, beyond the singular values that stand out of the noise."""
    spread: float = 0.6
    """Standard deviation of a cell around the structure, as a part of the structure's value."""


TUNING = Tuning()

METHOD = "blend of least-squares cells with a non-negative factorisation, scaled to refined areas"
_ROUNDS = 60
"""Multiplicative updates of the factorisation."""
_STEPS = 1 << 10
"""Steps, from zero to one, of the numbers with which the search begins."""
_TINY = 1e-9
"""Least value of a factor's numerator and of a cell before it is scaled."""


def smooth(
    tree: RowTree, cells: Estimate, areas: NDArray[np.int64], tuning: Tuning = TUNING
) -> NDArray[np.int64]:
    """Smooth the cells so that they add up to the refined areas just above them.

    The key holder makes the tables of a release again and compares them, maybe on another machine,
    whose linear algebra rounds differently. So it serves to begin the search for the structure
    alone, in coarse steps, and all else is added up in a fixed order.

    Args:
        tree: the hierarchy.
        cells: (cells, columns) least-squares estimates of level 0, with their variances.
        areas: (nodes, columns) refined sums of level 1.
        tuning: what is assumed of the table.

    Returns:
        (cells, columns) in the order of the tree: biased, not negative, with the sums `areas`.
    """
    structure = find_structure(tree, cells, areas, tuning.beyond)
    return smooth_by(tree, cells, areas, structure, tuning.spread)


def smooth_by(
    tree: RowTree,
    cells: Estimate,
    areas: NDArray[np.int64],
    structure: NDArray[np.float64],
    spread: float,
) -> NDArray[np.int64]:
    """Smooth by a structure that was found before; see `smooth`."""
    return _whole(tree, blend(tree, cells, areas, structure, spread), areas)


def find_structure(
    tree: RowTree, cells: Estimate, areas: NDArray[np.int64], beyond: int
) -> NDArray[np.float64]:
    """(cells, columns) a non-negative table of low rank near the cells, scaled to the areas.

    Its rank follows the noise: `beyond` more than the singular values that stand out of it.
    """
    shrunk = shrink_singular_values(cells.values, math.sqrt(cells.variances.mean()))
    start = np.maximum(shrunk.values, 0)
    return scale(tree, factorise(cells.values, start, shrunk.rank + beyond), areas)


def blend(
    tree: RowTree,
    cells: Estimate,
    areas: NDArray[np.int64],
    structure: NDArray[np.float64],
    spread: float,
) -> NDArray[np.float64]:
    """(cells, columns) the structure, corrected by the cells as far as these can be trusted.

    A cell is taken to have the structure's value and `spread` times that as its standard deviation:
    then this is the best linear estimate of it (Efron and Morris, JASA 1973).
    """
    differing = (spread * structure) ** 2
    trust = differing / (differing + cells.variances[:, None])
    return scale(tree, structure + trust * (cells.values - structure), areas)


class Shrunk(NamedTuple):
    """A table without most of its noise."""

    values: NDArray[np.float64]
    rank: int
    """Number of singular values that stand out of the noise."""


def shrink_singular_values(values: NDArray[np.float64], stderr: float) -> Shrunk:
    """Shrink the singular values of a table of low rank with noise of equal variance.

    The optimal shrinker for squared errors: Gavish and Donoho, "Optimal shrinkage of singular
    values" (IEEE Transactions on Information Theory 63(4), 2017), equation 7.
    """
    short, long = sorted(values.shape)
    unit = stderr * math.sqrt(long)
    ratio = short / long
    left, singular, right = np.linalg.svd(values / unit, full_matrices=False)
    inner = (singular**2 - ratio - 1) ** 2 - 4 * ratio
    kept = singular > 1 + math.sqrt(ratio)
    shrunk = np.where(kept, np.sqrt(np.maximum(inner, 0)) / np.maximum(singular, _TINY), 0)
    return Shrunk((left * shrunk) @ right * unit, int(kept.sum()))


def factorise(
    values: NDArray[np.float64], start: NDArray[np.float64], rank: int
) -> NDArray[np.float64]:
    """The product of two non-negative factors of this rank that is near to `values`.

    Multiplicative updates for squared errors: Lee and Seung, "Algorithms for non-negative matrix
    factorization" (NIPS 2000). Their values are not negative; ours are noisy, so that numerators
    are kept positive.

    Args:
        values: (cells, columns), of any sign.
        start: (cells, columns), whose leading singular vectors begin the search.
        rank: number of columns of the factors; at most the shorter side of the table is used.
    """
    rows, columns = _begin(start, rank)
    for _ in range(_ROUNDS):
        above = np.maximum(_row_sums(values, columns), _TINY)
        rows *= above / np.maximum(_combine(rows, _row_sums(columns, columns)), _TINY)
        above = np.maximum(_column_sums(values, rows), _TINY)
        columns *= above / np.maximum(_combine(_column_sums(rows, rows), columns), _TINY)
    return _combine(rows, columns)


def _begin(
    start: NDArray[np.float64], rank: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(cells, rank) and (rank, columns) sizes of the leading singular vectors, in coarse steps.

    A step is far larger than what machines disagree about. None is zero, where updates would end.
    """
    left, singular, right = np.linalg.svd(start, full_matrices=False)
    rows = np.abs(left[:, :rank] * (singular[:rank] / max(singular[0], _TINY)))
    columns = np.abs(right[:rank])
    return (np.floor(rows * _STEPS) + 1) / _STEPS, (np.floor(columns * _STEPS) + 1) / _STEPS


def _row_sums(values: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """`values @ columns.T` in a fixed order of additions."""
    return np.stack([(values * column).sum(axis=1) for column in columns], axis=1)


def _column_sums(values: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """`rows.T @ values` in a fixed order of additions."""
    return np.stack([(values * row[:, None]).sum(axis=0) for row in rows.T])


def _combine(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """`rows @ columns` in a fixed order of additions."""
    result: NDArray[np.float64] = rows[:, :1] * columns[0]
    for number in range(1, len(columns)):
        result = result + rows[:, number, None] * columns[number]
    return result


def scale(
    tree: RowTree, values: NDArray[np.float64], areas: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(cells, columns) the values, none below zero, each area's scaled to its sum.

    An area whose values are all zero is divided equally.
    """
    kept = np.maximum(values, 0) + _TINY
    factor = areas / np.add.reduceat(kept, tree.first_children[0])
    return kept * factor[tree.parents[0]]


def _whole(
    tree: RowTree, shares: NDArray[np.float64], areas: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Round by largest remainder, area by area."""
    result = np.empty(shares.shape, np.int64)
    first = tree.first_children[0]
    for area, rows in enumerate(np.split(np.arange(tree.cells), first[1:])):
        result[rows] = largest_remainder(shares[rows].T, areas[area]).T
    return result
