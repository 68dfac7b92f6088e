"""Nobody can take the noise off the published table: each role has a share of it at most.

Whoever deals for the noise, or adds a share of it, tries every array that it has had as the noise.
The leak planted is the sum of the shares, which nobody has.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from tests.adversary.deployments import CASES, Ran
from tests.adversary.people import NUMBERS, People
from tests.adversary.recorder import Thing
from tests.case import study
from xstat_ray.roles.noise_share import NoiseShare

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


def undone(noise: NDArray[np.int64], noisy: NDArray[np.int64]) -> Any:
    """Take noise off the published table, by the order of rows that fits best.

    What fits is what leaves small numbers, none of which is negative.
    """
    left = noisy[:, None, :] - noise[None, :, :]
    cost = np.where(left < 0, 1_000.0 - left, np.log1p(np.maximum(left, 0))).sum(axis=2)
    return left[linear_sum_assignment(cost)].tolist()


def candidates(things: Iterable[Thing]) -> Iterator[NDArray[np.int64]]:
    """Whatever could be the noise: arrays of as many whole numbers as there are counts."""
    for thing in things:
        value = thing.value
        if isinstance(value, np.ndarray) and value.dtype == np.int64:
            if value.shape == SHAPE:
                yield value
            elif value.shape == (2, *SHAPE):
                yield value[0] + (value[1] << 32)
            elif value.ndim == 2 and value.shape[1] == np.prod(SHAPE):
                # Shares of coins, of which the noise is a sum.
                half = len(value) // 2
                weights = 1 << np.arange(half)
                yield (weights @ value[:half] - weights @ value[half:]).reshape(SHAPE)


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> dict[str, NDArray[np.int64]]:
    """The shares of both parties, as nobody has them."""
    kept: dict[str, NDArray[np.int64]] = {}
    keep_noise = NoiseShare.keep_noise

    @functools.wraps(keep_noise)
    def keep(self: NoiseShare) -> None:
        keep_noise(self)
        assert self._noise is not None
        kept[self.role] = self._noise

    monkeypatch.setattr(NoiseShare, "keep_noise", keep)
    return kept


@pytest.mark.parametrize("deployment", CASES)
def test_nobody_but_both_parties_together_has_the_noise(deployment, tmp_path, shares):
    people = People(NUMBERS[:120], NUMBERS[30:120])
    tables = people.tables(area=AREAS, kind=KINDS)
    ran = deployment.run(STUDY, tables, tmp_path)
    kind = dict(zip(tables["column"]["id"], tables["column"]["kind"], strict=True))
    truth = np.zeros(SHAPE, np.int64)
    for person, area in zip(tables["row"]["id"], tables["row"]["area"], strict=True):
        if person in kind:
            truth[AREAS.index(area), KINDS.index(kind[person])] += 1
    noisy = published(ran)
    for role in (*deployment.counters, "row", "column"):
        tried = [undone(noise, noisy) for noise in candidates(ran.of(role))]
        assert truth.tolist() not in tried, role
    if shares:
        low, high = shares["row"] + shares["column"]
        assert undone(low + (high << 32), noisy) == truth.tolist()
        for low, high in shares.values():
            assert undone(low + (high << 32), noisy) != truth.tolist()
