"""Write a world into a folder, block by block; the order of blocks does not change its bytes."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.world import accounts, card, regional
from xstat_ray.hokkaido.world.boardings import CONSENT_SCHEMA, SCHEMA, boardings, no_consent
from xstat_ray.hokkaido.world.customers import CUSTOMERS, DONATIONS, customers, donations
from xstat_ray.hokkaido.world.journeys import journeys
from xstat_ray.hokkaido.world.paths import make_paths
from xstat_ray.hokkaido.world.people import people_of
from xstat_ray.hokkaido.world.presence import presence
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.hokkaido.world.truth import Truth, areas_table, states_table, truth, watershed_table
from xstat_ray.hokkaido.world.year import make_year
from xstat_ray.hokkaido.world.year_truth import (
    YearTruth,
    donation_table,
    revisit_table,
    year_truth,
)
from xstat_ray.runtime.ordered import InOrder
from xstat_ray.util.files import drop_partials, whole_file, write_whole

FORMAT = 3
DESCRIPTION = "world.json"
_UNFINISHED = "world.unfinished.json"
TABLES = {
    "operator/subscribers.parquet": accounts.SUBSCRIBERS,
    "operator/opt_out.parquet": accounts.OPT_OUT,
    "operator/not_used.parquet": accounts.NOT_USED,
    "operator/visits.parquet": accounts.VISITS,
    "airline/boardings.parquet": SCHEMA,
    "airline/no_consent.parquet": CONSENT_SCHEMA,
    "airline/customers.parquet": CUSTOMERS,
    "airline/donations.parquet": DONATIONS,
    "regional/boardings.parquet": regional.SCHEMA,
    "regional/no_consent.parquet": CONSENT_SCHEMA,
    "card/spend.parquet": card.SCHEMA,
}
"""Schemas of the tables with rows of all blocks, in the order of the blocks."""


@dataclass(frozen=True)
class BlockCounts:
    """Counts of a block, or of all blocks."""

    residents: NDArray[np.int64]
    truth: Truth
    year: YearTruth
    passengers: NDArray[np.int64]
    spent: NDArray[np.int64]

    def __add__(self, other: BlockCounts) -> BlockCounts:
        return BlockCounts(
            self.residents + other.residents,
            self.truth + other.truth,
            self.year + other.year,
            self.passengers + other.passengers,
            self.spent + other.spent,
        )

    def tables(self) -> dict[str, pa.Table]:
        """Make the tables of the counts, by file."""
        return {
            "public/register.parquet": accounts.register(self.residents),
            "truth/watershed.parquet": watershed_table(self.truth),
            "truth/states.parquet": states_table(self.truth),
            "truth/areas.parquet": areas_table(self.truth),
            "truth/revisit.parquet": revisit_table(self.year),
            "truth/donation.parquet": donation_table(self.year),
            "truth/passengers.parquet": regional.passengers_table(self.passengers),
            "truth/spend.parquet": card.spend_table(self.spent),
        }


@dataclass(frozen=True)
class BlockTables:
    """Rows of a block for the tables of all blocks, once its presence files are written."""

    people: int
    presence_rows: int
    tables: dict[str, pa.Table]
    """Rows of the block, by the names in `TABLES`."""
    counts: BlockCounts


def build(
    world: World, out: Path, in_order: InOrder, done: Callable[[BlockTables], None]
) -> dict[str, Any]:
    """Write all tables of a world, unless they are already there.

    Args:
        world: the settings.
        out: a new folder, or that of an unfinished world of these settings, which is written again.
        in_order: runs the blocks.
        done: called after every block.

    Returns:
        The content of world.json: settings, and the number of rows of each table.

    Raises:
        InputError: the folder holds something else.
        OSError: the disk is full, or the folder cannot be written to.
    """
    made = _claim(world, out)
    if made is not None:
        return made
    rows: dict[str, int] = dict.fromkeys(["operator/presence", *TABLES], 0)
    total: BlockCounts | None = None
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(_whole_parquet(out / name, of)) for name, of in TABLES.items()
        }
        for block in in_order(partial(make_block, world, out), range(world.blocks)):
            rows["operator/presence"] += block.presence_rows
            for name, table in block.tables.items():
                writers[name].write_table(table)
                rows[name] += table.num_rows
            total = block.counts if total is None else total + block.counts
            done(block)
    assert total is not None, "a world has a block"
    for name, table in total.tables().items():
        with _whole_parquet(out / name, table.schema) as writer:
            writer.write_table(table)
        rows[name] = table.num_rows
    made = {"format": FORMAT, "world": world.as_dict(), "rows": rows}
    write_whole(out / DESCRIPTION, _json(made))
    (out / _UNFINISHED).unlink()
    return made


def make_block(world: World, out: Path, block: int) -> BlockTables:
    """Write the presence files of a block, one a day, and make its rows of the other tables."""
    people = people_of(world, block)
    first = world.first_day.toordinal()
    last = world.last_day.toordinal()
    paths = make_paths(world, people, journeys(world, people, first, last))
    year = make_year(world, people, paths.journeys)
    rows = 0
    for date in world.dates:
        table = presence(world, people, paths, date.toordinal())
        with _whole_parquet(presence_file(out, date, block), table.schema) as writer:
            writer.write_table(table)
        rows += table.num_rows
    tables = {
        "operator/subscribers.parquet": accounts.subscribers(world, people),
        "operator/opt_out.parquet": accounts.opt_out(people),
        "operator/not_used.parquet": accounts.not_used(people),
        "operator/visits.parquet": accounts.visits(people, year),
        "airline/boardings.parquet": boardings(world, people, paths),
        "airline/no_consent.parquet": no_consent(people),
        "airline/customers.parquet": customers(world, people, year),
        "airline/donations.parquet": donations(world, people, year),
        "regional/boardings.parquet": regional.boardings(world, people, paths),
        "regional/no_consent.parquet": regional.no_consent(world, people),
        "card/spend.parquet": card.card(world, people, paths),
    }
    counts = BlockCounts(
        accounts.residents(people),
        truth(world, people, paths),
        year_truth(people, year),
        regional.passengers(world, people, paths),
        card.spent(world, people, paths),
    )
    return BlockTables(len(people), rows, tables, counts)


def presence_file(out: Path, date: dt.date, block: int) -> Path:
    """Name the file of the presence of a block on a date."""
    return out / "operator" / "presence" / f"date={date.isoformat()}" / f"part-{block:04d}.parquet"


def _claim(world: World, out: Path) -> dict[str, Any] | None:
    """Mark a folder as that of a world.

    Returns:
        The description of the world if it is finished.

    Raises:
        InputError: the folder holds something else.
    """
    wanted = {"format": FORMAT, "world": world.as_dict()}
    for name in (DESCRIPTION, _UNFINISHED):
        path = out / name
        if not path.is_file():
            continue
        try:
            found = json.loads(path.read_bytes())
        except ValueError:
            found = None
        if not isinstance(found, dict) or {key: found.get(key) for key in wanted} != wanted:
            raise InputError(
                "a world of other settings is here", file=str(path), key="out", remedy=_ELSEWHERE
            )
        if name == DESCRIPTION:
            return found
        drop_partials(out)
        return None
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("something else is here", file=str(out), key="out", remedy=_ELSEWHERE)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / _UNFINISHED, _json(wanted))
    return None


_ELSEWHERE = "Name a new folder with out=..., or remove this one"


@contextmanager
def _whole_parquet(path: Path, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    """Write a Parquet file that is whole or absent at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        yield writer


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()
