"""Finds whether the files of a table are sorted by id, in ascending order.

`file_orders` tells it beforehand, without reading all of the files. A file is unsorted if its first
million ids are, or if the ids of its row groups overlap by the statistics in its footer. It is
taken for sorted if its row groups ascend and so do the ids of the first, if it was read whole, or
if it has no statistics and its footer declares the order (`sorting_columns`). `Ascent` tells it for
certain while all ids are read.

Text is ordered by its bytes, numbers by value.
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
"""Most ids of a file that `file_orders` reads."""
AT_ONCE = 1 << 16
"""Rows that are read or compared at a time."""
_DIGITS = 20
"""Digits of the largest whole number that a column can hold."""


@dataclass(frozen=True)
class FileOrder:
    """The order of one file, as far as it was read."""

    file: TableFile
    order: Order
    """`unknown` if only a beginning was read, and that is sorted."""
    rows: int | None
    """Number of rows, None where the footer does not tell."""


def file_orders(table: Table, pieces: Sequence[Piece], id: str) -> list[FileOrder]:
    """Find the order of every file of a table, several at a time in threads.

    Args:
        table: the table.
        pieces: all its pieces, as `Table.pieces` gives them.
        id: column of ids.

    Raises:
        InputError: a file is damaged.
    """
    by_file = [list(group) for _, group in groupby(pieces, lambda piece: piece.file.path)]
    return each_in_threads(
        lambda of_file: FileOrder(of_file[0].file, _order(table, of_file, id), _rows(of_file)),
        by_file,
    )


def order_of(files: Sequence[FileOrder]) -> Order:
    """Order of a table: that of its worst file."""
    found = {file.order for file in files}
    return "unsorted" if "unsorted" in found else "unknown" if "unknown" in found else "sorted"


def _rows(pieces: Sequence[Piece]) -> int | None:
    groups = [piece.group for piece in pieces if piece.group is not None]
    return sum(group.rows for group in groups) if groups else None


def _order(table: Table, pieces: Sequence[Piece], id: str) -> Order:
    """Find the order of one file, given its pieces."""
    groups = [piece.group for piece in pieces if piece.group is not None]
    bounds = [group.bounds[id] for group in groups if id in group.bounds]
    known = len(groups) > 0 and len(bounds) == len(groups)
    if known and any(largest > least for (_, largest), (least, _) in pairwise(bounds)):
        return "unsorted"
    in_order, whole = _first_ids(table, pieces[:1] if known else pieces, id)
    if not in_order:
        return "unsorted"
    declared = len(groups) > 0 and all(group.sorted_by == id for group in groups)
    return "sorted" if known or whole or declared else "unknown"


def _first_ids(table: Table, pieces: Sequence[Piece], id: str) -> tuple[bool, bool]:
    """Tell whether the first `MOST_IDS` ids ascend, nulls aside, and whether these are all."""
    ascent = Ascent(table, id)
    seen = 0
    for chunk in table.read(pieces, [id], AT_ONCE):
        if seen >= MOST_IDS:
            return True, False
        ascent.add(chunk)
        if ascent.unsorted():
            return False, False
        seen += len(chunk.columns[id])
    return True, True


class Ascent:
    """Finds whether files are sorted while all their ids are read.

    Chunks may come in any order and from several threads.
    """

    def __init__(self, table: Table, id: str) -> None:
        """Start with no chunk of `table`, whose column of ids is `id`."""
        self._id = id
        self._whole = table.families[id] == "whole"
        self._ends: dict[tuple[str, int], pa.Array] = {}
        """By file and first row of a chunk: first and last id of each of its parts, which
        ascend."""
        self._unsorted: set[str] = set()

    def add(self, chunk: Chunk) -> None:
        """Take a chunk; it costs nothing if its file is known to be unsorted."""
        if chunk.file in self._unsorted:
            return
        ids = chunk.columns[self._id]
        ends = [pa.array([], pa.string())]
        for at in range(0, len(ids), AT_ONCE):
            part = _runs(ids[at : at + AT_ONCE], self._whole)
            if not _ascends(part):
                self._unsorted.add(chunk.file)
                return
            ends += [part[:1], part[-1:]]
        self._ends[chunk.file, chunk.first_row] = pa.concat_arrays(ends)

    def unsorted(self) -> set[str]:
        """Paths of the files that are not sorted, by the chunks taken so far."""
        for file, chunks in groupby(sorted(self._ends), lambda key: key[0]):
            if not _ascends(pa.concat_arrays([self._ends[chunk] for chunk in chunks])):
                self._unsorted.add(file)
        return self._unsorted


def _ascends(ids: pa.Array) -> bool:
    return not pc.any(pc.less(ids[1:], ids[:-1])).as_py()


def _runs(ids: pa.DictionaryArray, whole: bool) -> pa.Array:
    """First id of every run of equal ids, as text that sorts in the order of the ids."""
    codes = ids.indices.drop_null().to_numpy(zero_copy_only=False)
    first = codes[run_starts(codes)]
    texts = ids.dictionary.take(pa.array(first)).drop_null()
    return pc.utf8_lpad(texts, _DIGITS, "0") if whole else texts
