"""Which rows carry the tags of which flags.

Both sides are sorted, so each flag is looked up in the rows by binary search: the cost grows with
the flags, and with the rows only by their logarithm, plus passes over all rows that do not depend
on the flags. It does not grow with how often a tag is repeated, or time and memory would tell
whether a flag has it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.tags import TAG_BYTES, in_order, is_sorted, sort_order
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Rows


class Matches(NamedTuple):
    """Pairs of equal tags."""

    rows: NDArray[np.int64]
    """(K,) row numbers of the K pairs, grouped by flag."""
    flags: NDArray[np.int64]
    """(K,) flag numbers of these pairs."""
    excessive: NDArray[np.int64]
    """Flags that are equal to more rows than may be; they are in no pair."""


def tags_of(rows: Rows, number: int) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """Return the tags of rows for one column party, and which row each is of.

    Args:
        rows: rows, which travel sorted by their tags for the first party.
        number: of the column party, from 0.

    Returns:
        (N, 16) tags, sorted if the rows are as they must be, and (N,) row numbers, None where the
        tags are in the order of the rows.

    Raises:
        ProtocolError: the rows have another number of tags than of views.
    """
    parties = len(rows.views)
    if rows.tags.shape[1] != parties * TAG_BYTES:
        raise ProtocolError("rows have another number of tags than of views")
    if parties == 1:
        return rows.tags, None
    tags = rows.tags[:, number * TAG_BYTES : (number + 1) * TAG_BYTES]
    if number == 0:
        return np.ascontiguousarray(tags), None
    order = sort_order(tags, rows.cells)
    return in_order(tags, order), order


def match(row_tags: NDArray[np.uint8], flag_tags: NDArray[np.uint8], most: int) -> Matches:
    """Find the pairs of equal tags.

    Args:
        row_tags: (N, 16) sorted; one tag may occur in several rows.
        flag_tags: (M, 16) sorted, without repeats.
        most: rows that a flag may be equal to.

    Raises:
        ProtocolError: a side is not sorted, or two flags carry one tag.
    """
    return _find(row_tags, flag_tags, most)[0]


def met(row_tags: NDArray[np.uint8], flag_tags: NDArray[np.uint8], most: int) -> NDArray[np.bool_]:
    """Tell of every row whether a flag has its tag, whether or not that flag has too many rows.

    Args:
        row_tags: (N, 16) sorted; one tag may occur in several rows.
        flag_tags: (M, 16) sorted, without repeats.
        most: rows that a flag may be equal to; only the cost depends on it.

    Returns:
        (N,)

    Raises:
        ProtocolError: a side is not sorted, or two flags carry one tag.
    """
    (rows, _, excessive), first, end = _find(row_tags, flag_tags, most)
    steps = np.zeros(len(row_tags) + 1, np.int64)
    np.add.at(steps, first[excessive], 1)
    np.subtract.at(steps, end[excessive], 1)
    found: NDArray[np.bool_] = np.cumsum(steps[:-1]) > 0
    found[rows] = True
    return found


def _find(
    row_tags: NDArray[np.uint8], flag_tags: NDArray[np.uint8], most: int
) -> tuple[Matches, NDArray[np.int64], NDArray[np.int64]]:
    """Find the pairs, and of each flag that has too many rows where these begin and end."""
    if not is_sorted(row_tags) or not is_sorted(flag_tags):
        raise ProtocolError("tags are not sorted")
    if len(flag_tags) and (flag_tags[1:] == flag_tags[:-1]).all(axis=1).any():
        raise ProtocolError("two flags carry the same tag")
    row_low, row_high = _words(row_tags)
    flag_low, flag_high = _words(flag_tags)
    first = np.searchsorted(row_low, flag_low, side="left")
    end = np.searchsorted(row_low, flag_low, side="right")
    for number in np.flatnonzero(end - first > most).tolist():
        alike = row_high[first[number] : end[number]]
        sides = (np.searchsorted(alike, flag_high[number], side) for side in ("left", "right"))
        first[number], end[number] = (first[number] + side for side in sides)
    count = end - first
    excessive = np.flatnonzero(count > most)
    count[excessive] = 0
    flag = np.repeat(np.arange(len(flag_tags)), count)
    row = np.arange(len(flag)) + np.repeat(first - (np.cumsum(count) - count), count)
    equal = row_high[row] == flag_high[flag]
    return Matches(row[equal], flag[equal], excessive), first, end


def _words(tags: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    words = np.ascontiguousarray(tags).view("<u8").reshape(-1, 2)
    return np.ascontiguousarray(words[:, 0]), words[:, 1]
