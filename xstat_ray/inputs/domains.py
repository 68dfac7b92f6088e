"""Maps raw values of rows to positions in the public table, and positions back to labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.inputs.ids import places, to_bytes
from xstat_ray.model.study import Dimension


class Encoder:
    """Finds the positions of rows in the table that some dimensions span.

    Building it indexes the domains, so one encoder serves all chunks of a table.
    """

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        """Index the raw values of the dimensions, which span at most 2^31 - 1 positions."""
        self._domains = [_Domain(dimension) for dimension in dimensions]

    def encode(self, columns: Mapping[str, pa.Array]) -> NDArray[np.int32]:
        """Find the position of each row; the last dimension varies fastest.

        Raw values are compared as text; whole numbers by their decimal digits.

        Args:
            columns: (N,) arrays by column name, of text, whole numbers, or dictionaries of either.

        Returns:
            (N,) int32 positions, -1 where a value is outside its domain. Without dimensions all
            rows are at position 0. Null is outside every domain, even one with an `other` label:
            that nothing is known about a row is not a property to count.

        Raises:
            InputError: a column has another type.
        """
        rows = len(next(iter(columns.values())))
        position = np.zeros(rows, np.int32)
        inside = np.ones(rows, bool)
        for domain in self._domains:
            label = domain.labels(columns[domain.column])
            inside &= label >= 0
            position = position * np.int32(domain.size) + label
        return np.where(inside, position, np.int32(-1))


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
        other = -1 if dimension.other is None else dimension.labels.index(dimension.other)
        values = to_bytes(
            pa.array([value for values in dimension.members for value in values], pa.string())
        )
        order = np.argsort(values)
        self._values = values[order]
        self._label = np.array(label, np.int32)[order]
        self._other = np.int32(other)

    def labels(self, values: pa.Array) -> NDArray[np.int32]:
        """(N,) index of each value's label, -1 outside the domain."""
        if not pt.is_dictionary(values.type):
            return self._look_up(values)
        codes = values.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
        # The last entry is that of null, whose code is -1.
        label_by_code = np.append(self._look_up(values.dictionary), np.int32(-1))
        labels: NDArray[np.int32] = label_by_code[codes]
        return labels

    def _look_up(self, values: pa.Array) -> NDArray[np.int32]:
        """(N,) index of each value's label; equal values are looked up once."""
        coded = _as_text(values, self.column).dictionary_encode()
        # A zero byte at the end of a text would be lost among the bytes; no domain has one.
        texts = pc.if_else(pc.match_substring(coded.dictionary, "\0"), "", coded.dictionary)
        label_by_code = np.append(self._label, self._other)[places(texts, self._values)]
        label_by_code[-1] = -1
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        labels: NDArray[np.int32] = label_by_code[codes]
        return labels


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
