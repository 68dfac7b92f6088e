"""Expansion: how many people a subscriber stands for, and how far that lets one move the sums.

In a group of classes with R residents and n usable subscribers a subscriber weighs R/n people, but
at least one and at most the declared cap C: both ends are public. R is public, n is not: a person
who comes or goes changes the weight of everybody in the group. What this does to the sums of one
hour over all areas, each person's shares of the hour adding up to at most one:

- the share of this person: at most C;
- everybody else's: n (R/n - R/(n+1)) = R/(n+1), which is the new weight: at most C, in the other
  direction.

Both are vectors of non-negative numbers, so the sums move by at most 2C in L1, and by at most C^2 +
C^2 in squared L2. Exact class sizes may therefore be used without any noise on them, and expanded
totals equal the register. The alternative, noise on the counts of every class, expanded afterwards,
costs a noise for each of hundreds of classes in every value, and one that is several times larger
where a class is weighed with a small n.

Noise is added to whole numbers, so weights are whole multiples of 1/`PARTS`, rounded down. Rounding
can add one part to the step of every other subscriber of a group, of which there are fewer than R
where the step is not zero (with n >= R the weight is one). So 2C becomes 2C + R/PARTS with R the
largest group of the register, and this is the bound that the noise is made for.
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
"""Seconds of an hour: the unit of a subscriber's share of it."""
UNITS = PARTS * SECONDS
"""Units of a sum that make one person present for an hour."""


@dataclass(frozen=True)
class Expansion:
    """The public part of the expansion: groups, their residents, and the cap."""

    group: NDArray[np.int64]
    """(classes,) group of each class."""
    residents: NDArray[np.int64]
    """(groups,)"""
    cap: int
    """Largest weight, in parts."""

    @classmethod
    def of_register(cls, register: Register, least: int, cap: Fraction) -> Expansion:
        """Merge the classes of a register into groups of at least `least` residents.

        Args:
            register: the residents.
            least: residents that a group has at least.
            cap: largest weight, in people.
        """
        group = register.merged(least)
        residents = np.zeros(int(group.max()) + 1, np.int64)
        np.add.at(residents, group, register.residents.ravel())
        return cls(group, residents, int(cap * PARTS))

    def weights(self, subscribers: NDArray[np.integer]) -> NDArray[np.int64]:
        """Weigh the subscribers.

        Args:
            subscribers: (N,) class of every usable subscriber.

        Returns:
            (classes,) weight of a subscriber of each class, in parts.
        """
        count = np.bincount(self.group[subscribers], minlength=len(self.residents))
        weight = np.clip(self.residents * PARTS // np.maximum(count, 1), PARTS, self.cap)
        # Where nobody lives nobody is stood for.
        return np.where(self.residents > 0, weight, 0)[self.group]

    @property
    def moved(self) -> tuple[int, int]:
        """Most units by which a person moves the sums of an hour over all areas: L1, squared L2."""
        added = self.cap * SECONDS
        taken_from_others = (self.cap + int(self.residents.max())) * SECONDS
        return added + taken_from_others, added**2 + taken_from_others**2
