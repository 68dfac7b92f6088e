"""Who is in both tables, looked for in the matrices of the ID exchange.

A party's people have secret-looking places in the matrix of a bin, which both parties can compute.
The other party sends its matrix under pads. Where a pad is missing, or is used for two matrices,
the bits at the places of people whom the other party has differ from those of all others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.adversary.matching import Naming, orders_of
from tests.adversary.recorder import Thing
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.oprf import ITEM_BYTES

_COLUMNS = range(400, 800)
"""Columns that a matrix may have."""
_SHARED = (".items", ".position_key", ".capacity")


def namings_of_matrices(things: Sequence[Thing], people: Collection[bytes]) -> list[Naming]:
    """Readings of every matrix, and of every two of them, by the number of bits that are set.

    They are split where the gap between two people is widest.

    Args:
        things: all that the party had, in one exchange or in several.
        people: the ids of its own people.
    """
    orders = orders_of(things, frozenset(people))
    found = []
    for name, score, order in _scores(things, orders):
        ordered = np.sort(score)
        widest = int(np.diff(ordered).argmax())
        pairs = zip(order, score.tolist(), strict=True)
        named = frozenset(person for person, bits in pairs if bits <= ordered[widest])
        found.append(Naming(name, frozenset(order), named))
    return found


def _scores(
    things: Sequence[Thing], orders: dict[int, set[tuple[bytes, ...]]]
) -> Iterator[tuple[tuple[str, str], NDArray[np.int64], tuple[bytes, ...]]]:
    """For every way to read the places of a party's people: how many bits are set there."""
    matrices = _different(things, lambda array: array.dtype == np.uint64 and len(array) in _COLUMNS)
    # Which values are items, keys of places and capacities is no secret: both parties compute them.
    named = {what: [t for t in things if t.name.endswith(what)] for what in _SHARED}
    items = _different(named[".items"], lambda array: array.shape[1] == ITEM_BYTES)
    items = [(name, array) for name, array in items if len(array) in orders]
    keys = {thing.value for thing in named[".position_key"]}
    capacities = {thing.value for thing in named[".capacity"]}
    for (name, matrix), (other, second) in combinations([("alone", None), *matrices], 2):
        summed = second if matrix is None else _together(matrix, second)
        fitting = [n for n in capacities if summed is not None and -(-n // 64) == summed.shape[1]]
        for capacity, key, (_, of_people) in product(fitting, keys, items):
            bits = kernel().oprf_rows(key, of_people, summed, capacity)
            score = np.unpackbits(bits, axis=1).sum(axis=1, dtype=np.int64)
            for order in orders[len(of_people)]:
                yield (name, other), score, order


def _different(
    things: Sequence[Thing], wanted: Callable[[NDArray[Any]], bool]
) -> list[tuple[str, NDArray[Any]]]:
    """All different tables of numbers of a kind, with where each was first."""
    found = {
        thing.value.tobytes(): (thing.name, np.ascontiguousarray(thing.value))
        for thing in reversed(things)
        if isinstance(thing.value, np.ndarray) and thing.value.ndim == 2
        if thing.value.dtype.kind == "u" and wanted(thing.value)
    }
    return list(found.values())


def _together(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any] | None:
    return first ^ second if first.shape == second.shape else None
