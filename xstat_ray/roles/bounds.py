"""Contribution bounds: how much of one person is kept.

The party decides it inside its environment, before anything leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto.derive import halves, keyed_words
from xstat_ray.util.arrays import run_starts

_WORD_BITS = 64
_EXACT = 2.0**53
"""Whole numbers below this one are exact as floats."""


def keep_per_group(
    groups: Sequence[NDArray[np.integer]],
    limit: int,
    priority: NDArray[np.uint64],
    weight: NDArray[np.float64] | None = None,
) -> NDArray[np.bool_]:
    """Choose at most `limit` rows of every group.

    Args:
        groups: arrays of shape (N,) that together name the group of a row, such as person and
            period.
        limit: rows kept of a group, at least 1.
        priority: (N,) independent uniform words; without weights a uniformly random `limit` rows
            are kept.
        weight: (N,) where given, rows with larger weight are kept first, equal weights in random
            order. NaN is smaller than everything.

    Returns:
        (N,) True for the rows that are kept.
    """
    size = len(priority)
    keep = np.zeros(size, bool)
    if size == 0:
        return keep
    keys: list[NDArray[np.generic]] = [priority]
    if weight is not None:
        keys.append(-np.nan_to_num(weight, nan=-np.inf))
    keys.extend(groups)
    order = np.lexsort(keys)
    starts = np.zeros(size, bool)
    starts[0] = True
    for group in groups:
        ordered = group[order]
        starts[1:] |= ordered[1:] != ordered[:-1]
    first = np.maximum.accumulate(np.where(starts, np.arange(size), 0))
    keep[order] = np.arange(size) - first < limit
    return keep


class Located(NamedTuple):
    """N rows in the clear: who was where, and when."""

    person: NDArray[np.int32]
    period: NDArray[np.uint32]
    cell: NDArray[np.int32]

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Located:
        """Select rows."""
        return Located(self.person[rows], self.period[rows], self.cell[rows])

    @classmethod
    def join(cls, parts: Sequence[Located]) -> Located:
        """Join the rows of the parts, in their order."""
        person, period, cell = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return cls(person, period, cell)


def draw_by_content(seed: bytes, purpose: str, *columns: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Draw a uniform word for every row, by what is in it and not by where it stands.

    Equal rows are numbered, so that each has a word of its own; which of them has which number
    changes nothing.

    Args:
        seed: 32 secret bytes.
        purpose: what is drawn; it always has the same number of columns.
        columns: the contents of N rows, (N,) 32-bit numbers each.
    """
    content = keyed_words(seed, f"{purpose}: content", *columns)
    order = np.argsort(content, kind="stable")
    run, size = _runs(content[order])
    number = np.empty(len(content), np.int64)
    number[order] = np.arange(len(content)) - (np.cumsum(size) - size)[run]
    return keyed_words(seed, purpose, *halves(content), number)


Draw = Callable[[Located, NDArray[np.int64]], NDArray[np.uint64]]
"""Draws (N,) uniform words for N rows, equal ones told apart by (N,) numbers."""


class Part(NamedTuple):
    """Some rows of a table, with their weights where the study has weights."""

    rows: Located
    weight: NDArray[np.float64] | None

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Part:
        """Select rows."""
        return Part(self.rows.take(rows), None if self.weight is None else self.weight[rows])

    def edges(self) -> tuple[Part, Part, Part]:
        """Cut rows in order of persons into the first one's, those between, and the last one's.

        The rows are not copied.
        """
        person = self.rows.person
        first = int(np.searchsorted(person, person[:1], "right").sum())
        last = max(first, int(np.searchsorted(person, person[-1:], "left").sum()))
        return self.take(slice(first)), self.take(slice(first, last)), self.take(slice(last, None))

    def by_person(self) -> Part:
        """Sort the rows by person alone; costs little where they are sorted."""
        person = self.rows.person
        return self if (person[1:] >= person[:-1]).all() else self.in_order()

    def in_order(self) -> Part:
        """Sort the rows by person and period, stably; costs little where they are sorted."""
        key = _key(self.rows)
        return self if (key[1:] >= key[:-1]).all() else self.take(_order(self.rows))

    @classmethod
    def join(cls, parts: Sequence[Part]) -> Part:
        """Join the rows of the parts, in their order."""
        weights = [part.weight for part in parts if part.weight is not None]
        return cls(
            Located.join([part.rows for part in parts]),
            np.concatenate(weights) if weights else None,
        )


class Bounded(NamedTuple):
    """What is left of rows after a bound."""

    rows: Located
    merged: int
    """Rows whose weight was added to that of another in the same cell and period."""


def bound_rows(part: Part, limit: int, draw: Draw) -> Bounded:
    """Keep at most `limit` rows of every person in every period.

    With weights, the weights of a person's rows in one cell and period are added up first, and the
    cells with the largest sums are kept, each once. Without weights, rows are drawn at random, and
    a cell may be kept several times.

    Args:
        part: rows in any order, and with them all rows of their persons in these periods.
        limit: R, at least 1.
        draw: the random choices; equal weights are kept in random order.

    Returns:
        The rows that are kept, in no particular order, and how many were merged.
    """
    part = part.in_order()
    key = _key(part.rows)
    begins = np.ones(len(key) + 1, bool)
    np.not_equal(key[1:], key[:-1], out=begins[1:-1])
    if part.weight is None:
        size = np.diff(np.flatnonzero(begins))
        open_rows = np.repeat(size > limit, size)
        keep = ~open_rows
    else:
        open_rows = _in_several_cells(begins, part.rows.cell)
        # All rows of a group in one cell are one.
        keep = begins[:-1] & ~open_rows
    merged = len(key) - int(np.count_nonzero(open_rows) + np.count_nonzero(keep))
    rest = np.flatnonzero(open_rows)
    if len(rest):
        group = np.cumsum(begins[rest]) - 1
        chosen, merged_there = _chosen(part.take(rest), group, limit, draw)
        keep[rest[chosen]] = True
        merged += merged_there
    # numpy finds rows by their numbers many times faster than by flags.
    return Bounded(part.rows if keep.all() else part.rows.take(np.flatnonzero(keep)), merged)


def _in_several_cells(begins: NDArray[np.bool_], cell: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Tell which rows are in groups whose rows lie in several cells.

    Args:
        begins: (N + 1,) whether a group begins with a row; behind the last row one does.
        cell: (N,) cells.
    """
    moved = np.flatnonzero((cell[1:] != cell[:-1]) & ~begins[1:-1]) + 1
    starts = np.flatnonzero(begins)
    group = np.searchsorted(starts, moved, "right") - 1
    group = group[run_starts(group)]
    steps = np.zeros(len(begins), np.int8)
    steps[starts[group]] += 1
    steps[starts[group + 1]] -= 1
    return np.cumsum(steps[:-1], dtype=np.int8).view(bool)


def _key(rows: Located) -> NDArray[np.uint64]:
    """(N,) words that stand for the person and period of the rows."""
    return rows.person.astype(np.uint64) << np.uint64(32) | rows.period


def _order(rows: Located) -> NDArray[np.int64]:
    """The stable order of rows by person and period: (N,) row numbers."""
    return _stable_order(rows.person, rows.period)


def _stable_order(major: NDArray[np.integer], minor: NDArray[np.integer]) -> NDArray[np.int64]:
    """The stable order by two numbers: (N,) places.

    numpy sorts numbers many times faster than it sorts indexes, so the place rides in the low bits
    of a word, wherever it has room beside both.

    Args:
        major: (N,) numbers below 2^32, none negative.
        minor: (N,) such numbers, which decide between equal ones.
    """
    size = len(major)
    if not size:
        return np.zeros(0, np.int64)
    first = int(minor.min())
    low = (size - 1).bit_length()
    middle = (int(minor.max()) - first).bit_length()
    high = int(major.max()).bit_length()
    if low + middle + high > _WORD_BITS:
        return np.lexsort((minor, major))
    words = major.astype(np.uint64) << np.uint64(middle)
    words |= (minor - minor.dtype.type(first)).astype(np.uint64)
    words <<= np.uint64(low)
    words |= np.arange(size, dtype=np.uint64)
    words.sort()
    words &= np.uint64((1 << low) - 1)
    return words.view(np.int64)


def places(rows: Located) -> NDArray[np.int64]:
    """Number the rows of every person and period: (N,) numbers from 0."""
    key = _key(rows)
    order = _order(rows)
    run, size = _runs(key[order])
    place = np.empty(len(key), np.int64)
    place[order] = np.arange(len(key)) - (np.cumsum(size) - size)[run]
    return place


def _chosen(
    part: Part, group: NDArray[np.intp], limit: int, draw: Draw
) -> tuple[NDArray[np.intp], int]:
    """Choose among the rows of groups over the limit, after their weights are added up.

    Args:
        part: rows of groups, group by group.
        group: (N,) group of every row, ascending.
        limit: rows kept of a group.
        draw: the random choices.

    Returns:
        Numbers of the rows that are kept, and how many were merged.
    """
    order = _stable_order(group, part.rows.cell)
    rows = part.rows.take(order)
    group = group[order]
    same, size = _runs(group.astype(np.uint64) << np.uint64(32) | rows.cell.astype(np.uint64))
    first = np.cumsum(size) - size
    if part.weight is None:
        keep = keep_per_group((group,), limit, draw(rows, np.arange(len(group)) - first[same]))
        return order[keep], 0
    total = np.add.reduceat(_summable(part.weight[order], same, size), first)
    merged = len(group) - len(first)
    keep = _heaviest(rows.take(first), group[first], limit, total, draw)
    return order[first[keep]], merged


def _heaviest(
    rows: Located,
    group: NDArray[np.intp],
    limit: int,
    weight: NDArray[np.float64],
    draw: Draw,
) -> NDArray[np.bool_]:
    """Choose the rows of every group with the largest weights; equal ones are drawn.

    Where one row is kept, words are drawn for those alone that have the largest weight together.
    """
    if limit > 1:
        words = draw(rows, np.zeros(len(group), np.int64))
        return keep_per_group((group,), limit, words, weight)
    starts = run_starts(group)
    size = np.diff(starts, append=len(group))
    known = np.nan_to_num(weight, nan=-np.inf)
    keep: NDArray[np.bool_] = known == np.repeat(np.maximum.reduceat(known, starts), size)
    several = np.add.reduceat(keep, starts, dtype=np.intp) > 1
    tied = np.flatnonzero(keep & np.repeat(several, size))
    if len(tied):
        words = draw(rows.take(tied), np.zeros(len(tied), np.int64))
        keep[tied] = keep_per_group((group[tied],), 1, words)
    return keep


def _summable(
    weight: NDArray[np.float64], same: NDArray[np.intp], size: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Put the weights of every run into one order, whatever order the rows came in.

    Sums of three floats or more depend on it, those of two do not.

    Args:
        weight: (N,) weights, run by run.
        same: (N,) each one's run.
        size: length of every run.
    """
    long = np.flatnonzero((size > 2)[same])
    if len(long) and not _has_exact_sums(weight[long], int(size.max())):
        weight[long] = weight[long][np.lexsort((weight[long], same[long]))]
    return weight


def _has_exact_sums(weight: NDArray[np.float64], most: int) -> bool:
    """Whether sums of so many weights are exact, and the same in any order."""
    whole = bool((np.trunc(weight) == weight).all())
    return whole and most * float(np.abs(weight).max()) < _EXACT


def _runs(keys: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number the runs of equal keys: (N,) each key's run, and the length of every run."""
    starts = run_starts(keys)
    size = np.diff(starts, append=len(keys))
    return np.repeat(np.arange(len(starts)), size), size
