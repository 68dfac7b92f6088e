"""The study: the declared cross-tab, as plain frozen data.

A study says what is counted (domains, period, windows), how much one person may contribute (bounds)
and how the result is protected (privacy). All of it is public and agreed by both parties; its
digest is bound into every message. `study_file` reads and checks the YAML form.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Literal

from xstat_ray.model.sensitivity import Sensitivity, most_at_once

Role = Literal["row", "column"]
"""A party, by what it supplies: the rows or the columns of the table."""
Grain = Literal["none", "date", "hour", "15min", "week", "month", "year"]
IdForm = Literal["exact", "text", "phone", "email", "sha256"]
Noise = Literal["laplace", "gaussian", "off"]
NoiseChoice = Literal["laplace", "gaussian", "auto", "off"]
MechanismChoice = Literal["flat", "tree", "auto"]
"""What a study asks to be measured; `auto` leaves the choice to the planner."""
PaddingMode = Literal["off", "dp"]
Insiders = Literal["full", "shared"]
"""What Gaussian noise gives the roles, each of which knows its own share of it."""
PublishRule = Literal["distinct", "all"]
"""Whether an estimate must stand out of its noise to be published."""

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
FORMAT_VERSION = 1
OFFSET = "offset"
_SECOND = 1_000_000
"""Microseconds."""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Level:
    """A coarser grouping of a dimension, such as municipalities over areas."""

    name: str
    labels: tuple[str, ...]
    parents: tuple[int, ...]
    """The label of this level that each label of the level below belongs to."""


@dataclass(frozen=True)
class Dimension:
    """One dimension of the table: public, ordered labels, and the raw values that map to each."""

    name: str
    column: str
    labels: tuple[str, ...]
    members: tuple[tuple[str, ...], ...]
    """The raw values (as text) that belong to each label; all disjoint."""
    other: str | None = None
    """Label that takes every value not listed, or None: then such rows are outside the domain and
    dropped."""
    hierarchy: tuple[Level, ...] = ()
    """Coarser levels, from fine to coarse; for row dimensions only."""
    missing: str | None = None
    """Label that takes null, or None: then such rows are outside the domain and dropped."""

    @property
    def size(self) -> int:
        """Number of labels."""
        return len(self.labels)


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
        return -_BEFORE_1970 * _SECOND if self.grain == "week" else 0

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
            return (at - self.origin) // (self.seconds * _SECOND)
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


@dataclass(frozen=True)
class Window:
    """Periods at fixed distances from an anchor time of the column party (departure, arrival)."""

    anchor: str
    """Name of the column that holds the anchor time."""
    offsets: tuple[int, ...]
    """Seconds from the anchor, ascending; the period that contains anchor + offset is joined on.
    Where periods are months or years: whole periods from that of the anchor."""
    labels: tuple[str, ...]
    """What each offset is called in the published table."""


@dataclass(frozen=True)
class RowSide:
    """The row party's table: which column is what."""

    id: str
    dimensions: tuple[Dimension, ...]
    time: str | None = None
    weight: str | None = None
    """Numeric column: of the rows of one person in one period, those with the largest weight are
    kept (dwell time). Without it the kept rows are drawn at random."""
    dataset: str = "row"
    """Name under which the row party's budget is kept."""


@dataclass(frozen=True)
class ColumnSide:
    """The column party's table: which column is what."""

    id: str
    dimensions: tuple[Dimension, ...]
    time: str | None = None
    windows: tuple[Window, ...] = ()
    offset_dimension: bool = True
    """Whether the offset is a dimension of the table, or all offsets of a window count in the same
    column."""
    dataset: str = "column"


@dataclass(frozen=True)
class Bounds:
    """What one person may contribute; each party enforces its own, before anything leaves."""

    rows: int = 1
    """R: rows of one person in one period (row party)."""
    boardings: int = 1
    """F: rows of the column party's table of one person in the whole release."""
    persons: int = 1_000_000
    """Public upper bound on the number of distinct persons of the column party; sizes the slots."""
    per_column: int = 1
    """q: rows of the column party's table of one person in one column, whatever the offset."""


@dataclass(frozen=True)
class View:
    """What the aggregator may learn about one person from all that it observes, with padding.

    Exact rationals.
    """

    epsilon: Fraction = Fraction(1)
    delta: Fraction = Fraction(1, 10**9)


@dataclass(frozen=True)
class Privacy:
    """How the release is protected. Budgets are exact rationals."""

    noise: NoiseChoice = "laplace"
    """`auto`: Laplace or Gaussian, whichever errs less among those that last for `releases`."""
    mechanism: MechanismChoice = "flat"
    """`flat`: noise on every cell. `tree`: on cells and on sums of reporting levels. `auto`:
    whichever errs less."""
    report: tuple[str, ...] = ()
    """Levels of the row tree that are published beside the cells, by name; empty means all."""
    epsilon: Fraction = Fraction(1)
    delta: Fraction = Fraction(1, 10**9)
    """Of Laplace noise, an upper bound: what the joint draw costs is computed."""
    suppress_below: int = 0
    """Estimates below this are not published; 0 suppresses nothing."""
    cap: Fraction = Fraction(10)
    """Most epsilon that may ever be spent on one data set."""
    releases: int = 1
    """How many releases like this one the cap must last for."""
    padding: PaddingMode = "off"
    """`dp`: both parties send dummies, so that the aggregator's view is differentially private."""
    view: View = field(default_factory=View)
    insiders: Insiders = "full"
    """Of Gaussian noise. `full`: the shares of any two roles give the declared guarantee, and
    the table has one and a half times the variance. `shared`: all three shares together do. Under
    Laplace noise every role faces all of it."""
    checked: int = 1
    """Sets of coins that are made for Laplace noise. All but one, which nobody can foresee, are
    opened and checked; 1 checks none."""
    smooth: bool = False
    """Whether cells are also published smoothed: biased, and with less noise."""
    publish: PublishRule = "all"
    """`distinct`: of the estimates that are large enough, those that stand out of their noise.
    `all`: all of them."""


@dataclass(frozen=True)
class Study:
    """A cross-tab that two parties have agreed to publish."""

    name: str
    row: RowSide
    column: ColumnSide
    id_form: IdForm = "exact"
    id_region: str | None = None
    """Country whose national numbers are understood, for id form phone (ISO 3166 letters, such as
    JP)."""
    period: Period = field(default_factory=Period)
    bounds: Bounds = field(default_factory=Bounds)
    privacy: Privacy = field(default_factory=Privacy)
    title: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def cells(self) -> int:
        """Size of the row domain."""
        return prod(d.size for d in self.row.dimensions)

    @cached_property
    def column_labels(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Column dimensions as (name, labels), slowest first.

        The offset, where it is one, comes last.
        """
        dims = [(d.name, d.labels) for d in self.column.dimensions]
        if self.column.windows and self.column.offset_dimension:
            dims.append((OFFSET, tuple(label for w in self.column.windows for label in w.labels)))
        return tuple(dims)

    @property
    def slots(self) -> int:
        """Size of the column domain."""
        return prod(len(labels) for _, labels in self.column_labels)

    @property
    def window_periods(self) -> int:
        """W: periods in the window of one boarding, 1 without windows."""
        return sum(len(w.offsets) for w in self.column.windows) or 1

    @property
    def window_in_study(self) -> int:
        """Most periods of the study in which one boarding counts: W, or fewer in a short study.

        Anchors are taken to be independent of each other.
        """
        anchors = {window.anchor for window in self.column.windows}
        if not anchors or self.period.grain == "none":
            return 1
        start, end = self.period.edges
        unit, length = (1, len(self.period.span)) if self.period.months else (_SECOND, end - start)
        return sum(
            most_at_once(
                (o * unit for w in self.column.windows if w.anchor == anchor for o in w.offsets),
                length,
            )
            for anchor in anchors
        )

    @cached_property
    def sensitivity(self) -> Sensitivity:
        """What one person moves at most, from bounds, windows, span and domains together.

        With weights a person's rows in one cell and period are one, so there are no more of them in
        a period than there are cells.
        """
        bounds = self.bounds
        return Sensitivity.of(
            rows=min(bounds.rows, self.cells) if self.row.weight else bounds.rows,
            boardings=bounds.boardings,
            per_column=bounds.per_column,
            columns=prod(d.size for d in self.column.dimensions),
            window=self.window_in_study,
            periods=len(self.period.span),
            spread=self.column.offset_dimension and bool(self.column.windows),
        )

    @property
    def rows_per_flag(self) -> int:
        """Most rows that a flag may meet: R, or with padding one.

        With padding every row of a person in a period has a tag of its own, and so has each of the
        R flags.
        """
        return 1 if self.privacy.padding == "dp" else self.sensitivity.rows

    @property
    def slot_units(self) -> int:
        """m: the most units of one person in one column."""
        return self.sensitivity.column_units

    @property
    def person_units(self) -> int:
        """L1 sensitivity of the counts: the most units that one person moves."""
        return self.sensitivity.l1

    @property
    def max_count(self) -> int:
        """Public upper bound of a count, and of any sum of counts over cells, in one slot."""
        return self.bounds.persons * self.slot_units

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over the canonical JSON form: parties with equal digests run the same study."""
        form = {"format": FORMAT_VERSION, "study": self}
        text = json.dumps(
            form, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_canonical
        )
        return hashlib.sha256(text.encode()).digest()


_LATER = ("missing",)
"""Fields that came after the format, and are no part of the digest where they are not used."""


def _canonical(value: object) -> object:
    if is_dataclass(value):
        # Not asdict, which copies every text of a domain one by one.
        form = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: of for name, of in form.items() if name not in _LATER or of is not None}
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, dt.datetime):
        return value.isoformat()
    raise TypeError(f"not part of a study: {type(value).__name__}")
