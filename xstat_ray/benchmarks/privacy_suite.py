"""Privacy: error by size of area beside other mechanisms, error by number of shards, and the time of refinement.

The noise comes from numpy, seeded, so that the errors are the same in every run; a release draws
with OpenDP.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from xstat_ray.benchmarks import privacy_baselines as baselines
from xstat_ray.benchmarks.measure import SECONDS, Record, Work, measure
from xstat_ray.model.row_tree import RowTree
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.refine import refine
from xstat_ray.privacy.shares import FLAT, Shares, choose, level_scale
from xstat_ray.runtime.progress import Progress

UNIT = "people"
BLOCKS = tuple(4**k for k in range(baselines.MAP_SIDE_BITS + 1))
"""Cells of the areas whose error is measured."""
MECHANISM = Mechanism("laplace", 1, 1, Fraction(1), Fraction(0), 1.0)
"""Epsilon 1, and a person in one cell."""
_SLICE = 10
"""Draws made at once."""


@dataclass(frozen=True)
class Sizes:
    """How much is drawn, and what is refined."""

    rounds: int
    """Of the timings."""
    draws: int
    """Of every mechanism on the map."""
    shards: tuple[int, ...]
    counts: int
    """Counts that are made of so many shards."""
    branching: tuple[int, ...]
    """Children of a node, level by level, of the tree that is refined; their product are its
    cells."""
    columns: int


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Measure all three."""
    with progress.stage("privacy.rmse", sizes.draws) as stage:
        areas = area_errors(sizes.draws, stage.advance)
    records = [
        Record(f"privacy.rmse.{name}.cells_{block}", error, UNIT)
        for name, errors in areas.items()
        for block, error in zip(BLOCKS, errors.tolist(), strict=True)
    ]
    for shards in sizes.shards:
        for name, error in shard_errors(shards, sizes.counts).items():
            records.append(Record(f"privacy.shards.{name}.{shards}", error, UNIT))
    return records + _times(sizes, progress)


def area_errors(draws: int, advance: Callable[[int], None]) -> dict[str, NDArray[np.float64]]:
    """Root mean square error of what each mechanism publishes on the map, for areas of each size in `BLOCKS`.

    All are refined to non-negative counts that add up. `flat` and `tree` are ours, the tree as the
    planner sets it where every level is reported.

    Args:
        draws: of each mechanism.
        advance: called with the number of draws that were made.

    Returns:
        (len(BLOCKS),) errors by mechanism.
    """
    rng = np.random.default_rng(5)
    counts = baselines.town_map()
    tree = RowTree.of_dimensions([16] * (baselines.MAP_SIDE_BITS // 2))
    shares = choose(tree, MECHANISM, range(len(tree.sizes))).shares
    epsilon = float(MECHANISM.epsilon)
    mechanisms: dict[
        str, Callable[[NDArray[np.int64]], NDArray[np.int64] | NDArray[np.float64]]
    ] = {
        "flat": lambda table: _published(tree, table, FLAT, rng),
        "haar": lambda table: baselines.haar_top_down(table, epsilon, rng),
        "quadtree": lambda table: baselines.quadtree(table, epsilon, rng),
        "tree": lambda table: _published(tree, table, shares, rng),
    }
    squares = {name: np.zeros(len(BLOCKS)) for name in mechanisms}
    for start in range(0, draws, _SLICE):
        table = np.repeat(counts, min(_SLICE, draws - start), axis=1)
        for name, mechanism in mechanisms.items():
            squares[name] += (
                table.shape[1] * baselines.block_rmse(mechanism(table), table, BLOCKS) ** 2
            )
        advance(table.shape[1])
    return {name: np.sqrt(square / draws) for name, square in squares.items()}


def _published(
    tree: RowTree, counts: NDArray[np.int64], shares: Shares, rng: np.random.Generator
) -> NDArray[np.int64]:
    return refine(tree, baselines.measure(tree, counts, _scales(shares), rng))[0]


def _scales(shares: Shares) -> dict[int, float]:
    return {level: level_scale(MECHANISM, share) for level, share in shares.items()}


def shard_errors(shards: int, counts: int) -> dict[str, float]:
    """Root mean square error of a count whose people are in several shards.

    `once`: the shards' counts are added under encryption and get noise once. `per_shard`: every
    shard gets noise of its own before it is added, as it must where shards are published or handed
    over in the clear.

    Args:
        shards: parts of every count.
        counts: how many counts there are.
    """
    rng = np.random.default_rng(6)
    parts = rng.poisson(50, (shards, counts))
    once = parts.sum(0) + baselines.discrete_laplace(rng, MECHANISM.scale, (counts,))
    per_shard = (parts + baselines.discrete_laplace(rng, MECHANISM.scale, parts.shape)).sum(0)
    noisy = {"once": once, "per_shard": per_shard}
    return {name: math.sqrt(np.mean((sums - parts.sum(0)) ** 2)) for name, sums in noisy.items()}


def _times(sizes: Sizes, progress: Progress) -> list[Record]:
    """Choosing mechanism, levels and shares, and refining a table of which four fifths are empty."""
    rng = np.random.default_rng(7)
    tree = RowTree.of_dimensions(sizes.branching)
    levels = range(len(tree.sizes))
    shape = (tree.cells, sizes.columns)
    counts = rng.poisson(10, shape) * (rng.random(shape) < 0.2)
    measured = baselines.measure(tree, counts, _scales(choose(tree, MECHANISM, levels).shares), rng)
    works = {
        "privacy.design.seconds": Work(lambda: choose(tree, MECHANISM, levels)),
        "privacy.refine.seconds": Work(lambda: refine(tree, measured)),
    }
    return [
        measure(name, SECONDS, work, None, rounds=sizes.rounds, progress=progress)
        for name, work in works.items()
    ]
