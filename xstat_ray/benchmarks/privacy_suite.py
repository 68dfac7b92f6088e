"""Privacy: error by size of area and by number of shards, and the time of refinement.

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
from xstat_ray.benchmarks.timing import SECONDS, Record, Work, timing_record
from xstat_ray.model.row_tree import RowTree
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.refine import refine
from xstat_ray.privacy.shares import FLAT, Shares, choose, level_scale
from xstat_ray.runtime.progress import Progress

UNIT = "people"
BLOCKS = tuple(4**k for k in range(baselines.MAP_SIDE_BITS + 1))
"""Sizes, in cells, of the areas whose error is found."""
MECHANISM = Mechanism("laplace", 1, 1, Fraction(1), Fraction(0), 1.0)
"""Mechanism of epsilon 1, for people who are in one cell each."""
_SLICE = 10
"""Number of draws that are made at once."""


@dataclass(frozen=True)
class Sizes:
    """Numbers of draws, and the tree that is refined."""

    rounds: int
    """Rounds of the timings."""
    draws: int
    """Draws of each mechanism on the map."""
    shards: tuple[int, ...]
    """Numbers of shards that counts are made of."""
    counts: int
    """Number of counts that are made of shards."""
    branching: tuple[int, ...]
    """Children of a node, level by level, of the tree that is refined; it has as many cells as
    their product."""
    columns: int


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Find the errors by area and by shards, and time the refinement."""
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
    """Find the root mean square errors of each mechanism on the map, by size of the area.

    All are refined to non-negative counts that add up. `flat` and `tree` are ours; the planner sets
    the shares of the tree for a report of all levels.

    Args:
        draws: draws of each mechanism.
        advance: called with the number of draws that were made.

    Returns:
        (len(BLOCKS),) errors, by mechanism.
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
    return refine(tree, baselines.noisy_sums(tree, counts, _scales(shares), rng))[0]


def _scales(shares: Shares) -> dict[int, float]:
    return {level: level_scale(MECHANISM, share) for level, share in shares.items()}


def shard_errors(shards: int, counts: int) -> dict[str, float]:
    """Find the root mean square errors of a count whose people are in several shards.

    With `once` the counts of shards are added under encryption, and the sum gets noise. With
    `per_shard` each shard gets noise before it is added, which is needed where shards are published
    or handed over in the clear.

    Args:
        shards: number of parts of each count.
        counts: number of counts.

    Returns:
        Errors by `once` and `per_shard`.
    """
    rng = np.random.default_rng(6)
    parts = rng.poisson(50, (shards, counts))
    once = parts.sum(0) + baselines.discrete_laplace(rng, MECHANISM.scale, (counts,))
    per_shard = (parts + baselines.discrete_laplace(rng, MECHANISM.scale, parts.shape)).sum(0)
    noisy = {"once": once, "per_shard": per_shard}
    return {name: math.sqrt(np.mean((sums - parts.sum(0)) ** 2)) for name, sums in noisy.items()}


def _times(sizes: Sizes, progress: Progress) -> list[Record]:
    """Time the choice of mechanism, levels and shares, and the refinement of a sparse table."""
    rng = np.random.default_rng(7)
    tree = RowTree.of_dimensions(sizes.branching)
    levels = range(len(tree.sizes))
    shape = (tree.cells, sizes.columns)
    counts = rng.poisson(10, shape) * (rng.random(shape) < 0.2)
    measured = baselines.noisy_sums(
        tree, counts, _scales(choose(tree, MECHANISM, levels).shares), rng
    )
    works = {
        "privacy.design.seconds": Work(lambda: choose(tree, MECHANISM, levels)),
        "privacy.refine.seconds": Work(lambda: refine(tree, measured)),
    }
    return [
        timing_record(name, SECONDS, work, None, rounds=sizes.rounds, progress=progress)
        for name, work in works.items()
    ]
