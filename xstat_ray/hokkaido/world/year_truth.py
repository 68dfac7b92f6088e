"""True facts of the year behind the tables: who came how often, and where those who gave came."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from xstat_ray.hokkaido.world.people import People
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.truth import table_of
from xstat_ray.hokkaido.world.year import CLASSES, TOWNS, Year, visit_class

REVISIT = ("airport", "municipality", "visits", "all", "counted")
"""Columns of the airline's customers by where they landed and stayed, and how often they stayed."""
DONATION = ("town", "municipality", "visits", "all", "counted")
"""Columns of those who gave by town of the gift, where they stayed, and how often."""


@dataclass(frozen=True)
class YearTruth:
    """Counts of a block, or of all blocks.

    `[..., 0]` counts everybody, `[..., 1]` those who can be counted.
    """

    revisit: NDArray[np.int64]
    """(airports, municipalities, classes, 2) pairs of a customer and a municipality."""
    donation: NDArray[np.int64]
    """(towns, municipalities, classes, 2) pairs of somebody who gave and a municipality."""

    def __add__(self, other: YearTruth) -> YearTruth:
        return YearTruth(self.revisit + other.revisit, self.donation + other.donation)


def year_truth(people: People, year: Year) -> YearTruth:
    """Count the stays of a block in the year."""
    where = places()
    number = np.full(len(where.codes) + 1, -1)
    number[[list(where.codes).index(code) for code in TOWNS]] = np.arange(len(TOWNS))
    return YearTruth(
        _count(people, year, year.airport, len(where.airports)),
        _count(people, year, number[year.gift], len(TOWNS)),
    )


def _count(people: People, year: Year, column: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """(size, municipalities, classes, 2) stays of people by column; -1 is in none."""
    person, place, _, visits, *_ = year.stays
    count = np.zeros((size, places().local, len(CLASSES), 2), np.int64)
    countable = people.usable & ~people.refuses
    of = column[person]
    for kind, rows in enumerate((of >= 0, (of >= 0) & countable[person])):
        at = (of[rows], place[rows], visit_class(visits[rows]))
        np.add.at(count[..., kind], at, 1)
    return count


def revisit_table(total: YearTruth) -> pa.Table:
    """Make a table with the columns `REVISIT`; what nobody did has no row."""
    where = places()
    codes = list(where.codes[: where.local])
    return table_of(total.revisit, REVISIT, [where.airports, codes, CLASSES])


def donation_table(total: YearTruth) -> pa.Table:
    """Make a table with the columns `DONATION`; what nobody did has no row."""
    where = places()
    codes = list(where.codes[: where.local])
    return table_of(total.donation, DONATION, [list(TOWNS), codes, CLASSES])
