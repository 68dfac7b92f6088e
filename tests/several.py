"""A made-up study of several column parties, its tables, and its counts by SQL.

Parties have tables of the same kind; as much of them as is wanted is the same in all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests import oracle
from tests.synthetic import make_study, make_tables
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.crypto.tags import TAG_BYTES
from xstat_ray.model.messages import Rows
from xstat_ray.model.study import Bounds, Study
from xstat_ray.planning.plan import Plan
from xstat_ray.protocol import agree, count, exchange_persons
from xstat_ray.roles import Aggregator, ColumnParty, RowParty
from xstat_ray.roles.opening import proven_key

NAMES = ("jal", "hac", "ana", "ado", "sky")
KEY_BITS = 2048


class Several(NamedTuple):
    """A study with its tables."""

    study: Study
    rows: pa.Table
    flags: Mapping[str, pa.Table]
    """By name of the party, in the order of the study."""
    seeds: Mapping[str, bytes]

    def write(self, folder: Path) -> dict[str, Path]:
        """Write all tables; returns their files by name, that of the row party as `row`."""
        paths = {name: folder / f"{name}.parquet" for name in ("row", *self.flags)}
        for name, table in (("row", self.rows), *self.flags.items()):
            pq.write_table(table, paths[name])
        return paths

    def expected(self) -> NDArray[np.int64]:
        """Counts (cells, slots) by SQL: of a row's flags only that of the first party counts."""
        db = duckdb.connect()
        kept = oracle.kept_rows(self.study, self.rows, self.seeds["row"])
        db.register("rows", oracle.rows_of(kept, "id", "period", "cell"))
        flags = []
        for rank, terms in enumerate(self.study.column_parties):
            bounds = Bounds(1, terms.boardings, terms.persons, terms.per_column)
            alone = replace(self.study, bounds=bounds)
            of_party = alone, self.flags[terms.name], self.seeds[terms.name]
            flags += [(rank, *flag) for flag in oracle.kept_flags(*of_party)]
        db.register("flags", oracle.rows_of(flags, "rank", "id", "period", "slot"))
        counted = db.execute("""
            WITH first AS (
                SELECT * FROM flags
                QUALIFY row_number() OVER (PARTITION BY id, period ORDER BY rank) = 1
            )
            SELECT cell, slot, count(*) FROM rows JOIN first USING (id, period) GROUP BY ALL
        """)
        table = np.zeros((self.study.cells, self.study.slots), np.int64)
        for cell, slot, number in counted.fetchall():
            table[cell, slot] = number
        return table

    def expected_sums(self) -> NDArray[np.int64]:
        """Counts, then sums of each measure (1 + measures, cells, slots), person by person."""
        first: dict[tuple[str, int], tuple[int, list[int]]] = {}
        for terms in self.study.column_parties:
            bounds = Bounds(1, terms.boardings, terms.persons, terms.per_column)
            alone = replace(self.study, bounds=bounds)
            given = (alone, self.flags[terms.name], self.seeds[terms.name])
            slots = {flag[:2]: flag[2] for flag in oracle.kept_flags(*given)}
            for person, period, values in oracle.kept_values(*given):
                first.setdefault((person, period), (slots[person, period], values))
        measures = len(self.study.column.measures)
        table = np.zeros((1 + measures, self.study.cells, self.study.slots), np.int64)
        rows = oracle.kept_rows(self.study, self.rows, self.seeds["row"])
        for person, period, cell in rows:
            slot, values = first.get((person, period), (None, []))
            if slot is not None:
                table[:, cell, slot] += [1, *values]
        return table


def several(parties: int, overlap: float, rows: int = 2, boardings: int = 2) -> Several:
    """Make a study of so many column parties.

    Args:
        parties: number of them.
        overlap: share of each table that is the same in all; where it is nothing they have no
            person in common.
        rows: the bound R.
        boardings: the bounds F and q of each.
    """
    names = NAMES[:parties]
    bounds = {"boardings": boardings, "per_column": boardings, "persons": 100}
    terms = [{"name": name, **bounds} for name in names]
    study = make_study(parties=terms)
    names = tuple(terms.name for terms in study.column_parties)
    first = make_tables()[1]
    common = round(overlap * len(first))
    flags = {}
    for number, name in enumerate(names):
        mine = make_tables(seed=100 + number)[1]
        if not overlap:
            mine = _of_some_people(mine, parties, number)
        flags[name] = pa.concat_tables([first.slice(0, common), mine.slice(common)])
    # What a party draws depends on its seed and on a boarding: with one seed the same of all.
    seeds = {name: bytes([name == "row"]) * 32 for name in ("row", *names)}
    study = replace(study, bounds=replace(study.bounds, rows=rows))
    return Several(study, make_tables()[0], flags, seeds)


def _of_some_people(flags: pa.Table, parties: int, number: int) -> pa.Table:
    """Leave those whose number has this remainder."""
    codes = [int(name[1:]) if name else 0 for name in flags["passenger"].to_pylist()]
    return flags.filter(pa.array([code % parties == number for code in codes]))


@cache
def key_of(number: int) -> tuple[PrivateKey, bytes]:
    """A party's key with the proof of it; to make them takes longer than the rest of a small run."""
    key = generate(KEY_BITS)
    return key, proven_key(key)


@contextmanager
def keys_at_hand() -> Iterator[None]:
    """Have each column party use a key of its own that is made once."""

    def generate_key(self: ColumnParty, bits: int, constant_time: bool = False) -> None:
        self._key = key_of(self._study.column_parties.index(self._terms))[0]

    def public_key(self: ColumnParty) -> bytes:
        return key_of(self._study.column_parties.index(self._terms))[1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ColumnParty, "generate_key", generate_key)
        patch.setattr(ColumnParty, "public_key", public_key)
        yield


class Joined(NamedTuple):
    """What a run comes to before its opening."""

    row: RowParty
    columns: Sequence[ColumnParty]
    counts: Sequence[NDArray[np.int64]]
    """(cells, slots) of each party in blinded order, decrypted with its key."""


def joined(plan: Plan, made: Several, folder: Path) -> Joined:
    """Play everything up to the opening, and decrypt what was counted under each key."""
    paths = made.write(folder)
    study = plan.study
    row = RowParty(study, paths["row"], seed=made.seeds["row"])
    columns = [
        ColumnParty(study, paths[name], seed=made.seeds[name], party=name) for name in made.flags
    ]
    with keys_at_hand():
        publics = agree(plan, row, columns)
    exchange_persons(row, columns)
    aggregators = [Aggregator(public, study.rows_per_flag, plan.design.cells) for public in publics]
    counted = count(plan, row, columns, aggregators)
    counts = []
    for column, aggregator, partials in zip(columns, aggregators, counted, strict=True):
        whole = aggregator.add(*partials)
        table = aggregator.lay_out(whole, plan.design.cells, plan.packing.blocks)
        numbers = column._private_key.decrypt(table.reshape(-1, aggregator.public.width))
        counts.append(plan.packing.unpack_signed(numbers, aggregator.public.n))
    return Joined(row, columns, counts)


def met_together(rows: Rows, flags: Sequence[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """(N,) of which column parties each row meets flags, as a kind of `Padding.meets`.

    Args:
        rows: rows with a tag for each party.
        flags: (M, 16) tags of each party's flags.
    """
    kind = np.zeros(len(rows.cells), np.int64)
    for number, tags in enumerate(flags):
        own = rows.tags[:, number * TAG_BYTES : (number + 1) * TAG_BYTES]
        kind |= np.isin(_values(own), _values(tags)).astype(np.int64) << number
    return (kind - 1) % (1 << len(flags))


def _values(tags: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    return np.ascontiguousarray(tags).view(f"S{TAG_BYTES}").ravel()
