"""Tables of a party: Parquet, Arrow or CSV, one file or a folder of them, read in batches of bounded memory.

Opening a table checks every file's form before any data is used. Only the columns that are asked
for are read, one file at a time. Text in CSV stays text: `007` keeps its zeros, `NO` and `NA` are
values, only the empty text is null.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from xstat_ray.errors import InputError
from xstat_ray.inputs.table_columns import (
    REMEDIES,
    UNKNOWN,
    Place,
    Role,
    convert,
    family,
    text_family,
    zones_mixed,
)
from xstat_ray.inputs.table_files import TableFile, input_digest, list_files
from xstat_ray.inputs.table_reader import RowGroup, row_groups, stored_batches, stored_schema
from xstat_ray.util.secrecy import Secret

__all__ = ["Batch", "Piece", "Table", "input_digest", "open_table"]

_BATCH_ROWS = 1 << 20
_HEAD_ROWS = 1_000
"""Rows looked at when a table is opened."""


@dataclass(frozen=True, repr=False)
class Batch(Secret):
    """Consecutive rows of one file."""

    columns: Mapping[str, pa.Array]
    """(N,) arrays by name: text for ids and values, timestamp[us] for times, float64 for numbers
    (NaN where null)."""
    file: str
    first_row: int
    """Row number, in its file, of the first row; counted from 1, a CSV header not included."""


@dataclass(frozen=True)
class Piece:
    """A part of a table that can be read by itself: a row group, or a whole file where there are none."""

    file: TableFile
    group: RowGroup | None
    first_row: int
    """Row number in the file, from 1, of its first row."""


@dataclass(frozen=True)
class Table:
    """A table whose form has been checked; made by `open_table`."""

    path: Path
    files: tuple[TableFile, ...]
    roles: Mapping[str, Role]
    families: Mapping[str, str]
    """What the files agree on, by column; see `table_columns`."""
    set_aside: tuple[InputError, ...] = ()
    """What is wrong with the files that were left out because they cannot be read."""

    def batches(self, batch_rows: int = _BATCH_ROWS) -> Iterator[Batch]:
        """Stream the rows in the order of the files, at most `batch_rows` at a time.

        Raises:
            InputError: a file is damaged, a value cannot be read, or times with and without a zone
                are mixed.
        """
        yield from self.read([Piece(file, None, 1) for file in self.files], self.roles, batch_rows)

    def pieces(self) -> list[Piece]:
        """What can be read by itself: the row groups of Parquet files, other files as a whole.

        In order.

        Raises:
            InputError: a file is damaged.
        """
        pieces: list[Piece] = []
        for file in self.files:
            groups = row_groups(file, tuple(self.roles))
            first_row = 1
            for group in groups or ():
                pieces.append(Piece(file, group, first_row))
                first_row += group.rows
            if groups is None:
                pieces.append(Piece(file, None, 1))
        return pieces

    def read(
        self, pieces: Sequence[Piece], columns: Collection[str], batch_rows: int = _BATCH_ROWS
    ) -> Iterator[Batch]:
        """Stream some pieces, which come in order, and of them some columns.

        Raises:
            InputError: as `batches`.
        """
        families = dict(self.families)
        roles = {name: self.roles[name] for name in columns}
        for run in _runs(pieces):
            file = run[0].file
            first_row = run[0].first_row
            stored_columns = [name for name in roles if name not in file.partitions]
            groups = (
                None
                if run[0].group is None
                else [piece.group.number for piece in run if piece.group]
            )
            for stored in stored_batches(file, stored_columns, batch_rows, groups):
                batch = _convert(file, stored, roles, first_row)
                _check_zones(batch, roles, families)
                yield batch
                first_row += stored.num_rows


def _runs(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Neighbouring row groups of one file together: they are read in one go, and their rows are numbered through."""
    runs: list[list[Piece]] = []
    for piece in pieces:
        if runs and _follows(runs[-1][-1], piece):
            runs[-1].append(piece)
        else:
            runs.append([piece])
    return runs


def _follows(one: Piece, other: Piece) -> bool:
    if one.file is not other.file or one.group is None or other.group is None:
        return False
    return one.group.number + 1 == other.group.number


def open_table(
    path: Path | str,
    *,
    id: str | None = None,
    times: Sequence[str] = (),
    numbers: Sequence[str] = (),
    values: Sequence[str] = (),
    may_be_empty: bool = False,
    skip_damaged: bool = False,
) -> Table:
    """Open a table and check the form of all its files.

    Args:
        path: a file (.parquet, .arrow, .feather, .csv, .csv.gz) or a folder; folders named
            `column=value` give columns.
        id: column of ids.
        times: columns of times.
        numbers: columns of numbers.
        values: columns of domain values.
        may_be_empty: accept a table without rows.
        skip_damaged: read all of every file once, and leave out those of several that cannot be
            read.

    Raises:
        InputError: nothing there, no rows, a damaged file, a missing column, a type that its role
            does not accept, files that disagree about a type, or one column in two roles.
    """
    roles = _roles(
        path, {"id": () if id is None else (id,), "time": times, "number": numbers, "value": values}
    )
    files = list_files(path)
    set_aside = list[InputError]()
    if skip_damaged:
        files, set_aside = _sound(files, roles)
    families = dict.fromkeys(roles, UNKNOWN)
    rows = 0
    for file in files:
        own, count = _inspect(file, roles)
        for name, kind in own.items():
            if families[name] == UNKNOWN:
                families[name] = kind
            elif kind not in (UNKNOWN, families[name]):
                raise _disagreement(file, name, kind, families[name])
        rows += count
    if rows == 0 and not may_be_empty:
        raise InputError(
            "the table has no rows", file=str(path), remedy="Check that the export was complete"
        )
    return Table(Path(path), files, roles, families, tuple(set_aside))


def _sound(
    files: Sequence[TableFile], roles: Mapping[str, Role]
) -> tuple[tuple[TableFile, ...], list[InputError]]:
    """The files of which every value can be read, and what is wrong with the others.

    Raises:
        InputError: none of them can be read.
    """
    sound = list[TableFile]()
    wrong = list[InputError]()
    for file in files:
        try:
            _inspect(file, roles)
            for _ in Table(file.path, (file,), roles, dict.fromkeys(roles, UNKNOWN)).batches():
                pass
        except InputError as error:
            wrong.append(error)
        else:
            sound.append(file)
    if not sound:
        raise wrong[0]
    return tuple(sound), wrong


def _roles(path: Path | str, columns: Mapping[Role, Sequence[str]]) -> dict[str, Role]:
    roles: dict[str, Role] = {}
    for role, names in columns.items():
        for name in names:
            if roles.setdefault(name, role) != role:
                problem = f"the column is used both as {roles[name]} and as {role}"
                raise InputError(
                    problem, file=str(path), column=name, remedy="Store a second column for it"
                )
    return roles


def _inspect(file: TableFile, roles: Mapping[str, Role]) -> tuple[dict[str, str], int]:
    """Families of one file's columns, and how many rows it has to show (0 only if it has none)."""
    schema = stored_schema(file, tuple(roles))
    families = {}
    for name, kind in schema.items():
        accepted = "text" if file.format == "csv" else family(roles[name], kind)
        if accepted is None:
            problem = f"a column of type {kind} cannot serve as {roles[name]}"
            raise InputError(
                problem, file=str(file.path), column=name, remedy=REMEDIES[roles[name]]
            )
        families[name] = accepted
    head = next(stored_batches(file, tuple(schema), _HEAD_ROWS), None)
    sample = {}
    if file.format == "csv" and head is not None:
        sample = {name: head.column(name) for name in schema}
    sample |= {
        name: pa.array([file.partitions[name]], pa.string())
        for name in roles
        if name in file.partitions
    }
    for name, texts in sample.items():
        families[name] = text_family(roles[name], texts)
    return families, 0 if head is None else head.num_rows


def _disagreement(file: TableFile, name: str, kind: str, before: str) -> InputError:
    if {kind, before} == {"zoned", "naive"}:
        return zones_mixed(str(file.path), name, None)
    problem = f"the column holds {kind} here and {before} in another file of the table"
    return InputError(
        problem, file=str(file.path), column=name, remedy="Write all files with the same types"
    )


def _convert(
    file: TableFile, stored: pa.RecordBatch, roles: Mapping[str, Role], first_row: int
) -> Batch:
    columns = {}
    for name, role in roles.items():
        if name in file.partitions:
            values = pa.repeat(pa.scalar(file.partitions[name], pa.string()), stored.num_rows)
        else:
            values = stored.column(name)
        parse = file.format == "csv" or name in file.partitions
        columns[name] = convert(values, role, Place(str(file.path), name, first_row), parse=parse)
    return Batch(columns, str(file.path), first_row)


def _check_zones(batch: Batch, roles: Mapping[str, Role], families: dict[str, str]) -> None:
    """Refuse a batch whose times have a zone where earlier ones had none, or the reverse.

    Updates `families`.
    """
    for name in (name for name, role in roles.items() if role == "time"):
        times = batch.columns[name]
        if times.null_count == len(times):
            continue
        own = family("time", times.type)
        if families[name] == UNKNOWN and own is not None:
            families[name] = own
        if own != families[name]:
            row = batch.first_row + pc.index(times.is_valid(), True).as_py()
            raise zones_mixed(batch.file, name, row)
