"""Several column parties from their tables to the counts: exact without noise, noise once with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.several import Several, keys_at_hand, several
from tests.sizes import first
from xstat_ray.model.messages import Coefficients
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play


def played(made: Several, folder: Path, shards: int = 5) -> Coefficients:
    """Play the whole protocol."""
    plan = make_plan(made.study, key_bits=2048, shards=shards)
    tables = made.write(folder)
    row = tables.pop("row")
    with keys_at_hand():
        return play(
            plan, row_table=row, column_table=tables, ledger=folder / "ledger", seeds=made.seeds
        )


@pytest.mark.parametrize(
    ("parties", "overlap"),
    first(1, [(3, 0.5), (2, 1.0), (2, 0.0), (5, 0.4), (8, 0.3)]),
)
def test_without_noise_the_release_equals_a_query_over_all_tables(
    parties: int, overlap: float, tmp_path: Path
) -> None:
    made = several(parties, overlap)
    coefficients = played(made, tmp_path)
    expected = made.expected()
    assert (coefficients.values == expected).all()
    assert expected.sum() > 100
