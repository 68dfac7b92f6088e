"""Expansion: how many people one line stands for, and how far that lets one person move the sums.

In a group of classes with R residents and n usable lines a line weighs R/n people, but at least one
and at most the declared cap C: both ends are public. R is public, n is not: a person who comes or
goes changes the weight of everybody in the group. What this does to the sums of one hour over all
areas, each person's shares of the hour adding up to at most one:

- the person's own share: at most C;
- everybody else's: n (R/n - R/(n+1)) = R/(n+1), which is the new weight: at most C, in the other
  direction.

Both are vectors of non-negative numbers, so the sums move by at most 2C in L1, and by at most C^2 +
C^2 in squared L2. Exact class sizes may therefore be used without noise of their own, and expanded
totals equal the register. The alternative, noise on the counts of every class, expanded afterwards,
costs a noise for each of hundreds of classes in every figure, and one that is several times larger
where a class is weighed with a small n.

Noise is added to whole numbers, so weights are whole multiples of 1/`PARTS`, rounded down. Rounding
can add one part to the step of every other line of a group, of which there are fewer than R where
the step is not zero (with n >= R the weight is one). So 2C becomes 2C + R/PARTS with R the largest
group of the register, and this is what is noised.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from xstat_ray.hokkaido.population.register import Register

PARTS = 1 << 22
"""Parts of a person in which weights are reckoned."""
SECONDS = 3_600
"""Of an hour: a line's share of an hour is reckoned in them."""
UNITS = PARTS * SECONDS
"""Units of a sum that make one person present for an hour."""


@dataclass(frozen=True)
class Expansion:
    """The public part: groups, their residents, and the cap."""

    group: NDArray[np.int64]
    """(classes,) group of each class."""
    residents: NDArray[np.int64]
    """(groups,)"""
    cap: int
    """Largest weight, in parts."""

    @classmethod
    def of_register(cls, register: Register, least: int, cap: Fraction) -> Expansion:
        """Groups of at least `least` residents."""
        group = register.merged(least)
        residents = np.zeros(int(group.max()) + 1, np.int64)
        np.add.at(residents, group, register.residents.ravel())
        return cls(group, residents, int(cap * PARTS))

    def weights(self, lines: NDArray[np.integer]) -> NDArray[np.int64]:
        """(classes,) weight of a line of each class, in parts.

        Args:
            lines: (N,) class of every usable line.
        """
        count = np.bincount(self.group[lines], minlength=len(self.residents))
        weight = np.clip(self.residents * PARTS // np.maximum(count, 1), PARTS, self.cap)
        # Where nobody lives nobody is stood for.
        return np.where(self.residents > 0, weight, 0)[self.group]

    @property
    def moved(self) -> tuple[int, int]:
        """Units by which one person moves the sums of one hour over all areas: L1, and squared L2."""
        own = self.cap * SECONDS
        others = (self.cap + int(self.residents.max())) * SECONDS
        return own + others, own**2 + others**2
