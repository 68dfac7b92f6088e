"""Numbers that an adversary can take from all that it had, for guesses between two worlds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.adversary.recorder import Thing, Value

_ELEMENTS = 24
"""Elements of a short array that are features of their own."""


def features(things: Iterable[Thing], kept: Callable[[str], bool] = bool) -> dict[str, float]:
    """Every number, size, mean and element, by the name of what it was taken from.

    Args:
        things: what an adversary had.
        kept: tells by its name whether a thing is used.
    """
    found = dict[str, float]()
    times = Counter[str]()
    for thing in things:
        if kept(thing.name):
            name = f"{thing.kind} {thing.name}"
            times[name] += 1
            for part, number in _numbers(thing.value):
                found[f"{name} #{times[name]}{part}"] = number
    return found


def _numbers(value: Value) -> list[tuple[str, float]]:
    match value:
        case int():
            return [("", float(value))] if abs(value) < 1 << 62 else [("bits", value.bit_length())]
        case float():
            return [("", value)]
        case np.ndarray() if value.dtype.kind in "biuf" and value.size:
            return _numbers_of_array(value)
        case np.ndarray() | str() | bytes() | tuple():
            return [(" length", len(value))]
    return []


def _numbers_of_array(array: NDArray[Any]) -> list[tuple[str, float]]:
    flat = array.ravel().astype(float)
    found = [(" length", len(array)), (" mean", flat.mean()), (" distinct", len(np.unique(flat)))]
    if len(flat) <= _ELEMENTS:
        found += [(f"[{place}]", number) for place, number in enumerate(flat.tolist())]
    return [(part, float(number)) for part, number in found]


def shape_of(
    things: Iterable[Thing], kept: Callable[[str], bool] = bool
) -> Counter[tuple[Any, ...]]:
    """How much there was of what: names and sizes, and nothing of what is in it."""
    return Counter(
        (thing.role, thing.kind, thing.name, *_shape(thing.value))
        for thing in things
        if kept(thing.name)
    )


def _shape(value: Value) -> tuple[Any, ...]:
    match value:
        case np.ndarray():
            return (value.shape, str(value.dtype))
        case bytes() | str() | tuple():
            return (len(value),)
    return (type(value).__name__,)


def shared_parts(rows: NDArray[np.uint8], groups: NDArray[np.int64]) -> dict[str, float]:
    """How many pairs of rows of different groups have the same bytes in a place.

    Args:
        rows: (N, bytes), such as tags.
        groups: (N,) the group of each row, such as the period or the batch.

    Returns:
        The number of pairs for each aligned part of 1, 2, 4, 8 and 16 bytes.
    """
    found = dict[str, float]()
    for width in (1, 2, 4, 8, 16):
        for start in range(0, rows.shape[1] - width + 1, width):
            where: dict[bytes, Counter[int]] = defaultdict(Counter)
            for row, group in zip(rows[:, start : start + width], groups.tolist(), strict=True):
                where[row.tobytes()][group] += 1
            found[f"bytes {start} to {start + width}"] = float(sum(map(_pairs, where.values())))
    return found


def _pairs(counts: Counter[int]) -> int:
    total = sum(counts.values())
    return (total * total - sum(count * count for count in counts.values())) // 2
