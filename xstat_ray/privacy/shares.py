"""How to spend the budget: the error that shares of it lead to, the best ones, and flat or tree.

A person moves the counts of any one level of the row tree by at most L1 and L2 (`mechanism`), so
levels compose: one with share s of the budget gets Laplace noise of scale L1 / (s * epsilon), or
Gaussian noise of variance sigma^2 / s, with the sigma of a mechanism that measures one level.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import permutations
from typing import Literal

import numpy as np

from xstat_ray.model.row_tree import RowTree
from xstat_ray.model.study import MechanismChoice
from xstat_ray.privacy.least_squares import final_variances
from xstat_ray.privacy.mechanism import Mechanism, laplace_scale

Shares = Mapping[int, Fraction]
"""Share of the budget by measured level; they add up to 1, and level 0 has one."""

FLAT: Shares = {0: Fraction(1)}
UNITS = 256
"""Shares are multiples of 1/256: finer ones change no error by as much as a percent."""
WORTH = 0.9
"""A tree is chosen where it takes the objective to this fraction of flat's or lower: it costs more
ciphertexts and makes single cells noisier, which a smaller gain would not repay."""
_TREE_SET = "tree (set by the study)"


@dataclass(frozen=True)
class Choice:
    """A mechanism, the shares of its levels, and why."""

    mechanism: Literal["flat", "tree"]
    shares: Shares
    reason: str


def chosen(
    asked: MechanismChoice, tree: RowTree, mechanism: Mechanism, reporting: Collection[int]
) -> Choice:
    """What a study asks for, with its shares; the better one where it asks for `auto`.

    Args:
        asked: what the study says.
        tree: the hierarchy.
        mechanism: noise and scale of the flat mechanism, which spends the whole budget on level 0.
        reporting: the levels whose nodes are read as figures of their own.
    """
    if asked == "flat":
        return Choice("flat", FLAT, "flat (set by the study)")
    if asked == "auto":
        return choose(tree, mechanism, reporting)
    if mechanism.noise == "off":
        levels = {0, *reporting}
        return Choice("tree", dict.fromkeys(levels, Fraction(1, len(levels))), _TREE_SET)
    return Choice("tree", tree_shares(tree, mechanism, reporting), _TREE_SET)


def choose(tree: RowTree, mechanism: Mechanism, reporting: Collection[int]) -> Choice:
    """Flat or tree, by predicted standard errors over the reporting levels.

    The prediction is that of unbiased estimates. Refinement makes sparse tables better than
    predicted, the cells most: on the map of `benchmarks.privacy_baselines`, four fifths of it
    empty, cells get 0.41 and areas of 16 cells 0.52 of the predicted error, areas of 4,096 cells
    all of it. How sparse a table is may not be looked at beforehand.

    Args:
        tree: the hierarchy.
        mechanism: noise and scale of the flat mechanism, which spends the whole budget on level 0.
        reporting: the levels whose nodes are read as figures of their own.
    """
    if mechanism.noise == "off":
        return Choice("flat", FLAT, "flat: there is no noise")
    shares = tree_shares(tree, mechanism, reporting)
    gain = objective(tree, mechanism, shares, reporting) / objective(
        tree, mechanism, FLAT, reporting
    )
    better: Literal["flat", "tree"] = "tree" if gain <= WORTH else "flat"
    figures = []
    for level in sorted(reporting):
        flat, divided = (predicted_stderr(tree, mechanism, s, level) for s in (FLAT, shares))
        figures.append(
            f"{flat:.3g} or {divided:.3g} per area of {tree.cells / tree.sizes[level]:.3g} cells"
        )
    reason = (
        f"{better}: predicted standard error, flat or tree: {', '.join(figures)}; "
        f"overall tree/flat {gain:.2f}"
    )
    return Choice(better, shares if better == "tree" else FLAT, reason)


def tree_shares(tree: RowTree, mechanism: Mechanism, reporting: Collection[int]) -> Shares:
    """Shares of cells and reporting levels that minimise `objective`.

    Each is at least half of an equal share, which keeps every error within twice that of equal
    shares. Found by moving ever smaller parts of the budget from one level to another for as long
    as that helps.
    """
    # A level with as many nodes as one below has the same nodes: it is not measured a second time.
    levels = sorted(
        {tree.sizes[level]: level for level in sorted({0, *reporting}, reverse=True)}.values()
    )
    units = {
        level: UNITS * (i + 1) // len(levels) - UNITS * i // len(levels)
        for i, level in enumerate(levels)
    }
    best = objective(tree, mechanism, _shares(units), reporting)
    step = UNITS // 8
    while step:
        for moved in _moves(units, step):
            value = objective(tree, mechanism, _shares(moved), reporting)
            if value < best:
                best = value
                units = moved
                break
        else:
            step //= 2
    return _shares(units)


def objective(
    tree: RowTree, mechanism: Mechanism, shares: Shares, reporting: Collection[int]
) -> float:
    """Sum over the reporting levels of predicted standard error / (mean cells of an area)^(1/4).

    So twice the error is tolerated on an area sixteen times as large: it holds a larger count.
    Without the root of the size all levels would get about equal shares, and cells pay for totals;
    with the square root, the rate at which the error of sums of noisy cells grows, nearly all of
    the budget would go to the cells. Measured on the map of `benchmarks.privacy_baselines` at
    epsilon 1, after refinement: 1.48 at a cell and 13 at the total, where equal shares give 2.62
    and 7.
    """
    variances = final_variances(tree, _variances(mechanism, shares))
    sizes = {level: tree.cells / tree.sizes[level] for level in reporting}
    return math.fsum(
        math.sqrt(np.mean(variances[level])) / size**0.25 for level, size in sizes.items()
    )


def predicted_stderr(tree: RowTree, mechanism: Mechanism, shares: Shares, level: int) -> float:
    """Standard error after least squares, before refinement: exact.

    Root mean square over the nodes of `level`.
    """
    return math.sqrt(np.mean(final_variances(tree, _variances(mechanism, shares))[level]))


def level_scale(mechanism: Mechanism, share: Fraction, reach: int = 1) -> float:
    """Scale of the noise of a level with a share of the budget that gives `mechanism` its scale.

    Rounded up.

    Laplace: scale / share, as epsilon adds up. Gaussian: scale / sqrt(share), as rho adds up.

    Args:
        mechanism: the noise of counts that has the whole budget.
        share: of the budget.
        reach: how often as far as a count one person moves what gets the noise.
    """
    power = 1 if mechanism.noise == "laplace" else 2
    least = (reach * Fraction(mechanism.scale)) ** power / share
    scale = float(reach * mechanism.scale / float(share) ** (1 / power))
    while Fraction(scale) ** power < least:
        scale = math.nextafter(scale, math.inf)
    return scale


def scaled(budget: Mechanism, share: Fraction, reach: int = 1) -> Mechanism:
    """The noise that costs a share of the budget: of its epsilon (Laplace) or rho (Gaussian).

    Gaussian noise costs a little less. It costs L2^2 / (2 (sigma^2 - 1/11)), so that with a larger
    sigma for a larger L2 the lost part of a variance counts for less.

    Args:
        budget: the noise of counts that costs the whole budget.
        share: of it.
        reach: how often as far as a count one person moves what gets the noise.
    """
    if share == reach == 1:
        return budget
    moved = replace(budget, l1=reach * budget.l1, l2_squared=reach**2 * budget.l2_squared)
    if budget.noise == "off":
        return moved
    scale = level_scale(budget, share, reach)
    if budget.noise == "laplace":
        # OpenDP's own map must certify the level too; it may differ from ours in the last place.
        scale = max(scale, laplace_scale(moved.l1, budget.epsilon * share))
    return replace(moved, scale=scale)


def _variances(mechanism: Mechanism, shares: Shares) -> dict[int, float]:
    return {
        level: replace(mechanism, scale=level_scale(mechanism, share)).stderr ** 2
        for level, share in shares.items()
    }


def _shares(units: Mapping[int, int]) -> Shares:
    return {level: Fraction(count, UNITS) for level, count in units.items()}


def _moves(units: Mapping[int, int], step: int) -> Iterator[dict[int, int]]:
    for giver, taker in permutations(units, 2):
        if 2 * len(units) * (units[giver] - step) >= UNITS:
            yield {**units, giver: units[giver] - step, taker: units[taker] + step}
