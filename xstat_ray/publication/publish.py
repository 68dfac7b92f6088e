"""Makes the published tables from noisy coefficients: refine, smooth, withhold, label.

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
from xstat_ray.privacy.evidence import Figures, Rule
from xstat_ray.privacy.least_squares import Estimate
from xstat_ray.privacy.settle import Settled, settle
from xstat_ray.publication.measures import PublishedMeasures, noisy_levels, with_units
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
        coefficients: (nodes, columns) int64 noisy values of all measured levels, each level in
            declared order.
    """
    study = plan.study
    design = plan.design
    tree = tree_of(study.row.dimensions)
    exact = design.budget.noise == "off"
    measured = noisy_levels(plan, tree, coefficients)
    levels = sorted({0, *design.reporting})
    privacy = study.privacy
    rule = Rule(design.budget.noise, privacy.publish == "distinct", privacy.suppress_below)
    settled = settle(tree, measured, rule, levels)
    counts = {
        level: Estimate(settled.unbiased[level], settled.stderrs[level] ** 2) for level in levels
    }
    measures = PublishedMeasures(plan, tree, coefficients, counts)
    cells = _cells(plan, tree, coefficients, settled.figures[0], measures)
    if privacy.smooth:
        refined = settled.refined
        smoothed = refined[0] if exact else smooth(tree, settled.cells, refined[1])
        cells = _with_smoothed(tree, cells, smoothed)
    areas = _areas(plan, tree, settled, measures)
    tables = (_stamp(table) if exact else table for table in (cells, areas))
    return Published(*(with_units(table, study.column.measures) for table in tables))


def _declared(tree: RowTree, level: int, values: NDArray[Any]) -> NDArray[Any]:
    """Bring the values of a level from the order of the tree to the declared order."""
    restored = np.empty_like(values)
    restored[tree.nodes[level]] = values
    return restored.ravel()


def _cells(
    plan: Plan,
    tree: RowTree,
    coefficients: Coefficients,
    figures: Figures,
    measures: PublishedMeasures,
) -> pa.Table:
    study = plan.study
    noisy = coefficients.values[plan.design.sections[0], : study.slots].ravel()
    labels = [(d.name, d.labels) for d in study.row.dimensions] + list(study.column_labels)
    columns: dict[str, pa.Array] = dict(decode(labels, np.arange(noisy.size)))
    columns["noisy"] = pa.array(noisy)
    columns |= _published(tree, 0, figures)
    columns["stderr"] = pa.array(np.full(noisy.size, plan.design.levels[0].mechanism.stderr))
    columns["suppressed"] = pa.array(_declared(tree, 0, figures.hidden))
    columns |= _of_measures(tree, 0, figures, measures)
    return pa.table(columns)


def _with_smoothed(tree: RowTree, cells: pa.Table, smoothed: NDArray[np.int64]) -> pa.Table:
    """Add the smoothed cells; where the estimate is withheld, they are as well."""
    hidden = cells["suppressed"].to_numpy()
    return cells.append_column("smoothed", pa.array(_declared(tree, 0, smoothed), mask=hidden))


def _published(tree: RowTree, level: int, figures: Figures) -> dict[str, pa.Array]:
    """Make the columns that are null where the estimate is withheld."""
    hidden = _declared(tree, level, figures.hidden)
    named = {"estimate": figures.estimate, "low95": figures.low, "high95": figures.high}
    return {
        name: pa.array(_declared(tree, level, values), mask=hidden)
        for name, values in named.items()
    }


def _of_measures(
    tree: RowTree, level: int, figures: Figures, measures: PublishedMeasures
) -> dict[str, pa.Array]:
    """Make the columns of all measures."""
    return {
        name: pa.array(
            _declared(tree, level, values),
            mask=None if hidden is None else _declared(tree, level, hidden),
        )
        for name, values, hidden in measures.columns(level, figures.hidden)
    }


def _areas(plan: Plan, tree: RowTree, settled: Settled, measures: PublishedMeasures) -> pa.Table:
    """Make the table of the reporting levels above the cells.

    Its unbiased values are those of least squares over all measured levels, with their exact
    standard errors.
    """
    study = plan.study
    names = level_names(study.row.dimensions)
    tables = []
    for level in (level for level in plan.design.reporting if level > 0):
        size = tree.sizes[level] * study.slots
        labels = [("area", level_labels(study.row.dimensions, level)), *study.column_labels]
        error = np.repeat(_declared(tree, level, settled.stderrs[level]), study.slots)
        columns: dict[str, pa.Array] = {
            "level": pa.array([names[level]] * size),
            **decode(labels, np.arange(size)),
        }
        columns["unbiased"] = pa.array(_declared(tree, level, settled.unbiased[level]))
        columns |= _published(tree, level, settled.figures[level])
        columns["stderr"] = pa.array(error)
        columns["suppressed"] = pa.array(_declared(tree, level, settled.figures[level].hidden))
        columns |= _of_measures(tree, level, settled.figures[level], measures)
        tables.append(pa.table(columns))
    return pa.concat_tables(tables) if tables else pa.table({"level": pa.array([], pa.string())})


def _stamp(table: pa.Table) -> pa.Table:
    return table.replace_schema_metadata(STAMP)
