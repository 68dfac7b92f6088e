"""Several column parties: what is counted under all keys is one SQL query over all tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.several import joined, several
from tests.sizes import first
from xstat_ray.planning.plan import make_plan


@pytest.mark.parametrize(
    ("parties", "overlap"),
    first(2, [(3, 0.5), (2, 1.0), (2, 0.0), (1, 1.0), (2, 0.5), (5, 0.0), (5, 0.4), (5, 1.0)]),
)
def test_the_sum_over_all_parties_equals_a_query_over_their_tables(
    parties: int, overlap: float, tmp_path: Path
) -> None:
    made = several(parties, overlap)
    plan = make_plan(made.study, key_bits=2048, shards=5)
    run = joined(plan, made, tmp_path)
    counts = sum(run.counts)[run.row._blinding().forward]
    expected = made.expected()
    assert (counts == expected).all()
    assert expected.sum() > 100
    of_each = [int(of_party.sum()) for of_party in run.counts]
    # Where all have the same table and draw alike the others' flags stand behind the first one's.
    assert [number > 0 for number in of_each] == [overlap < 1 or not n for n in range(parties)]
