"""Which noise a study with noise `auto` gets: the one that errs less and whose budget lasts.

Laplace noise grows with L1, Gaussian noise with L2; the cost of many releases grows with their
number or with its root. Which noise is better depends on how a person's units may lie, on the
levels, on delta, and on how many such releases the cap must last for. All of that is public, so
every role makes this choice alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from xstat_ray.model.dimension import Dimension
from xstat_ray.model.row_tree import level_names, tree_of
from xstat_ray.model.study import Privacy, Study
from xstat_ray.privacy.accountant import Spending
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.rounding import decimal, readable
from xstat_ray.privacy.shares import Shares, chosen, objective, predicted_stderr, scaled
from xstat_ray.privacy.split import quantities_of

Drawn = Literal["laplace", "gaussian"]
NOISES: tuple[Drawn, ...] = ("laplace", "gaussian")
MOST_DELTA = Fraction(1, 10**9)
"""Most that a joint draw of Laplace noise may add to delta."""


@dataclass(frozen=True)
class Candidate:
    """One noise, and what it would give."""

    budget: Mechanism
    """The noise of a design that spends everything on the counts of one level."""
    shares: Shares
    """Share of the budget by measured level."""
    stderrs: Mapping[str, float]
    """Predicted standard error of cells and reporting levels, by name."""
    error: float
    """What is compared: `shares.objective`."""
    total: Fraction | None
    """Epsilon of all releases that the cap must last for; None where delta does not suffice."""
    lasts: bool
    """Whether that is within the cap."""


@dataclass(frozen=True)
class NoiseChoice:
    """Both noises, and the one that was chosen."""

    candidates: Mapping[Drawn, Candidate]
    noise: Drawn
    reason: str

    @property
    def budget(self) -> Mechanism:
        """The chosen noise."""
        return self.candidates[self.noise].budget


@lru_cache(maxsize=4)
def choose_noise(study: Study) -> NoiseChoice:
    """Choose between Laplace and Gaussian noise of a study's epsilon and delta.

    The one with the smaller error (`shares.objective`) of those of which `privacy.releases` fit
    under the cap; if neither does, the one that costs less.

    Raises:
        PlanError: no finite scale gives the declared budget.
    """
    both = {noise: _candidate(study, noise) for noise in NOISES}
    lasting = [noise for noise in NOISES if both[noise].lasts]
    if lasting:
        noise = min(lasting, key=lambda noise: both[noise].error)
    else:
        noise = min(NOISES, key=lambda noise: (both[noise].total is None, both[noise].total or 0))
    return NoiseChoice(both, noise, _reason(study.privacy, both, noise))


def total_epsilon(budget: Mechanism, delta: Fraction, privacy: Privacy) -> Fraction | None:
    """Work out what `privacy.releases` of a noise cost together at `privacy.delta`.

    Above the cap it is an upper bound.

    Args:
        budget: the noise of one release.
        delta: what one release is debited with.
        privacy: what the study declares.

    Returns:
        Epsilon; None where the releases' deltas exceed the study's.
    """
    spending = Spending().plus(
        budget.epsilon, budget.rho, privacy.releases, delta=delta, noise=budget.known
    )
    if spending.delta > privacy.delta:
        return None
    return spending.epsilon(privacy.delta, enough=privacy.cap)


def reporting_levels(dimensions: Sequence[Dimension], privacy: Privacy) -> tuple[int, ...]:
    """Levels of the row tree that are published, from the cells up."""
    names = level_names(dimensions)
    reported = privacy.report or names
    return tuple(level for level, name in enumerate(names) if name in reported)


def _candidate(study: Study, noise: Drawn) -> Candidate:
    dimensions = study.row.dimensions
    privacy = study.privacy
    tree = tree_of(dimensions)
    names = level_names(dimensions)
    reporting = reporting_levels(dimensions, privacy)
    budget = Mechanism.of_study(study, noise)
    counts = scaled(budget, quantities_of(study, noise)[0].share)
    shares = chosen(privacy.mechanism, tree, counts, reporting).shares
    stderrs = {
        names[level]: predicted_stderr(tree, counts, shares, level)
        for level in sorted({0, *reporting})
    }
    total = total_epsilon(budget, MOST_DELTA if noise == "laplace" else Fraction(0), privacy)
    return Candidate(
        budget,
        shares,
        stderrs,
        objective(tree, counts, shares, reporting),
        total,
        total is not None and total <= privacy.cap,
    )


def _reason(privacy: Privacy, both: Mapping[Drawn, Candidate], noise: Drawn) -> str:
    laplace, gaussian = (both[kind] for kind in NOISES)
    errors = ", ".join(
        f"{laplace.stderrs[name]:.3g} or {gaussian.stderrs[name]:.3g} a {name}"
        for name in laplace.stderrs
    )
    releases = "such release costs" if privacy.releases == 1 else "such releases cost"
    totals = " or ".join(_told(candidate) for candidate in (laplace, gaussian))
    return (
        f"{noise}: predicted standard error, Laplace or Gaussian: {errors}; overall "
        f"Laplace/Gaussian {laplace.error / gaussian.error:.2f}; {privacy.releases} {releases} "
        f"{totals} of the cap {decimal(privacy.cap)}"
    )


def _told(candidate: Candidate) -> str:
    if candidate.total is None:
        return "more delta than declared"
    epsilon = Fraction(math.ceil(candidate.total * 1000), 1000)
    return f"epsilon {readable(epsilon) if epsilon.denominator == 1 else float(epsilon)}"
