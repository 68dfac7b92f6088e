"""Domains: rows' raw values to positions in the public table, and positions back to labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.study import Dimension


def encode(dimensions: Sequence[Dimension], columns: Mapping[str, pa.Array]) -> NDArray[np.int32]:
    """Position of every row in the table spanned by `dimensions`, the last of which varies fastest.

    Raw values are compared as text; whole numbers by their decimal digits.

    Args:
        dimensions: at most 2^31 - 1 positions in all; without any, every row is at position 0.
        columns: (N,) arrays by column name, of text, whole numbers, or dictionaries of either.

    Returns:
        (N,) int32 positions, -1 where any value is outside its domain. Null is outside every domain, also of one with
        an `other` label: that nothing is known about a row is not a property to count.

    Raises:
        InputError: a column has another type.
    """
    rows = len(next(iter(columns.values())))
    position, inside = np.zeros(rows, np.int32), np.ones(rows, bool)
    for dimension in dimensions:
        label = _label_index(dimension, columns[dimension.column])
        inside &= label >= 0
        position = position * np.int32(dimension.size) + label
    return np.where(inside, position, np.int32(-1))


def decode(labels: Sequence[tuple[str, Sequence[str]]], index: NDArray[np.integer]) -> dict[str, pa.Array]:
    """Labels at positions of a table: the inverse of `encode`.

    Args:
        labels: (name, labels) of each dimension, the last varies fastest.
        index: (N,) positions, each within the table.

    Returns:
        For each name an (N,) array of text.
    """
    columns: dict[str, pa.Array] = {}
    rest = np.asarray(index)
    for name, values in reversed(labels):
        rest, own = np.divmod(rest, len(values))
        columns[name] = pa.array(values, pa.string()).take(pa.array(own))
    return {name: columns[name] for name, _ in labels}


def _label_index(dimension: Dimension, values: pa.Array) -> NDArray[np.int32]:
    """(N,) index of each value's label, -1 outside."""
    if pt.is_dictionary(values.type):
        codes = values.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        of_code: NDArray[np.int32] = np.append(_label_index(dimension, values.dictionary), np.int32(-1))
        coded: NDArray[np.int32] = of_code[codes]
        return coded
    text = _as_text(values, dimension.column)
    owner = [label for label, members in enumerate(dimension.members) for _ in members]
    members = pa.array([value for values in dimension.members for value in values], pa.string())
    other = -1 if dimension.other is None else dimension.labels.index(dimension.other)
    found = pc.index_in(text, value_set=members).fill_null(len(owner)).to_numpy(zero_copy_only=False)
    label: NDArray[np.int32] = np.array([*owner, other], np.int32)[found]
    label[~text.is_valid().to_numpy(zero_copy_only=False)] = -1
    return label


def _as_text(values: pa.Array, column: str) -> pa.Array:
    kind = values.type
    if not (pt.is_string(kind) or pt.is_large_string(kind) or pt.is_integer(kind) or pt.is_null(kind)):
        remedy = "Store the values as text or as whole numbers"
        raise InputError(f"values of type {kind} cannot be matched with a domain", column=column, remedy=remedy)
    return values.cast(pa.string())
