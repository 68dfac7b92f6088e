"""The period: the time grain of the join, and the span of a study on the clock of its grain."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Grain = Literal["none", "date", "hour", "15min", "week", "month", "year"]

GRAIN_SECONDS: Mapping[Grain, int] = {
    "none": 0,
    "date": 86_400,
    "hour": 3_600,
    "15min": 900,
    "week": 7 * 86_400,
    "month": 0,
    "year": 0,
}
"""Lengths of periods; 0 where they have none, or differ."""
GRAIN_MONTHS: Mapping[Grain, int] = {"month": 1, "year": 12}
_LOCAL: tuple[Grain, ...] = ("date", "week", "month", "year")
_BEFORE_1970 = 3 * 86_400
"""Seconds from the Monday with which the week of 1970-01-01 begins."""
SECOND = 1_000_000
"""Microseconds."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Period:
    """The time grain of the join and the public span of the study."""

    grain: Grain = "none"
    start: dt.datetime | None = None
    """First instant of the study, in `timezone`; None only for grain none."""
    end: dt.datetime | None = None
    """First instant after the study."""
    timezone: str = "UTC"
    """IANA name: how times without a zone are read, and where dates, weeks, months and years
    begin."""

    @property
    def seconds(self) -> int:
        """Length of one period in seconds; 0 for grain none, months and years."""
        return GRAIN_SECONDS[self.grain]

    @property
    def months(self) -> int:
        """Length of one period in calendar months, 0 where it is not a number of them."""
        return GRAIN_MONTHS.get(self.grain, 0)

    @property
    def local(self) -> bool:
        """Whether periods are counted on the wall clock of `timezone`, and not in UTC."""
        return self.grain in _LOCAL

    @property
    def origin(self) -> int:
        """The first instant of period 0 that has a length: microseconds from 1970, at most 0."""
        return -_BEFORE_1970 * SECOND if self.grain == "week" else 0

    @property
    def of_a_day(self) -> int:
        """Periods of a day; 1 where one is as long as a day or longer, and for grain none."""
        return max(1, GRAIN_SECONDS["date"] // self.seconds) if self.seconds else 1

    def of_days(self, days: int) -> int:
        """Periods that fit into so many days, a month having 30; at least 1."""
        length = self.seconds or max(1, self.months) * 30 * GRAIN_SECONDS["date"]
        return max(1, days * GRAIN_SECONDS["date"] // length)

    def number_of(self, at: int) -> int:
        """The number of the period that holds a time; not of grain none.

        Args:
            at: microseconds from 1970 on the clock of the periods.
        """
        if not self.months:
            return (at - self.origin) // (self.seconds * SECOND)
        day = _EPOCH + dt.timedelta(microseconds=at)
        return ((day.year - _EPOCH.year) * 12 + day.month - 1) // self.months

    @property
    def whole(self) -> bool:
        """Whether the study begins and ends with a period, rather than within one."""
        return all(self.number_of(at) != self.number_of(at - 1) for at in self.edges)

    @property
    def edges(self) -> tuple[int, int]:
        """The first instant of the study and the first after it; not of grain none.

        In microseconds from 1970 on the clock of the periods: UTC, or the wall clock where they are
        `local`.
        """
        assert self.start is not None
        assert self.end is not None
        edges = [self.start.astimezone(dt.UTC), self.end.astimezone(dt.UTC)]
        if self.local:
            edges = [edge.replace(tzinfo=dt.UTC) for edge in (self.start, self.end)]
        start, end = ((edge - _EPOCH) // dt.timedelta(microseconds=1) for edge in edges)
        return start, end

    @property
    def span(self) -> range:
        """All period numbers of the study, those that it covers only in part included."""
        if self.grain == "none":
            return range(1)
        start, end = self.edges
        return range(self.number_of(start), self.number_of(end - 1) + 1)
