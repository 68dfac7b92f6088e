"""A measure: a value of the column party whose sums and means are published, such as a fare."""

from __future__ import annotations

from dataclasses import dataclass

SUMS = ("sum", "sum_stderr")
"""What is published of the sums of a measure."""
MEANS = ("mean", "low95", "high95", "stderr")
"""What is published of its means: with an interval and a standard error."""
MOST_MEASURES = 8
"""Most measures of a study: each shares the budget and the room of a ciphertext with the others."""
MOST_RANGE = 1 << 31
"""Values of a measure span less than this."""


@dataclass(frozen=True)
class Measure:
    """What is summed, beside the count, in each cell and column.

    The column party rounds values to whole numbers and moves those outside of the bounds to them.
    Sums are of values less `mid`, so that one person moves them as little as can be; a value that
    is missing counts as `mid`.
    """

    name: str
    column: str
    """Column of the column party's table, with numbers."""
    low: int
    """Least value, public: never taken from the data."""
    high: int
    """Largest value, more than `low`."""
    unit: str | None = None
    """What values are in, such as JPY."""

    @property
    def mid(self) -> int:
        """The whole number in the middle of the bounds, or just below."""
        return (self.low + self.high) // 2

    @property
    def reach(self) -> int:
        """Most by which a value differs from `mid`."""
        return max(self.high - self.mid, self.mid - self.low)


def published_names(name: str) -> tuple[str, ...]:
    """Names of the columns that the published tables have for the measure `name`."""
    return tuple(f"{name}_{what}" for what in (*SUMS, *MEANS))
