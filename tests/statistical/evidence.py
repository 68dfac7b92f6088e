"""Releases of known counts, published again and again, and what became of the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tests.hokkaido.needs.country import exact_sums, sums_by_level
from xstat_ray.hokkaido.population.declaration import HOURS
from xstat_ray.hokkaido.population.expansion import UNITS
from xstat_ray.hokkaido.population.plan import BreakdownPlan, PopulationPlan
from xstat_ray.hokkaido.population.publish import publish as publish_day
from xstat_ray.hokkaido.population.publish import publish_mean_day
from xstat_ray.model.messages import Coefficients
from xstat_ray.model.row_tree import RowTree, level_names
from xstat_ray.planning.plan import Plan
from xstat_ray.privacy.design import Design
from xstat_ray.publication.publish import Published, publish

Counts = NDArray[np.int64]
LARGE = 200_000
"""Coefficients from which the exact sampler takes too long for many draws."""
WIDE = 30
"""Standard error from which rounding to whole numbers is no matter."""


@dataclass
class Tally:
    """Published figures of many draws, with what is true."""

    draws: int = 0
    parts: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)

    def add(self, table: pa.Table, truth: NDArray[np.float64], value: str = "estimate") -> None:
        """Add the published rows of a table.

        Args:
            table: a published table.
            truth: (rows,) what each row is of.
            value: the column that is null where nothing is published.
        """
        shown = pc.is_valid(table[value]).to_numpy()
        rows = table.filter(pa.array(shown))
        found = {name: rows[name].to_numpy() for name in ("low95", "high95", "stderr")}
        found |= {"value": rows[value].to_numpy(), "truth": truth[shown]}
        for name, values in found.items():
            self.parts.setdefault(name, []).append(values.astype(float))
        self.draws += 1

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return np.concatenate(self.parts[name])

    @property
    def count(self) -> int:
        """Figures published over all draws."""
        return len(self["truth"])

    @property
    def of_nobody(self) -> float:
        """Share of the published whose truth is zero."""
        return float((self["truth"] == 0).mean())

    @property
    def held(self) -> float:
        """Share of the published whose interval holds the truth."""
        return self.held_with(1, 1)

    def held_with(self, lower: float, upper: float) -> float:
        """Share of the published that are within intervals whose halves are longer by factors."""
        low = self["value"] - lower * (self["value"] - self["low95"])
        high = self["value"] + upper * (self["high95"] - self["value"])
        return float(((low <= self["truth"]) & (self["truth"] <= high)).mean())

    @property
    def near(self) -> float:
        """Share of the published within 30 % of the truth."""
        return float((abs(self["value"] - self["truth"]) <= 0.3 * self["truth"]).mean())

    def __str__(self) -> str:
        return (
            f"{self.count / self.draws:.1f} a draw, of nobody {self.of_nobody:.2%}, "
            f"held {self.held:.2%}, within 30 % {self.near:.1%}"
        )


def noisy_release(plan: Plan, cells: Counts) -> Published:
    """Publish (cells, slots) exact counts with fresh noise of the study's design."""
    noisy = exact_sums(plan, cells) + noise(plan.design, cells.shape[1])
    return publish(plan, Coefficients(release="00" * 16, first=0, values=noisy))


def noise(design: Design, slots: int) -> Counts:
    """Draw noise for every coefficient, as a release does.

    Of large tables, for which that takes minutes, wide Gaussian noise is drawn as rounded normal
    numbers: their variance is larger by a twelfth of one.
    """
    wide = all(level.mechanism.stderr > WIDE for level in design.levels)
    if design.budget.noise != "gaussian" or design.nodes * slots < LARGE or not wide:
        return design.draw(slots)
    rng = np.random.default_rng()
    drawn = [rng.normal(0, level.mechanism.stderr, (level.shown, slots)) for level in design.levels]
    return np.rint(np.concatenate(drawn)).astype(np.int64)


def by_threshold(plan: Plan) -> Plan:
    """Plan the same study without the rule that figures stand out of their noise."""
    privacy = replace(plan.study.privacy, publish="all")
    return replace(plan, study=replace(plan.study, privacy=privacy))


def tally_study(plan: Plan, cells: Counts, draws: int) -> dict[str, Tally]:
    """Publish a study many times.

    Returns:
        By the name of the level, in the order of the tables.
    """
    names = level_names(plan.study.row.dimensions)
    exact = sums_by_level(plan, cells)
    tallies = {names[level]: Tally() for level in sorted({0, *plan.design.reporting})}
    for _ in range(draws):
        made = noisy_release(plan, cells)
        tallies["cell"].add(made.cells, cells.ravel())
        for level in plan.design.reporting:
            rows = made.areas.filter(pc.equal(made.areas["level"], names[level]))
            if level:
                tallies[names[level]].add(rows, exact[level].ravel())
    return tallies


def sums_of_levels(tree: RowTree, cells: Counts) -> list[Counts]:
    """Sums of all levels, from the cells up, in the order of the tree."""
    levels = [cells[tree.nodes[0]]]
    for first in tree.first_children:
        levels.append(np.add.reduceat(levels[-1], first, axis=0))
    return levels


def tally_day(
    plan: PopulationPlan, breakdown: BreakdownPlan, people: NDArray[np.float64], draws: int
) -> Tally:
    """Publish a day of a population many times.

    Args:
        plan: the release.
        breakdown: the breakdown.
        people: (areas, hours, labels) people in declared order.
        draws: how often.
    """
    tree = plan.areas.tree
    units = np.rint(people.reshape(len(people), -1) * UNITS).astype(np.int64)
    exact = sums_of_levels(tree, units)
    tally = Tally()
    for _ in range(draws):
        noisy = {
            m.level: exact[m.level]
            + m.mechanism.draw(exact[m.level].size).reshape(-1, units.shape[1])
            for m in breakdown.design.levels
        }
        table = publish_day(plan, breakdown, 0, noisy).statistics
        tally.add(table, people.transpose(1, 0, 2).ravel())
    return tally


def tally_mean_day(
    plan: PopulationPlan, breakdown: BreakdownPlan, people: NDArray[np.float64], draws: int
) -> Tally:
    """Publish the mean day of a population many times.

    Args:
        plan: the release.
        breakdown: the breakdown.
        people: (areas, hours, labels) people on the mean day, in declared order.
        draws: how often.
    """
    tree = plan.areas.tree
    days = plan.declaration.days
    exact = sums_of_levels(tree, people.reshape(len(people), -1) * days)
    rng = np.random.default_rng()
    tally = Tally()
    truth = np.concatenate([
        people.transpose(1, 0, 2).ravel(), people.mean(axis=1).ravel()
    ])  # fmt: skip
    for _ in range(draws):
        # Over several days and in units this small, a sum of the discrete noise is a normal one.
        noisy = {
            m.level: rng.normal(exact[m.level], m.mechanism.stderr / UNITS * np.sqrt(days))
            for m in breakdown.design.levels
        }
        table = publish_mean_day(plan, breakdown, noisy)
        place = places(plan, breakdown, table)
        tally.add(table, truth[place], "population")
    return tally


def places(plan: PopulationPlan, breakdown: BreakdownPlan, table: pa.Table) -> NDArray[np.int64]:
    """Find where delivered rows lie in (24 hours and their mean, areas, labels)."""
    times = [f"{hour:02d}00" for hour in range(HOURS)] + ["mean"]
    place = index(table["time"], times)
    areas = plan.areas.dimension.labels
    place = place * len(areas) + index(table["area"], areas)
    for name, labels in breakdown.layout.labels:
        if name == "residence" and "local" in labels:
            number = np.where(pc.equal(table["residence"], "00000").to_numpy(), 1, 0)
        else:
            number = index(table[name], labels)
        place = place * len(labels) + number
    return place


def index(values: pa.ChunkedArray, labels: Sequence[str]) -> NDArray[np.int64]:
    return pc.index_in(values, value_set=pa.array(list(labels), pa.string())).to_numpy()


def tally_means(plan: Plan, exact: Counts, draws: int) -> tuple[Tally, Tally]:
    """Publish a study of one measure many times.

    Args:
        plan: the plan, whose table is flat.
        exact: (cells, width) counts, then sums of values less mid.
        draws: how often.

    Returns:
        What became of the counts of cells, and of their means; a mean of nobody is zero.
    """
    (measure,) = plan.study.column.measures
    counts, sums = np.split(exact, 2, axis=1)
    means = np.where(counts > 0, measure.mid + sums / np.maximum(counts, 1), 0)
    of_counts = Tally()
    of_means = Tally()
    columns = {f"{measure.name}_{name}": name for name in ("low95", "high95", "stderr")}
    for _ in range(draws):
        noisy = exact_sums(plan, exact) + plan.design.draw(plan.study.slots)
        cells = publish(plan, Coefficients(release="00" * 16, first=0, values=noisy)).cells
        of_counts.add(cells, counts.ravel())
        kept = [f"{measure.name}_mean", *columns]
        names = [f"{measure.name}_mean", *columns.values()]
        of_means.add(cells.select(kept).rename_columns(names), means.ravel(), names[0])
    return of_counts, of_means
