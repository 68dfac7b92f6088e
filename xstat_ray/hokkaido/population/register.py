"""The resident register, which is public, and the classes by which subscribers are expanded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.geo import hokkaido
from xstat_ray.inputs.tables import Chunk, open_table
from xstat_ray.util.location import LocationLike

SEXES = ("female", "male")
USED_AGES = (15, 79)
"""Youngest and oldest age that the operator's guideline uses."""
AGE_WIDTH = 5
AGES = tuple(f"{low}-{low + AGE_WIDTH - 1}" for low in range(USED_AGES[0], USED_AGES[1], AGE_WIDTH))
"""Five-year classes, "15-19" to "75-79"."""
COLUMNS = ("home", "sex", "age", "residents")


@dataclass(frozen=True)
class Register:
    """Residents by home, sex and five-year class."""

    homes: tuple[str, ...]
    """Codes of municipalities of Hokkaido and of other prefectures, ascending."""
    residents: NDArray[np.int64]
    """(homes, sexes, ages)."""

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the content."""
        return hashlib.sha256(
            "\n".join(self.homes).encode() + self.residents.astype("<i8").tobytes()
        ).digest()

    def classes(
        self, homes: NDArray[np.int64], sexes: NDArray[np.int64], ages: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        """Number the classes of N people.

        Args:
            homes: (N,) places in `homes`.
            sexes: (N,) places in `SEXES`.
            ages: (N,) places in `AGES`.

        Returns:
            (N,) positions in the flattened `residents`.
        """
        return ((homes * len(SEXES) + sexes) * len(AGES) + ages).astype(np.int32)

    def parts(self, classes: NDArray[np.integer]) -> tuple[NDArray[np.int64], ...]:
        """Split numbers made by `classes` into homes, sexes and ages, each (N,)."""
        home, sex, age = np.unravel_index(classes, self.residents.shape)
        return home, sex, age

    def merged(self, least: int) -> NDArray[np.int64]:
        """Merge classes into groups of at least `least` residents.

        Neighbouring ages of one home and sex come together; where that is not enough, the sexes;
        then homes of one subprefecture, or prefectures; what is left joins the group made last.
        This follows from the register alone, so that no subscriber changes it.

        Returns:
            (homes * sexes * ages,) number of the group in which each class is expanded.
        """
        group = np.full(self.residents.shape, -1, np.int64)
        last = -1
        pools = dict[str, list[int]]()
        for home, table in enumerate(self.residents):
            if (table.sum(axis=1) >= least).all():
                for sex in range(len(SEXES)):
                    ends = _cut(table[sex], least)
                    group[home, sex] = last + 1 + ends
                    last = int(group[home, sex, -1])
            elif table.sum() >= least:
                last += 1
                group[home] = last
            else:
                pools.setdefault(_region(self.homes[home]), []).append(home)
        left: list[int] = []
        for homes in pools.values():
            if self.residents[homes].sum() < least:
                left += homes
                continue
            last += 1
            group[homes] = last
        group[left] = max(last, 0)
        return group.ravel()


def read_register(path: LocationLike) -> Register:
    """Read the register: a table with the columns `COLUMNS`.

    A class without a row has no residents.

    Raises:
        InputError: no such table, or a row with an unknown sex or age, without a home or a whole
            number, or twice.
    """
    homes: list[str] = []
    rows: list[tuple[NDArray[np.int64], ...]] = []
    for chunk in open_table(path, values=COLUMNS[:3], numbers=COLUMNS[3:]).chunks():
        code = chunk.columns["home"].cast(pa.string())
        if code.null_count:
            raise _error(
                chunk,
                "home",
                code.is_null(),
                "a row without a home",
                "Write the code of a municipality",
            )
        known = pc.unique(code).to_pylist()
        homes += [home for home in known if home not in homes]
        number = pc.index_in(code, value_set=pa.array(homes, pa.string())).to_numpy()
        rows.append(
            (number, _place(chunk, "sex", SEXES), _place(chunk, "age", AGES), _whole(chunk))
        )
    home, sex, age, residents = (
        np.concatenate(parts).astype(np.int64) for parts in zip(*rows, strict=True)
    )
    order = np.argsort(np.array(homes, object))
    rank = np.argsort(order)
    table = np.zeros((len(homes), len(SEXES), len(AGES)), np.int64)
    np.add.at(table, (rank[home], sex, age), residents)
    entries = np.zeros_like(table)
    np.add.at(entries, (rank[home], sex, age), 1)
    if (entries > 1).any():
        raise InputError("a class has two rows", file=str(path), remedy="Add them up")
    return Register(tuple(homes[i] for i in order), table)


def _cut(residents: NDArray[np.int64], least: int) -> NDArray[np.int64]:
    """Cut ages into groups of neighbours with `least` residents; a rest joins the last group.

    Returns:
        (ages,) number of the group of each age, from 0.
    """
    group = np.empty(len(residents), np.int64)
    number = 0
    gathered = 0
    for age, count in enumerate(residents):
        group[age] = number
        gathered += int(count)
        if gathered >= least and residents[age + 1 :].sum() >= least:
            number = number + 1
            gathered = 0
    return group


def _region(home: str) -> str:
    towns = hokkaido.municipalities()
    place = pc.index(towns["code"], home).as_py()
    return "prefectures" if place < 0 else str(towns["subprefecture"][place])


def _place(chunk: Chunk, column: str, names: tuple[str, ...]) -> NDArray[np.int64]:
    found = pc.index_in(chunk.columns[column].cast(pa.string()), value_set=pa.array(names))
    if found.null_count:
        raise _error(
            chunk,
            column,
            found.is_null(),
            f"an unknown {column}",
            f"Write one of {', '.join(names)}",
        )
    numbers: NDArray[np.int64] = found.to_numpy().astype(np.int64)
    return numbers


def _whole(chunk: Chunk) -> NDArray[np.int64]:
    values = chunk.columns["residents"].to_numpy(zero_copy_only=False)
    bad = ~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)))
    if bad.any():
        remedy = "Write the number of residents, 0 or more"
        raise _error(chunk, "residents", pa.array(bad), "not a whole number of people", remedy)
    whole: NDArray[np.int64] = values.astype(np.int64)
    return whole


def _error(chunk: Chunk, column: str, bad: pa.Array, problem: str, remedy: str) -> InputError:
    row = chunk.first_row + pc.index(bad, True).as_py()
    return InputError(problem, file=chunk.file, column=column, row=row, remedy=remedy)
