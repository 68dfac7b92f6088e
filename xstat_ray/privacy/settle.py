"""From noisy sums to figures: what each is estimated to be, and whether it is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.row_tree import RowTree
from xstat_ray.privacy.evidence import Figures, Rule
from xstat_ray.privacy.least_squares import Estimate, NoisyLevel, least_squares
from xstat_ray.privacy.refine import Firm, refine


class Settled(NamedTuple):
    """Figures of all levels, in the order of the tree."""

    unbiased: Mapping[int, NDArray[np.float64]]
    """By reporting level, (nodes, columns) best linear unbiased estimates."""
    stderrs: Mapping[int, NDArray[np.float64]]
    """By reporting level, (nodes,) their standard errors."""
    cells: Estimate
    """Those of the cells, with their variances."""
    refined: Sequence[NDArray[np.int64]]
    """By level, reported or not, (nodes, columns) whole counts that add up."""
    figures: Mapping[int, Figures]
    """By reporting level, what is published."""


def settle(
    tree: RowTree, measured: Mapping[int, NoisyLevel], rule: Rule, levels: Sequence[int]
) -> Settled:
    """Solve and refine noisy sums, and decide which figures are published.

    Values that stand out of their noise keep their unbiased value when all are refined.

    Args:
        tree: the hierarchy.
        measured: the noisy sums, by level; level 0 is always there. Where the noise is off, their
            variances are of no account.
        rule: what is published.
        levels: reporting levels, the cells among them.
    """
    solved = least_squares(tree, measured)
    unbiased = {level: solved[level].values for level in levels}
    noisy = rule.noise != "off"
    stderrs = {level: np.sqrt(solved[level].variances) * noisy for level in levels}
    firm = {
        level: Firm(rule.stands_out(unbiased[level], stderrs[level][:, None]), unbiased[level])
        for level in levels
    }
    refined = refine(tree, measured, firm)
    figures = rule.levels(tree, unbiased, stderrs, {level: refined[level] for level in levels})
    return Settled(unbiased, stderrs, solved[0], refined, figures)
