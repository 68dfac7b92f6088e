"""The people of a block: where they live, who they are, and what operator and airline know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.hokkaido.world.numbers import e164, phone_numbers
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.streams import stream

_AGES = np.array(
    [31, 36, 39, 41, 43, 42, 46, 53, 60, 70, 74, 65, 65, 70, 84, 71, 56, 36, 18], float
)
"""Shares of the five-year classes 0-4, ..., 90-94 in the population of Hokkaido, in per mille,
rounded by hand."""
_WORKING = (18, 65)
USED_AGES = (15, 79)
"""Youngest and oldest age that the operator's guideline uses."""
_FIRST_PHONE = 10
"""Age from which people are subscribers."""


@dataclass(frozen=True)
class People:
    """N people, sorted by their phone numbers."""

    block: int
    numbers: NDArray[np.int64]
    """(N,) numbers that stand for phone numbers, ascending; see `e164`."""
    home: NDArray[np.int64]
    """(N,) places where people live."""
    cell: NDArray[np.int32]
    """(N,) 500 m cells of the homes."""
    away: NDArray[np.int32]
    """(N,) 500 m cells of the work places, or of the shops to which people go."""
    male: NDArray[np.bool_]
    age: NDArray[np.int64]
    worker: NDArray[np.bool_]
    subscriber: NDArray[np.bool_]
    corporate: NDArray[np.bool_]
    opt_out: NDArray[np.bool_]
    unsteady: NDArray[np.bool_]
    member: NDArray[np.bool_]
    refuses: NDArray[np.bool_]
    """(N,) whether people are members who did not consent."""

    def __len__(self) -> int:
        return len(self.numbers)

    def phones(self, who: NDArray[np.integer] | NDArray[np.bool_] | None = None) -> pa.Array:
        """Write the phone numbers of some people, or of all, in E.164."""
        return e164(self.numbers if who is None else self.numbers[who])

    @property
    def unused(self) -> NDArray[np.bool_]:
        """(N,) whether the guideline leaves people out: companies, ages under 15 or over 79."""
        return self.corporate | (self.age < USED_AGES[0]) | (self.age > USED_AGES[1])

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(N,) whether people are subscribers whose data may be used."""
        return self.subscriber & ~self.unused & ~self.opt_out


def people_of(world: World, block: int) -> People:
    """Draw the people of a block of a world."""
    number = np.arange(block * world.block, min((block + 1) * world.block, world.people))
    numbers = np.sort(phone_numbers(world.seed, number))
    size = len(numbers)
    draw = stream(world.seed, "people", block)
    where = places()
    outside = draw.random(size) < world.outside
    weights = where.population.copy()
    home = _pick(weights[: where.local], draw.random(size))
    home = np.where(outside, where.local + _pick(weights[where.local :], draw.random(size)), home)
    age = _pick(_AGES, draw.random(size)) * 5 + draw.integers(0, 5, size)
    worker = (age >= _WORKING[0]) & (age < _WORKING[1]) & (draw.random(size) < 0.8)
    subscriber = (age >= _FIRST_PHONE) & (draw.random(size) < world.share)
    member = draw.random(size) < world.member
    return People(
        block=block,
        numbers=numbers,
        home=home,
        cell=where.cell(home, draw.random(size)),
        away=where.cell(home, draw.random(size), spread=0.5),
        male=draw.random(size) < 0.475,
        age=age,
        worker=worker,
        subscriber=subscriber,
        corporate=subscriber & (draw.random(size) < world.corporate),
        opt_out=subscriber & (draw.random(size) < world.opt_out),
        unsteady=subscriber & (draw.random(size) < world.unsteady),
        member=member,
        refuses=member & (draw.random(size) < world.no_consent),
    )


def _pick(weights: NDArray[np.float64], u: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N,) choices by weight, one for each uniform number."""
    ends = np.cumsum(weights)
    return np.asarray(
        np.searchsorted(ends, np.minimum(u * ends[-1], np.nextafter(ends[-1], 0)), side="right")
    )
