"""De-identification: subscribers become irreversible codes and classes.

Those who may not be used are left out first.

A code is a keyed hash of the id. The key is drawn for one release, lies in that release's private
folder, travels as a path only, and is removed with it: then nobody can make the codes again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.population.declaration import Declaration
from xstat_ray.hokkaido.population.register import AGE_WIDTH, SEXES, USED_AGES, Register
from xstat_ray.inputs.ids import normalise
from xstat_ray.inputs.table_options import NOTHING_SET, TableOptions
from xstat_ray.inputs.tables import Chunk, Table, open_table
from xstat_ray.util.files import write_whole
from xstat_ray.util.location import LocationLike
from xstat_ray.util.secrecy import Secret

COLUMNS = ("subscriber", "sex", "birth_year", "home", "corporate")
_PERSONAL = ("false", "0")
"""Marks in the column `corporate` of persons; any other mark, or none, means a company."""
_CODE_BYTES = 16


@dataclass
class SubscriberCounts:
    """Counts of subscribers by what became of them; each counts once, for the first reason.

    Only the operator's private file holds these counts, under the names of the fields.
    """

    lines: int = 0
    """All subscribers: the rows of their tables."""
    invalid_id: int = 0
    opted_out: int = 0
    corporate: int = 0
    outside_ages: int = 0
    without_class: int = 0
    """Subscribers whose sex is unknown, or whose home is not in the register."""
    used: int = 0
    unreadable_opt_outs: int = 0
    """Entries of people who opted out that have no normal form: whoever they mean is used."""

    def as_dict(self) -> dict[str, int]:
        """Counts by the name of their field."""
        return asdict(self)


class Pseudonyms(Secret):
    """Makes codes of ids."""

    def __init__(self, file: Path, declaration: Declaration) -> None:
        """Read the key."""
        self._key = file.read_bytes()
        self._declaration = declaration

    @staticmethod
    def draw_key(file: Path) -> None:
        """Write a new key that only this user may read."""
        write_whole(file, os.urandom(32), mode=0o600)

    def codes(self, ids: pa.Array) -> tuple[NDArray[np.bytes_], NDArray[np.bool_]]:
        """Make codes.

        Args:
            ids: (N,) text.

        Returns:
            (N,) codes, empty for an id without a normal form, and (N,) whether it has one.
        """
        normal = normalise(ids, self._declaration.id_form, self._declaration.id_region)
        codes = [self._code(text) for text in normal.to_pylist()]
        return np.array(codes, f"S{_CODE_BYTES}"), _valid(normal)

    def _code(self, normal: str | None) -> bytes:
        if normal is None:
            return b""
        return hashlib.blake2b(normal.encode(), key=self._key, digest_size=_CODE_BYTES).digest()


@dataclass(frozen=True, repr=False)
class Subscribers(Secret):
    """The usable subscribers, de-identified, sorted by code."""

    codes: NDArray[np.bytes_]
    """(P,) codes, ascending."""
    classes: NDArray[np.int32]
    """(P,) number of each subscriber's class, made by `Register.classes`."""

    def save(self, folder: Path) -> None:
        """Write the subscribers into a private folder."""
        folder.mkdir(mode=0o700)
        for name, values in (("codes", self.codes), ("classes", self.classes)):
            np.save(folder / f"{name}.npy", values)

    @classmethod
    def load(cls, folder: Path) -> Subscribers:
        """Map the files of a folder into memory that the processes of a machine share."""
        return cls(
            *(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("codes", "classes"))
        )

    def find(self, codes: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """(N,) places of codes among the subscribers; -1 for those that are not used."""
        if not len(self.codes):
            return np.full(len(codes), -1)
        place = np.searchsorted(self.codes, codes)
        place[place == len(self.codes)] = 0
        return np.where(self.codes[place] == codes, place, -1)


def open_subscribers(path: LocationLike, options: TableOptions = NOTHING_SET) -> Table:
    """Open the table of subscribers and check its form.

    Args:
        path: where it lies.
        options: how its files are read.

    Raises:
        InputError: a reason that `open_table` names.
    """
    return open_table(
        path,
        id="subscriber",
        numbers=("birth_year",),
        values=("sex", "home", "corporate"),
        options=options,
    )


class SubscriberTables(NamedTuple):
    """The operator's table of subscribers, and those of opt-outs."""

    subscribers: Table
    """What `open_subscribers` returned."""
    excluded: tuple[LocationLike, ...]
    """Tables of subscribers who opted out."""
    options: TableOptions = NOTHING_SET
    """How the files of those are read."""
    count_unreadable: bool = False
    """Whether their entries without a normal form are counted and passed over."""


class Intake(Secret):
    """Takes in the table of subscribers for one release."""

    def __init__(
        self, declaration: Declaration, register: Register, pseudonyms: Pseudonyms
    ) -> None:
        self._declaration = declaration
        self._register = register
        self._pseudonyms = pseudonyms
        self.counts = SubscriberCounts()

    def take(self, tables: SubscriberTables) -> Subscribers:
        """Leave out those who may not be used, and keep code and class of everybody else.

        Ages are those reached in the year of the first day.

        Raises:
            InputError: a subscriber is listed twice, or none is usable.
        """
        table = tables.subscribers
        excluded = self._excluded(tables)
        codes = [np.zeros(0, f"S{_CODE_BYTES}")]
        classes = [np.zeros(0, np.int32)]
        for chunk in table.chunks():
            chunk_codes, chunk_classes, keep = self._usable(chunk, excluded)
            codes.append(chunk_codes[keep])
            classes.append(chunk_classes[keep])
        code = np.concatenate(codes)
        order = np.argsort(code)
        usable = Subscribers(code[order], np.concatenate(classes)[order])
        _check(usable, table)
        return usable

    def _excluded(self, tables: SubscriberTables) -> NDArray[np.bytes_]:
        """List the codes of people who opted out.

        Raises:
            InputError: an entry has no normal form, unless these are counted.
        """
        codes = [np.zeros(0, f"S{_CODE_BYTES}")]
        for path in tables.excluded:
            table = open_table(path, id="subscriber", may_be_empty=True, options=tables.options)
            for chunk in table.chunks():
                ids = chunk.columns["subscriber"].cast(pa.string())
                code, valid = self._pseudonyms.codes(ids)
                self.counts.unreadable_opt_outs += int((~valid).sum())
                if not valid.all() and not tables.count_unreadable:
                    raise InputError(
                        "an entry of people who opted out has no normal form, so nobody knows whom "
                        "it means",
                        file=chunk.file,
                        column="subscriber",
                        row=chunk.first_row + int(valid.argmin()),
                        remedy="Correct the list, which may have gone through a spreadsheet. Only "
                        "with data.unreadable=count are such entries counted and passed over",
                    )
                codes.append(code[valid])
        return np.unique(np.concatenate(codes))

    def _usable(
        self, chunk: Chunk, excluded: NDArray[np.bytes_]
    ) -> tuple[NDArray[np.bytes_], NDArray[np.int32], NDArray[np.bool_]]:
        """Find code and class of each row of a chunk, and whether it is used."""
        code, valid = self._pseudonyms.codes(chunk.columns["subscriber"].cast(pa.string()))
        age = self._declaration.first_day.year - chunk.columns["birth_year"].to_numpy(
            zero_copy_only=False
        )
        aged = (age >= USED_AGES[0]) & (age <= USED_AGES[1])
        home = _place(chunk, "home", self._register.homes)
        sex = _place(chunk, "sex", SEXES)
        step = (np.where(aged, age, USED_AGES[0]).astype(np.int64) - USED_AGES[0]) // AGE_WIDTH
        classes = self._register.classes(np.maximum(home, 0), np.maximum(sex, 0), step)
        reasons = {
            "invalid_id": ~valid,
            "opted_out": np.isin(code, excluded),
            "corporate": _place(chunk, "corporate", _PERSONAL) < 0,
            "outside_ages": ~aged,
            "without_class": (home < 0) | (sex < 0),
        }
        keep = np.ones(len(code), bool)
        counts = self.counts
        for name, left_out in reasons.items():
            setattr(counts, name, getattr(counts, name) + int((keep & left_out).sum()))
            keep &= ~left_out
        counts.lines += len(code)
        counts.used += int(keep.sum())
        return code, classes, keep


def _check(subscribers: Subscribers, table: Table) -> None:
    """Refuse a table that lists a subscriber twice, or none that can be used."""
    codes = subscribers.codes
    if (codes[1:] == codes[:-1]).any():
        raise InputError(
            "a subscriber is listed twice",
            file=table.path,
            column="subscriber",
            remedy="Keep one row for each subscriber",
        )
    if not len(codes):
        remedy = "Compare the columns sex, birth_year, home and corporate with docs/population.md"
        raise InputError("no subscriber can be used", file=table.path, remedy=remedy)


def _place(chunk: Chunk, column: str, names: Sequence[str]) -> NDArray[np.int64]:
    found = pc.index_in(
        chunk.columns[column].cast(pa.string()), value_set=pa.array(names, pa.string())
    )
    places: NDArray[np.int64] = found.fill_null(-1).to_numpy().astype(np.int64)
    return places


def _valid(values: pa.Array) -> NDArray[np.bool_]:
    valid: NDArray[np.bool_] = values.is_valid().to_numpy(zero_copy_only=False)
    return valid
