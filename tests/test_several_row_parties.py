"""Several row parties: what is counted of all of them is one SQL query over all tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.several import keys_at_hand
from tests.several_rows import United, united
from tests.sizes import first
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.protocol import play


def played(made: United, folder: Path, plan: Plan | None = None) -> NDArray[np.int64]:
    """Play the whole protocol; (cells, slots)."""
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
    counts: NDArray[np.int64] = coefficients.values[: made.study.cells]
    return counts


@pytest.mark.parametrize(
    ("row_parties", "column_parties", "overlap"),
    first(1, [(2, 1, 0.5), (2, 2, 0.5), (2, 1, 0.0), (2, 1, 1.0), (3, 2, 1.0), (5, 1, 0.4)]),
)
def test_the_sum_over_all_row_parties_equals_a_query_over_their_tables(
    row_parties: int, column_parties: int, overlap: float, tmp_path: Path
) -> None:
    made = united(row_parties, column_parties, overlap)
    expected = made.expected()
    assert (played(made, tmp_path) == expected).all()
    assert all(made.of_one(terms).sum() > 50 for terms in made.study.row_parties)
