"""Phone numbers of people: a keyed bijection into numbers that no operator has.

Japan's plan of telecommunications numbers (Ministry of Internal Affairs and Communications) writes
mobile numbers 0A0-CDEF-GHJK with A of 7, 8 or 9 and C other than 0. Numbers with C = 0 are well
formed and belong to nobody.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from xstat_ray.hokkaido.world.streams import mix

CAPACITY = 30_000_000
"""Number of people who can have a number."""

_SIDES = (5_000, 6_000)
_ROUNDS = 6
_PREFIXES = (7, 8, 9)


def phone_numbers(seed: int, people: NDArray[np.integer]) -> NDArray[np.int64]:
    """Give each person a number, one to one, by a Feistel network that the seed keys.

    Args:
        seed: seed of the world.
        people: (N,) numbers of people below `CAPACITY`.

    Returns:
        (N,) numbers in [0, CAPACITY), which `e164` writes as phone numbers.
    """
    left, right = np.divmod(people.astype(np.uint64), np.uint64(_SIDES[1]))
    for turn in range(_ROUNDS):
        key = 2 * _ROUNDS * seed + 2 * turn
        left = (left + mix(right, key) % np.uint64(_SIDES[0])) % np.uint64(_SIDES[0])
        right = (right + mix(left, key + 1) % np.uint64(_SIDES[1])) % np.uint64(_SIDES[1])
    return (left * np.uint64(_SIDES[1]) + right).astype(np.int64)


def e164(numbers: NDArray[np.int64]) -> pa.Array:
    """Write numbers as phone numbers +81A00DEFGHJK; ascending numbers give ascending texts."""
    prefix, rest = np.divmod(numbers, CAPACITY // len(_PREFIXES))
    digits = np.empty((len(numbers), 13), np.uint8)
    digits[:, :3] = np.frombuffer(b"+81", np.uint8)
    digits[:, 3] = prefix + ord("0") + _PREFIXES[0]
    digits[:, 4:6] = ord("0")
    for place in range(7):
        digits[:, 12 - place] = rest // 10**place % 10 + ord("0")
    offsets = pa.py_buffer(np.arange(0, 13 * len(numbers) + 1, 13, dtype=np.int32))
    return pa.StringArray.from_buffers(len(numbers), offsets, pa.py_buffer(digits))


def national(numbers: pa.Array) -> pa.Array:
    """Spell +81A00DEFGHJK the national way, 0A0-0DEF-GHJK."""
    return pc.replace_substring_regex(numbers, r"^\+81(\d{2})(\d{4})(\d{4})$", r"0\1-\2-\3")
