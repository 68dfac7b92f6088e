"""What a budget buys, before any data is touched: flat and tree side by side, and the epsilon that an error needs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from xstat_ray.errors import PlanError, StudyError
from xstat_ray.model.row_tree import level_names, tree_of
from xstat_ray.model.study import Study
from xstat_ray.planning.batching import BATCHES, Batch
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.planning.table_check import TableLook
from xstat_ray.privacy.design import Design, Kind

KINDS: tuple[Kind, Kind] = ("flat", "tree")

_LEAST_EXPONENT = -4
_DECADES = 6
_MANTISSAS = 900
"""Candidates for epsilon: the decimals of three significant digits from 0.0001 to 99.9; more
protects nobody."""


@dataclass(frozen=True)
class Target:
    """A predicted standard error that is wanted."""

    stderr: float
    """In counts, more than zero."""
    level: str = "cell"
    """Name of the level of the row tree."""


@dataclass(frozen=True)
class Answer:
    """The budget that a target needs."""

    target: Target
    plan: Plan
    """The study planned with it."""
    stderr: float
    """What that plan predicts for the level of the target, at most what was wanted."""

    @property
    def epsilon(self) -> str:
        """The least epsilon, exact: a decimal of at most three significant digits."""
        return f"{float(self.plan.study.privacy.epsilon):.10g}"


@dataclass(frozen=True)
class PlanReport:
    """A plan beside what either mechanism would give."""

    plan: Plan
    chosen: Kind
    designs: Mapping[Kind, Design]
    """Of both mechanisms; the chosen one is the plan's."""
    answer: Answer | None
    batches: Mapping[Batch, Plan]
    """With padding: the plan with batches of every length that is allowed."""
    table: TableLook | None = None
    """The row party's table, where its owner had it looked at."""

    @property
    def areas(self) -> dict[str, int]:
        """Number of areas of every level of the row tree, by its name."""
        dimensions = self.plan.study.row.dimensions
        return dict(zip(level_names(dimensions), tree_of(dimensions).sizes, strict=True))

    def stderrs(self, kind: Kind) -> dict[str, float]:
        """Predicted standard error by level, from the cells up; see `predicted_stderrs`."""
        return predicted_stderrs(self.plan.study, self.designs[kind])

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON, with `compared`, and `target` if there is one."""
        compared = {kind: {"chosen": kind == self.chosen, **self._compared(kind)} for kind in KINDS}
        report = {**self.plan.as_dict(), "compared": compared}
        if self.batches:
            report["padding_by_batch"] = {
                batch: self._padded(plan) for batch, plan in self.batches.items()
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
            "coefficients": design.nodes * self.plan.study.slots,
            "measured": [
                {"level": m.name, "share": str(m.share), "noise_scale": m.mechanism.scale}
                for m in design.levels
            ],
            "stderr": {name: round(error, 4) for name, error in self.stderrs(kind).items()},
        }


def make_report(
    study: Study,
    *,
    key_bits: int = 3072,
    shards: int = 1,
    slot_bits: int | None = None,
    constant_time: bool = False,
    batch: Batch = "auto",
    target: Target | None = None,
    table: TableLook | None = None,
) -> PlanReport:
    """Plan a study with both mechanisms and, for a target, with the least epsilon that reaches it.

    `table` is the row party's, looked at, for the report to say what was found.

    Raises:
        PlanError: as `make_plan`, for the study as it is or with that epsilon.
        StudyError: a target that the study cannot have.
    """
    anyhow = partial(
        make_plan,
        key_bits=key_bits,
        shards=shards,
        slot_bits=slot_bits,
        constant_time=constant_time,
    )
    planned = partial(anyhow, batch=batch)
    plan = planned(study)
    asked = study.privacy.mechanism
    chosen = plan.design.kind if asked == "auto" else asked
    designs = {kind: plan.design if kind == chosen else _forced(study, kind) for kind in KINDS}
    answer = None
    if target is not None:
        enough = _with_epsilon(study, least_epsilon(study, target))
        sufficient = planned(enough)
        answer = Answer(
            target, sufficient, predicted_stderrs(enough, sufficient.design)[target.level]
        )
    return PlanReport(
        plan,
        chosen,
        designs,
        answer,
        _by_batch(partial(anyhow, study)) if plan.padding else {},
        table,
    )


def batch_bytes(plan: Plan) -> int:
    """Bytes of the flags of one batch, at the most that the bounds allow and spread evenly."""
    return plan.flag_bytes // len(plan.grid.batches)


def _by_batch(planned: Callable[..., Plan]) -> dict[Batch, Plan]:
    """Plans with batches of every length, without those that are refused or cut alike."""
    plans: dict[Batch, Plan] = {}
    for batch in BATCHES[1:]:
        with suppress(PlanError):
            plan = planned(batch=batch)
            if len(plan.grid.batches) not in {len(other.grid.batches) for other in plans.values()}:
                plans[batch] = plan
    return plans


def predicted_stderrs(study: Study, design: Design) -> dict[str, float]:
    """By name of the level, for cells and reporting levels: the standard error of a count before refinement.

    Of the best linear unbiased estimate, exact; root mean square over the areas of a level.
    """
    names = level_names(study.row.dimensions)
    with_cells = replace(design, reporting=tuple(sorted({0, *design.reporting})))
    errors = with_cells.stderrs(tree_of(study.row.dimensions))
    return {names[level]: float(np.sqrt(np.mean(error**2))) for level, error in errors.items()}


def least_epsilon(study: Study, target: Target) -> Fraction:
    """The least decimal of three significant digits with which the study's own choice of mechanism reaches a target.

    Found by bisection: the answer reaches the target and the next smaller decimal does not. Error
    falls as epsilon grows, but for a study with mechanism auto that changes its choice on the way.

    Raises:
        PlanError: no epsilon below 100 is enough.
        StudyError: the study has no noise, or no such level.
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
    levels = [
        "cell",
        *(
            name
            for name in study.privacy.report or level_names(study.row.dimensions)
            if name != "cell"
        ),
    ]
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


def _forced(study: Study, kind: Kind) -> Design:
    return Design.of_study(replace(study, privacy=replace(study.privacy, mechanism=kind)))
