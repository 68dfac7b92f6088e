"""The study: the declared cross-tab, as plain frozen data.

A study says what is counted (domains, period, windows), how much one person may contribute (bounds)
and how the result is protected (privacy). All of it is public and agreed by both parties; its
digest is bound into every message. `study_file` reads and checks the YAML form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import prod
from typing import Literal

from xstat_ray.model.canonical import digest_of
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.measure import Measure
from xstat_ray.model.parties import ONLY, ONLY_ROW, ColumnTerms, RowTerms, named
from xstat_ray.model.period import SECOND, Period
from xstat_ray.model.sensitivity import Sensitivity, most_at_once

Role = Literal["row", "column"]
"""A party, by what it supplies: the rows or the columns of the table."""
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

FORMAT_VERSION = 1
OFFSET = "offset"


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
    """The table of every row party: which column is what."""

    id: str
    dimensions: tuple[Dimension, ...]
    time: str | None = None
    weight: str | None = None
    """Numeric column: of the rows of one person in one period, those with the largest weight are
    kept (dwell time). Without it the kept rows are drawn at random."""
    dataset: str = "row"
    """Name under which the row party's budget is kept; that of several stands in `parties`."""
    parties: tuple[RowTerms, ...] = ()
    """Where several parties supply rows: all of them, of which the first masks and un-blinds the
    table. Empty where there is one."""


@dataclass(frozen=True)
class ColumnSide:
    """The table of every column party: which column is what."""

    id: str
    dimensions: tuple[Dimension, ...]
    time: str | None = None
    windows: tuple[Window, ...] = ()
    offset_dimension: bool = True
    """Whether the offset is a dimension of the table, or all offsets of a window count in the same
    column."""
    dataset: str = "column"
    """Name under which the column party's budget is kept; that of several stands in `parties`."""
    parties: tuple[ColumnTerms, ...] = ()
    """Where several parties supply columns: all of them, in the order in which one of them counts
    where several have a flag for the same row. Empty where there is one."""
    measures: tuple[Measure, ...] = ()
    """Values whose sums and means are published beside the counts."""


@dataclass(frozen=True)
class Bounds:
    """What one person may contribute; each party enforces its own, before anything leaves.

    Where there are several row parties, or several column parties, these are the sums of theirs.
    """

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
    split: tuple[tuple[str, Fraction], ...] = ()
    """Share of the budget by name, of `count` and of every measure, which add up to 1; empty where
    the planner splits it."""


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
    def width(self) -> int:
        """Coefficients of a node: a count of each column, then of each measure as many sums."""
        return self.slots * (1 + len(self.column.measures))

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
        unit, length = (1, len(self.period.span)) if self.period.months else (SECOND, end - start)
        return sum(
            most_at_once(
                (o * unit for w in self.column.windows if w.anchor == anchor for o in w.offsets),
                length,
            )
            for anchor in anchors
        )

    @cached_property
    def column_parties(self) -> tuple[ColumnTerms, ...]:
        """Every column party in the study's order; where there is one, it has the name `ONLY`."""
        bounds = self.bounds
        only = ColumnTerms(
            ONLY, self.column.dataset, bounds.boardings, bounds.per_column, bounds.persons
        )
        return self.column.parties or (only,)

    @cached_property
    def row_parties(self) -> tuple[RowTerms, ...]:
        """Every row party in the study's order; where there is one, it has the name `ONLY_ROW`."""
        return self.row.parties or (RowTerms(ONLY_ROW, self.row.dataset, self.bounds.rows),)

    @property
    def parties(self) -> tuple[RowTerms | ColumnTerms, ...]:
        """Every party, the row parties first, in the study's order."""
        return (*self.row_parties, *self.column_parties)

    @property
    def opens_jointly(self) -> bool:
        """Whether the table is opened as where several parties supply its rows or its columns."""
        return bool(self.row.parties or self.column.parties)

    def role_of(self, party: str) -> Role:
        """Tell the role of a party by its name."""
        return "row" if party in {terms.name for terms in self.row_parties} else "column"

    def row_terms_of(self, party: str) -> RowTerms:
        """What a row party contributes at most.

        Raises:
            ProtocolError: the study names no such party.
        """
        return named(party, self.row_parties, "row")

    def terms_of(self, party: str) -> ColumnTerms:
        """What a column party contributes at most.

        Raises:
            ProtocolError: the study names no such party.
        """
        return named(party, self.column_parties, "column")

    @cached_property
    def sensitivity(self) -> Sensitivity:
        """What one person moves at most, from bounds, windows, span and domains together.

        Someone may be in the tables of all column parties, and then has a flag of each in every
        period; and in those of all row parties, and then has rows of each.
        """
        parties = len(self.column_parties)
        return self._moved_by(self.bounds.boardings, self.bounds.per_column, parties)

    def _moved_by(self, boardings: int, per_column: int, parties: int) -> Sensitivity:
        """What a person moves who is in the tables of so many parties, with bounds added up.

        With weights a person's rows in one cell and period are one, so there are no more of them in
        a period than there are cells.
        """
        return Sensitivity.of(
            rows=min(self.bounds.rows, sum(self.most_rows_of(one) for one in self.row_parties)),
            boardings=boardings,
            per_column=per_column,
            columns=prod(d.size for d in self.column.dimensions),
            window=self.window_in_study,
            periods=len(self.period.span) * parties,
            spread=self.column.offset_dimension and bool(self.column.windows),
        )

    def most_rows_of(self, party: RowTerms) -> int:
        """Most rows of one person in a period that a row party sends; with weights: cells."""
        return min(party.rows, self.cells) if self.row.weight else party.rows

    @property
    def rows_per_flag(self) -> int:
        """Most rows of the only row party, or of the first, that a flag may meet."""
        return self.rows_per_flag_of(self.row_parties[0].name)

    def rows_per_flag_of(self, party: str) -> int:
        """Most rows of a row party that a flag may meet: R, or with padding one.

        With padding every row of a person in a period has a tag of its own, and so has each of the
        R flags.
        """
        if self.privacy.padding == "dp":
            return 1
        return self.most_rows_of(self.row_terms_of(party))

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
        return sum(
            terms.persons * self._moved_by(terms.boardings, terms.per_column, 1).column_units
            for terms in self.column_parties
        )

    def most_flags_of(self, party: str) -> int:
        """Most flags of a column party under the bounds, for all row parties, without dummies.

        Each row party gets all of them; with padding each of a person's rows in a period has one.
        """
        terms = self.terms_of(party)
        moved = self._moved_by(terms.boardings, terms.per_column, 1)
        copies = moved.rows if self.privacy.padding == "dp" else len(self.row_parties)
        return terms.persons * moved.flags * copies

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over the canonical JSON form: parties with equal digests run the same study."""
        return digest_of({"format": FORMAT_VERSION, "study": self})
