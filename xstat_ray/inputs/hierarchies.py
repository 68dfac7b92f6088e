"""The hierarchy of a row dimension in a study file: the coarser areas to which its labels belong.

A study file gives it in one of three forms: a list of further columns of the domain's public
table, from fine to coarse; named groups of labels, level by level; or quadrants of a grid whose
cells are numbered row by row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from xstat_ray.inputs.clean_text import seen
from xstat_ray.inputs.section import Section, first_duplicate
from xstat_ray.model.dimension import Level

GRID = ("quadrants", "width")
ALIKE = "Remove spaces and invisible characters at which they differ, or give them other names"


def first_alike(labels: Sequence[str]) -> tuple[str, str] | None:
    """First two labels that differ in what nobody sees alone; None if there are none."""
    written: dict[str, str] = {}
    for label in labels:
        other = written.setdefault(seen(label), label)
        if other != label:
            return other, label
    return None


def read_hierarchy(section: Section, labels: Sequence[str]) -> tuple[Level, ...]:
    """Read the `hierarchy` of a dimension where it is groups or a grid.

    Args:
        section: the dimension.
        labels: its labels.

    Returns:
        The levels, from fine to coarse; none where `hierarchy` is absent.

    Raises:
        StudyError: a label without a group or in two, or a grid that does not fit the labels.
    """
    raw = section.get("hierarchy")
    if raw is None:
        return ()
    if isinstance(raw, Mapping) and "quadrants" in raw:
        return _grid(section.child("hierarchy", GRID), len(labels))
    if isinstance(raw, Mapping):
        return _groups(section, raw, labels)
    raise section.error("hierarchy is not a mapping", "hierarchy")


def column_levels(
    section: Section,
    labels: Sequence[str],
    rows: Sequence[int],
    columns: Mapping[str, Sequence[str]],
) -> tuple[Level, ...]:
    """Build levels from the columns of a public table.

    Args:
        section: the dimension.
        labels: its labels.
        rows: (N,) for each row of the table the number of its label.
        columns: by name of the level, from fine to coarse, the (N,) groups of the rows.

    Raises:
        StudyError: a label, or a group of the level below, is split between two groups.
    """
    for name in ("other", "missing"):
        if section.get(name) is not None:
            raise section.error(
                f"the label of {name} has no group", "hierarchy", remedy=f"Leave out {name}"
            )
    levels = []
    below = list(labels)
    numbers = list(rows)
    for name, values in columns.items():
        place = {value: number for number, value in enumerate(dict.fromkeys(values))}
        _check_groups(section, tuple(place))
        parents = [-1] * len(below)
        for number, value in zip(numbers, values, strict=True):
            if parents[number] not in (-1, place[value]):
                problem = f"{below[number]!r} belongs to two groups of level {name!r}"
                raise section.error(
                    problem, "hierarchy", remedy="List the columns from fine to coarse"
                )
            parents[number] = place[value]
        levels.append(Level(name, tuple(place), tuple(parents)))
        below = list(place)
        numbers = [place[value] for value in values]
    return tuple(levels)


def _groups(
    section: Section, raw: Mapping[object, object], labels: Sequence[str]
) -> tuple[Level, ...]:
    levels: list[Level] = []
    below = list(labels)
    for name in map(str, raw):
        named = section.child("hierarchy", [str(key) for key in raw])
        groups = named.need(name)
        if not isinstance(groups, Mapping) or not groups:
            raise named.error("a level is not a mapping of group to list of labels", name)
        node = named.at(groups, name, [str(group) for group in groups])
        members = [[str(item) for item in node.items(str(group))] for group in groups]
        flat = [item for group in members for item in group]
        if (twice := first_duplicate(flat)) is not None:
            raise named.error(f"{twice!r} is in two groups", name)
        if (stray := next((item for item in flat if item not in below), None)) is not None:
            raise named.error(f"{stray!r} is not a label of the level below", name)
        if (left := next((label for label in below if label not in flat), None)) is not None:
            raise named.error(f"{left!r} is in no group", name)
        parent = {item: number for number, group in enumerate(members) for item in group}
        _check_groups(section, tuple(map(str, groups)))
        levels.append(Level(name, tuple(map(str, groups)), tuple(parent[label] for label in below)))
        below = [str(group) for group in groups]
    return tuple(levels)


def _check_groups(section: Section, groups: Sequence[str]) -> None:
    if (alike := first_alike(groups)) is not None:
        problem = f"the groups {alike[0]!r} and {alike[1]!r} look alike"
        raise section.error(problem, "hierarchy", remedy=ALIKE)


def _grid(grid: Section, size: int) -> tuple[Level, ...]:
    """Group the cells in blocks of 2 x 2 or 4 x 4 of the level below, until one block is left.

    Blocks at the edge of the grid may be smaller.
    """
    ways = grid.whole("quadrants", 16, least=4)
    width = grid.whole("width", 0, least=1) if grid.need("width") else 0
    if ways not in (4, 16):
        raise grid.error("quadrants is neither 4 nor 16", "quadrants")
    if size % width:
        raise grid.error(f"the {size} cells are not rows of {width}", "width")
    factor = 2 if ways == 4 else 4
    levels: list[Level] = []
    cell = np.arange(size)
    y = cell // width
    x = cell % width
    block = 1
    while max(np.ptp(y), np.ptp(x)) >= factor:
        below = _compact(y, x)
        y = y // factor
        x = x // factor
        block = block * factor
        numbers = _compact(y, x)
        first = np.unique(below, return_index=True)[1]
        labels = tuple(
            f"{block}x{block} at ({int(b) * block}, {int(a) * block})"
            for a, b in _corners(y, x, numbers)
        )
        levels.append(Level(f"{block}x{block}", labels, tuple(numbers[first].tolist())))
    return tuple(levels)


def _compact(y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) numbers of the distinct pairs (y, x), from 0 in their order."""
    numbers: NDArray[np.int64] = np.unique(y * (int(x.max()) + 1) + x, return_inverse=True)[1]
    return numbers


def _corners(
    y: NDArray[np.int64], x: NDArray[np.int64], numbers: NDArray[np.int64]
) -> list[tuple[np.int64, np.int64]]:
    first = np.unique(numbers, return_index=True)[1]
    return list(zip(y[first], x[first], strict=True))
