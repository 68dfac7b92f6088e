"""Maps raw values of rows to positions in the public table, and positions back to labels."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.inputs.clean_text import VALUE_NULL_WORDS, fold, is_suspect, tidy
from xstat_ray.inputs.grid_codes import GridCodes
from xstat_ray.inputs.tables import Chunk
from xstat_ray.inputs.text_index import TextIndex, to_bytes
from xstat_ray.model.dimension import Dimension
from xstat_ray.util.nulls import filled

_NULL_WORDS = pa.array(["", *VALUE_NULL_WORDS])


class Encoder:
    """Finds the positions of rows in the table that some dimensions span.

    Building it indexes the domains, so one encoder serves all chunks of a table.
    """

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        """Index the raw values of the dimensions, which span at most 2^31 - 1 positions."""
        self._domains = [_Domain(dimension) for dimension in dimensions]

    @property
    def columns(self) -> tuple[str, ...]:
        """Column of every dimension."""
        return tuple(domain.column for domain in self._domains)

    def encode(self, columns: Mapping[str, pa.Array]) -> NDArray[np.int32]:
        """Find the position of each row; the last dimension varies fastest.

        Raw values are compared as text; whole numbers by their decimal digits. A value that is not
        listed as it is written is compared once more without characters that nobody sees, with
        whole numbers by their digits (`31001.0` as `31001`), with truth values in small letters,
        and, where all listed values are codes of so many digits, with the zeros that a number has
        lost (`1206` as `01206`). A range, or a list that is the same as one, is compared as
        numbers: 09 is 9.

        Args:
            columns: (N,) arrays by column name, of text, whole numbers, or dictionaries of either.

        Returns:
            (N,) int32 positions, -1 where a value is outside its domain. Without dimensions all
            rows are at position 0. Null is outside every domain, even one with an `other` label,
            unless it has a `missing` label: that nothing is known about a row is no property to
            count. Blank text and words that tools write for null (`nan`, `NULL`) are null where
            they are not listed. A number that has lost digits (`3.1E+04`) is outside every domain.

        Raises:
            InputError: a column has another type.
        """
        if len(self._domains) == 1:
            (domain,) = self._domains
            return domain.labels(columns[domain.column])
        rows = len(next(iter(columns.values())))
        position = np.zeros(rows, np.int32)
        inside = np.ones(rows, bool)
        for domain in self._domains:
            label = domain.labels(columns[domain.column])
            inside &= label >= 0
            position = position * np.int32(domain.size) + label
        return np.where(inside, position, np.int32(-1))

    def encode_chunk(self, chunk: Chunk) -> NDArray[np.int32]:
        """Find the position of every row of a chunk; see `encode`.

        Raises:
            InputError: what `encode` refuses; names file, column and row.
        """
        try:
            return self.encode(chunk.columns)
        except InputError as error:
            row = chunk.first_row + self._first_refused(chunk.columns)
            raise InputError(
                error.problem, file=chunk.file, column=error.column, row=row, remedy=error.remedy
            ) from None

    def _first_refused(self, columns: Mapping[str, pa.Array]) -> int:
        """Place of the first row that `encode` refuses, by bisection."""
        used = {domain.column: columns[domain.column] for domain in self._domains}
        accepted = 0
        refused = len(next(iter(used.values())))
        while refused - accepted > 1:
            middle = (accepted + refused) // 2
            # A dictionary would still hold the values of the rows behind.
            head = {name: column[:middle].cast(pa.string()) for name, column in used.items()}
            try:
                self.encode(head)
            except InputError:
                refused = middle
            else:
                accepted = middle
        return accepted

    def outside(
        self, columns: Mapping[str, pa.Array], rows: NDArray[np.bool_]
    ) -> Iterator[tuple[str, pa.Array, NDArray[np.int64]]]:
        """Find which values put rows outside the domain.

        Args:
            columns: (N,) dictionaries of text by column name.
            rows: (N,) the rows that are asked about.

        Yields:
            For a dimension with such values its column, the (V,) values, which may occur twice, and
            in how many of the rows each occurs.
        """
        for domain in self._domains:
            values = columns[domain.column]
            codes = filled(values.indices, len(values.dictionary))
            number = np.bincount(
                codes.to_numpy(zero_copy_only=False)[rows], minlength=len(values.dictionary) + 1
            )
            met = np.flatnonzero(number)
            texts = pa.concat_arrays([values.dictionary, pa.nulls(1, values.dictionary.type)])
            texts = texts.take(pa.array(met))
            strange = domain.labels(texts) < 0
            if strange.any():
                yield domain.column, texts.filter(pa.array(strange)), number[met][strange]


def decode(
    labels: Sequence[tuple[str, Sequence[str]]], index: NDArray[np.integer]
) -> dict[str, pa.Array]:
    """Find the labels at positions of a table: the inverse of `encode`.

    Args:
        labels: (name, labels) of each dimension; the last varies fastest.
        index: (N,) positions, each within the table.

    Returns:
        (N,) array of text by name of the dimension.
    """
    columns: dict[str, pa.Array] = {}
    rest = np.asarray(index)
    for name, values in reversed(labels):
        rest, label = np.divmod(rest, len(values))
        columns[name] = pa.array(values, pa.string()).take(pa.array(label))
    return {name: columns[name] for name, _ in labels}


class _Domain:
    """One dimension, its raw values sorted for fast look-up."""

    def __init__(self, dimension: Dimension) -> None:
        self.column = dimension.column
        self.size = dimension.size
        label = [number for number, members in enumerate(dimension.members) for _ in members]
        values = pa.array([value for values in dimension.members for value in values], pa.string())
        self._listed = _Listed(values, np.array(label, np.int32))
        self._tidy = self._listed
        if pc.any(is_suspect(values)).as_py():
            self._tidy = _Listed(tidy(values), np.array(label, np.int32))
        self._width = _width(values)
        self._numbers = _is_range(dimension)
        self._other = _label(dimension, dimension.other)
        self._missing = _label(dimension, dimension.missing)
        self._grid = GridCodes.of(values.to_pylist())

    def labels(self, values: pa.Array) -> NDArray[np.int32]:
        """(N,) index of each value's label, -1 outside the domain."""
        if not pt.is_dictionary(values.type):
            return self._look_up(values)
        codes = filled(values.indices.cast(pa.int32()), -1).to_numpy(zero_copy_only=False)
        # The last entry is that of null, whose code is -1.
        label_by_code = np.append(self._look_up(values.dictionary), self._missing)
        labels: NDArray[np.int32] = label_by_code[codes]
        return labels

    def _look_up(self, values: pa.Array) -> NDArray[np.int32]:
        """(N,) index of each value's label; equal values are looked up once."""
        coded = _as_text(values, self.column).dictionary_encode()
        label_by_code = np.append(self._labels_of(coded.dictionary), self._missing)
        codes = filled(coded.indices, -1).to_numpy(zero_copy_only=False)
        labels: NDArray[np.int32] = label_by_code[codes]
        return labels

    def _labels_of(self, texts: pa.Array) -> NDArray[np.int32]:
        """(N,) index of the label of each of N distinct texts, none of them null."""
        labels = self._listed.labels(texts)
        unknown = np.flatnonzero(labels < 0)
        if len(unknown):
            labels[unknown] = self._meant(texts.take(pa.array(unknown)))
        return labels

    def _meant(self, texts: pa.Array) -> NDArray[np.int32]:
        """(N,) index of the label of each of N texts that are not listed as they are written."""
        labels = np.full(len(texts), self._other)
        if self._grid is not None:
            around = self._listed.labels(self._in_grid(texts))
            labels = np.where(around < 0, labels, around)
        suspect = np.arange(len(texts))
        if self._tidy is self._listed and not self._width and not self._numbers:
            suspect = np.flatnonzero(is_suspect(texts).to_numpy(zero_copy_only=False))
        if len(suspect):
            meant = self._in_grid(tidy(texts.take(pa.array(suspect))))
            found = self._tidy.labels(meant)
            if self._width:
                found = np.maximum(found, self._listed.labels(self._padded(meant)))
            if self._numbers:
                found = np.maximum(found, self._listed.labels(_as_numbers(meant)))
            lost = meant.is_null().to_numpy(zero_copy_only=False)
            labels[suspect] = np.where(found < 0, np.where(lost, -1, self._other), found)
        null = pc.is_in(fold(texts), _NULL_WORDS)
        labels[null.to_numpy(zero_copy_only=False)] = self._missing
        return labels

    def _in_grid(self, texts: pa.Array) -> pa.Array:
        return texts if self._grid is None else self._grid.fit(texts, self.column)

    def _padded(self, texts: pa.Array) -> pa.Array:
        digits = pc.match_substring_regex(texts, "^[0-9]+$")
        padded = pc.utf8_lpad(texts, self._width, "0")
        return pc.if_else(digits, padded, pa.scalar(None, pa.string()))


class _Listed:
    """Texts with their labels, for look-up."""

    def __init__(self, texts: pa.Array, label: NDArray[np.int32]) -> None:
        """Index M texts; one that has several labels has none."""
        present = texts.is_valid().to_numpy(zero_copy_only=False)
        values = to_bytes(texts.drop_null())
        distinct, first, place = np.unique(values, return_index=True, return_inverse=True)
        self._index = TextIndex(distinct)
        label = label[present]
        self._label = label[first].astype(np.int32)
        self._label[place[self._label[place] != label]] = -1

    def labels(self, texts: pa.Array) -> NDArray[np.int32]:
        """(N,) label of each text, -1 for null and where there is none."""
        # A zero byte at the end of a text would be lost among the bytes; no domain has one.
        whole = pc.if_else(pc.match_substring(texts, "\0"), "", texts)
        places = self._index.places(whole)[:-1]
        labels: NDArray[np.int32] = np.append(self._label, np.int32(-1))[places]
        return labels


def _width(values: pa.Array) -> int:
    """Digits of codes that all have as many and may begin with 0; 0 where values are no such codes.

    A table of numbers has lost the zeros, and there is only one code that it can have meant.
    """
    digits = pc.all(pc.match_substring_regex(values, "^[0-9]+$")).as_py()
    zeros = pc.any(pc.starts_with(values, "0")).as_py()
    lengths = pc.unique(pc.binary_length(values)).to_pylist() if digits and zeros else []
    return int(lengths[0]) if len(lengths) == 1 and lengths[0] > 1 else 0


def _label(dimension: Dimension, label: str | None) -> np.int32:
    return np.int32(-1 if label is None else dimension.labels.index(label))


def _is_range(dimension: Dimension) -> bool:
    """Whether the values are ascending whole numbers without a gap, each labelled by itself.

    Studies that spell the same labels and values in two forms are the same study, so how it was
    spelled may not matter.
    """
    pairs = [
        (label, members)
        for label, members in zip(dimension.labels, dimension.members, strict=True)
        if members
    ]
    if not pairs or not re.fullmatch(r"0|-?[1-9][0-9]{0,17}", pairs[0][0]):
        return False
    numbers = map(str, count(int(pairs[0][0])))
    return all(
        label == number and members == (number,)
        for (label, members), number in zip(pairs, numbers, strict=False)
    )


def _as_numbers(texts: pa.Array) -> pa.Array:
    """Write whole numbers among texts without padding and plus signs; leave other texts."""
    texts = pc.replace_substring_regex(
        texts, pattern=r"^\s*\+?(-?)0*([0-9]+)\s*$", replacement=r"\1\2"
    )
    return pc.if_else(pc.equal(texts, "-0"), "0", texts)


def _as_text(values: pa.Array, column: str) -> pa.Array:
    kind = values.type
    if not (
        pt.is_string(kind) or pt.is_large_string(kind) or pt.is_integer(kind) or pt.is_null(kind)
    ):
        remedy = "Store the values as text or as whole numbers"
        raise InputError(
            f"values of type {kind} cannot be matched with a domain", column=column, remedy=remedy
        )
    return values.cast(pa.string())
