"""Intake: a party's table becomes numbers. Runs inside the party, before anything is encrypted.

Rows that cannot be used are put aside and counted: ids without a normal form, people who are
excluded, rows outside the study. A table without any usable row is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.inputs.ids import normalise
from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.inputs.tables import Chunk, Table, open_table
from xstat_ray.model.study import Study
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
            counts.over_bound += part.over_bound
            counts.kept += part.kept
        bounded = counts.over_column_bound + counts.over_bound + counts.without_flag
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


def take(
    study: Study, table: Table, id_column: str, excluded: frozenset[str], extract: Extractor
) -> Taken:
    """Stream a table and keep its usable rows.

    Args:
        study: what is counted.
        table: the party's table.
        id_column: the column with the ids.
        excluded: normalised ids of people to leave out.
        extract: reads what is needed from a chunk.

    Raises:
        InputError: every id is unusable, or every row lies outside the study.
    """
    people = People(study, excluded)
    counts = IntakeCounts()
    persons: list[NDArray[np.int32]] = []
    kept: list[tuple[NDArray[Any], ...]] = []
    for chunk in table.chunks():
        in_domain, in_span, columns = extract(chunk)
        person, accepted = people.number(chunk.columns[id_column], in_domain & in_span, counts)
        keep = accepted & in_domain & in_span
        counts.rows += len(keep)
        counts.outside_domain += int((accepted & ~in_domain).sum())
        counts.outside_span += int((accepted & in_domain & ~in_span).sum())
        counts.kept += int(keep.sum())
        persons.append(person[keep])
        kept.append(tuple(column[keep] for column in columns))
    check_usable(counts, table, id_column)
    columns = tuple(np.concatenate(parts) for parts in zip(*kept, strict=True))
    return Taken(people.ids, np.concatenate(persons), columns, counts)


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
        self, ids: pa.Array, usable: NDArray[np.bool_], counts: IntakeCounts
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Number the persons of one chunk.

        Args:
            ids: (N,) raw ids, a dictionary of text.
            usable: (N,) rows that are inside the study.
            counts: `invalid_id` and `excluded` are raised by the rows put aside here.

        Returns:
            (N,) person numbers, -1 for people without a usable row, and (N,) whether the id is
            valid and not excluded.
        """
        normal = normalise(ids.dictionary, self._study.id_form, self._study.id_region).to_pylist()
        state = np.array(
            [0 if n is None else 1 if n in self._excluded else 2 for n in normal] + [0], np.int8
        )
        codes = ids.indices.fill_null(len(normal)).to_numpy(zero_copy_only=False)
        row_state = state[codes]
        counts.invalid_id += int((row_state == 0).sum())
        counts.excluded += int((row_state == 1).sum())
        accepted = row_state == 2
        lookup = np.full(len(normal) + 1, -1, np.int32)
        for code in np.unique(codes[usable & accepted]).tolist():
            lookup[code] = self._numbers.setdefault(normal[code], len(self._numbers))
        return lookup[codes], accepted


def read_excluded(
    paths: Sequence[Path | str],
    id_column: str,
    study: Study,
    digests: ReadDigests | None = None,
) -> pa.Array:
    """Read the normalised ids of the people to leave out; an id may occur twice.

    Args:
        paths: tables with the party's id column.
        id_column: name of that column.
        study: tells the form of the ids.
        digests: compare what is read with what was read before.

    Raises:
        InputError: a table cannot be read, or has changed.
    """
    excluded = [pa.array([], pa.string())]
    for number, path in enumerate(paths, start=1):
        noted = None if digests is None else digests.of(f"exclude {number}")
        for chunk in open_table(path, id=id_column, may_be_empty=True, digests=noted).chunks():
            normal = normalise(chunk.columns[id_column].dictionary, study.id_form, study.id_region)
            excluded.append(normal.drop_null())
    return pa.concat_arrays(excluded)


def check_usable(counts: IntakeCounts, table: Table, id_column: str) -> None:
    """Refuse a table that contributes nothing, unless that is because everybody is excluded.

    Raises:
        InputError: every id is unusable, or every row lies outside the study.
    """
    file = str(table.path)
    if counts.invalid_id == counts.rows:
        raise InputError(
            f"none of the {counts.rows} ids has the study's normal form",
            file=file,
            column=id_column,
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
