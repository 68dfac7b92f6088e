"""The tasks of a release: count a file; overlay the counts of a region on a day and add noise.

Everything a task hands on lies in the release's private folder, readable by this user only, so no
subscriber, no exact sum and no key passes through Ray: arguments are numbers, paths and what is
public, and nothing is returned. On a cluster the folder must lie where all nodes see it, as the
tables do.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.population.areas import areas_of
from xstat_ray.hokkaido.population.declaration import Declaration
from xstat_ray.hokkaido.population.plan import BreakdownPlan
from xstat_ray.hokkaido.population.presence import REMEDY, PresenceReader, RowCounts
from xstat_ray.hokkaido.population.register import Register
from xstat_ray.hokkaido.population.subscribers import Pseudonyms, Subscribers
from xstat_ray.hokkaido.population.sums import Sparse, Summation
from xstat_ray.inputs.tables import Table
from xstat_ray.model.row_tree import RowTree
from xstat_ray.util.files import write_whole

KEY = "key"
SUBSCRIBERS = "subscribers"
WEIGHTS = "weights.npy"
PARTIALS = "partials"
NOISY = "noisy"


@dataclass(frozen=True)
class TaskContext:
    """Context of all tasks of a release."""

    folder: Path
    """The private folder."""
    presence: Table
    declaration: Declaration
    register: Register
    breakdowns: tuple[BreakdownPlan, ...]
    regions: tuple[range, ...]

    def partials(self, day: int) -> Path:
        """Folder of the sums that files contribute to a day."""
        return self.folder / PARTIALS / f"{day:05d}"

    def noisy(self, region_day: RegionDay) -> Path:
        """File of the noisy sums of a region on a day."""
        return self.folder / NOISY / f"{region_day.day:05d}-{region_day.name}.npz"

    @property
    def region_days(self) -> list[RegionDay]:
        """Every region on every day; and the total of each day, where it is measured."""
        regions: list[int | None] = list(range(len(self.regions)))
        if any(self.measures_total(breakdown) for breakdown in self.breakdowns):
            regions.append(None)
        days = range(self.declaration.days)
        return [RegionDay(day, region) for day in days for region in regions]

    def measures_total(self, breakdown: BreakdownPlan) -> bool:
        """Whether the root of the tree is measured, so that noise is drawn for it."""
        return any(level.nodes == 1 for level in breakdown.design.levels)


@dataclass(frozen=True)
class RegionDay:
    """A region on a day, or (None) the total of a day."""

    day: int
    region: int | None

    @property
    def name(self) -> str:
        """Name of the region in the files of a day."""
        return "total" if self.region is None else f"{self.region:04d}"


def count_file(context: TaskContext, number: int) -> None:
    """Add up what one file of the presence table contributes, and store it by day.

    Raises:
        InputError: the file is damaged, or its rows are not in order.
    """
    areas = areas_of(context.declaration)
    subscribers = Subscribers.load(context.folder / SUBSCRIBERS)
    reader = PresenceReader(
        context.declaration,
        areas,
        subscribers,
        Pseudonyms(context.folder / KEY, context.declaration),
    )
    layouts = [breakdown.layout for breakdown in context.breakdowns]
    summation = Summation(
        layouts, areas, context.register, subscribers, np.load(context.folder / WEIGHTS)
    )
    days = summation.add_up(reader.stays(context.presence, number))
    for day, seen in reader.seen.days.items():
        parts = days.get(day, [])
        arrays = {
            f"{kind}{i}": getattr(part, kind)
            for i, part in enumerate(parts)
            for kind in ("keys", "sums")
        }
        _save(context.partials(day) / f"{number:06d}.npz", arrays | {"seen": np.packbits(seen)})
    counts = json.dumps(reader.counts.as_dict()).encode()
    (context.folder / PARTIALS).mkdir(mode=0o700, exist_ok=True)
    write_whole(context.folder / PARTIALS / f"{number:06d}.json", counts, mode=0o600)


def check_files(context: TaskContext) -> RowCounts:
    """Check that every subscriber's day lies in one file, and add up the counts of rows.

    Returns:
        What became of all rows.

    Raises:
        InputError: the rows of a subscriber on a day lie in two files.
    """
    total = RowCounts()
    for file in sorted((context.folder / PARTIALS).glob("*.json")):
        for name, value in json.loads(file.read_bytes()).items():
            setattr(total, name, getattr(total, name) + value)
    for day in range(context.declaration.days):
        seen: NDArray[np.uint8] | None = None
        for file in sorted(context.partials(day).glob("*.npz")):
            with np.load(file) as stored:
                in_file = stored["seen"]
            if seen is not None and (seen & in_file).any():
                date = context.declaration.dates[day]
                problem = f"rows of a subscriber on {date} are in two files"
                path = context.presence.files[int(file.stem)].path
                raise InputError(problem, file=str(path), remedy=REMEDY)
            seen = in_file if seen is None else seen | in_file
    return total


def add_noise(context: TaskContext, region_day: RegionDay) -> None:
    """Store the noisy sums of a region on a day.

    The counts of all files are overlaid and summed up the tree of areas; then every sum gets noise.
    """
    tree = areas_of(context.declaration).tree
    leaves = range(tree.cells) if region_day.region is None else context.regions[region_day.region]
    arrays = {}
    for i, breakdown in enumerate(context.breakdowns):
        columns = breakdown.layout.columns
        part = Sparse.join(list(_stored(context, region_day.day, i, leaves, columns)))
        exact = (
            _total(breakdown, part)
            if region_day.region is None
            else _sums_of_region(tree, breakdown, leaves, part)
        )
        for level in breakdown.design.levels:
            if level.level in exact:
                sums = exact[level.level]
                noise = level.mechanism.draw(sums.size)
                arrays[f"{i}-{level.level}"] = sums + noise.reshape(-1, columns)
    _save(context.noisy(region_day), arrays)


def _total(breakdown: BreakdownPlan, part: Sparse) -> dict[int, NDArray[np.int64]]:
    """(1, columns) sums of all areas by the level of the root; empty if it is not measured."""
    columns = breakdown.layout.columns
    sums = np.zeros(columns, np.int64)
    np.add.at(sums, part.keys % columns, part.sums)
    levels = breakdown.design.levels
    return {level.level: sums.reshape(1, columns) for level in levels if level.nodes == 1}


def _sums_of_region(
    tree: RowTree, breakdown: BreakdownPlan, leaves: range, part: Sparse
) -> dict[int, NDArray[np.int64]]:
    """Sum up the tree: (nodes, columns) sums of the nodes above the leaves, by measured level."""
    columns = breakdown.layout.columns
    flat = np.zeros(len(leaves) * columns, np.int64)
    flat[part.keys - leaves.start * columns] = part.sums
    sums = flat.reshape(len(leaves), columns)
    measured = {}
    for level in breakdown.design.levels:
        if level.nodes > 1:
            node = tree.ancestors(0, level.level)[leaves.start : leaves.stop]
            measured[level.level] = np.add.reduceat(sums, np.flatnonzero(np.diff(node, prepend=-1)))
    return measured


def _stored(
    context: TaskContext, day: int, breakdown: int, leaves: range, columns: int
) -> Iterator[Sparse]:
    """Yield what each file counted on a day at these leaves."""
    edges = [leaves.start * columns, leaves.stop * columns]
    for file in sorted(context.partials(day).glob("*.npz")):
        with np.load(file) as stored:
            if f"keys{breakdown}" in stored:
                keys = stored[f"keys{breakdown}"]
                low, high = np.searchsorted(keys, edges)
                yield Sparse(keys[low:high], stored[f"sums{breakdown}"][low:high])


def load_noisy(context: TaskContext, day: int) -> list[dict[int, NDArray[np.int64]]]:
    """Read the noisy sums of a day.

    Returns:
        For each breakdown, by measured level, (nodes, columns) in the order of the tree.
    """
    found: list[dict[int, list[NDArray[np.int64]]]] = [{} for _ in context.breakdowns]
    for region_day in context.region_days:
        if region_day.day == day:
            with np.load(context.noisy(region_day)) as stored:
                for name in stored.files:
                    breakdown, level = map(int, name.split("-"))
                    found[breakdown].setdefault(level, []).append(stored[name])
    return [
        {level: np.concatenate(parts) for level, parts in by_level.items()} for by_level in found
    ]


def _save(path: Path, arrays: dict[str, NDArray[np.int64]] | dict[str, NDArray[np.uint8]]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_whole(path, content.getvalue(), mode=0o600)
