"""Other mechanisms on a synthetic map, in the clear, which the tree mechanism is compared with.

The noise here comes from numpy, seeded, so that a comparison can be repeated; a release draws with
OpenDP. Counts are (cells, columns) in Z-order, so that a run of 4^k aligned cells is a square block
of the map.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.row_tree import RowTree
from xstat_ray.privacy.least_squares import NoisyLevel
from xstat_ray.privacy.refine import refine

MAP_SIDE_BITS = 8


def town_map() -> NDArray[np.int64]:
    """Draw a map of 256 x 256 cells with twelve towns, in which four fifths of the cells are empty.

    Returns:
        (65536, 1) people, 3.43 million in all.
    """
    rng = np.random.default_rng(7)
    side = 1 << MAP_SIDE_BITS
    y, x = np.mgrid[0:side, 0:side]
    density = np.zeros((side, side))
    for _ in range(12):
        east, north = rng.uniform(20, 236, 2)
        radius = rng.uniform(2.5, 7)
        people = rng.lognormal(12, 1.0)
        spread = np.exp(-((x - east) ** 2 + (y - north) ** 2) / (2 * radius**2))
        density += people * spread / (2 * np.pi * radius**2)
    density *= 3.43e6 / density.sum()
    density[density < 0.3] = 0
    bits = rng.poisson(density).reshape([2] * 2 * MAP_SIDE_BITS)
    z_order = [axis for i in range(MAP_SIDE_BITS) for axis in (i, MAP_SIDE_BITS + i)]
    return bits.transpose(z_order).reshape(-1, 1).astype(np.int64)


def discrete_laplace(
    rng: np.random.Generator, scale: float, shape: tuple[int, ...]
) -> NDArray[np.int64]:
    """Draw discrete Laplace noise: the difference of two geometric variables."""
    success = 1 - np.exp(-1 / scale)
    noise: NDArray[np.int64] = rng.geometric(success, shape) - rng.geometric(success, shape)
    return noise


def noisy_sums(
    tree: RowTree, counts: NDArray[np.int64], scales: dict[int, float], rng: np.random.Generator
) -> dict[int, NoisyLevel]:
    """Add discrete Laplace noise to the sums of levels.

    Args:
        tree: the tree.
        counts: (cells, columns) counts.
        scales: scale of the noise, by level; other levels are left out.
        rng: source of the noise.

    Returns:
        Noisy sums and their variance, by level.
    """
    measured = {}
    sums = counts
    for level in range(len(tree.sizes)):
        if level in scales:
            decay = np.exp(-1 / scales[level])
            noise = discrete_laplace(rng, scales[level], sums.shape)
            measured[level] = NoisyLevel(sums + noise, 2 * decay / (1 - decay) ** 2)
        if level < len(tree.parents):
            sums = np.add.reduceat(sums, tree.first_children[level])
    return measured


def quadtree(
    counts: NDArray[np.int64], epsilon: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Publish counts by a 4-way tree with equal shares of the budget, refined like our own."""
    levels = (len(counts).bit_length() - 1) // 2
    tree = RowTree.of_dimensions([4] * levels)
    scales = dict.fromkeys(range(levels + 1), (levels + 1) / epsilon)
    return refine(tree, noisy_sums(tree, counts, scales, rng))[0]


def haar_top_down(
    counts: NDArray[np.int64], epsilon: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Publish counts by noise on Haar coefficients, made non-negative from the top down.

    The method is that of Terada and others, IPSJ Journal 56(9), 2015. Coefficients are the total
    and, at each node of a binary tree, the difference of its halves; one person changes one of them
    by at most one on each of the log2(cells) + 1 levels.
    """
    levels = len(counts).bit_length() - 1
    scale = (levels + 1) / epsilon
    sums = counts
    differences = []
    for _ in range(levels):
        left = sums[0::2]
        right = sums[1::2]
        differences.append(left - right + discrete_laplace(rng, scale, left.shape))
        sums = left + right
    total: NDArray[np.float64] = np.maximum(
        sums + discrete_laplace(rng, scale, sums.shape), 0
    ).astype(float)
    for difference in reversed(differences):
        left = (total + np.clip(difference, -total, total)) / 2
        total = np.stack([left, total - left], axis=1).reshape(-1, counts.shape[1])
    return total


def block_rmse(
    estimate: NDArray[np.int64] | NDArray[np.float64],
    counts: NDArray[np.int64],
    blocks: Sequence[int],
) -> NDArray[np.float64]:
    """Root mean square errors of sums over aligned blocks of cells, over all columns.

    Args:
        estimate: (cells, columns) estimates.
        counts: (cells, columns) true counts.
        blocks: cells of a block.

    Returns:
        (blocks,) errors.
    """
    error = estimate - counts
    sums = [error.reshape(-1, block, error.shape[1]).sum(axis=1) for block in blocks]
    return np.array([np.sqrt(np.mean(np.square(s, dtype=float))) for s in sums])
