"""Makes the published tables from noisy coefficients: refine, smooth, suppress, label.

Publishing is deterministic and spends no budget.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.inputs.domains import decode
from xstat_ray.model.messages import Coefficients
from xstat_ray.model.row_tree import RowTree, level_labels, level_names, tree_of
from xstat_ray.planning.plan import Plan
from xstat_ray.privacy.least_squares import NoisyLevel, least_squares
from xstat_ray.privacy.mechanism import half_width95
from xstat_ray.privacy.refine import refine
from xstat_ray.privacy.suppress import suppress
from xstat_ray.publication.smooth import smooth

STAMP = {"WARNING": "NOISE OFF: exact counts, not differentially private"}
"""Metadata of tables that were made without noise."""


class Published(NamedTuple):
    """The tables of a release."""

    cells: pa.Table
    """One row per (cell, slot); see `Release.statistics`."""
    areas: pa.Table
    """One row per (reporting area, slot); see `Release.areas`."""


def publish(plan: Plan, coefficients: Coefficients) -> Published:
    """Make the tables of a release; equal coefficients give equal tables, byte for byte.

    Args:
        plan: the study and its design.
        coefficients: (nodes, slots) int64 noisy values of all measured levels, each level in
            declared order.
    """
    study = plan.study
    design = plan.design
    tree = tree_of(study.row.dimensions)
    exact = design.budget.noise == "off"
    measured = {
        level.level: NoisyLevel(
            coefficients.values[section][tree.nodes[level.level]],
            level.mechanism.stderr**2 or 1.0,
        )
        for level, section in zip(design.levels, design.sections, strict=True)
    }
    estimates = (
        _sums(tree, coefficients.values[design.sections[0]][tree.nodes[0]])
        if exact
        else refine(tree, measured)
    )
    levels = tuple(sorted({0, *design.reporting}))
    hidden = suppress(tree, estimates, levels, study.privacy.suppress_below)
    cells = _cells(plan, tree, coefficients, estimates[0], hidden[0])
    if study.privacy.smooth:
        smoothed = (
            estimates[0] if exact else smooth(tree, least_squares(tree, measured)[0], estimates[1])
        )
        cells = _with_smoothed(tree, cells, smoothed)
    areas = _areas(plan, tree, measured, estimates, hidden)
    return Published(*(_stamp(table) if exact else table for table in (cells, areas)))


def _sums(tree: RowTree, cells: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
    """Sum exact counts level by level, as they need no refinement."""
    levels = [cells]
    for first in tree.first_children:
        levels.append(np.add.reduceat(levels[-1], first, axis=0))
    return tuple(levels)


def _declared(tree: RowTree, level: int, values: NDArray[Any]) -> NDArray[Any]:
    """Bring the values of a level from the order of the tree to the declared order."""
    restored = np.empty_like(values)
    restored[tree.nodes[level]] = values
    return restored.ravel()


def _cells(
    plan: Plan,
    tree: RowTree,
    coefficients: Coefficients,
    estimate: NDArray[np.int64],
    hidden: NDArray[np.bool_],
) -> pa.Table:
    study = plan.study
    noisy = coefficients.values[plan.design.sections[0]].ravel()
    labels = [(d.name, d.labels) for d in study.row.dimensions] + list(study.column_labels)
    columns: dict[str, pa.Array] = dict(decode(labels, np.arange(noisy.size)))
    suppressed = _declared(tree, 0, hidden)
    columns["noisy"] = pa.array(noisy)
    columns["estimate"] = pa.array(_declared(tree, 0, estimate), mask=suppressed)
    columns["stderr"] = pa.array(np.full(noisy.size, plan.design.levels[0].mechanism.stderr))
    columns["suppressed"] = pa.array(suppressed)
    return pa.table(columns)


def _with_smoothed(tree: RowTree, cells: pa.Table, smoothed: NDArray[np.int64]) -> pa.Table:
    """Add the smoothed cells; where the estimate is withheld, they are as well."""
    hidden = cells["suppressed"].to_numpy()
    return cells.append_column("smoothed", pa.array(_declared(tree, 0, smoothed), mask=hidden))


def _areas(
    plan: Plan,
    tree: RowTree,
    measured: dict[int, NoisyLevel],
    estimates: tuple[NDArray[np.int64], ...],
    hidden: dict[int, NDArray[np.bool_]],
) -> pa.Table:
    """Make the table of the reporting levels above the cells.

    Its unbiased values are those of least squares over all measured levels, with their exact
    standard errors.
    """
    study = plan.study
    design = plan.design
    unbiased = [e.values for e in least_squares(tree, measured)]
    errors = design.stderrs(tree)
    names = level_names(study.row.dimensions)
    tables = []
    for level in (level for level in design.reporting if level > 0):
        size = tree.sizes[level] * study.slots
        labels = [("area", level_labels(study.row.dimensions, level)), *study.column_labels]
        value = _declared(tree, level, unbiased[level])
        error = np.repeat(_declared(tree, level, errors[level]), study.slots)
        half = half_width95(design.budget.noise, error)
        suppressed = _declared(tree, level, hidden[level])
        columns: dict[str, pa.Array] = {
            "level": pa.array([names[level]] * size),
            **decode(labels, np.arange(size)),
        }
        columns["unbiased"] = pa.array(value)
        columns["low95"] = pa.array(value - half)
        columns["high95"] = pa.array(value + half)
        columns["estimate"] = pa.array(_declared(tree, level, estimates[level]), mask=suppressed)
        columns["stderr"] = pa.array(error)
        columns["suppressed"] = pa.array(suppressed)
        tables.append(pa.table(columns))
    return pa.concat_tables(tables) if tables else pa.table({"level": pa.array([], pa.string())})


def _stamp(table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata(STAMP)
