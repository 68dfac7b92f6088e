"""Nulls of Arrow's arrays."""

from __future__ import annotations

import pyarrow as pa


def filled(values: pa.Array, value: object) -> pa.Array:
    """Put a value in place of every null.

    Without nulls this is the array itself; Arrow's `fill_null` would copy it, which costs as much
    as the rest of what is done with a column.
    """
    return values.fill_null(value) if values.null_count else values
