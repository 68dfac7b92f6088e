"""The design of a release: which levels of the row tree are measured, with what budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from xstat_ray.errors import ProtocolError
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.row_tree import RowTree, level_names, tree_of
from xstat_ray.model.study import Privacy, Study
from xstat_ray.privacy.least_squares import final_variances
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.noise_choice import choose_noise, reporting_levels
from xstat_ray.privacy.shares import chosen, scaled
from xstat_ray.privacy.split import COUNTS_ALONE, Quantity, quantities_of

Kind = Literal["flat", "tree"]


@dataclass(frozen=True)
class MeasuredLevel:
    """A level to whose sums noise is added."""

    level: int
    name: str
    nodes: int
    """Declared nodes."""
    shown: int
    """Nodes that the aggregator sees, with the empty ones that padding adds."""
    share: Fraction
    """Share of the budget."""
    mechanism: Mechanism
    """Noise of its counts."""
    sums: tuple[Mechanism, ...] = ()
    """Noise of its sums, by measure."""

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """Noise of the counts and of the sums of every measure."""
        return (self.mechanism, *self.sums)


@dataclass(frozen=True)
class Design:
    """What is measured: flat measures the cells, tree the cells and sums of them."""

    budget: Mechanism
    """The noise of a design that spends everything on the counts of one level."""
    levels: tuple[MeasuredLevel, ...]
    """From the cells up; the cells are always measured."""
    reporting: tuple[int, ...]
    """Levels that are published, from the cells up."""
    reason: str
    filled: bool
    """Whether the aggregator sees a tree in which all nodes of a level have equally many children,
    as it does with padding."""
    quantities: tuple[Quantity, ...] = COUNTS_ALONE
    """The count and the measures, with their shares of the budget."""

    @classmethod
    def of_study(cls, study: Study) -> Design:
        """The design that the study asks for; the better one where noise or mechanism are auto.

        Raises:
            PlanError: no finite noise gives the declared budget.
        """
        return _design(study)

    @classmethod
    def over(
        cls,
        dimensions: Sequence[Dimension],
        privacy: Privacy,
        budget: Mechanism,
        quantities: tuple[Quantity, ...] = COUNTS_ALONE,
    ) -> Design:
        """The design of a table with these row dimensions under this budget.

        Levels are chosen, and get their shares, as is best for the counts.
        """
        tree = tree_of(dimensions)
        names = level_names(dimensions)
        reporting = reporting_levels(dimensions, privacy)
        counts = scaled(budget, quantities[0].share)
        choice = chosen(privacy.mechanism, tree, counts, reporting)
        filled = privacy.padding == "dp"
        measured = tree.only(sorted(choice.shares))
        shown = measured.filled_sizes if filled else measured.sizes
        levels = tuple(
            MeasuredLevel(
                level,
                names[level],
                nodes,
                seen,
                share,
                *_noises(budget, share, quantities),
            )
            for (level, share), nodes, seen in zip(
                sorted(choice.shares.items()), measured.sizes, shown, strict=False
            )
        )
        return cls(budget, levels, reporting, choice.reason, filled, quantities)

    def unfilled(self) -> Design:
        """This design without empty nodes, for what they cost."""
        levels = tuple(replace(level, shown=level.nodes) for level in self.levels)
        return replace(self, levels=levels, filled=False)

    @property
    def kind(self) -> Kind:
        """What was measured: cells only, or a tree."""
        return "flat" if len(self.levels) == 1 else "tree"

    @property
    def nodes(self) -> int:
        """Measured nodes over all levels: rows of the table of coefficients."""
        return sum(level.nodes for level in self.levels)

    @property
    def sections(self) -> tuple[slice, ...]:
        """Where each measured level lies in that table."""
        return _sections([level.nodes for level in self.levels])

    @property
    def cells(self) -> int:
        """Cells that the aggregator sees, empty ones among them."""
        return self.levels[0].shown

    @property
    def shown(self) -> int:
        """Nodes that the aggregator sees over all measured levels: rows of the noisy table."""
        return sum(level.shown for level in self.levels)

    @property
    def shown_sections(self) -> tuple[slice, ...]:
        """Where each measured level lies in the noisy table."""
        return _sections([level.shown for level in self.levels])

    @property
    def starts(self) -> list[NDArray[np.int64]] | None:
        """Where the nodes of each measured level begin on the measured level below.

        For every measured level above the cells (shown nodes,) first descendants; None where the
        tree is not filled: then the row party alone knows.
        """
        if not self.filled:
            return None
        pairs = pairwise(level.shown for level in self.levels)
        return [np.arange(upper) * (lower // upper) for lower, upper in pairs]

    def check_starts(self, starts: Sequence[NDArray[np.int64]]) -> None:
        """Check what the row party says of its tree; without it a cell might be measured often.

        Args:
            starts: for every measured level above the cells, where its nodes begin below.

        Raises:
            ProtocolError: these are no nodes of the study's levels.
        """
        if len(starts) != len(self.levels) - 1:
            raise ProtocolError("the row tree has another number of levels than the study")
        for number, begin in enumerate(starts):
            self.check_level(number, begin)

    def check_level(self, number: int, starts: NDArray[np.int64]) -> None:
        """Check one of these levels, the lowest of which has the number 0; see `check_starts`."""
        lower = self.levels[number].shown
        upper = self.levels[number + 1].shown
        ordered = len(starts) == upper and starts[0] == 0 and (np.diff(starts) > 0).all()
        if not ordered or starts[-1] >= lower:
            raise ProtocolError("the sizes of the row tree are not those of the study")

    def tail(self, slots: int) -> int:
        """Size that no noise of the release exceeds except with probability 2^-64."""
        return max(self.tails(slots))

    def tails(self, slots: int) -> tuple[int, ...]:
        """The same for the noise of the counts, and of the sums of every measure."""
        coefficients = self.shown * slots * len(self.quantities)
        by_level = (
            [noise.tail(coefficients) for noise in level.mechanisms] for level in self.levels
        )
        return tuple(max(tails) for tails in zip(*by_level, strict=True))

    def draw(self, slots: int) -> NDArray[np.int64]:
        """(shown nodes, columns) fresh noise for every coefficient, those of empty nodes too.

        There is a column for each count of `slots`, then one for each sum, by measure.
        """
        by_level = (
            [noise.draw(level.shown * slots).reshape(-1, slots) for noise in level.mechanisms]
            for level in self.levels
        )
        return np.concatenate([np.concatenate(drawn, axis=1) for drawn in by_level])

    def stderrs(self, tree: RowTree) -> dict[int, NDArray[np.float64]]:
        """Exact standard errors after least squares, unrefined: (nodes,) by reporting level."""
        if self.budget.noise == "off":
            return {level: np.zeros(tree.sizes[level]) for level in self.reporting}
        variances = final_variances(tree, {m.level: m.mechanism.stderr**2 for m in self.levels})
        return {level: np.sqrt(variances[level]) for level in self.reporting}


def shown_tree(study: Study) -> RowTree:
    """What the aggregator is shown of a study's row tree: the measured levels.

    Level i of it is the i-th measured level. With padding it is filled with empty nodes.
    """
    design = Design.of_study(study)
    tree = tree_of(study.row.dimensions).only([level.level for level in design.levels])
    return tree.filled() if design.filled else tree


def _sections(sizes: Sequence[int]) -> tuple[slice, ...]:
    edges = np.cumsum([0, *sizes]).tolist()
    return tuple(slice(low, high) for low, high in pairwise(edges))


@lru_cache(maxsize=4)
def _design(study: Study) -> Design:
    # A study decides its design, so each role works it out for itself and trusts nobody's. The
    # shares of a big tree take a second to choose, and the key holder asks once for each part of a
    # table that it decrypts; keeping the last few changes nothing but that time.
    chosen_one = choose_noise(study).budget if study.privacy.noise == "auto" else None
    budget = chosen_one or Mechanism.of_study(study)
    quantities = quantities_of(study, budget.noise)
    return Design.over(study.row.dimensions, study.privacy, budget, quantities)


def _noises(
    budget: Mechanism, share: Fraction, quantities: Sequence[Quantity]
) -> tuple[Mechanism, tuple[Mechanism, ...]]:
    """The noise of a level with a share of the budget: of its counts, and of its sums."""
    count, *sums = (scaled(budget, share * q.share, q.reach) for q in quantities)
    return count, tuple(sums)
