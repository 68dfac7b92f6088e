"""Tables of a party: Parquet, Arrow, ORC, CSV or JSON lines, in one file or many.

Opening a table checks the form of every file before any data is used. Reading yields chunks of
bounded memory, from one file at a time, and only the columns that are asked for. Text in CSV stays
text: `007` keeps its zeros, `NO` and `NA` are values, and only the empty text is null.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from xstat_ray.errors import InputError
from xstat_ray.inputs.composite_ids import columns_of, join_parts
from xstat_ray.inputs.read_digests import PieceDigests, TableDigests
from xstat_ray.inputs.table_columns import (
    REMEDIES,
    UNKNOWN,
    ColumnUse,
    Place,
    convert,
    family,
    text_family,
    zones_mixed,
)
from xstat_ray.inputs.table_files import Paths, TableFile, each_file, list_files, several
from xstat_ray.inputs.table_options import TableOptions
from xstat_ray.inputs.table_reader import (
    RowGroup,
    first_rows,
    record_batches,
    row_groups,
    stored_schema,
)
from xstat_ray.inputs.table_walk import shown
from xstat_ray.util.location import Location
from xstat_ray.util.secrecy import Secret

_CHUNK_ROWS = 1 << 20


@dataclass(frozen=True, repr=False)
class Chunk(Secret):
    """Consecutive rows of one file."""

    columns: Mapping[str, pa.Array]
    """(N,) arrays by name: dictionaries of text for ids and values, timestamp[us] for times,
    float64 for numbers (NaN where null)."""
    file: str
    first_row: int
    """Number of the first row in its file, from 1; the header of a CSV file is not counted."""


@dataclass(frozen=True)
class Piece:
    """A part of a table that can be read by itself: a row group, or a file that has none."""

    file: TableFile
    group: RowGroup | None
    """None for a whole file."""
    first_row: int
    """Number of the first row in its file, from 1."""


@dataclass(frozen=True)
class Table:
    """A table whose form has been checked by `open_table`."""

    path: str
    """Where it lies, for messages."""
    files: tuple[TableFile, ...]
    uses: Mapping[str, ColumnUse]
    """What each column is used as, by its name."""
    families: Mapping[str, str]
    """Family of each column, on which all files agree; see `table_columns`."""
    set_aside: tuple[InputError, ...] = ()
    """Errors of the files that were left out because they cannot be read."""
    digests: TableDigests | None = None
    """Compares what is read with what was read before; None where nobody reads again."""
    id: str | None = None
    """The id, which may have parts in several columns; see `composite_ids`."""

    def chunks(self, chunk_rows: int = _CHUNK_ROWS) -> Iterator[Chunk]:
        """Stream the rows in the order of the files, at most `chunk_rows` at a time.

        Raises:
            InputError: a file is damaged or has changed, a value cannot be read, or times with and
                without a zone are mixed.
        """
        yield from self.read([Piece(file, None, 1) for file in self.files], self.uses, chunk_rows)

    def pieces(self) -> list[Piece]:
        """List the parts that can be read by themselves, in order.

        Parquet files are split into their row groups, other files are not split.

        Raises:
            InputError: a file is damaged or has changed.
        """
        pieces: list[Piece] = []
        groups_of_files = each_file(lambda file: row_groups(file, tuple(self.uses)), self.files)
        for file, groups in zip(self.files, groups_of_files, strict=True):
            if self.digests is not None:
                self.digests.footer(file, groups)
            first_row = 1
            for group in groups or ():
                pieces.append(Piece(file, group, first_row))
                first_row += group.rows
            if groups is None:
                pieces.append(Piece(file, None, 1))
        return pieces

    def read(
        self, pieces: Sequence[Piece], columns: Collection[str], chunk_rows: int = _CHUNK_ROWS
    ) -> Iterator[Chunk]:
        """Stream the rows of some pieces, at most `chunk_rows` at a time.

        Args:
            pieces: pieces of this table, in the order of `pieces`.
            columns: names of the columns to read.
            chunk_rows: most rows of a chunk.

        Raises:
            InputError: a file is damaged or has changed, a value cannot be read, or times with and
                without a zone are mixed. Nothing may come of the rows before the last is read, as
                only then it is known whether they are those of an earlier reading.
        """
        families = dict(self.families)
        columns = [part for name in columns for part in columns_of(name)]
        uses = {name: self.uses[name] for name in columns}
        for run in _runs(pieces):
            file = run[0].file
            first_row = run[0].first_row
            stored_columns = [name for name in uses if name not in file.partitions]
            groups = (
                None
                if run[0].group is None
                else [piece.group.number for piece in run if piece.group]
            )
            digests = self._begin(run, columns)
            for stored in record_batches(file, stored_columns, chunk_rows, groups):
                chunk = _convert(file, stored, uses, first_row)
                _check_zones(chunk, uses, families)
                if digests is not None:
                    digests.add(chunk.columns)
                first_row += stored.num_rows
                del stored  # whoever uses the chunk needs the room
                yield self._with_id(chunk)
            if digests is not None:
                digests.finish()

    def _with_id(self, chunk: Chunk) -> Chunk:
        """Join the parts of the id, where it has several and all are there."""
        parts = () if self.id is None else columns_of(self.id)
        if self.id is None or len(parts) < 2 or not chunk.columns.keys() >= set(parts):
            return chunk
        return replace(chunk, columns={**chunk.columns, self.id: join_parts(chunk.columns, parts)})

    def _begin(self, run: Sequence[Piece], columns: Collection[str]) -> PieceDigests | None:
        if self.digests is None:
            return None
        pieces = [
            ("whole", None) if piece.group is None else (str(piece.group.number), piece.group.rows)
            for piece in run
        ]
        return self.digests.begin(run[0].file, pieces, columns)


def _runs(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Join neighbouring row groups of a file, which are read in one go and numbered through."""
    runs: list[list[Piece]] = []
    for piece in pieces:
        if runs and _follows(runs[-1][-1], piece):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return runs


def _follows(piece: Piece, later: Piece) -> bool:
    if piece.file is not later.file or piece.group is None or later.group is None:
        return False
    return piece.group.number + 1 == later.group.number


def open_table(
    path: Paths,
    *,
    id: str | None = None,
    times: Sequence[str] = (),
    numbers: Sequence[str] = (),
    values: Sequence[str] = (),
    may_be_empty: bool = False,
    skip_damaged: bool = False,
    digests: TableDigests | None = None,
    options: TableOptions | None = None,
) -> Table:
    """Open a table and check the form of all its files.

    Args:
        path: a file of one of the formats in `table_files`, a folder, or a pattern, or several;
            folders named `column=value` give columns.
        id: column of ids, or several; see `composite_ids`.
        times: columns of times.
        numbers: columns of numbers.
        values: columns of domain values.
        may_be_empty: whether a table without rows is accepted.
        skip_damaged: whether files that cannot be read are left out, as long as some can; finding
            them reads all files once.
        digests: compares what is read with what was read before.
        options: how the files are read, where neither they nor their names tell.

    Raises:
        InputError: nothing is there, the table has no rows, a file is damaged, a column is missing,
            has a type that its use does not accept or another type than in another file, or is
            used in two ways.
    """
    label = ", ".join(shown(Location.of(one)) for one in several(path))
    ids = () if id is None else columns_of(id)
    uses = _uses(label, {"id": ids, "time": times, "number": numbers, "value": values})
    files = list_files(path, options, "bytes")
    set_aside = list[InputError]()
    if skip_damaged:
        files, set_aside = _sound(files, uses)
    if digests is not None:
        digests.list(files)
    families, rows = _families(files, uses)
    if rows == 0 and not may_be_empty:
        raise InputError(
            "the table has no rows", file=label, remedy="Check that the export was complete"
        )
    if id is not None:
        families.setdefault(id, "text")
    return Table(label, files, uses, families, tuple(set_aside), digests, id)


def _families(
    files: Sequence[TableFile], uses: Mapping[str, ColumnUse]
) -> tuple[dict[str, str], int]:
    """The family of types that each column has in all files, and a number of rows."""
    families = dict.fromkeys(uses, UNKNOWN)
    rows = 0
    inspected = each_file(lambda file: _inspect(file, uses), files)
    for file, (found, count) in zip(files, inspected, strict=True):
        for name, kind in found.items():
            if families[name] == UNKNOWN:
                families[name] = kind
            elif kind not in (UNKNOWN, families[name]):
                raise _disagreement(file, name, kind, families[name])
        rows += count
    return families, rows


def _sound(
    files: Sequence[TableFile], uses: Mapping[str, ColumnUse]
) -> tuple[tuple[TableFile, ...], list[InputError]]:
    """Split the files into those that can be read to the end, and the errors of the others.

    Raises:
        InputError: no file can be read; the error of the first.
    """
    sound = list[TableFile]()
    wrong = list[InputError]()
    for file in files:
        try:
            _inspect(file, uses)
            for _ in Table(file.shown, (file,), uses, dict.fromkeys(uses, UNKNOWN)).chunks():
                pass
        except InputError as error:
            wrong.append(error)
        else:
            sound.append(file)
    if not sound:
        raise wrong[0]
    return tuple(sound), wrong


def _uses(path: str, columns: Mapping[ColumnUse, Sequence[str]]) -> dict[str, ColumnUse]:
    uses: dict[str, ColumnUse] = {}
    for use, names in columns.items():
        for name in names:
            if uses.setdefault(name, use) != use:
                problem = f"the column is used both as {uses[name]} and as {use}"
                raise InputError(
                    problem, file=path, column=name, remedy="Store a second column for it"
                )
    return uses


def _inspect(file: TableFile, uses: Mapping[str, ColumnUse]) -> tuple[dict[str, str], int]:
    """Find the families of a file's columns, and how many rows it has at least (0 if none)."""
    schema = stored_schema(file, tuple(uses))
    families = {}
    for name, kind in schema.items():
        accepted = "text" if file.is_text else family(uses[name], kind)
        if accepted is None:
            problem = f"a column of type {kind} cannot serve as {uses[name]}"
            raise InputError(problem, file=file.shown, column=name, remedy=REMEDIES[uses[name]])
        families[name] = accepted
    head, rows = first_rows(file, tuple(schema))
    known = {name: head.column(name) for name in schema} if file.is_text and head else {}
    named = file.partitions.keys() & uses.keys()
    known |= {name: pa.array([file.partitions[name]], pa.string()) for name in named}
    for name, texts in known.items():
        families[name] = text_family(uses[name], texts)
    return families, rows


def _disagreement(file: TableFile, name: str, kind: str, before: str) -> InputError:
    if {kind, before} == {"zoned", "naive"}:
        return zones_mixed(file.shown, name, None)
    problem = f"the column holds {kind} here and {before} in another file of the table"
    return InputError(
        problem, file=file.shown, column=name, remedy="Write all files with the same types"
    )


def _convert(
    file: TableFile, stored: pa.RecordBatch, uses: Mapping[str, ColumnUse], first_row: int
) -> Chunk:
    columns = {}
    for name, use in uses.items():
        if name in file.partitions:
            values = pa.repeat(pa.scalar(file.partitions[name], pa.string()), stored.num_rows)
        else:
            values = stored.column(name)
        parse = file.is_text or name in file.partitions
        place = Place(file.shown, name, first_row, file.options)
        columns[name] = convert(values, use, place, parse=parse)
    return Chunk(columns, file.shown, first_row)


def _check_zones(chunk: Chunk, uses: Mapping[str, ColumnUse], families: dict[str, str]) -> None:
    """Refuse a chunk whose times have a zone where earlier ones had none, or the reverse.

    A family that was unknown is set by the first times that are not null.
    """
    for name in (name for name, use in uses.items() if use == "time"):
        times = chunk.columns[name]
        if times.null_count == len(times):
            continue
        found = family("time", times.type)
        if families[name] == UNKNOWN and found is not None:
            families[name] = found
        if found != families[name]:
            row = chunk.first_row + pc.index(times.is_valid(), True).as_py()
            raise zones_mixed(chunk.file, name, row)
