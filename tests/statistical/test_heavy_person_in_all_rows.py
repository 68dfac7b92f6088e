"""Somebody with as much as the bounds allow in the tables of two row parties and two column parties.

The counts with that person and without are as far apart as the study declares, and no farther.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.several import keys_at_hand
from tests.sizes import thorough
from tests.statistical.test_heavy_person_several import APART, Boardings, study, table
from xstat_ray.model.messages import Rows
from xstat_ray.model.parties import RowTerms
from xstat_ray.model.shards import Shard
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play
from xstat_ray.roles import RowParty

SEEDS = {name: bytes(32) for name in ("north", "south", "jal", "hac")}


def united(rows: Sequence[int] = (2, 1)) -> Study:
    """The study of two column parties, whose rows two row parties supply."""
    alone = study(rows=sum(rows))
    terms = tuple(
        RowTerms(name, f"heavy/{name}", most)
        for name, most in zip(("north", "south"), rows, strict=True)
    )
    return replace(alone, row=replace(alone.row, parties=terms))


def counts(declared: Study, heavy: bool, folder: Path) -> NDArray[np.int64]:
    """Counts with a person who has too much in every table, or without; (cells, slots)."""
    there: Boardings = [(hour, "a") for hour in range(len(declared.period.span))] * 3
    of_heavy = {"heavy": there} if heavy else {}
    rows = {name: {"other": [(3, "a"), (5, "b")]} | of_heavy for name in ("north", "south")}
    flags = {
        name: {"other": [(0, "x")]} | ({"heavy": of_party} if heavy else {})
        for name, of_party in APART.items()
    }
    folder.mkdir(parents=True)
    for label, of_side in (("area", rows), ("kind", flags)):
        for name, of_party in of_side.items():
            pq.write_table(table(label, of_party), folder / f"{name}.parquet")
    with keys_at_hand():
        coefficients = play(
            make_plan(declared, key_bits=2048),
            row_table={name: folder / f"{name}.parquet" for name in rows},
            column_table={name: folder / f"{name}.parquet" for name in flags},
            ledger=folder / "ledger",
            seeds=SEEDS,
        )
    found: NDArray[np.int64] = coefficients.values[: declared.cells]
    return found


def moved(declared: Study, folder: Path) -> NDArray[np.int64]:
    """By how much that person moves each count."""
    here, gone = (counts(declared, heavy, folder / str(heavy)) for heavy in (True, False))
    return here - gone


def test_one_person_in_all_tables_moves_the_counts_by_what_is_declared(tmp_path: Path) -> None:
    declared = united()
    sensitivity = declared.sensitivity
    assert (sensitivity.l1, sensitivity.column_units, sensitivity.l2_squared) == (9, 6, 45)
    change = moved(declared, tmp_path)
    assert np.abs(change).sum() == sensitivity.l1
    assert np.abs(change).sum(axis=0).max() == sensitivity.column_units
    assert (change**2).sum() == sensitivity.l2_squared


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
    assert np.abs(moved(declared, tmp_path)).sum() == left * flags
