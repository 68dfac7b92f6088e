"""Ids of several columns, such as the numbers of a booking and of a passenger in it.

Such an id is named by its columns, and its text consists of theirs, in both cases with U+001F (unit
separator) between the parts. No part may contain it, so that different parts make different ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xstat_ray.inputs.section import Section, first_duplicate

DIVIDER = "\x1f"


def read_columns(side: Section) -> str:
    """Read the `id` of one side of a study: its column, or a list of columns.

    Raises:
        StudyError: it is missing, or a column is given twice.
    """
    listed = side.texts("id") if isinstance(side.get("id"), list) else ()
    columns = listed or (side.text("id"),)
    if (twice := first_duplicate(columns)) is not None:
        raise side.error(f"{twice!r} is given twice", "id")
    if any(DIVIDER in name for name in columns):
        raise side.error("the name of a column contains U+001F", "id", remedy="Rename it")
    return DIVIDER.join(columns)


def columns_of(id: str) -> tuple[str, ...]:
    """List the columns of an id: one, or several where the id has parts."""
    return tuple(id.split(DIVIDER))


def shown(id: str) -> str:
    """Write the name of an id for messages."""
    return " + ".join(columns_of(id))


def join_parts(
    columns: Mapping[str, pa.DictionaryArray], parts: Sequence[str]
) -> pa.DictionaryArray:
    """Join the parts of (N,) ids.

    Args:
        columns: (N,) dictionaries of text by column.
        parts: the columns of the parts, in their order.

    Returns:
        (N,) dictionary of text, null where a part is null or contains the divider.
    """
    return reduce(_join, (_without_divider(columns[name]) for name in parts))


def _without_divider(part: pa.DictionaryArray) -> pa.DictionaryArray:
    """Make texts null that contain the divider."""
    divided = pc.match_substring(part.dictionary, DIVIDER)
    texts = pc.if_else(divided, pa.scalar(None, pa.string()), part.dictionary)
    return pa.DictionaryArray.from_arrays(part.indices, texts)


def _join(first: pa.DictionaryArray, second: pa.DictionaryArray) -> pa.DictionaryArray:
    known = pc.and_(first.indices.is_valid(), second.indices.is_valid())
    rows = known.to_numpy(zero_copy_only=False)
    codes = [
        part.indices.filter(known).to_numpy(zero_copy_only=False).astype(np.int64)
        for part in (first, second)
    ]
    lasts = max(1, len(second.dictionary))
    pairs, place = np.unique(codes[0] * lasts + codes[1], return_inverse=True)
    texts = pc.binary_join_element_wise(
        first.dictionary.take(pa.array(pairs // lasts)),
        second.dictionary.take(pa.array(pairs % lasts)),
        DIVIDER,
    )
    indices = np.zeros(len(rows), np.int32)
    indices[rows] = place
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=~rows), texts)
