"""Several column parties and sums, beside one column party that counts.

The airline's boardings over a region are counted four times in turn: as one party's; divided among
two parties by person, half of the people to each; with as many boardings again of a second party,
whose people are the same and fly at other times; and as one party's with the sums of a fare. All
runs are without noise, in one process on one core, in processor seconds. `flags` is the part that
grows with what column parties send: their own work, the row party's work for its links with them,
and the joins. To make a key takes now shorter, now longer, and is left out of everything.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.benchmarks.region import Region, RegionSizes, studies
from xstat_ray.benchmarks.timed import Costs, run_timed
from xstat_ray.benchmarks.timing import SECONDS, Record, one_core, summarize
from xstat_ray.errors import XstatError
from xstat_ray.inputs.source import Source
from xstat_ray.model.measure import Measure
from xstat_ray.model.parties import ColumnTerms, total_bounds
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.runtime.progress import Progress

_FARE = Measure("fare", "fare", 0, 60_000, "JPY")
_NAMES = ("one", "two")
_MOST = 8
"""Boardings of a person in the tables, at most."""
_KEY = ("column.generate_key",)
_ROWS = ("row.make_fit", "row.intake", "row.is_sorted", "row.prepare", "row.emit")
"""Calls that grow with the row party's table, whatever column parties there are."""
_TABLE = ("noise", "sums", "masks", "row.mask_table", "row.mask_tables")
"""Calls that grow with the encrypted tables."""
_OPENING = (
    *("approve", "approve_tables", "unblind", "show_mask", "show_masks", "accept_debits"),
    *("admit", "tell_debit", "open_part", "open_residues", "add_residues", "show_sums"),
    *("check_published", "noise_of"),
)
Case = tuple[Plan, dict[str, Source]]


@dataclass(frozen=True)
class Sizes(RegionSizes):
    """Sizes of the tables, and how often they are counted."""

    batches_a_day: int
    rounds: int
    key_bits: int


@dataclass(frozen=True)
class Spent:
    """Seconds of a run without its keys."""

    wall: float
    processor: float
    flags: float
    matches: int

    @classmethod
    def of(cls, plan: Plan, sources: dict[str, Source]) -> Spent:
        """Run a plan."""
        wall = time.perf_counter()
        processor = time.process_time()
        done = run_timed(plan, sources)
        wall = time.perf_counter() - wall
        processor = time.process_time() - processor
        keys = done.costs.seconds(*_KEY)
        return cls(wall - keys, processor - keys, flag_seconds(done.costs), done.matches)


def flag_seconds(costs: Costs) -> float:
    """Processor seconds of all that grows with what column parties send."""
    others = {*_KEY, *_ROWS, *_TABLE}
    others |= {f"{role}.{name}" for role in ("row", "column") for name in _OPENING}
    return costs.seconds(*(name for name in costs.by_name if name not in others))


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Count in all four ways, in turn.

    Raises:
        XstatError: two parties with half of the people each, or sums, give other counts.
    """
    with sizes.opened() as tables, _cases(sizes, tables) as cases:
        spent: dict[str, list[Spent]] = {name: [] for name in cases}
        with progress.stage("parties", len(cases) * sizes.rounds) as stage, one_core():
            for _ in range(sizes.rounds):
                for name, case in cases.items():
                    spent[name].append(Spent.of(*case))
                    stage.advance()
        rows = tables.rows
    # Each run draws anew which of two equally long stays counts; how many count does not change.
    if len({done.matches for name in ("counts", "halves", "sums") for done in spent[name]}) > 1:
        raise XstatError("the counts depend on who supplies the columns: nothing is reported")
    return [Record("parties.rows", rows, "rows"), *_records(spent)]


def _records(spent: Mapping[str, list[Spent]]) -> list[Record]:
    """Compare every way with one party that counts, part by part."""
    records = []
    for name, rounds in spent.items():
        for part in ("wall", "processor", "flags"):
            ours = [getattr(done, part) for done in rounds]
            others = [getattr(done, part) for done in spent["counts"]]
            beside = () if name == "counts" else others
            records.append(summarize(f"parties.{name}.{part}", SECONDS, ours, beside))
    return records


@contextmanager
def _cases(sizes: Sizes, tables: Region) -> Iterator[dict[str, Case]]:
    """Make a plan and sources for each of the ways."""
    study = _study(tables, sizes.days)
    row = tables.sources["row"]
    column = tables.sources["column"]
    boardings = pq.read_table(column.table)
    with TemporaryDirectory() as name:

        def source(table: pa.Table, file: str) -> Source:
            path = Path(name) / f"{file}.parquet"
            pq.write_table(table, path)
            return replace(column, table=path)

        def case(study: Study, *sources: Source) -> Case:
            shards = max(2, sizes.days * sizes.batches_a_day)
            plan = make_plan(study, key_bits=sizes.key_bits, shards=shards)
            names = [terms.name for terms in study.column_parties]
            return plan, {"row": row, **dict(zip(names, sources, strict=True))}

        rng = np.random.default_rng(1)
        fares = rng.integers(_FARE.low, _FARE.high + 1, len(boardings)).astype(np.int32)
        boardings = boardings.append_column("fare", pa.array(fares))
        person = pc.dictionary_encode(boardings[study.column.id]).combine_chunks()
        whole = source(boardings, "whole")
        halves = [
            source(boardings.filter(pc.equal(pc.bit_wise_and(person.indices, 1), half)), f"{half}")
            for half in (0, 1)
        ]
        exchanged = rng.permutation(len(person.dictionary))
        again = source(_with_people(boardings, study.column.id, person, exchanged), "again")
        summed = replace(study, column=replace(study.column, measures=(_FARE,)))
        yield {
            "counts": case(study, whole),
            "halves": case(_divided(study, 2), *halves),
            "second": case(_divided(study, 1), whole, again),
            "sums": case(summed, whole),
        }


def _study(tables: Region, days: int) -> Study:
    """Boardings by half of the day and hour of the window: with sums they fit one ciphertext."""
    study = tables.during(studies(days)["all"])
    halves = study.column.dimensions[1:]
    # Nothing is over the bounds, of which a party would draw anew in every run.
    bounds = replace(study.bounds, boardings=_MOST, per_column=_MOST)
    return replace(study, column=replace(study.column, dimensions=halves), bounds=bounds)


def _divided(study: Study, of: int) -> Study:
    """Name two column parties, each with the study's bounds but one of `of` parts of its people."""
    bounds = study.bounds
    persons = -(-bounds.persons // of)
    parties = tuple(
        ColumnTerms(name, name, bounds.boardings, bounds.per_column, persons) for name in _NAMES
    )
    return replace(
        study,
        column=replace(study.column, parties=parties),
        bounds=replace(bounds, **total_bounds(parties)),
    )


def _with_people(
    table: pa.Table, id: str, person: pa.DictionaryArray, exchanged: NDArray[np.int64]
) -> pa.Table:
    """Give every person the boardings of another one."""
    dictionary = person.dictionary.take(pa.array(exchanged))
    ids = pa.DictionaryArray.from_arrays(person.indices, dictionary).dictionary_decode()
    ids = ids.cast(table[id].type)
    return table.set_column(table.column_names.index(id), id, ids)
