"""Several row parties: counts and sums of all of them are one SQL query over all tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.several import keys_at_hand
from tests.several_rows import United, united
from tests.sizes import first, thorough
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.protocol import play

OVERLAPS = [
    (2, 1, 0.5),
    (2, 2, 0.5),
    (2, 1, 0.0),
    (2, 1, 1.0),
    (2, 2, 0.0),
    (2, 2, 1.0),
    (3, 1, 0.0),
    (3, 2, 0.3),
    (3, 2, 1.0),
    (5, 1, 0.4),
    (8, 1, 0.5),
]
"""Row parties, column parties, and the share of their tables that is the same."""


def played(made: United, folder: Path, plan: Plan | None = None) -> NDArray[np.int64]:
    """Play the whole protocol; (1 + measures, cells, slots)."""
    rows, columns = made.write(folder)
    plan = plan or make_plan(made.study, key_bits=2048, shards=5)
    with keys_at_hand():
        coefficients = play(
            plan,
            row_table=rows,
            column_table=columns,
            ledger=folder / "ledger",
            seeds=made.seeds,
        )
    quantities = 1 + len(made.study.column.measures)
    return np.stack(np.split(coefficients.values[: made.study.cells], quantities, axis=1))


@pytest.mark.parametrize(("row_parties", "column_parties", "overlap"), first(1, OVERLAPS))
def test_counts_and_sums_over_all_row_parties_equal_a_query_over_their_tables(
    row_parties: int, column_parties: int, overlap: float, tmp_path: Path
) -> None:
    made = united(row_parties, column_parties, overlap).with_measures()
    expected = made.expected_sums()
    assert (played(made, tmp_path) == expected).all()
    assert (expected[1:] < 0).any() and (expected[1:] > 0).any()
    assert expected[0].sum() > 50 * row_parties


@thorough
@pytest.mark.parametrize(("row_parties", "column_parties"), [(2, 1), (3, 2)])
def test_counts_alone_equal_the_queries_over_each_table_added_up(
    row_parties: int, column_parties: int, tmp_path: Path
) -> None:
    made = united(row_parties, column_parties)
    (found,) = played(made, tmp_path)
    assert (found == made.expected()).all()
    assert all(made.of_one(terms).sum() > 50 for terms in made.study.row_parties)
