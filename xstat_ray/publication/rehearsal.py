"""Rehearses the publication of counts that are known: what a release would publish of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.errors import InputError, StudyError
from xstat_ray.inputs.domains import decode
from xstat_ray.model.messages import Coefficients
from xstat_ray.model.row_tree import RowTree, tree_of
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.planning.sweep import Shown
from xstat_ray.privacy.least_squares import NoisyLevel
from xstat_ray.privacy.refine import refine
from xstat_ray.publication.publish import publish
from xstat_ray.publication.release import STATISTICS

DRAWS = 5
"""Rehearsals of a study, each with fresh noise."""
_MEASURES = ("noisy", "stderr")


@dataclass(frozen=True)
class PastRelease:
    """The counts of a past release, which stand for those of a later one.

    Counts with noise in them are refined first, so that none is negative.
    """

    table: pa.Table
    """Its statistics."""
    file: Path

    @classmethod
    def read(cls, path: Path, key: str) -> PastRelease:
        """Read the statistics of a release.

        Args:
            path: the file, or the folder of the release.
            key: configuration key that names it, for messages.

        Raises:
            InputError: no statistics can be read there.
        """
        file = path / STATISTICS if path.is_dir() else path
        try:
            table = pq.read_table(file)
        except (OSError, pa.ArrowException):
            table = pa.table({})
        if set(_MEASURES) - set(table.column_names):
            remedy = f"Name the folder of a release, or its {STATISTICS}"
            raise InputError(
                "there are no statistics of a release", file=str(file), key=key, remedy=remedy
            )
        return cls(table, file)

    def rehearse(self, study: Study) -> Shown:
        """Publish the counts again and again as the study would.

        Raises:
            PlanError: the study cannot be run.
            StudyError: the release has other rows or columns than the study.
        """
        tree = tree_of(study.row.dimensions)
        cells = self._cells(study, tree)
        plan = make_plan(study)
        sums = _sums(tree, cells)
        exact = np.concatenate([sums[level.level] for level in plan.design.levels])
        # Nobody knows the sums of measures of a past release, and no count depends on them.
        exact = np.pad(exact, ((0, 0), (0, study.width - study.slots)))
        found = []
        for _ in range(DRAWS):
            noisy = exact + plan.design.draw(study.slots)
            table = publish(plan, Coefficients("00" * 16, 0, noisy)).cells
            found.append(table["estimate"].to_numpy(zero_copy_only=False))
        return _compare(np.stack(found), cells.ravel())

    def _cells(self, study: Study, tree: RowTree) -> NDArray[np.int64]:
        """(cells, slots) counts, in declared order."""
        shape = (study.cells, study.slots)
        labels = [(d.name, d.labels) for d in study.row.dimensions] + list(study.column_labels)
        expected = decode(labels, np.arange(study.cells * study.slots))
        for name, values in expected.items():
            there = name in self.table.column_names and len(self.table) == len(values)
            if not there or not pc.all(pc.equal(self.table[name], values)).as_py():
                raise StudyError(
                    f"the release has other values of {name} than the study",
                    file=str(self.file),
                    key="sweep.data",
                    remedy="Name a release with the same rows and columns",
                )
        noisy: NDArray[np.int64] = self.table["noisy"].to_numpy().reshape(shape)
        variance = float(np.mean(self.table["stderr"].to_numpy() ** 2))
        if not variance:
            return noisy
        declared = np.empty_like(noisy)
        nodes = tree.nodes[0]
        declared[nodes] = refine(tree, {0: NoisyLevel(noisy[nodes], variance)})[0]
        return declared


def _sums(tree: RowTree, cells: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """(nodes, slots) sums of all levels, from the cells up, each in declared order."""
    level = cells[tree.nodes[0]]
    sums = [cells]
    for first, nodes in zip(tree.first_children, tree.nodes[1:], strict=True):
        level = np.add.reduceat(level, first)
        declared = np.empty_like(level)
        declared[nodes] = level
        sums.append(declared)
    return sums


def _compare(estimates: NDArray[np.float64], counts: NDArray[np.int64]) -> Shown:
    """Compare (draws, counts) estimates, NaN where nothing is published, with the counts."""
    published = ~np.isnan(estimates)
    error = abs(estimates - counts)[published]
    true = np.broadcast_to(counts, estimates.shape)[published]
    # What is published of nobody is off by more than any part of it.
    relative = np.divide(error, true, out=np.full(len(true), np.inf), where=true > 0)
    share = float(true.sum() / max(len(estimates) * counts.sum(), 1))
    median = float(np.median(relative)) if len(relative) else None
    return Shown(len(true) / len(estimates), median, share)
