"""People in both tables by a coin, and the tables that hold them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xstat_ray.model.study import Role

NUMBERS = tuple(f"{n:012d}" for n in range(810_000_000_000, 810_000_000_160))
"""All numbers that there are, for a party that lists every possible one."""


@dataclass(frozen=True)
class People:
    """Who is in which table."""

    row: tuple[str, ...]
    column: tuple[str, ...]

    @property
    def both(self) -> frozenset[bytes]:
        """The ids of those in both."""
        return frozenset(person.encode() for person in set(self.row) & set(self.column))

    def of(self, role: Role) -> frozenset[bytes]:
        """The ids of a party's people."""
        return frozenset(person.encode() for person in getattr(self, role))

    def tables(self, area: Sequence[str] = "ab", kind: Sequence[str] = "xy") -> dict[Role, Any]:
        """Both tables, with areas and kinds in turn."""
        return {
            "row": {"id": list(self.row), "area": in_turn(area, len(self.row))},
            "column": {"id": list(self.column), "kind": in_turn(kind, len(self.column))},
        }


def in_turn(labels: Sequence[str], number: int) -> list[str]:
    """Labels one after the other, again and again."""
    return [labels[place % len(labels)] for place in range(number)]


def mixed(seed: int, asked: int = 60) -> People:
    """Draw 60 people of each party, each of whom is in the other's table by a coin.

    Where the other's table has places left, strangers fill them, so that sizes tell nothing.
    """
    draw = np.random.default_rng(seed)
    pool = draw.permutation(NUMBERS).tolist()
    coin = draw.integers(0, 2, asked).astype(bool)
    row = pool[:asked]
    both = [person for person, met in zip(row, coin, strict=True) if met]
    strangers = pool[asked : 2 * asked - len(both)]
    return People(tuple(row), tuple(draw.permutation(both + strangers).tolist()))


def listing_all(seed: int, lister: Role) -> People:
    """Let a party list all numbers that there are; the other has some of them, by a coin each."""
    draw = np.random.default_rng(seed)
    some = tuple(n for n, coin in zip(NUMBERS, draw.integers(0, 2, 160), strict=True) if coin)
    return People(NUMBERS, some) if lister == "row" else People(some, NUMBERS)


def bytes_of(people: Collection[str]) -> list[bytes]:
    """Their ids."""
    return [person.encode() for person in people]
