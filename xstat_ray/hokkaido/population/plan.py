"""The plan of a population release: domains, sensitivity, noise and cost, from what is public."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from xstat_ray.errors import PlanError
from xstat_ray.hokkaido.population.areas import Areas, areas_of
from xstat_ray.hokkaido.population.declaration import Declaration
from xstat_ray.hokkaido.population.expansion import UNITS, Expansion
from xstat_ray.hokkaido.population.register import Register
from xstat_ray.hokkaido.population.sums import Layout
from xstat_ray.model.row_tree import level_names
from xstat_ray.planning.draw_cost import DRAWS_PER_SECOND
from xstat_ray.planning.limits import MAX_COEFFICIENTS
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.evidence import withheld
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.shares import scaled
from xstat_ray.util.readable import readable_bytes

_MOST = 1 << 62
"""Sums and noise together stay below this, so that none overflows 64 bits."""


@dataclass(frozen=True)
class BreakdownPlan:
    """The columns of a breakdown, and its noise."""

    layout: Layout
    design: Design


@dataclass(frozen=True)
class PopulationPlan:
    """Domains, noise and regions of a population release. Everything here is public."""

    declaration: Declaration
    register: Register
    areas: Areas
    expansion: Expansion
    budget: Mechanism
    """Noise of the release as a whole, in units (`expansion.UNITS` make one person)."""
    breakdowns: tuple[BreakdownPlan, ...]
    regions: tuple[range, ...]
    """Leaves of the tree of areas, in its order, cut below the root: a region holds whole
    subtrees."""

    @property
    def name(self) -> str:
        """Name of the study in the manifest."""
        return "population"

    @cached_property
    def digest(self) -> str:
        """Digest of declaration and register, hexadecimal."""
        return self.declaration.digest(self.register.digest).hex()

    @property
    def coefficients(self) -> int:
        """Number of noisy values in the release."""
        a_day = sum(b.design.nodes * b.layout.columns for b in self.breakdowns)
        return a_day * self.declaration.days

    @property
    def published(self) -> int:
        """Number of rows in the statistics."""
        columns = sum(breakdown.layout.columns for breakdown in self.breakdowns)
        return self.areas.tree.cells * columns * self.declaration.days

    @property
    def stored_bytes(self) -> int:
        """Most bytes of the release, and of what is kept until it is published."""
        return 8 * self.coefficients + 64 * self.published

    def stderrs(self, breakdown: BreakdownPlan) -> dict[str, float]:
        """Root mean square standard error of an hour's value before refinement.

        Returns:
            By the name of the level, people.
        """
        names = level_names([self.areas.dimension])
        errors = breakdown.design.stderrs(self.areas.tree)
        return {
            names[level]: float(np.sqrt(np.mean(error**2))) / UNITS
            for level, error in errors.items()
        }

    def rows(self) -> list[tuple[str, str]]:
        """Describe the plan to people.

        Returns:
            Pairs of a title and a text.
        """
        declared = self.declaration
        budget = self.budget
        delta = f", delta {float(budget.delta):g}" if budget.delta else ""
        dates = declared.dates
        above = ", ".join(level_names([self.areas.dimension])[1:])
        residents = self.expansion.residents
        others = float(budget.l1) / UNITS / declared.hours - float(declared.weight_cap)
        seconds = self.coefficients / DRAWS_PER_SECOND
        disk = readable_bytes(self.stored_bytes)
        return [
            ("Areas", f"{self.areas.tree.cells:,} ({declared.area}); above them {above}"),
            ("Hours", f"{declared.hours:,}, from {dates[0]} to {dates[-1]}"),
            *(
                (f"By {', '.join(b.layout.breakdown.by) or 'nothing'}", self._describe(b))
                for b in self.breakdowns
            ),
            (
                "One person",
                f"stands for {declared.weight_cap} people at most in every hour, and moves the "
                f"weights of others by {others:.4g} at most",
            ),
            (
                "Expansion",
                f"{residents.sum():,} residents in {len(residents):,} groups of at least "
                f"{declared.class_residents}, the largest of {residents.max():,}",
            ),
            (
                "Privacy",
                f"{budget.noise} noise, epsilon {budget.epsilon}{delta}, "
                f"budget cap {declared.privacy.cap}",
            ),
            ("Withheld", withheld(declared.privacy, declared.withheld_below)),
            ("Shards", f"{len(self.regions)} regions x {declared.days} days"),
            ("Size", f"{self.coefficients:,} noisy values, up to {disk} on disk"),
            ("Noise", f"about {seconds:.0f} s on one core, without reading the tables"),
        ]

    def _describe(self, breakdown: BreakdownPlan) -> str:
        errors = ", ".join(
            f"{error:.3g} a {name}" for name, error in self.stderrs(breakdown).items()
        )
        share = float(breakdown.layout.breakdown.share)
        return (
            f"{breakdown.layout.columns:,} columns a day, {share:.0%} of the budget, "
            f"standard error in one hour {errors}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Describe the plan in values that JSON can hold."""
        declared = self.declaration
        budget = self.budget
        return {
            "study": self.name,
            "study_digest": self.digest,
            "areas": self.areas.tree.cells,
            "area": declared.area,
            "within": list(declared.within),
            "first_day": declared.first_day.isoformat(),
            "days": declared.days,
            "residence": declared.residence,
            "rows": self.published,
            "coefficients": self.coefficients,
            "regions": len(self.regions),
            "bounds": {"hours": declared.hours, "weight_cap": str(declared.weight_cap), "hour": 1},
            "expansion": {
                "residents": int(self.expansion.residents.sum()),
                "groups": len(self.expansion.residents),
                "largest": int(self.expansion.residents.max()),
                "least": declared.class_residents,
            },
            "noise": budget.noise,
            "epsilon": str(budget.epsilon),
            "delta": str(budget.delta),
            "units_of_a_person": UNITS,
            "l1_sensitivity": budget.l1,
            "l2_sensitivity_squared": budget.l2_squared,
            "breakdowns": {b.layout.breakdown.name: self._facts(b) for b in self.breakdowns},
            "withheld_below": declared.withheld_below,
            "publish": declared.privacy.publish,
        }

    def _facts(self, breakdown: BreakdownPlan) -> dict[str, Any]:
        declared = breakdown.layout.breakdown
        return {
            "by": list(declared.by),
            "share": str(declared.share),
            "mechanism": breakdown.design.kind,
            "why": breakdown.design.reason,
            "levels": {
                m.name: {"share": str(m.share), "scale": m.mechanism.scale}
                for m in breakdown.design.levels
            },
            "stderr": {name: round(error, 4) for name, error in self.stderrs(breakdown).items()},
        }


def make_plan(declaration: Declaration, register: Register, shards: int = 1) -> PopulationPlan:
    """Work out the plan, or refuse.

    Args:
        declaration: what is published.
        register: the residents.
        shards: number of regions to aim for.

    Raises:
        PlanError: the tables are too large, sums could overflow, or no noise meets the budget.
    """
    areas = areas_of(declaration)
    expansion = Expansion.of_register(register, declaration.class_residents, declaration.weight_cap)
    l1, l2_squared = (declaration.hours * moved for moved in expansion.moved)
    budget = Mechanism.calibrated(declaration.privacy, l1, l2_squared)
    breakdowns = tuple(
        BreakdownPlan(
            Layout(breakdown, declaration.residence, register.homes),
            Design.over(
                [areas.dimension], declaration.privacy, _part(budget, declaration, breakdown.share)
            ),
        )
        for breakdown in declaration.breakdowns
    )
    plan = PopulationPlan(
        declaration, register, areas, expansion, budget, breakdowns, _regions(areas, shards)
    )
    _check(plan)
    return plan


def _part(budget: Mechanism, declaration: Declaration, share: Fraction) -> Mechanism:
    """Make the noise of a breakdown that may spend a share of the budget."""
    part = scaled(budget, share)
    return replace(part, epsilon=budget.epsilon * share) if budget.noise == "laplace" else part


def _check(plan: PopulationPlan) -> None:
    remedy = (
        "Publish fewer days, breakdowns or areas (population.area=municipality, "
        "'population.within=[Kushiro,Nemuro]')"
    )
    if plan.coefficients > MAX_COEFFICIENTS:
        problem = (
            f"the release has {plan.coefficients:,} noisy values, more than {MAX_COEFFICIENTS:,}"
        )
        raise PlanError(problem, key="population", remedy=remedy)
    # Subscribers weigh more than the residents together only where there are more of them.
    people = 2 * int(plan.expansion.residents.sum())
    tail = max(b.design.tail(b.layout.columns * plan.declaration.days) for b in plan.breakdowns)
    if people * UNITS + tail >= _MOST:
        raise PlanError("sums could overflow 64 bits", key="population", remedy=remedy)


def _regions(areas: Areas, shards: int) -> tuple[range, ...]:
    """Cut the leaves into about `shards` ranges of nearly equal size, whole subtrees each."""
    tree = areas.tree
    starts = np.flatnonzero(np.diff(tree.ancestors(0, len(tree.parents) - 1), prepend=-1))
    wanted = tree.cells * np.arange(shards) // shards
    first = np.unique(starts[np.minimum(np.searchsorted(starts, wanted), len(starts) - 1)])
    return tuple(range(low, high) for low, high in pairwise([*first.tolist(), tree.cells]))
