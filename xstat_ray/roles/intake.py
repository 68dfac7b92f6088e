"""Intake: a party's table becomes numbers. Runs inside the party, before anything is encrypted.

Bad rows are put aside and counted, never fatal one by one: ids that have no normal form, people who are excluded, rows
outside the study. A table of which nothing is usable is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.inputs.ids import normalise
from xstat_ray.inputs.tables import Batch, open_table
from xstat_ray.secrecy import Secret
from xstat_ray.study import Study


@dataclass
class IntakeCounts:
    """What became of the rows of a table; stays in the party's own file."""

    rows: int = 0
    invalid_id: int = 0
    excluded: int = 0
    outside_domain: int = 0
    outside_span: int = 0
    over_bound: int = 0
    kept: int = 0
    persons: int = 0

    def as_dict(self) -> dict[str, int]:
        """Field names and values."""
        return asdict(self)

    def __add__(self, other: IntakeCounts) -> IntakeCounts:
        return IntakeCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


class People(Secret):
    """Numbers the persons of a table in the order in which they first appear with a usable row."""

    def __init__(self, study: Study, excluded: frozenset[str]) -> None:
        self._study, self._excluded = study, excluded
        self._numbers: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def ids(self) -> list[str]:
        """Normalised ids by person number."""
        return list(self._numbers)

    def number(
        self, ids: pa.Array, usable: NDArray[np.bool_], counts: IntakeCounts
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Number the persons of one batch.

        Args:
            ids: (N,) raw ids.
            usable: (N,) rows that are inside the study.
            counts: `invalid_id` and `excluded` are raised by the rows put aside here.

        Returns:
            (N,) person numbers, meaningful where the second array, (N,), is True.
        """
        encoded = ids.dictionary_encode()
        normal = normalise(encoded.dictionary, self._study.id_form, self._study.id_region).to_pylist()
        state = np.array([0 if n is None else 1 if n in self._excluded else 2 for n in normal] + [0], np.int8)
        codes = encoded.indices.fill_null(len(normal)).to_numpy(zero_copy_only=False)
        row_state = state[codes]
        counts.invalid_id += int((row_state == 0).sum())
        counts.excluded += int((row_state == 1).sum())
        keep = usable & (row_state == 2)
        lookup = np.full(len(normal) + 1, -1, np.int32)
        for code in np.unique(codes[keep]).tolist():
            lookup[code] = self._numbers.setdefault(normal[code], len(self._numbers))
        return lookup[codes], keep


def read_excluded(path: Path | str | None, id_column: str, study: Study) -> frozenset[str]:
    """Normalised ids of the people who opted out, from a table with the party's id column; empty without a path."""
    if path is None:
        return frozenset()
    excluded: set[str] = set()
    for batch in open_table(path, id=id_column, times=(), numbers=(), values=()).batches():
        normal = normalise(batch.columns[id_column].unique(), study.id_form, study.id_region)
        excluded.update(normal.drop_null().to_pylist())
    return frozenset(excluded)


def read_rows(
    path: Path | str, *, id_column: str, times: Sequence[str], numbers: Sequence[str], values: Sequence[str]
) -> Iterator[Batch]:
    """Stream a party's table, reading only the columns that the study names."""
    yield from open_table(path, id=id_column, times=times, numbers=numbers, values=values).batches()


def check_usable(counts: IntakeCounts, path: Path | str, id_column: str) -> None:
    """Refuse a table that contributes nothing.

    Raises:
        InputError: every id is unusable, or every row lies outside the study.
    """
    if counts.invalid_id == counts.rows:
        raise InputError(
            f"none of the {counts.rows} ids has the study's normal form",
            file=str(path),
            column=id_column,
            remedy="Check study.id (the normal form both parties agreed on) and the id column",
        )
    if counts.kept == 0 and counts.outside_domain + counts.outside_span == counts.rows - counts.invalid_id:
        raise InputError(
            f"none of the {counts.rows} rows lies inside the study ({counts.outside_domain} outside the domains, "
            f"{counts.outside_span} outside the period)",
            file=str(path),
            remedy="Compare the domains and the period of the study with the table",
        )
