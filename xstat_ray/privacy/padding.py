"""Padding: dummies that make the aggregator's whole view differentially private.

Pure: parameters in, parameters out.

docs/padding.md defines the dummies and proves the bounds. Everything here follows from the study
and the cut into shards, so both parties come to the same figures by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.tags import MAX_COPIES, MAX_PERIODS
from xstat_ray.errors import PlanError
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Study
from xstat_ray.privacy.mechanism import draw_laplace, laplace_scale

FLAG_ROWS = 200
"""What a flag costs, in rows. Public and fixed, as both parties must come to the same split of the
budget."""
MAX_DUMMIES = 20_000_000_000
"""Rows, with a flag counted as `FLAG_ROWS` of them, beyond which padding serves no purpose."""
_STEPS = 64
"""The kinds get multiples of 1/64 of epsilon."""
_MARGIN = 1 - 1e-9
"""Left for rounding where a probability is computed."""


@dataclass(frozen=True)
class DummyCount:
    """How many dummies of one kind are sent with a count.

    Shifted, truncated discrete Laplace on 0 to 2*shift.
    """

    l1: int
    """What one person changes in all counts of the kind together."""
    epsilon: Fraction
    delta: Fraction
    scale: float
    shift: int
    """Also the expected number."""

    @classmethod
    def of(cls, l1: int, epsilon: Fraction, delta: Fraction) -> DummyCount:
        """The least that make counts of L1 sensitivity `l1` (epsilon, delta)-private."""
        scale = laplace_scale(l1, epsilon)
        return cls(l1, epsilon, delta, scale, least_shift(l1, scale, float(delta)))

    def draw(self, count: int) -> NDArray[np.int64]:
        """(count,) numbers of dummies."""
        drawn = draw_laplace(self.scale, count)
        while (outside := np.flatnonzero(np.abs(drawn) > self.shift)).size:
            drawn[outside] = draw_laplace(self.scale, len(outside))
        return drawn + self.shift


@dataclass(frozen=True)
class Padding:
    """The dummies of a release.

    Where there are several column parties the aggregator sees flags of which of them a row meets.
    Rows are then of as many kinds as there are combinations of parties, and each kind has dummies.
    Where there are several row parties it sees all that of each of them apart, so each sends as
    many dummies of its own, and gets those of every column party anew.
    """

    matched: DummyCount
    """Rows of a row party that meet dummy flags, for each combination of column parties, cell and
    batch."""
    unmatched: DummyCount
    """Rows of a row party that meet nothing, for each cell and batch."""
    flags: DummyCount
    """Flags for a row party that are not met, for each column party and batch."""
    reserve: int
    """Dummy flags of each column party for a row party in every batch, for matched rows to meet."""
    rows: tuple[int, ...]
    """R of each row party: flags for its rows for each person and period, so that every row of a
    person has a tag of its own."""
    cells: int
    """Cells that the aggregator sees, the empty ones that hide the shape of the row tree too."""
    batches: int
    parties: int = 1
    """Column parties."""

    @classmethod
    def of_study(cls, study: Study, grid: ShardGrid) -> Padding | None:
        """The padding that the study asks for, None where it is off.

        Raises:
            PlanError: the declared epsilon and delta cannot be met.
        """
        return _padding(study, grid) if study.privacy.padding == "dp" else None

    @property
    def row_parties(self) -> int:
        """Number of row parties."""
        return len(self.rows)

    @property
    def copies(self) -> int:
        """Flags for each person and period, for the rows of all row parties together."""
        return sum(self.rows)

    @property
    def meets(self) -> NDArray[np.bool_]:
        """(kinds, parties) whether dummy rows of a kind meet flags of a column party.

        Every combination of parties is a kind. The last one is that of no party.
        """
        kinds = np.roll(np.arange(1 << self.parties), -1)
        return (kinds[:, None] >> np.arange(self.parties) & 1).astype(bool)

    @property
    def rows_added(self) -> int:
        """Expected number of dummy rows of the release, of all row parties together."""
        matched = _combinations(self.parties) * self.matched.shift
        return self.row_parties * self.batches * self.cells * (matched + self.unmatched.shift)

    @property
    def flags_added(self) -> int:
        """Expected number of dummy flags of the release, besides R - 1 copies of the real ones.

        Of all column parties, for all row parties together.
        """
        links = self.row_parties * self.parties
        return self.batches * links * (self.reserve + self.flags.shift)

    def draw_rows(self) -> NDArray[np.int64]:
        """(kinds, batches, cells) numbers of a row party's dummy rows, with the kinds of `meets`.

        What a batch has of those that meet flags fits the reserve of every column party.
        """
        of_party = self.meets[:-1].T.astype(np.int64)
        shape = (len(of_party.T), self.batches, self.cells)
        matched = self.matched.draw(math.prod(shape)).reshape(shape)
        for batch in range(self.batches):
            while (of_party @ matched[:, batch].sum(axis=1) > self.reserve).any():
                again = self.matched.draw(len(matched) * self.cells)
                matched[:, batch] = again.reshape(-1, self.cells)
        unmatched = self.unmatched.draw(self.batches * self.cells)
        return np.concatenate([matched, unmatched.reshape(1, self.batches, self.cells)])

    def draw_flags(self) -> NDArray[np.int64]:
        """(row parties, batches) dummy flags of one column party that are not met."""
        drawn = self.flags.draw(self.row_parties * self.batches)
        return drawn.reshape(self.row_parties, self.batches)


def _combinations(parties: int) -> int:
    """Combinations of column parties of which a row may meet flags, at least one of them."""
    return (1 << parties) - 1


def _with_one(parties: int) -> int:
    """Those of them to which a given party belongs."""
    return 1 << parties - 1


def least_shift(l1: int, scale: float, delta: float) -> int:
    """The least shift s at which truncation to 0 ... 2s costs at most `delta`."""
    a = math.exp(-1 / scale)
    # delta(L1) = a^(s+1) g / (1 + a - 2 a^(s+1)) with g = a^-L1 - 1, solved for s.
    g = math.expm1(l1 / scale)
    allowed = delta * _MARGIN
    shift = max(l1, math.ceil(-scale * math.log(allowed * (1 + a) / (g + 2 * allowed))) - 1)
    return shift if truncation_delta(l1, scale, shift) <= delta else shift + 1


def truncation_delta(change: int, scale: float, shift: int) -> float:
    """Probability of outputs that one count gives and one `change` <= shift away cannot."""
    a = math.exp(-1 / scale)
    last = math.exp(-(shift + 1) / scale)
    return last * math.expm1(change / scale) / (1 + a - 2 * last)


def sum_bound(cells: int, scale: float, beta: float) -> int:
    """What a sum of `cells` draws exceeds with probability at most `beta` (Chernoff)."""
    t = np.linspace(0, 1 / scale, 1002)[1:-1]
    a = math.exp(-1 / scale)
    log_moment = 2 * np.log1p(-a) - np.log1p(-a * np.exp(t)) - np.log1p(-a * np.exp(-t))
    return math.ceil(float(np.min((cells * log_moment - math.log(beta)) / t)))


@lru_cache(maxsize=64)
def _padding(study: Study, grid: ShardGrid) -> Padding:
    _check(study)
    view = study.privacy.view
    rows = study.sensitivity.rows
    met = study.person_units
    sensitivities = (met, rows * len(study.period.span), met)
    delta = view.delta / 4
    cells = grid.cells
    batches = len(grid.batches)
    parties = len(study.column_parties)
    shares = _cheapest(
        sensitivities, view.epsilon, float(delta), cells=cells, batches=batches, parties=parties
    )
    matched, unmatched, flags = (
        DummyCount.of(l1, view.epsilon * share, delta)
        for l1, share in zip(sensitivities, shares, strict=True)
    )
    bounds = tuple(study.most_rows_of(terms) for terms in study.row_parties)
    # Halved, since what is drawn again makes the rest likelier by 1/(1 - beta) at most.
    beta = float(delta) / (min(met, batches) * parties * len(bounds)) * _MARGIN / 2
    draws = cells * _with_one(parties)
    reserve = min(
        2 * draws * matched.shift,
        draws * matched.shift + met + sum_bound(draws, matched.scale, beta),
    )
    padding = Padding(matched, unmatched, flags, reserve, bounds, cells, batches, parties)
    _check_size(padding)
    return padding


def _cheapest(
    sensitivities: tuple[int, int, int],
    epsilon: Fraction,
    delta: float,
    *,
    cells: int,
    batches: int,
    parties: int,
) -> tuple[Fraction, Fraction, Fraction]:
    """The split of epsilon over the kinds that costs least."""
    of_matched = FLAG_ROWS * parties * _with_one(parties) + _combinations(parties)

    def cost(steps: tuple[int, int, int]) -> float:
        matched, unmatched, flags = (
            _approximate_shift(l1, float(epsilon) * step / _STEPS, delta)
            for l1, step in zip(sensitivities, steps, strict=True)
        )
        in_cells = cells * (matched * of_matched + unmatched)
        return batches * (in_cells + parties * flags * FLAG_ROWS)

    best = min(_splits(), key=cost)
    return Fraction(best[0], _STEPS), Fraction(best[1], _STEPS), Fraction(best[2], _STEPS)


def _splits() -> Iterator[tuple[int, int, int]]:
    for matched in range(1, _STEPS - 1):
        for unmatched in range(1, _STEPS - matched):
            yield matched, unmatched, _STEPS - matched - unmatched


def _approximate_shift(l1: int, epsilon: float, delta: float) -> float:
    # For a large scale a is 1; log(expm1(x)) is x + log1p(-exp(-x)) without overflow.
    return l1 / epsilon * (epsilon + math.log1p(-math.exp(-epsilon)) - math.log(2 * delta))


def _check(study: Study) -> None:
    rows = max(study.most_rows_of(terms) for terms in study.row_parties)
    periods = study.period.span
    if rows > MAX_COPIES:
        raise PlanError(
            f"padding tells apart at most {MAX_COPIES} rows of one person in one period",
            key="study.row.parties" if study.row.parties else "study.bounds.rows",
            remedy=f"Lower it from {rows}, or set privacy.padding=off",
        )
    if periods.stop > MAX_PERIODS:
        raise PlanError(
            "padding needs a study before the year 2448",
            key="study.period.end",
            remedy="End it earlier",
        )


def _check_size(padding: Padding) -> None:
    size = padding.rows_added + FLAG_ROWS * padding.flags_added
    if size > MAX_DUMMIES:
        raise PlanError(
            f"the view's epsilon and delta need {padding.rows_added:,} dummy rows "
            f"and {padding.flags_added:,} dummy flags, which no run can carry",
            key="privacy.view",
            remedy="Raise its epsilon, or take longer batches, coarser cells, a shorter study, or "
            "fewer parties",
        )
