"""De-identification: lines become irreversible codes and classes.

Whoever may not be used is left out first.

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
from xstat_ray.inputs.tables import Chunk, Table, open_table
from xstat_ray.util.files import write_whole
from xstat_ray.util.secrecy import Secret

COLUMNS = ("subscriber", "sex", "birth_year", "home", "corporate")
_PERSONAL = ("false", "0")
"""How a line that is not corporate is marked in the column `corporate`; any other mark, or none,
means corporate."""
_CODE_BYTES = 16


@dataclass
class LineCounts:
    """What became of the lines; stays in the operator's own file.

    Each is counted once, for the first reason.
    """

    lines: int = 0
    invalid_id: int = 0
    opted_out: int = 0
    corporate: int = 0
    outside_ages: int = 0
    without_class: int = 0
    """Sex unknown, or a home that is not in the register."""
    used: int = 0

    def as_dict(self) -> dict[str, int]:
        """Field names and values."""
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
        """(N,) codes of ids (text), and (N,) whether each has a normal form.

        The others have an empty code.
        """
        normal = normalise(ids, self._declaration.id_form, self._declaration.id_region)
        return np.array([self._code(one) for one in normal.to_pylist()], f"S{_CODE_BYTES}"), _valid(
            normal
        )

    def _code(self, normal: str | None) -> bytes:
        if normal is None:
            return b""
        return hashlib.blake2b(normal.encode(), key=self._key, digest_size=_CODE_BYTES).digest()


@dataclass(frozen=True, repr=False)
class Lines(Secret):
    """The usable lines, de-identified, sorted by code."""

    codes: NDArray[np.bytes_]
    """(P,)"""
    classes: NDArray[np.int32]
    """(P,) number of each line's class, as `Register.classes`."""

    def save(self, folder: Path) -> None:
        """Write them into a private folder."""
        folder.mkdir(mode=0o700)
        for name, values in (("codes", self.codes), ("classes", self.classes)):
            np.save(folder / f"{name}.npy", values)

    @classmethod
    def load(cls, folder: Path) -> Lines:
        """Read them back; memory is shared between the processes of a machine."""
        return cls(
            *(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("codes", "classes"))
        )

    def find(self, codes: NDArray[np.bytes_]) -> NDArray[np.int64]:
        """(N,) numbers of lines, -1 for those that are not used."""
        if not len(self.codes):
            return np.full(len(codes), -1)
        place = np.searchsorted(self.codes, codes)
        place[place == len(self.codes)] = 0
        return np.where(self.codes[place] == codes, place, -1)


def open_lines(path: Path | str) -> Table:
    """Open the table of lines and check its form.

    Raises:
        InputError: as `open_table`.
    """
    return open_table(
        path, id="subscriber", numbers=("birth_year",), values=("sex", "home", "corporate")
    )


class LineTables(NamedTuple):
    """The operator's tables of lines."""

    lines: Table
    """From `open_lines`."""
    excluded: tuple[Path, ...]
    """Tables of subscribers who opted out."""


class Intake(Secret):
    """Takes the table of lines of one release."""

    def __init__(
        self, declaration: Declaration, register: Register, pseudonyms: Pseudonyms
    ) -> None:
        self._declaration = declaration
        self._register = register
        self._pseudonyms = pseudonyms
        self.counts = LineCounts()

    def take(self, tables: LineTables) -> Lines:
        """Leave out who may not be used, then keep code and class of everybody else.

        Ages are those reached in the year of the first day.

        Raises:
            InputError: a line is listed twice, or none is usable.
        """
        table = tables.lines
        out = self._excluded(tables.excluded)
        codes = [np.zeros(0, f"S{_CODE_BYTES}")]
        classes = [np.zeros(0, np.int32)]
        for chunk in table.chunks():
            code, own, keep = self._usable(chunk, out)
            codes.append(code[keep])
            classes.append(own[keep])
        code = np.concatenate(codes)
        own = np.concatenate(classes)
        order = np.argsort(code)
        code = code[order]
        own = own[order]
        if (code[1:] == code[:-1]).any():
            remedy = "Keep one row for each line"
            raise InputError(
                "a line is listed twice", file=str(table.path), column="subscriber", remedy=remedy
            )
        if not len(code):
            remedy = (
                "Compare the columns sex, birth_year, home and corporate with docs/population.md"
            )
            raise InputError("no line can be used", file=str(table.path), remedy=remedy)
        return Lines(code, own)

    def _excluded(self, paths: Sequence[Path]) -> NDArray[np.bytes_]:
        codes = [np.zeros(0, f"S{_CODE_BYTES}")]
        for path in paths:
            for chunk in open_table(path, id="subscriber", may_be_empty=True).chunks():
                own, valid = self._pseudonyms.codes(chunk.columns["subscriber"].dictionary)
                codes.append(own[valid])
        return np.unique(np.concatenate(codes))

    def _usable(
        self, chunk: Chunk, excluded: NDArray[np.bytes_]
    ) -> tuple[NDArray[np.bytes_], NDArray[np.int32], NDArray[np.bool_]]:
        """Code and class of every row of a chunk, and whether it is used."""
        code, valid = self._pseudonyms.codes(chunk.columns["subscriber"].cast(pa.string()))
        age = self._declaration.first_day.year - chunk.columns["birth_year"].to_numpy(
            zero_copy_only=False
        )
        aged = (age >= USED_AGES[0]) & (age <= USED_AGES[1])
        home = _place(chunk, "home", self._register.homes)
        sex = _place(chunk, "sex", SEXES)
        step = (np.where(aged, age, USED_AGES[0]).astype(np.int64) - USED_AGES[0]) // AGE_WIDTH
        own = self._register.classes(np.maximum(home, 0), np.maximum(sex, 0), step)
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
        return code, own, keep


def _place(chunk: Chunk, column: str, names: Sequence[str]) -> NDArray[np.int64]:
    found = pc.index_in(
        chunk.columns[column].cast(pa.string()), value_set=pa.array(names, pa.string())
    )
    places: NDArray[np.int64] = found.fill_null(-1).to_numpy().astype(np.int64)
    return places


def _valid(values: pa.Array) -> NDArray[np.bool_]:
    valid: NDArray[np.bool_] = values.is_valid().to_numpy(zero_copy_only=False)
    return valid
