"""What a role of the joint sampler has of a draw, bit by bit, and what that tells of the noise.

Whatever a role has for every coefficient becomes planes: a bit for each coefficient. A plane, or the
exclusive or of two, tells something of the noise if it goes together with a property of the noise
more often than chance allows. If a role's transcript is independent of the noise, every coefficient
contributes an independent number of expectation 0 and of range 1, whatever the planes are. So
Hoeffding's inequality bounds each sum of them, and their number all of them together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from tests.adversary.criterion import FALSE_ALARM
from tests.adversary.recorder import Thing
from xstat_ray.noise.coins import Coins
from xstat_ray.noise.plan import Part

Words = NDArray[np.uint64]
Planes = dict[str, NDArray[np.bool_]]
"""(coefficients,) bits, by where they come from."""
_MOST_ALIKE = 4
"""Arrays of one shape of which all pairs are combined."""
_LOW_BITS = 4
"""Of integer shares, beside the sign."""
NOTHING = "nothing"
"""A plane of zeros: the other one of the pair by itself."""

PROPERTIES: dict[str, Callable[[NDArray[np.int64]], NDArray[np.bool_]]] = {
    "is odd": lambda noise: noise % 2 != 0,
    "is positive": lambda noise: noise > 0,
    "is 0": lambda noise: noise == 0,
    "has a second binary digit": lambda noise: abs(noise) & 2 != 0,
}
"""Of the noise of a coefficient."""


@dataclass(frozen=True)
class Told:
    """What tells most of the noise."""

    what: str
    """Two planes and a property."""
    share: float
    """How far both go together, for each coefficient: 0 if independent, and 1/2 at most."""
    least: float
    """What chance exceeds at most once in a million draws."""

    @property
    def beaten(self) -> bool:
        """Whether it is more than chance."""
        return self.share > self.least


def told(planes: Planes, noise: NDArray[np.int64], coins: Coins) -> Told:
    """Find the plane, or pair of planes, that goes together best with a property of the noise.

    Args:
        planes: what a role has.
        noise: (coefficients,) what was drawn.
        coins: from which distribution.
    """
    names = [NOTHING, *planes]
    bits = np.array([np.zeros(len(noise), bool), *planes.values()])
    signs = np.where(bits, np.float32(1), np.float32(-1))
    best = ("", 0.0)
    for name, probability in expected(coins).items():
        there = PROPERTIES[name](noise).astype(np.float32) - np.float32(probability)
        sums = abs((signs * there) @ signs.T)
        np.fill_diagonal(sums, 0)
        first, second = np.unravel_index(int(sums.argmax()), sums.shape)
        if sums[first, second] > best[1]:
            what = f"{names[first]}, {names[second]}: {name}"
            best = (what, float(sums[first, second]))
    tests = len(PROPERTIES) * len(names) * (len(names) - 1) / 2
    least = sqrt(len(noise) * log(2 * tests / FALSE_ALARM) / 2)
    return Told(best[0], best[1] / len(noise), least / len(noise))


def expected(coins: Coins) -> dict[str, float]:
    """The exact probability of each property."""
    masses = np.array([float(mass) for mass in coins.distribution()])
    values = np.arange(len(masses)) - len(masses) // 2
    return {name: float(masses[holds(values)].sum()) for name, holds in PROPERTIES.items()}


def planes_of(things: Iterable[Thing], part: Part, coins: Sequence[int]) -> Planes:
    """Make planes of all that a role had of some coins of a part.

    Args:
        things: what it had.
        part: for the sizes by which it is recognised.
        coins: numbers of the coins that are looked at.
    """
    found: Planes = {}
    alike: dict[tuple[int, ...], list[tuple[str, Words]]] = defaultdict(list)
    for number, thing in enumerate(things):
        name = f"{thing.name} ({number})"
        value = thing.value
        if not isinstance(value, np.ndarray) or not value.size or value.dtype.itemsize != 8:
            continue
        if value.shape[-1] == part.words and value.shape[0] == 2 * part.coins.digits:
            rows = value[list(coins)].view(np.uint64)
            if all(not np.array_equal(rows, other) for _, other in alike[value.shape]):
                alike[value.shape].append((name, rows))
        elif value.dtype == np.int64:
            for bit, there in _bits_of(value, part, coins):
                found[f"{name}{bit}"] = there
    for arrays in alike.values():
        for name, rows in (*arrays, *_combined(arrays)):
            _keep(found, name, rows.reshape(-1, part.words), part)
    return _different(found)


def _combined(arrays: Sequence[tuple[str, Words]]) -> Iterator[tuple[str, Words]]:
    """The exclusive or of two arrays, as of both shares of an opening."""
    for (name, rows), (other, others) in combinations(arrays[:_MOST_ALIKE], 2):
        yield f"{name} ^ {other}", rows ^ others


def _keep(found: Planes, name: str, rows: Words, part: Part) -> None:
    for place, row in enumerate(rows):
        bits = np.unpackbits(np.ascontiguousarray(row).view(np.uint8), bitorder="little")
        found[f"{name} #{place}"] = bits[: part.coefficients].astype(bool)


def _bits_of(
    value: NDArray[np.int64], part: Part, coins: Sequence[int]
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Signs and low bits of integers of which there is one for each coefficient."""
    if value.shape == (2 * part.coins.digits, part.coefficients):
        value = value[list(coins)]
    if value.size % part.coefficients:
        return
    for place, numbers in enumerate(value.reshape(-1, part.coefficients)[:_MOST_ALIKE]):
        yield f" #{place} sign", numbers < 0
        for bit in range(_LOW_BITS):
            yield f" #{place} bit {bit}", (numbers >> bit & 1).astype(bool)


def _different(planes: Planes) -> Planes:
    """One of each, and none that is the same for all coefficients."""
    kept = {np.packbits(bits).tobytes(): name for name, bits in planes.items() if bits.any()}
    return {name: planes[name] for name in kept.values() if not planes[name].all()}
