"""Several parties of a side with padding: what the aggregator can count of people in whose tables.

The aggregator has everything of one padded view. About each of many people a coin says whether they
are in the tables of some of the parties. It guesses by whatever it can count in cells, and may be
right as often as the view's epsilon and delta allow.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tests.adversary.criterion import Guesses, chance, guess_drawn
from tests.adversary.padded import Counts, drawn, in_order, order_of
from tests.adversary.recorder import NOBODY, Record, Recorder, Thing
from tests.case import study
from tests.several import KEY_BITS, keys_at_hand
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play

AREAS = 136
DAYS = 2
EPSILON = 1.0
DELTA = 0.01
LEARN = 8
SHARDS = 2
JOIN = "roles/join.join."
BOUNDS = {"boardings": DAYS, "per_column": DAYS, "persons": 2000}
ALLOWED = chance(EPSILON, DELTA)
Coins = Mapping[str, NDArray[np.bool_]]
"""(cells,) whether there is somebody of each kind in each cell."""


def study_of(row: Mapping[str, Any], column: Mapping[str, Any], bounds: Mapping[str, Any]) -> Study:
    """Make a padded study of so many areas and days, with these parties and bounds."""
    return study(
        noise="laplace",
        areas=[f"a{number:03d}" for number in range(AREAS)],
        period={"grain": "date", "start": "2024-05-01", "end": f"2024-05-{1 + DAYS:02d}"},
        row={"time": "at", **row},
        column={"time": "at", **column},
        bounds=bounds,
        privacy={
            "mechanism": "flat",
            "padding": "dp",
            "view": {"epsilon": EPSILON, "delta": DELTA},
            "cap": 100,
        },
    )


class Game(NamedTuple):
    """A study, whom it is asked about, and what the aggregator counts."""

    study: Study
    kinds: Mapping[str, tuple[str, ...]]
    """In whose tables people are of whom a coin says whether they are there."""
    rows: tuple[str, ...]
    """Names of the row parties."""
    columns: tuple[str, ...]
    """Names of the column parties."""
    by_cell: Callable[[list[Thing]], Counts]
    """Counts what the aggregator had, by cell."""

    def found(self, folder: Path, runs: int = 1) -> set[str]:
        """The kinds about whom the aggregator was right more often than was declared."""
        made = self._guesses(folder, runs)
        return {kind for kind, game in made.items() if game.beat(ALLOWED, searched=len(made))}

    def _guesses(self, folder: Path, runs: int) -> dict[str, Guesses]:
        """Let the aggregator guess about the people of every cell."""
        draws: dict[str, list[Any]] = {kind: [] for kind in self.kinds}
        for run in range(runs):
            throw = np.random.default_rng(run)
            there = {kind: throw.integers(0, 2, AREAS).astype(bool) for kind in self.kinds}
            record = self._played(there, folder / str(run))
            order = order_of(record, self.rows[0])
            counts = in_order(self.by_cell(record.of("aggregator")), order)
            for kind in self.kinds:
                draws[kind] += drawn(counts, there[kind], range(AREAS))
        return {kind: guess_drawn(of_kind, runs * LEARN) for kind, of_kind in draws.items()}

    def _played(self, there: Coins, folder: Path) -> Record:
        """Play a run with these people in one batch and two shards."""
        folder.mkdir()
        paths = {}
        for name, table in self._tables(there).items():
            paths[name] = folder / f"{name}.parquet"
            pq.write_table(table, paths[name])
        plan = make_plan(self.study, key_bits=KEY_BITS, shards=SHARDS, batch="release")
        row, column = (
            paths[names[0]] if len(names) == 1 else {name: paths[name] for name in names}
            for names in (self.rows, self.columns)
        )
        with keys_at_hand(), Recorder("aggregator", self.rows[0]).recording(NOBODY) as record:
            play(plan, row_table=row, column_table=column, ledger=folder / "ledger")
        return record

    def _tables(self, there: Coins) -> dict[str, pa.Table]:
        """Tables in which these people are on all days."""
        found: dict[str, dict[str, list[Any]]] = {name: {} for name in (*self.rows, *self.columns)}
        for kind, names in self.kinds.items():
            for cell in np.flatnonzero(there[kind]).tolist():
                for name in names:
                    last = ("area", f"a{cell:03d}") if name in self.rows else ("kind", "x")
                    for day in range(DAYS):
                        table = found[name]
                        table.setdefault("id", []).append(f"{kind} {cell}")
                        table.setdefault("at", []).append(dt.datetime(2024, 5, 1 + day, 3))
                        table.setdefault(last[0], []).append(last[1])
        return {name: pa.table(table) for name, table in found.items()}
