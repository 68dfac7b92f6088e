"""Somebody with as much as the bounds allow in the tables of all row parties and column parties.

Counts and sums with that person and without are as far apart as the study declares, and no farther.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.several import keys_at_hand
from tests.sizes import first, slow, thorough
from tests.statistical.test_heavy_person_several import APART, HOURS, Boardings, study, table
from xstat_ray.model.measure import Measure
from xstat_ray.model.messages import Rows
from xstat_ray.model.parties import RowTerms
from xstat_ray.model.shards import Shard
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.protocol import play
from xstat_ray.roles import RowParty

ROW_NAMES = ("north", "south", "west")
NAMES = (*ROW_NAMES, "jal", "hac")
FARE = Measure("fare", "fare", 0, 1001)
"""Values less 500 reach from -500 to 501."""
MOST = 9999
"""More than may be, and so 1001."""
EVERYWHERE: Boardings = [(hour, "a") for hour in range(HOURS)] * 3
Heavy = Mapping[str, Boardings]
"""What a person has in each table."""
IN_ALL: Heavy = {**dict.fromkeys(ROW_NAMES, EVERYWHERE), **APART}


def united(rows: Sequence[int] = (2, 1)) -> Study:
    """The study of two column parties, with fares, whose rows several row parties supply."""
    alone = study(rows=sum(rows))
    terms = tuple(
        RowTerms(name, f"heavy/{name}", most) for name, most in zip(ROW_NAMES, rows, strict=False)
    )
    row = replace(alone.row, parties=terms)
    return replace(alone, row=row, column=replace(alone.column, measures=(FARE,)))


def write(declared: Study, heavy: Heavy, fare: int, folder: Path) -> dict[str, Path]:
    """Write all tables, with somebody else in each; returns their files by name."""
    folder.mkdir(parents=True)
    rows = {terms.name for terms in declared.row_parties}
    paths = {}
    for terms in declared.parties:
        name = terms.name
        of_heavy = {"heavy": heavy[name]} if name in heavy else {}
        others: Boardings = [(3, "a"), (5, "b")] if name in rows else [(3, "x")]
        made: pa.Table = table("area" if name in rows else "kind", {"other": others} | of_heavy)
        if name not in rows:
            paid = [fare if person == "heavy" else 70 for person in made["id"].to_pylist()]
            made = made.append_column("fare", pa.array(paid))
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(made, paths[name])
    return paths


def figures(declared: Study, heavy: Heavy, fare: int, folder: Path) -> NDArray[np.int64]:
    """Counts and sums with a person who has this in the tables; (2, cells, slots)."""
    paths = write(declared, heavy, fare, folder)
    with keys_at_hand():
        coefficients = play(
            make_plan(declared, key_bits=2048),
            row_table={terms.name: paths[terms.name] for terms in declared.row_parties},
            column_table={terms.name: paths[terms.name] for terms in declared.column_parties},
            ledger=folder / "ledger",
            seeds={name: bytes(32) for name in NAMES},
        )
    return np.stack(np.split(coefficients.values[: declared.cells], 2, axis=1))


def moved(
    declared: Study, folder: Path, heavy: Heavy = IN_ALL, fare: int = MOST
) -> NDArray[np.int64]:
    """By how much that person moves each count and each sum; (2, cells, slots)."""
    gone = figures(declared, {}, fare, folder / "without")
    return figures(declared, heavy, fare, folder / "with") - gone


def declared_moves(declared: Study) -> tuple[Mechanism, Mechanism]:
    """What the noise of counts and of sums is made for."""
    counts, sums = Design.of_study(declared).levels[0].mechanisms
    return counts, sums


@pytest.mark.parametrize(
    ("rows", "l1", "in_column", "l2_squared", "fare"),
    first(
        1,
        [
            ((2, 1), 9, 6, 45, MOST),
            ((2, 1), 9, 6, 45, -MOST),
            ((2, 1, 2), 15, 10, 125, MOST),
            ((1, 1), 6, 4, 20, 1001),
        ],
    ),
)
def test_one_person_in_all_tables_moves_counts_and_sums_by_what_is_declared(
    rows: Sequence[int], l1: int, in_column: int, l2_squared: int, fare: int, tmp_path: Path
) -> None:
    declared = united(rows)
    of_counts, of_sums = declared_moves(declared)
    counts, sums = moved(declared, tmp_path, fare=fare)
    assert (of_counts.l1, of_counts.l2_squared) == (l1, l2_squared)
    assert (of_sums.l1, of_sums.l2_squared) == (501 * l1, 501**2 * l2_squared)
    assert declared.sensitivity.column_units == in_column == np.abs(counts).sum(axis=0).max()
    assert np.abs(counts).sum() == l1
    assert (counts**2).sum() == l2_squared
    # What is below the middle reaches by one unit less far than what is above.
    reach = FARE.reach if fare > 0 else FARE.reach - 1
    assert (sums == (reach if fare > 0 else -reach) * counts).all()


def some(draw: np.random.Generator, labels: str) -> Boardings:
    """Up to three times as much as there are hours, anywhere and of any kind."""
    many = int(draw.integers(0, 3 * HOURS))
    hours = draw.integers(0, HOURS, many).tolist()
    return list(zip(hours, draw.choice(list(labels), many).tolist(), strict=True))


@slow
@pytest.mark.parametrize("seed", range(12))
def test_whatever_somebody_has_moves_them_no_farther(seed: int, tmp_path: Path) -> None:
    draw = np.random.default_rng(seed)
    declared = united((2, 1, 1)[: 2 + seed % 2])
    heavy = {
        terms.name: some(draw, "ab" if declared.role_of(terms.name) == "row" else "xy")
        for terms in declared.parties
    }
    fare = int(draw.integers(-2000, 3000))
    for change, allowed in zip(
        moved(declared, tmp_path, heavy, fare), declared_moves(declared), strict=True
    ):
        assert np.abs(change).sum() <= allowed.l1
        assert (change**2).sum() <= allowed.l2_squared


@thorough
@pytest.mark.parametrize("party", ["north", "south"])
def test_rows_over_a_row_partys_own_bound_are_lost(
    party: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A row party of bad faith sends every row again and again; the other one's still count.
    declared = united()
    honest = RowParty.emit

    def emit(self: RowParty, shard: Shard) -> Rows:
        sent: Rows = honest(self, shard)
        if self.row_party != party:
            return sent
        again = np.repeat(np.arange(len(sent.cells)), 4)
        return Rows(sent.view, sent.shard, sent.tags[again], sent.cells[again])

    monkeypatch.setattr(RowParty, "emit", emit)
    flags = declared.sensitivity.flags
    left = next(terms.rows for terms in declared.row_parties if terms.name != party)
    counts, sums = np.abs(moved(declared, tmp_path)).sum(axis=(1, 2))
    assert counts == left * flags and sums == FARE.reach * counts


@thorough
def test_a_column_party_that_bounds_nothing_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = united()
    loose = tuple(replace(terms, boardings=9, per_column=9) for terms in declared.column_parties)
    more = replace(declared, column=replace(declared.column, parties=loose))
    of_counts, of_sums = declared_moves(declared)
    counts, sums = np.abs(moved(more, tmp_path)).sum(axis=(1, 2))
    assert counts > of_counts.l1 and sums > of_sums.l1
