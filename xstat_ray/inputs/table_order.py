"""Whether the files of a table are sorted by id: found beforehand without reading all of them, or while they are read.

Beforehand (`file_orders`), a file that is not sorted is recognised by its first million ids, or by
row groups whose ids overlap. One that is, is believed to be so where both agree: of one row group
the ids are read, of a file without statistics as many. What a footer declares (`sorting_columns`)
counts only where it has no statistics. Who reads all ids anyway (`Ascent`) knows.

Ascending is meant: text by its bytes, numbers by value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from xstat_ray.inputs.table_files import TableFile
from xstat_ray.inputs.tables import Chunk, Piece, Table
from xstat_ray.util.arrays import run_starts
from xstat_ray.util.threads import each_in_threads

Order = Literal["sorted", "unsorted", "unknown"]
MOST_IDS = 1 << 20
"""Ids of a file that are looked at."""
_AT_ONCE = 1 << 16
_DIGITS = 20
"""Of the largest whole number that a column can hold."""


@dataclass(frozen=True)
class FileOrder:
    """What was found of one file."""

    file: TableFile
    order: Order
    """`unknown`: only a beginning was seen, and it is sorted."""
    rows: int | None
    """None where the file would have to be read to tell."""


def file_orders(table: Table, pieces: Sequence[Piece], id: str) -> list[FileOrder]:
    """Look at every file of a table, in threads.

    Args:
        table: which one.
        pieces: all of it, as `Table.pieces` gives them.
        id: column of ids.

    Raises:
        InputError: a file is damaged.
    """
    files = [list(own) for _, own in groupby(pieces, lambda piece: piece.file.path)]
    return each_in_threads(
        lambda own: FileOrder(own[0].file, _order(table, own, id), _rows(own)), files
    )


def order_of(files: Sequence[FileOrder]) -> Order:
    """The table's order: that of its worst file."""
    found = {one.order for one in files}
    return "unsorted" if "unsorted" in found else "unknown" if "unknown" in found else "sorted"


def _rows(pieces: Sequence[Piece]) -> int | None:
    groups = [piece.group for piece in pieces if piece.group is not None]
    return sum(group.rows for group in groups) if groups else None


def _order(table: Table, pieces: Sequence[Piece], id: str) -> Order:
    """The order of the file that these are the pieces of."""
    groups = [piece.group for piece in pieces if piece.group is not None]
    bounds = [group.bounds[id] for group in groups if id in group.bounds]
    known = len(groups) > 0 and len(bounds) == len(groups)
    if known and any(largest > least for (_, largest), (least, _) in pairwise(bounds)):
        return "unsorted"
    in_order, whole = _look(table, pieces[:1] if known else pieces, id)
    if not in_order:
        return "unsorted"
    declared = len(groups) > 0 and all(group.sorted_by == id for group in groups)
    return "sorted" if known or whole or declared else "unknown"


def _look(table: Table, pieces: Sequence[Piece], id: str) -> tuple[bool, bool]:
    """Whether the first ids of a file ascend, and whether these are all of the pieces.

    Null is passed over.
    """
    ascent = Ascent(table, id)
    seen = 0
    for chunk in table.read(pieces, [id], _AT_ONCE):
        if seen >= MOST_IDS:
            return True, False
        ascent.add(chunk)
        if ascent.unsorted():
            return False, False
        seen += len(chunk.columns[id])
    return True, True


class Ascent:
    """Whether files that are read as a whole are sorted.

    Takes their chunks in any order, from several threads.
    """

    def __init__(self, table: Table, id: str) -> None:
        """Start without a chunk."""
        self._id = id
        self._whole = table.families[id] == "whole"
        self._ends: dict[tuple[str, int], pa.Array] = {}
        """By file and first row: the first and the last ids of parts of a chunk, each of which
        ascends."""
        self._unsorted: set[str] = set()

    def add(self, chunk: Chunk) -> None:
        """Take a chunk; one of a file that is known not to be sorted costs nothing."""
        if chunk.file in self._unsorted:
            return
        ids = chunk.columns[self._id]
        ends = [pa.array([], pa.string())]
        for at in range(0, len(ids), _AT_ONCE):
            part = _runs(ids[at : at + _AT_ONCE], self._whole)
            if not _ascends(part):
                self._unsorted.add(chunk.file)
                return
            ends += [part[:1], part[-1:]]
        self._ends[chunk.file, chunk.first_row] = pa.concat_arrays(ends)

    def unsorted(self) -> set[str]:
        """Paths of the files that are not."""
        for file, own in groupby(sorted(self._ends), lambda key: key[0]):
            if not _ascends(pa.concat_arrays([self._ends[key] for key in own])):
                self._unsorted.add(file)
        return self._unsorted


def _ascends(ids: pa.Array) -> bool:
    return not pc.any(pc.less(ids[1:], ids[:-1])).as_py()


def _runs(ids: pa.DictionaryArray, whole: bool) -> pa.Array:
    """The first id of every run of equal ones, as text that is ordered as the ids are."""
    codes = ids.indices.drop_null().to_numpy(zero_copy_only=False)
    first = codes[run_starts(codes)]
    texts = ids.dictionary.take(pa.array(first)).drop_null()
    return pc.utf8_lpad(texts, _DIGITS, "0") if whole else texts
