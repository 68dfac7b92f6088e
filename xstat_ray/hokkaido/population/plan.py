"""The plan of a population release: domains, sensitivity, noise and cost, from public figures alone."""

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
from xstat_ray.planning.plan import DRAWS_PER_SECOND, MAX_COEFFICIENTS, readable_bytes
from xstat_ray.privacy.design import Design, scaled
from xstat_ray.privacy.mechanism import Mechanism

_MOST = 1 << 62
"""Sums and noise together stay below this, so that none overflows 64 bits."""


@dataclass(frozen=True)
class Table:
    """One breakdown: its columns and its noise."""

    layout: Layout
    design: Design


@dataclass(frozen=True)
class PopulationPlan:
    """What a run will do. Everything here is public."""

    declaration: Declaration
    register: Register
    areas: Areas
    expansion: Expansion
    budget: Mechanism
    """Of the release as a whole, in units (`expansion.UNITS` make one person)."""
    tables: tuple[Table, ...]
    regions: tuple[range, ...]
    """Leaves of the tree of areas, in its order, cut below the root: a region holds whole
    subtrees."""

    @property
    def name(self) -> str:
        """What the manifest calls the study."""
        return "population"

    @cached_property
    def digest(self) -> str:
        """What the release is a release of, hexadecimal."""
        return self.declaration.digest(self.register.digest).hex()

    @property
    def coefficients(self) -> int:
        """Noisy values of the release."""
        return sum(t.design.nodes * t.layout.columns for t in self.tables) * self.declaration.days

    @property
    def published(self) -> int:
        """Rows of the statistics."""
        areas = self.areas.tree.cells
        return sum(areas * t.layout.columns for t in self.tables) * self.declaration.days

    @property
    def stored_bytes(self) -> int:
        """Most bytes of what is kept until the release is published, and of the release."""
        return 8 * self.coefficients + 64 * self.published

    def stderrs(self, table: Table) -> dict[str, float]:
        """By level, the root mean square standard error of a figure of one hour, in people, before refinement."""
        names = level_names([self.areas.dimension])
        errors = table.design.stderrs(self.areas.tree)
        return {
            names[level]: float(np.sqrt(np.mean(error**2))) / UNITS
            for level, error in errors.items()
        }

    def rows(self) -> list[tuple[str, str]]:
        """For people: what, how much."""
        said = self.declaration
        budget = self.budget
        privacy = f"epsilon {budget.epsilon}" + (
            f", delta {float(budget.delta):g}" if budget.delta else ""
        )
        first = said.dates[0]
        last = said.dates[-1]
        above = ", ".join(level_names([self.areas.dimension])[1:])
        residents = self.expansion.residents
        own = said.weight_cap
        others = float(budget.l1) / UNITS / said.hours - float(said.weight_cap)
        return [
            ("Areas", f"{self.areas.tree.cells:,} ({said.area}); above them {above}"),
            ("Hours", f"{said.hours:,}, from {first} to {last}"),
            *((f"By {', '.join(t.layout.breakdown.by) or 'nothing'}", self._table(t)) for t in self.tables),
            ("One person", f"stands for {own} people at most in every hour, and moves the weights of others by "
             f"{others:.4g} at most"),
            ("Expansion", f"{residents.sum():,} residents in {len(residents):,} groups of at least "
             f"{said.class_residents}, the largest of {residents.max():,}"),
            ("Privacy", f"{budget.noise} noise, {privacy}, budget cap {said.privacy.cap}"),
            ("Withheld", f"figures below {said.withheld_below} people"),
            ("Shards", f"{len(self.regions)} regions x {said.days} days"),
            ("Size", f"{self.coefficients:,} noisy figures, up to {readable_bytes(self.stored_bytes)} on disk"),
            ("Noise", f"about {self.coefficients / DRAWS_PER_SECOND:.0f} s on one core, without reading the tables"),
        ]  # fmt: skip

    def _table(self, table: Table) -> str:
        errors = ", ".join(f"{error:.3g} a {name}" for name, error in self.stderrs(table).items())
        share = float(table.layout.breakdown.share)
        return f"{table.layout.columns:,} columns a day, {share:.0%} of the budget, standard error in one hour {errors}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        said = self.declaration
        budget = self.budget
        return {
            "study": self.name,
            "study_digest": self.digest,
            "areas": self.areas.tree.cells,
            "area": said.area,
            "within": list(said.within),
            "first_day": said.first_day.isoformat(),
            "days": said.days,
            "residence": said.residence,
            "rows": self.published,
            "coefficients": self.coefficients,
            "regions": len(self.regions),
            "bounds": {"hours": said.hours, "weight_cap": str(said.weight_cap), "hour": 1},
            "expansion": {
                "residents": int(self.expansion.residents.sum()),
                "groups": len(self.expansion.residents),
                "largest": int(self.expansion.residents.max()),
                "least": said.class_residents,
            },
            "noise": budget.noise,
            "epsilon": str(budget.epsilon),
            "delta": str(budget.delta),
            "units_of_a_person": UNITS,
            "l1_sensitivity": budget.l1,
            "l2_sensitivity_squared": budget.l2_squared,
            "breakdowns": {t.layout.breakdown.name: self._facts(t) for t in self.tables},
            "withheld_below": said.withheld_below,
        }

    def _facts(self, table: Table) -> dict[str, Any]:
        breakdown = table.layout.breakdown
        return {
            "by": list(breakdown.by),
            "share": str(breakdown.share),
            "mechanism": table.design.kind,
            "why": table.design.reason,
            "levels": {
                m.name: {"share": str(m.share), "scale": m.mechanism.scale}
                for m in table.design.levels
            },
            "stderr": {name: round(error, 4) for name, error in self.stderrs(table).items()},
        }


def make_plan(declaration: Declaration, register: Register, shards: int = 1) -> PopulationPlan:
    """Work out the plan, or refuse.

    Args:
        declaration: what is published.
        register: residents.
        shards: regions to aim for.

    Raises:
        PlanError: a table that is too large, sums that could overflow, or a budget that no noise
            gives.
    """
    areas = areas_of(declaration)
    expansion = Expansion.of_register(register, declaration.class_residents, declaration.weight_cap)
    l1, l2_squared = (declaration.hours * moved for moved in expansion.moved)
    budget = Mechanism.calibrated(declaration.privacy, l1, l2_squared)
    tables = tuple(
        Table(
            Layout(breakdown, declaration.residence, register.homes),
            Design.over(
                [areas.dimension], declaration.privacy, _part(budget, declaration, breakdown.share)
            ),
        )
        for breakdown in declaration.breakdowns
    )
    plan = PopulationPlan(
        declaration, register, areas, expansion, budget, tables, _regions(areas, shards)
    )
    _check(plan)
    return plan


def _part(budget: Mechanism, declaration: Declaration, share: Fraction) -> Mechanism:
    """The noise of a breakdown that may spend a share of the budget."""
    part = scaled(budget, share)
    return replace(part, epsilon=budget.epsilon * share) if budget.noise == "laplace" else part


def _check(plan: PopulationPlan) -> None:
    remedy = "Publish fewer days, breakdowns or areas (area=municipality, within=[Kushiro, Nemuro])"
    if plan.coefficients > MAX_COEFFICIENTS:
        problem = (
            f"the release has {plan.coefficients:,} noisy figures, more than {MAX_COEFFICIENTS:,}"
        )
        raise PlanError(problem, key="population", remedy=remedy)
    # Lines weigh more than the residents together only where there are more of them.
    people = 2 * int(plan.expansion.residents.sum())
    tail = max(t.design.tail(t.layout.columns * plan.declaration.days) for t in plan.tables)
    if people * UNITS + tail >= _MOST:
        raise PlanError("sums could overflow 64 bits", key="population", remedy=remedy)


def _regions(areas: Areas, shards: int) -> tuple[range, ...]:
    """About `shards` ranges of leaves with nearly equally many areas, each of whole subtrees below the root."""
    tree = areas.tree
    starts = np.flatnonzero(np.diff(tree.ancestors(0, len(tree.parents) - 1), prepend=-1))
    wanted = tree.cells * np.arange(shards) // shards
    first = np.unique(starts[np.minimum(np.searchsorted(starts, wanted), len(starts) - 1)])
    return tuple(range(low, high) for low, high in pairwise([*first.tolist(), tree.cells]))
