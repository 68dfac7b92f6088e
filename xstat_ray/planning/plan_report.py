"""What a budget buys, before any data is touched.

A report puts the plan beside both mechanisms, flat and tree, and finds the epsilon for a wanted
error.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from xstat_ray.errors import PlanError, StudyError
from xstat_ray.model.row_tree import level_names, tree_of
from xstat_ray.model.study import Noise, Study
from xstat_ray.planning.batching import BATCHES, Batch
from xstat_ray.planning.disk import exchange_bytes, output_bytes
from xstat_ray.planning.options import Options
from xstat_ray.planning.plan import Plan
from xstat_ray.planning.table_check import TableCheck
from xstat_ray.privacy.design import Design, Kind

KINDS: tuple[Kind, Kind] = ("flat", "tree")

_LEAST_EXPONENT = -4
_DECADES = 6
_MANTISSAS = 900
"""Decimals of three significant digits in a decade. The candidates for epsilon go from 0.0001 to
99.9; more protects nobody."""


@dataclass(frozen=True)
class Target:
    """A standard error that is wanted."""

    stderr: float
    """Standard error in counts, more than zero."""
    level: str = "cell"
    """Name of a level of the row tree."""


@dataclass(frozen=True)
class BudgetAnswer:
    """The budget that a target needs."""

    target: Target
    plan: Plan
    """Plan of the study with this budget."""
    stderr: float
    """Standard error that the plan predicts at the target's level, at most the target's."""

    @property
    def epsilon(self) -> str:
        """Least epsilon that is enough, an exact decimal of at most three significant digits."""
        return f"{float(self.plan.study.privacy.epsilon):.10g}"


@dataclass(frozen=True)
class PlanReport:
    """A plan beside what either mechanism would give."""

    plan: Plan
    chosen: Kind
    """The mechanism of the plan."""
    designs: Mapping[Kind, Design]
    """Designs of both mechanisms, the plan's among them."""
    answer: BudgetAnswer | None
    """The budget that the target needs; None without a target."""
    batches: Mapping[Batch, Plan]
    """Plans by length of a batch, where the study has padding; else empty."""
    table: TableCheck | None = None
    """What was found of the row party's table, if its owner had it checked."""

    @property
    def areas(self) -> dict[str, int]:
        """Number of areas by name of the level of the row tree."""
        dimensions = self.plan.study.row.dimensions
        return dict(zip(level_names(dimensions), tree_of(dimensions).sizes, strict=True))

    def stderrs(self, kind: Kind) -> dict[str, float]:
        """Standard error by name of the level, as `predicted_stderrs` gives it."""
        return predicted_stderrs(self.plan.study, self.designs[kind])

    def as_dict(self) -> dict[str, Any]:
        """Give the plan as JSON, with `compared`, and `target` if there is one."""
        compared = {kind: {"chosen": kind == self.chosen, **self._compared(kind)} for kind in KINDS}
        report = {**self.plan.as_dict(), "compared": compared}
        if self.batches:
            report["padding_by_batch"] = {
                batch: self._padded(plan) for batch, plan in self.batches.items()
            }
        report["disk"] = {
            "out_bytes": output_bytes(self.plan),
            "exchange_bytes": exchange_bytes(self.plan),
        }
        if self.table is not None:
            report["row_table"] = self.table.as_dict(self.plan)
        if self.answer is None:
            return report
        target = self.answer.target
        reached = round(self.answer.stderr, 4)
        answer = {
            "level": target.level,
            "stderr": target.stderr,
            "epsilon": self.answer.epsilon,
            "reached": reached,
        }
        return {**report, "target": answer}

    @staticmethod
    def _padded(plan: Plan) -> dict[str, Any]:
        assert plan.padding is not None
        added = {"rows_added": plan.padding.rows_added, "flags_added": plan.padding.flags_added}
        return {"batches": len(plan.grid.batches), **added, "flag_bytes_a_batch": batch_bytes(plan)}

    def _compared(self, kind: Kind) -> dict[str, Any]:
        design = self.designs[kind]
        return {
            "coefficients": design.shown * self.plan.study.width,
            "measured": [
                {"level": m.name, "share": str(m.share), "noise_scale": m.mechanism.scale}
                for m in design.levels
            ],
            "stderr": {name: round(error, 4) for name, error in self.stderrs(kind).items()},
        }


def make_report(
    study: Study,
    options: Options,
    *,
    target: Target | None = None,
    table: TableCheck | None = None,
) -> PlanReport:
    """Plan a study with both mechanisms and, for a target, with the least epsilon that reaches it.

    Args:
        study: the cross-tab.
        options: how it would be run.
        target: the standard error that is wanted, if any.
        table: what was found of the row party's table, for the report to tell.

    Raises:
        PlanError: `make_plan` refuses the study, as it is or with the epsilon of the target.
        StudyError: the study cannot have this target.
    """
    plan = options.plan(study)
    declared = study.privacy.mechanism
    chosen = plan.design.kind if declared == "auto" else declared
    noise = plan.mechanism.noise
    designs = {
        kind: plan.design if kind == chosen else _forced(study, kind, noise) for kind in KINDS
    }
    answer = None
    if target is not None:
        enough = _with_epsilon(study, least_epsilon(study, target))
        sufficient = options.plan(enough)
        stderr = predicted_stderrs(enough, sufficient.design)[target.level]
        answer = BudgetAnswer(target, sufficient, stderr)
    by_batch = _by_batch(study, options) if plan.padding else {}
    return PlanReport(plan, chosen, designs, answer, by_batch, table)


def batch_bytes(plan: Plan) -> int:
    """Most bytes of the flags of one batch, if they are spread evenly over the batches."""
    return plan.flag_bytes // len(plan.grid.batches)


def _by_batch(study: Study, options: Options) -> dict[Batch, Plan]:
    """Plan with batches of every length; leaves out lengths that are refused or cut alike."""
    plans: dict[Batch, Plan] = {}
    for batch in BATCHES[1:]:
        with suppress(PlanError):
            plan = replace(options, batch=batch).plan(study)
            if len(plan.grid.batches) not in {len(other.grid.batches) for other in plans.values()}:
                plans[batch] = plan
    return plans


def predicted_stderrs(study: Study, design: Design) -> dict[str, float]:
    """Predict the standard error of a count before refinement.

    The figure is exact for the best linear unbiased estimate, and the root mean square over the
    areas of a level.

    Returns:
        Standard error by name of the level, for the cells and all reporting levels.
    """
    names = level_names(study.row.dimensions)
    with_cells = replace(design, reporting=tuple(sorted({0, *design.reporting})))
    errors = with_cells.stderrs(tree_of(study.row.dimensions))
    return {names[level]: float(np.sqrt(np.mean(error**2))) for level, error in errors.items()}


def least_epsilon(study: Study, target: Target) -> Fraction:
    """Find the least decimal of three significant digits that as epsilon reaches a target.

    The mechanism is the one that the study declares. Bisection gives a decimal that reaches the
    target while the next smaller one does not. Error falls as epsilon grows, except where a study
    with the mechanism auto changes its choice on the way.

    Raises:
        PlanError: no epsilon below 100 is enough.
        StudyError: the study has no noise, or does not publish the target's level.
    """
    _check(study, target)

    def reaches(place: int) -> bool:
        candidate = _with_epsilon(study, _decimal(place))
        return (
            predicted_stderrs(candidate, Design.of_study(candidate))[target.level] <= target.stderr
        )

    places = range(_DECADES * _MANTISSAS)
    place = bisect_left(places, True, key=reaches)
    if place == len(places):
        raise PlanError(
            "no epsilon below 100 is enough", key="target_stderr", remedy="Ask for a larger error"
        )
    return _decimal(place)


def _check(study: Study, target: Target) -> None:
    if study.privacy.noise == "off":
        raise StudyError(
            "without noise every error is zero", key="target_stderr", remedy="Set privacy.noise"
        )
    published = study.privacy.report or level_names(study.row.dimensions)
    levels = ["cell", *(name for name in published if name != "cell")]
    if target.level not in levels:
        remedy = f"Use one of {', '.join(levels)}"
        raise StudyError(
            f"{target.level!r} is not a level that is published", key="target_level", remedy=remedy
        )


def _decimal(place: int) -> Fraction:
    exponent, mantissa = divmod(place, _MANTISSAS)
    return (100 + mantissa) * Fraction(10) ** (_LEAST_EXPONENT + exponent - 2)


def _with_epsilon(study: Study, epsilon: Fraction) -> Study:
    return replace(study, privacy=replace(study.privacy, epsilon=epsilon))


def _forced(study: Study, kind: Kind, noise: Noise) -> Design:
    privacy = replace(study.privacy, mechanism=kind, noise=noise)
    return Design.of_study(replace(study, privacy=privacy))
