"""How the row party's rows lie in time: what its environment will hold, and whether it has room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import NamedTuple

from xstat_ray.errors import PlanError
from xstat_ray.inputs.table_files import TEXT_FORMATS, TableFile
from xstat_ray.inputs.tables import Piece, Table
from xstat_ray.model import periods
from xstat_ray.model.memory_need import PROCESS, RowSizes, most_rows
from xstat_ray.model.study import Study
from xstat_ray.util.memory import memory_bytes
from xstat_ray.util.readable import readable_bytes
from xstat_ray.util.secrecy import Secret
from xstat_ray.util.threads import thread_count

_SAMPLE_ROWS = 1 << 16
"""Rows of the first piece that tell how many a person has."""
_TEXT_BYTES = 40
"""Bytes of a row in a file of text, as a guess."""
_PACKED_BYTES = 8
"""Bytes of a row in another file, or one that is compressed, as a guess."""


class MemoryRoom(NamedTuple):
    """What an environment of the row party must have room for, and the memory that it may take."""

    batches: tuple[range, ...]
    """Periods of each batch."""
    regions: int
    """Regions into which the rows of a batch are divided."""
    memory: int | None
    """Bytes that it may take; None leaves it to the machine."""


class RowShape(Secret):
    """The pieces of a table: their periods and rows, and how many rows a person has."""

    def __init__(
        self,
        covers: Sequence[range],
        rows: Sequence[int],
        rows_a_person: float,
        stored: int = 0,
    ) -> None:
        """Take the periods in which each piece can have rows, and its number of rows.

        With them go the bytes of files of an object store that stay in memory.
        """
        self._covers = covers
        self._rows = rows
        self._rows_a_person = rows_a_person
        self._stored = stored

    @classmethod
    def of(cls, table: Table, pieces: Sequence[Piece], covers: Sequence[range]) -> RowShape:
        """Look at a table, and at some ids of its first piece: for the row party alone.

        Args:
            table: the table.
            pieces: all its pieces.
            covers: the periods in which each of these can have rows.

        Raises:
            InputError: a file is damaged.
        """
        id = str(table.id)
        # What is read here is a part of a piece, which is compared with nothing.
        sample = replace(table, digests=None).read(pieces[:1], [id], _SAMPLE_ROWS)
        first = next(iter(sample), None)
        rows = [rows_of(piece) for piece in pieces]
        stored = sum(file.content.size for file in table.files if file.content is not None)
        if first is None:
            return cls(covers, rows, 1.0, stored)
        codes = first.columns[id].indices
        return cls(covers, rows, len(codes) / max(1, len(codes.unique())), stored)

    @classmethod
    def of_sizes(cls, study: Study, files: Sequence[TableFile]) -> RowShape:
        """Guess by the sizes of files, which do not tell of people: none are counted."""
        return cls([study.period.span] * len(files), [guessed_rows(file) for file in files], inf)

    def sizes(self, batches: Sequence[range], memory: int | None) -> RowSizes:
        """Work out what is held at a time.

        Args:
            batches: periods of each batch.
            memory: bytes that the environment may take; None where nobody knows.
        """
        return RowSizes.of(
            self._covers,
            self._rows,
            batches,
            rows_a_person=self._rows_a_person,
            most=most_rows(memory),
            stored=self._stored,
        )

    def check_room(self, room: MemoryRoom) -> None:
        """Refuse a table whose batches do not fit into memory.

        Raises:
            PlanError: they do not; tells no figure of the table, as others may see the message.
        """
        there = room.memory or memory_bytes()
        if there is None:
            return
        sizes = self.sizes(room.batches, there)
        threads = thread_count()
        need = PROCESS + max(sizes.survey(threads), sizes.emission(threads, room.regions))
        if need > there:
            raise PlanError(
                "the row party's people and the rows of a batch do not fit into the memory of its "
                f"environment, {readable_bytes(there)}",
                key="batch",
                remedy="Set batch=day (the same in all domains) or more shards, or give the "
                "environment more memory",
            )


def cover(study: Study, piece: Piece) -> range:
    """Return the periods of a study in which a piece of the row party's table can have rows."""
    side = study.row
    bounds = {} if piece.group is None else piece.group.bounds
    if side.time is None or side.time not in bounds or study.period.grain == "none":
        return study.period.span
    return periods.cover(*bounds[side.time], study.period)


def rows_of(piece: Piece) -> int:
    """Rows of a piece, as its footer tells; without one a guess."""
    return guessed_rows(piece.file) if piece.group is None else piece.group.rows


def guessed_rows(file: TableFile) -> int:
    """Guess the rows of a file by its size."""
    plain = file.format in TEXT_FORMATS and file.compression is None
    return file.stamp.size // (_TEXT_BYTES if plain else _PACKED_BYTES)
