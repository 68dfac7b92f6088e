"""Intake: a party's table becomes numbers. Runs inside the party, before anything is encrypted.

Rows that cannot be used are put aside and counted: ids without a normal form, people who are
excluded, rows outside the study. A table without any usable row is refused, and so is by default a
list of people to leave out that holds something else than ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.inputs.composite_ids import shown
from xstat_ray.inputs.domains import Encoder
from xstat_ray.inputs.forms import FormCounts
from xstat_ray.inputs.ids import normalise
from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.tables import Chunk, Table, open_table
from xstat_ray.model.study import Role, Study
from xstat_ray.roles.dropped_forms import DroppedForms
from xstat_ray.util.nulls import filled
from xstat_ray.util.secrecy import Secret


@dataclass
class IntakeCounts:
    """What became of the rows of a table; stays in the party's own file.

    Every row is counted once, for the first reason that puts it aside, or as kept.
    """

    rows: int = 0
    invalid_id: int = 0
    excluded: int = 0
    outside_domain: int = 0
    outside_span: int = 0
    over_column_bound: int = 0
    merged: int = 0
    over_bound: int = 0
    without_flag: int = 0
    kept: int = 0
    persons: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the names of the fields and their values."""
        return asdict(self)

    def with_parts(self, parts: Iterable[IntakeCounts]) -> IntakeCounts:
        """Add the counts of parts of the table that were read; what is left is outside the span."""
        counts = IntakeCounts(**self.as_dict())
        for part in parts:
            counts.outside_domain += part.outside_domain
            counts.merged += part.merged
            counts.over_bound += part.over_bound
            counts.kept += part.kept
        bounded = counts.over_column_bound + counts.merged + counts.over_bound + counts.without_flag
        seen = counts.outside_domain + bounded + counts.kept
        counts.outside_span = counts.rows - counts.invalid_id - counts.excluded - seen
        return counts

    def bound(self, *, over_column_bound: int, over_bound: int, without_flag: int) -> None:
        """Record why so many of the rows kept until now do not take part."""
        self.over_column_bound += over_column_bound
        self.over_bound += over_bound
        self.without_flag += without_flag
        self.kept -= over_column_bound + over_bound + without_flag


class Extract(NamedTuple):
    """What a party takes from the N rows of one chunk."""

    in_domain: NDArray[np.bool_]
    """(N,) whether all values lie in the domains."""
    in_span: NDArray[np.bool_]
    """(N,) whether the times lie in the study's periods."""
    columns: tuple[NDArray[Any], ...]
    """Arrays with N rows, which are kept where both are True."""


Extractor = Callable[[Chunk], Extract]


@dataclass(frozen=True, repr=False)
class Taken(Secret):
    """The usable rows of a table."""

    ids: list[str]
    """Normalised id of every person number."""
    person: NDArray[np.int32]
    """(M,) person number of every usable row."""
    columns: tuple[NDArray[Any], ...]
    """What was extracted, M rows each."""
    counts: IntakeCounts
    dropped: DroppedForms


def take(
    study: Study,
    table: Table,
    id_column: str,
    excluded: frozenset[str],
    extract: Extractor,
    *,
    encoder: Encoder,
) -> Taken:
    """Stream a table and keep its usable rows.

    Args:
        study: what is counted.
        table: the party's table.
        id_column: the column with the ids.
        excluded: normalised ids of people to leave out.
        extract: reads what is needed from a chunk.
        encoder: tells which values are outside the domains.

    Raises:
        InputError: every id is unusable, or every row lies outside the study.
    """
    people = People(study, excluded)
    counts = IntakeCounts()
    dropped = DroppedForms(encoder.columns)
    persons: list[NDArray[np.int32]] = []
    kept: list[tuple[NDArray[Any], ...]] = []
    for chunk in table.chunks():
        in_domain, in_span, columns = extract(chunk)
        ids = chunk.columns[id_column]
        person, accepted = people.number(ids, in_domain & in_span, counts, dropped.ids)
        keep = accepted & in_domain & in_span
        lost = accepted & ~in_domain
        counts.rows += len(keep)
        counts.outside_domain += int(lost.sum())
        if lost.any():
            dropped.add_values(encoder.outside(chunk.columns, lost))
        counts.outside_span += int((accepted & in_domain & ~in_span).sum())
        counts.kept += int(keep.sum())
        persons.append(person[keep])
        kept.append(tuple(column[keep] for column in columns))
    check_usable(counts, table, id_column)
    columns = tuple(np.concatenate(parts) for parts in zip(*kept, strict=True))
    return Taken(people.ids, np.concatenate(persons), columns, counts, dropped)


class People(Secret):
    """Numbers the persons of a table in the order in which they first appear with a usable row."""

    def __init__(self, study: Study, excluded: frozenset[str]) -> None:
        self._study = study
        self._excluded = excluded
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def ids(self) -> list[str]:
        """The normalised ids, by person number."""
        return list(self._numbers)

    def number(
        self, ids: pa.Array, usable: NDArray[np.bool_], counts: IntakeCounts, forms: FormCounts
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Number the persons of one chunk.

        Args:
            ids: (N,) raw ids, a dictionary of text.
            usable: (N,) rows that are inside the study.
            counts: `invalid_id` and `excluded` are raised by the rows put aside here.
            forms: takes the forms of ids without a normal form.

        Returns:
            (N,) person numbers, -1 for people without a usable row, and (N,) whether the id is
            valid and not excluded.
        """
        normal = normalise(ids.dictionary, self._study.id_form, self._study.id_region).to_pylist()
        state = np.array(
            [0 if n is None else 1 if n in self._excluded else 2 for n in normal] + [0], np.int8
        )
        codes = filled(ids.indices, len(normal)).to_numpy(zero_copy_only=False)
        row_state = state[codes]
        counts.invalid_id += int((row_state == 0).sum())
        forms.add(*invalid_texts(ids.dictionary, state[:-1] > 0, codes))
        counts.excluded += int((row_state == 1).sum())
        accepted = row_state == 2
        lookup = np.full(len(normal) + 1, -1, np.int32)
        for code in np.unique(codes[usable & accepted]).tolist():
            lookup[code] = self._numbers.setdefault(normal[code], len(self._numbers))
        return lookup[codes], accepted


def invalid_texts(
    texts: pa.Array, valid: NDArray[np.bool_], codes: NDArray[np.integer]
) -> tuple[pa.Array, NDArray[np.int64]]:
    """List the ids of a chunk that have no normal form.

    Args:
        texts: (D,) dictionary of the chunk.
        valid: (D,) whether each text has a normal form.
        codes: (N,) each row's place in the dictionary, D for null.

    Returns:
        (V,) texts, null among them, and (V,) how many rows have each.
    """
    rows = np.bincount(codes, minlength=len(texts) + 1)
    dropped = np.flatnonzero((rows > 0) & ~np.append(valid, False))
    if not len(dropped):
        return texts[:0], rows[:0]
    with_null = pa.concat_arrays([texts, pa.nulls(1, texts.type)])
    return with_null.take(pa.array(dropped)), rows[dropped]


class ExcludeList(NamedTuple):
    """What was read of one list of people to leave out."""

    file: str
    entries: int
    unreadable: int
    """Entries without a normal form, who are not left out."""

    def as_dict(self) -> dict[str, Any]:
        """Return the names of the fields and their values."""
        return self._asdict()


@dataclass(frozen=True, repr=False)
class LeftOut(Secret):
    """The people to leave out."""

    ids: pa.Array
    """Their normalised ids; an id may occur twice."""
    lists: tuple[ExcludeList, ...] = ()


def read_excluded(
    source: Source, id_column: str, study: Study, role: Role, digests: ReadDigests | None = None
) -> LeftOut:
    """Read the normalised ids of the people to leave out.

    Args:
        source: names the lists: tables with the party's id column.
        id_column: name of that column.
        study: tells the form of the ids.
        role: the party, for the remedy of an error.
        digests: compare what is read with what was read before.

    Raises:
        InputError: a list cannot be read, or has changed; or an entry has no normal form, unless
            the source says that those are only counted.
    """
    ids = [pa.array([], pa.string())]
    lists = []
    for number, path in enumerate(source.exclude_files, start=1):
        noted = None if digests is None else digests.of(f"exclude {number}")
        table = open_table(
            path, id=id_column, may_be_empty=True, digests=noted, options=source.options
        )
        entries = 0
        unreadable = 0
        first = None
        for chunk in table.chunks():
            written = chunk.columns[id_column]
            normal = normalise(written.dictionary, study.id_form, study.id_region)
            # A dictionary may hold ids that no row has, such as all categories of a column.
            ids.append(normal.take(written.indices.unique().drop_null()).drop_null())
            lost = _without_form(written, normal)
            entries += len(lost)
            unreadable += int(lost.sum())
            if first is None and lost.any():
                first = (chunk.file, chunk.first_row + int(lost.argmax()))
        if first is not None and source.unreadable == "stop":
            raise InputError(
                f"{unreadable} of {entries} entries of people to leave out have no normal form of "
                f"id form {study.id_form}, so nobody knows whom they mean",
                file=first[0],
                column=shown(id_column),
                row=first[1],
                remedy="Correct the list, which may have gone through a spreadsheet. Only with "
                f"data.{role}.unreadable=count are these entries counted and passed over",
            )
        lists.append(ExcludeList(str(path), entries, unreadable))
    return LeftOut(pa.concat_arrays(ids), tuple(lists))


def _without_form(written: pa.DictionaryArray, normal: pa.Array) -> NDArray[np.bool_]:
    """(N,) whether a row's id has no normal form."""
    lost = np.append(normal.is_null().to_numpy(zero_copy_only=False), True)
    codes = filled(written.indices, -1).to_numpy(zero_copy_only=False)
    rows: NDArray[np.bool_] = lost[codes]
    return rows


def different_tables(role: Role, file: str | None = None) -> InputError:
    """Make the error for environments of a party whose files are not the same."""
    return InputError(
        f"the environments of the {role} party have read different tables",
        file=file,
        remedy="Give all of them the same files, and start the run again",
    )


def check_usable(counts: IntakeCounts, table: Table, id_column: str) -> None:
    """Refuse a table that contributes nothing, unless that is because everybody is excluded.

    Raises:
        InputError: every id is unusable, or every row lies outside the study.
    """
    file = table.path
    if counts.invalid_id == counts.rows:
        raise InputError(
            f"none of the {counts.rows} ids has the study's normal form",
            file=file,
            column=shown(id_column),
            remedy="Check study.id (the normal form both parties agreed on) and the id column",
        )
    if counts.kept == 0 and counts.outside_domain + counts.outside_span > 0:
        raise InputError(
            f"none of the {counts.rows} rows lies inside the study "
            f"({counts.outside_domain} outside the domains, "
            f"{counts.outside_span} outside the period)",
            file=file,
            remedy="Compare the domains and the period of the study with the table",
        )
