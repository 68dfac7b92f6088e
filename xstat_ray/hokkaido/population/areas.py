"""The municipalities or 500 m cells of Hokkaido as a public domain, and where a cell belongs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.population.declaration import AreaKind, Declaration
from xstat_ray.model.dimension import Dimension, Level
from xstat_ray.model.row_tree import RowTree, tree_of

COARSER = {"municipality": ("subprefecture",), "mesh": ("mesh1km", "mesh10km", "mesh80km")}
"""Levels above the areas, from fine to coarse: columns of `hokkaido.cells`."""


@dataclass(frozen=True)
class Areas:
    """The areas of a release, in declared order."""

    dimension: Dimension
    """A label for each area, the code of the municipality or of the 500 m cell; and the levels
    above."""
    municipality: NDArray[np.object_]
    """(areas,) code of the municipality in which each lies."""
    land: NDArray[np.int64]
    """(L,) 500 m cells of Hokkaido, ascending."""
    land_leaf: NDArray[np.int64]
    """(L,) place, in the order of the tree, of the area that each lies in; -1 outside."""
    land_municipality: pa.Array
    """(L,) code of the municipality of each."""

    @cached_property
    def tree(self) -> RowTree:
        """The tree of areas up to the total."""
        return tree_of([self.dimension])

    def find(self, mesh: pa.Array) -> NDArray[np.int64]:
        """Find 500 m cells among `land`.

        Args:
            mesh: (N,) codes as text.

        Returns:
            (N,) places in `land`; -1 for codes elsewhere, other texts and null.
        """
        code = (
            pc.if_else(pc.match_substring_regex(mesh, "^[0-9]{9}$"), mesh, None)
            .cast(pa.int64())
            .fill_null(-1)
        )
        wanted: NDArray[np.int64] = code.to_numpy(zero_copy_only=False)
        place = np.minimum(np.searchsorted(self.land, wanted), len(self.land) - 1)
        return np.where(self.land[place] == wanted, place, -1)


def areas_of(declaration: Declaration) -> Areas:
    """Make the areas that a declaration publishes."""
    return _areas(declaration.area, declaration.within)


@cache
def _areas(kind: AreaKind, within: tuple[str, ...]) -> Areas:
    land = hokkaido.cells()
    texts = {
        name: land[name].cast(pa.string()).combine_chunks()
        for name in ("mesh", "municipality", *COARSER[kind])
    }
    inside = np.isin(
        land["subprefecture"].cast(pa.string()).to_pylist(), within or list(hokkaido.SUBPREFECTURES)
    )
    rows = np.flatnonzero(inside)
    label = np.array(texts[kind].to_pylist(), object)
    labels, first = np.unique(label[rows], return_index=True)
    at = rows[first]
    dimension = Dimension(
        name="area",
        column="mesh",
        labels=tuple(labels.tolist()),
        members=tuple((value,) for value in labels.tolist()),
        hierarchy=_levels(
            {name: np.array(texts[name].to_pylist(), object)[at] for name in COARSER[kind]}
        ),
    )
    leaf = np.empty(len(labels), np.int64)
    leaf[tree_of([dimension]).nodes[0]] = np.arange(len(labels))
    number = np.searchsorted(labels, label)
    number[number == len(labels)] = 0
    return Areas(
        dimension=dimension,
        municipality=np.array(texts["municipality"].to_pylist(), object)[at],
        land=land["mesh"].to_numpy().astype(np.int64),
        land_leaf=np.where(inside, leaf[number], -1),
        land_municipality=texts["municipality"],
    )


def _levels(columns: dict[str, NDArray[np.object_]]) -> tuple[Level, ...]:
    """Make the levels, from fine to coarse, from the group of each label at every level."""
    levels = []
    below = np.arange(len(next(iter(columns.values()))))
    for name, groups in columns.items():
        # One label of every node of the level below says where the node belongs.
        group_of_node = groups[np.unique(below, return_index=True)[1]]
        names, parents = np.unique(group_of_node, return_inverse=True)
        levels.append(Level(name, tuple(names.tolist()), tuple(parents.tolist())))
        below = parents[below]
    return tuple(levels)
