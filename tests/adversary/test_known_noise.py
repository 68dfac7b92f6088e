"""A known weakness: whoever adds the noise knows it, and can take it off the published table.

The test plays the adversary, and passes while the attack works: docs/security.md lists it among the
known weaknesses. Whoever mends it turns the assertion round.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tests.adversary.deployments import DEPLOYMENTS, Ran
from tests.adversary.people import NUMBERS, People
from tests.adversary.recorder import Thing
from tests.case import study
from tests.sizes import first

AREAS = tuple(f"a{number}" for number in range(8))
KINDS = tuple(f"k{number}" for number in range(12))
STUDY = study(
    noise="laplace",
    areas=AREAS,
    column={"dimensions": [{"name": "kind", "values": list(KINDS)}]},
    privacy={"epsilon": "1/10", "mechanism": "flat"},
)
SHAPE = (len(AREAS), len(KINDS))


def published(ran: Ran) -> NDArray[np.int64]:
    """The noisy counts (areas, kinds)."""
    table = pq.read_table(ran.out / "statistics.parquet")
    noisy: NDArray[np.int64] = table["noisy"].to_numpy().reshape(SHAPE)
    return noisy


def undone(things: Iterable[Thing], noisy: NDArray[np.int64]) -> Any:
    """Take the noise off the published table, by the order of rows that fits best.

    What fits is what leaves small numbers, none of which is negative.
    """
    (noise,) = (thing.value for thing in things if thing.name.endswith("add_noise_once.noise"))
    left = noisy[:, None, :] - np.asarray(noise)[None, :, :]
    cost = np.where(left < 0, 1_000 - left, np.log1p(np.maximum(left, 0))).sum(axis=2)
    return left[linear_sum_assignment(cost)].tolist()


@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS), ids=lambda made: made.name)
def test_whoever_added_the_noise_has_the_exact_counts_and_their_places(deployment, tmp_path):
    people = People(NUMBERS[:120], NUMBERS[30:120])
    tables = people.tables(area=AREAS, kind=KINDS)
    ran = deployment.run(STUDY, tables, tmp_path)
    kind = dict(zip(tables["column"]["id"], tables["column"]["kind"], strict=True))
    truth = np.zeros(SHAPE, np.int64)
    for person, area in zip(tables["row"]["id"], tables["row"]["area"], strict=True):
        if person in kind:
            truth[AREAS.index(area), KINDS.index(kind[person])] += 1
    noisy = published(ran)
    assert undone(ran.of(*deployment.counters), noisy) == truth.tolist()
    assert (noisy != truth).any()
