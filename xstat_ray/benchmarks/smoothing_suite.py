"""Smoothing: its tuning on some made-up worlds, and its errors on other ones.

Counts of the study doto_movement are made by a query in the clear, over worlds that differ by their
seed; noise comes from numpy, seeded, at the standard errors of the study's design.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from xstat_ray.benchmarks.in_the_clear import InTheClear
from xstat_ray.benchmarks.region import Region
from xstat_ray.benchmarks.timing import Record, optional_module
from xstat_ray.errors import InputError
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World, read_world
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.study_file import load
from xstat_ray.model.row_tree import RowTree, tree_of
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.evidence import Rule
from xstat_ray.privacy.least_squares import NoisyLevel
from xstat_ray.privacy.settle import settle
from xstat_ray.publication.smooth import find_structure, smooth, smooth_by
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.package_files import CONF

UNIT = "people"
VIEWS = ("cell", "municipality_and_column", "municipality")
"""What errors are found of: cells; sums over the hours of a municipality, route and direction; sums
over everything of a municipality."""
_NOISE_SEED = 11
_SIZES = (1, 2, 3)
"""Standard errors from which a rule of size would show withheld cells."""


@dataclass(frozen=True)
class Sizes:
    """Worlds, draws, and the values that are compared."""

    tuned: tuple[int, ...]
    """Seeds of the worlds on which values are compared."""
    reported: tuple[int, ...]
    """Seeds of other worlds, on which the errors of the shipped values are found."""
    people: int
    days: int
    draws: int
    """Draws of the noise on each world."""
    beyond: tuple[int, ...]
    """Ranks beyond the singular values that stand out of the noise."""
    spreads: tuple[int, ...]
    """Spreads of a cell around the structure, in percent."""


class Drawn:
    """What one draw of the noise leaves of the counts of a world, and how far off it is."""

    def __init__(self, plan: Plan, counts: NDArray[np.int64], rng: np.random.Generator) -> None:
        """Draw noise on (cells, columns) counts in declared order."""
        self.tree = tree_of(plan.study.row.dimensions)
        self.counts = counts[self.tree.nodes[0]]
        self._plan = plan
        measured = _measure(plan.design, self.tree, self.counts, rng)
        privacy = plan.study.privacy
        rule = Rule(plan.design.budget.noise, privacy.publish == "distinct", privacy.suppress_below)
        settled = settle(self.tree, measured, rule, sorted({0, *plan.design.reporting}))
        self.cells = settled.cells
        self.estimate, self.areas = settled.refined[:2]
        self.published = ~settled.figures[0].hidden

    def smoothed(self) -> NDArray[np.int64]:
        """Smooth the cells with the shipped values."""
        return smooth(self.tree, self.cells, self.areas)

    def squares(self, values: NDArray[np.int64]) -> NDArray[np.float64]:
        """(views,) mean squared errors of smoothed or refined cells."""
        hours = self._plan.study.window_periods
        pairs = zip(_views(values, hours), _views(self.counts, hours), strict=True)
        return np.array([np.mean((found - true) ** 2) for found, true in pairs])


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Compare values of the tuning on some worlds, and find the errors on others.

    Raises:
        InputError: a world is in both lists.
    """
    if both := set(sizes.tuned) & set(sizes.reported):
        problem = f"values are chosen and reported on the same worlds, {sorted(both)}"
        raise InputError(problem, key="smoothing.reported", remedy="Name other seeds")
    duckdb = optional_module("duckdb", progress)
    if duckdb is None:
        return []
    plan = make_plan(load(CONF / "study" / "doto_movement.yaml"))
    works = len(sizes.tuned) + len(sizes.reported)
    with progress.stage("smoothing", works) as stage:

        def drawn(seeds: Sequence[int]) -> Iterator[Drawn]:
            for seed in seeds:
                counts = _counts(duckdb, plan.study, sizes, seed)
                rng = np.random.default_rng(_NOISE_SEED)
                for _ in range(sizes.draws):
                    yield Drawn(plan, counts, rng)
                stage.advance()

        return [*_tuned(drawn(sizes.tuned), sizes), *_reported(list(drawn(sizes.reported)))]


def _tuned(drawn: Iterator[Drawn], sizes: Sizes) -> list[Record]:
    """Find for each pair of values the part of the error of `estimate` that is left.

    It is the geometric mean over the views.
    """
    pairs = list(product(sizes.beyond, sizes.spreads))
    before = np.zeros(len(VIEWS))
    after = {pair: np.zeros(len(VIEWS)) for pair in pairs}
    for one in drawn:
        before += one.squares(one.estimate)
        for beyond in sizes.beyond:
            structure = find_structure(one.tree, one.cells, one.areas, beyond)
            for percent in sizes.spreads:
                smoothed = smooth_by(one.tree, one.cells, one.areas, structure, percent / 100)
                after[beyond, percent] += one.squares(smoothed)
    return [
        Record(
            f"smoothing.left.beyond_{beyond}.spread_{percent}",
            float(np.exp(np.mean(np.log(after[beyond, percent] / before)) / 2)),
            "",
        )
        for beyond, percent in pairs
    ]


def _reported(drawn: Sequence[Drawn]) -> list[Record]:
    """Find the errors of `smoothed` beside those of `estimate`."""
    pairs = [(one.estimate, one.smoothed()) for one in drawn]
    squares = np.array([
        [one.squares(values) for values in pair] for one, pair in zip(drawn, pairs, strict=True)
    ])  # fmt: skip
    before, after = np.sqrt(squares.mean(axis=0)).tolist()
    records = [
        Record(f"smoothing.rmse.{view}", error, UNIT, None, estimate, estimate / error)
        for view, estimate, error in zip(VIEWS, before, after, strict=True)
    ]
    return records + _of_published(drawn, pairs) + _of_withheld(drawn, pairs)


Pairs = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
"""By draw, (cells, columns) `estimate` and `smoothed`."""


def _of_published(drawn: Sequence[Drawn], pairs: Pairs) -> list[Record]:
    """Describe published cells: mean and size of their errors, and how many are near the truth.

    Small worlds may publish no cell.
    """
    true = np.concatenate([one.counts[one.published] for one in drawn])
    if not len(true):
        return []
    estimate, smoothed = (
        np.concatenate([pair[which][one.published] for one, pair in zip(drawn, pairs, strict=True)])
        for which in (0, 1)
    )
    found = {}
    for name, values in (("smoothed", smoothed), ("estimate", estimate)):
        error = values - true
        found[name] = (error.mean(), np.sqrt(np.mean(error**2)), _near(values, true))
    names = ("mean_error", "rmse", "within_30_percent")
    return [
        Record(f"smoothing.published.{name}", float(ours), unit, None, float(beside))
        for name, unit, ours, beside in zip(
            names, (UNIT, UNIT, "%"), found["smoothed"], found["estimate"], strict=True
        )
    ]


def _of_withheld(drawn: Sequence[Drawn], pairs: Pairs) -> list[Record]:
    """Describe cells whose estimate is withheld, and that a rule of size would show smoothed.

    Beside them stands what the same rule would show of the estimates.
    """
    records = []
    for size in _SIZES:
        found = []
        for which in (1, 0):
            values, true = _large(drawn, [pair[which] for pair in pairs], size)
            nobody = 100 * float(np.mean(true == 0)) if len(true) else 0.0
            found.append((len(true) / len(drawn), nobody, _near(values, true)))
        names = ("cells", "of_nobody", "within_30_percent")
        records += [
            Record(f"smoothing.withheld.size_{size}.{name}", ours, unit, None, beside)
            for name, unit, ours, beside in zip(names, ("", "%", "%"), *found, strict=True)
        ]
    return records


def _large(
    drawn: Sequence[Drawn], tables: Sequence[NDArray[np.int64]], size: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Values and counts of withheld cells of at least `size` standard errors."""
    values = []
    true = []
    for one, table in zip(drawn, tables, strict=True):
        least = size * np.sqrt(one.cells.variances)[:, None]
        chosen = ~one.published & (table >= least)
        values.append(table[chosen])
        true.append(one.counts[chosen])
    return np.concatenate(values), np.concatenate(true)


def _near(values: NDArray[np.int64], true: NDArray[np.int64]) -> float:
    """Percent of the values that are within 30 % of the truth; 0 of none."""
    return 100 * float(np.mean(abs(values - true) <= 0.3 * true)) if len(true) else 0.0


def _measure(
    design: Design, tree: RowTree, counts: NDArray[np.int64], rng: np.random.Generator
) -> dict[int, NoisyLevel]:
    sums = [counts]
    for first in tree.first_children:
        sums.append(np.add.reduceat(sums[-1], first))
    return {
        level.level: NoisyLevel(
            sums[level.level]
            + np.rint(rng.normal(0, level.mechanism.stderr, sums[level.level].shape)),
            level.mechanism.stderr**2,
        )
        for level in design.levels
    }


def _views(values: NDArray[np.int64], hours: int) -> list[NDArray[np.int64]]:
    by_column = values.reshape(len(values), -1, hours).sum(axis=2)
    return [values, by_column, by_column.sum(axis=1)]


def _counts(duckdb: ModuleType, study: Study, sizes: Sizes, seed: int) -> NDArray[np.int64]:
    """(cells, columns) exact counts of all boardings of a world."""
    world = replace(_laptop(), seed=seed, people=sizes.people, days=sizes.days)
    counts = np.zeros((study.cells, study.slots), np.int64)
    with TemporaryDirectory() as name:
        build(world, Path(name), map, lambda _: None)
        tables = InTheClear(duckdb, study, Region(Path(name), tuple(world.dates)), threads=1)
        for cell, slot, count in tables.straight():
            counts[cell, slot] = count
    return counts


def _laptop() -> World:
    """The world of conf/scale/laptop.yaml."""
    path = CONF / "scale" / "laptop.yaml"
    raw: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return read_world(
        Section(raw, key="", origin=str(path), known=tuple(raw)).child("world", tuple(raw["world"]))
    )
