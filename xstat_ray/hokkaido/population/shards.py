"""The tasks of a release: count a file; overlay the counts of a region on a day and add noise.

Everything a task hands on lies in the release's private folder, readable by this user only, so no
line, no exact sum and no key passes through Ray: arguments are numbers, paths and public figures,
and nothing is returned. On a cluster the folder must lie where all nodes see it, as the tables do.
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
from xstat_ray.hokkaido.population.plan import Table
from xstat_ray.hokkaido.population.presence import REMEDY, PresenceReader, RowCounts
from xstat_ray.hokkaido.population.register import Register
from xstat_ray.hokkaido.population.subscribers import Lines, Pseudonyms
from xstat_ray.hokkaido.population.sums import Sparse, Summation
from xstat_ray.inputs.tables import Table as InputTable
from xstat_ray.model.row_tree import RowTree
from xstat_ray.util.files import write_whole

KEY = "key"
LINES = "lines"
WEIGHTS = "weights.npy"
PARTIALS = "partials"
NOISY = "noisy"


@dataclass(frozen=True)
class Work:
    """What all tasks need to know."""

    folder: Path
    """The private folder."""
    presence: InputTable
    declaration: Declaration
    register: Register
    tables: tuple[Table, ...]
    regions: tuple[range, ...]

    def partials(self, day: int) -> Path:
        """Folder of what the files count on a day."""
        return self.folder / PARTIALS / f"{day:05d}"

    def noisy(self, shard: Shard) -> Path:
        """The noisy sums of a shard."""
        return self.folder / NOISY / f"{shard.day:05d}-{shard.name}.npz"

    @property
    def shards(self) -> list[Shard]:
        """Every region on every day; and the total of each day, where one is measured."""
        days = range(self.declaration.days)
        regions = range(len(self.regions))
        every: list[int | None] = (
            [*regions, None]
            if any(self.measures_total(table) for table in self.tables)
            else [*regions]
        )
        return [Shard(day, region) for day in days for region in every]

    def measures_total(self, table: Table) -> bool:
        """Whether the root of the tree gets noise of its own."""
        return any(level.nodes == 1 for level in table.design.levels)


@dataclass(frozen=True)
class Shard:
    """A region on a day, or (None) the total of a day."""

    day: int
    region: int | None

    @property
    def name(self) -> str:
        """Within the day."""
        return "total" if self.region is None else f"{self.region:04d}"


def count_file(work: Work, number: int) -> None:
    """Add up what one file of the presence table contributes, and store it by day.

    Raises:
        InputError: the file is damaged, or its rows are not in order.
    """
    areas = areas_of(work.declaration)
    lines = Lines.load(work.folder / LINES)
    reader = PresenceReader(
        work.declaration, areas, lines, Pseudonyms(work.folder / KEY, work.declaration)
    )
    layouts = [table.layout for table in work.tables]
    summation = Summation(layouts, areas, work.register, lines, np.load(work.folder / WEIGHTS))
    days = summation.add_up(reader.stays(work.presence, number))
    for day, seen in reader.seen.days.items():
        parts = days.get(day, [])
        arrays = {
            f"{kind}{i}": getattr(part, kind)
            for i, part in enumerate(parts)
            for kind in ("keys", "sums")
        }
        _save(work.partials(day) / f"{number:06d}.npz", arrays | {"seen": np.packbits(seen)})
    counts = json.dumps(reader.counts.as_dict()).encode()
    (work.folder / PARTIALS).mkdir(mode=0o700, exist_ok=True)
    write_whole(work.folder / PARTIALS / f"{number:06d}.json", counts, mode=0o600)


def check_files(work: Work) -> RowCounts:
    """Every line's day must lie in one file. Returns what became of all rows.

    Raises:
        InputError: it lies in two.
    """
    total = RowCounts()
    for file in sorted((work.folder / PARTIALS).glob("*.json")):
        for name, value in json.loads(file.read_bytes()).items():
            setattr(total, name, getattr(total, name) + value)
    for day in range(work.declaration.days):
        seen: NDArray[np.uint8] | None = None
        for file in sorted(work.partials(day).glob("*.npz")):
            with np.load(file) as stored:
                own = stored["seen"]
            if seen is not None and (seen & own).any():
                problem = f"rows of a subscriber on {work.declaration.dates[day]} are in two files"
                raise InputError(
                    problem, file=str(work.presence.files[int(file.stem)].path), remedy=REMEDY
                )
            seen = own if seen is None else seen | own
    return total


def add_noise(work: Work, shard: Shard) -> None:
    """Overlay what all files counted in a shard, sum up the tree of areas, add noise to every figure, and store it."""
    tree = areas_of(work.declaration).tree
    leaves = range(tree.cells) if shard.region is None else work.regions[shard.region]
    arrays = {}
    for i, table in enumerate(work.tables):
        part = Sparse.join(list(_stored(work, shard.day, i, leaves, table.layout.columns)))
        exact = (
            _total(table, part)
            if shard.region is None
            else _sums_of_region(tree, table, leaves, part)
        )
        for level in table.design.levels:
            if level.level in exact:
                noise = level.mechanism.draw(exact[level.level].size)
                arrays[f"{i}-{level.level}"] = exact[level.level] + noise.reshape(
                    -1, table.layout.columns
                )
    _save(work.noisy(shard), arrays)


def _total(table: Table, part: Sparse) -> dict[int, NDArray[np.int64]]:
    """(1, columns) sums of all areas, if the root of the tree is measured."""
    columns = table.layout.columns
    sums = np.zeros(columns, np.int64)
    np.add.at(sums, part.keys % columns, part.sums)
    return {
        level.level: sums.reshape(1, columns) for level in table.design.levels if level.nodes == 1
    }


def _sums_of_region(
    tree: RowTree, table: Table, leaves: range, part: Sparse
) -> dict[int, NDArray[np.int64]]:
    """By measured level below the root, (nodes, columns) sums of the nodes that the leaves are under."""
    columns = table.layout.columns
    flat = np.zeros(len(leaves) * columns, np.int64)
    flat[part.keys - leaves.start * columns] = part.sums
    sums = flat.reshape(len(leaves), columns)
    measured = {}
    for level in table.design.levels:
        if level.nodes > 1:
            node = tree.ancestors(0, level.level)[leaves.start : leaves.stop]
            measured[level.level] = np.add.reduceat(sums, np.flatnonzero(np.diff(node, prepend=-1)))
    return measured


def _stored(work: Work, day: int, table: int, leaves: range, columns: int) -> Iterator[Sparse]:
    """What every file counted on a day at these leaves."""
    edges = [leaves.start * columns, leaves.stop * columns]
    for file in sorted(work.partials(day).glob("*.npz")):
        with np.load(file) as stored:
            if f"keys{table}" in stored:
                keys = stored[f"keys{table}"]
                low, high = np.searchsorted(keys, edges)
                yield Sparse(keys[low:high], stored[f"sums{table}"][low:high])


def load_noisy(work: Work, day: int) -> list[dict[int, NDArray[np.int64]]]:
    """For each breakdown, by measured level: (nodes, columns) noisy sums of a day, in the order of the tree."""
    found: list[dict[int, list[NDArray[np.int64]]]] = [{} for _ in work.tables]
    for shard in work.shards:
        if shard.day == day:
            with np.load(work.noisy(shard)) as stored:
                for name in stored.files:
                    table, level = map(int, name.split("-"))
                    found[table].setdefault(level, []).append(stored[name])
    return [{level: np.concatenate(parts) for level, parts in one.items()} for one in found]


def _save(path: Path, arrays: dict[str, NDArray[np.int64]] | dict[str, NDArray[np.uint8]]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, **arrays)
    write_whole(path, content.getvalue(), mode=0o600)
