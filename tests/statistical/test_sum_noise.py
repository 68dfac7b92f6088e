"""The noise of sums, as the parties draw it, against what is declared, in both directions.

A scale that is wrong by a tenth moves the mean size of the noise by as much, which has a relative
standard error of 1 / sqrt(draws) under Laplace noise and 0.76 / sqrt(draws) under Gaussian noise:
with 10,000 draws by ten standard errors at least. Honest noise is refused once in a million runs.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from tests.case import Case, study
from tests.roles.pair import agreed_pair
from tests.sizes import first, thorough
from xstat_ray.crypto.keygen import generate
from xstat_ray.noise.shares import narrow, pack_shares
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.protocol import draw_noise
from xstat_ray.roles.aggregator import draw_share

AREAS = [f"a{number}" for number in range(100)]
KINDS = [f"k{number}" for number in range(100)]
MEASURES = [
    {"name": "fare", "low": 0, "high": 60_000},
    {"name": "rating", "low": 1, "high": 5},
]


@pytest.fixture(scope="module")
def key():
    return generate(2048)


def plan_of(noise: str) -> Plan:
    column = {"measures": MEASURES, "dimensions": [{"name": "kind", "values": KINDS}]}
    split = {"count": 0.5, "fare": 0.3, "rating": 0.2}
    asked = study(noise=noise, areas=AREAS, column=column, privacy={"split": split})
    return make_plan(asked, key_bits=2048)


def drawn(plan: Plan, folder, key) -> list[NDArray[np.int64]]:
    """Noise of the counts and of the sums of each measure, out of opened numbers."""
    case = Case(folder)
    row, column = agreed_pair(plan.study, case.tables["row"], case.tables["column"])
    draw_noise(plan, row, column)
    shares = [row._noise, column._noise]
    third = draw_share(plan.design, plan.study.slots)
    shares += [] if third is None else [narrow(third)]
    n = key.public.n
    packed = [pack_shares(share, plan.packing) for share in shares]
    opened = [sum(numbers) % n for numbers in zip(*packed, strict=True)]
    return np.split(plan.packing.unpack_signed(opened, n), 3, axis=1)


def accepted(noise: NDArray[np.int64], declared: Mechanism) -> bool:
    """Whether the mean size of draws is that of the declared noise."""
    size, spread = mean_size(declared)
    error = (np.abs(noise).mean() - size) / (spread / noise.size**0.5)
    return bool(abs(error) < norm.ppf(1 - 0.5e-6))


def mean_size(declared: Mechanism) -> tuple[float, float]:
    """Mean and standard deviation of |noise|."""
    variance = declared.stderr**2
    if declared.noise == "laplace":
        q = np.exp(-1 / declared.scale)
        size = 2 * q / (1 - q * q)
    else:
        size = declared.scale * (2 / np.pi) ** 0.5
    return float(size), float((variance - size**2) ** 0.5)


@pytest.mark.parametrize("noise", first(1, ["laplace", "gaussian"]))
def test_sums_have_noise_of_their_own_declared_scale(noise, tmp_path, key):
    plan = plan_of(noise)
    found = drawn(plan, tmp_path, key)
    declared = plan.design.levels[0].mechanisms
    assert declared[1].scale > 7000 * declared[2].scale
    for noise_of, one in zip(found, declared, strict=True):
        assert accepted(noise_of, one)
        for factor in (0.9, 1.1):
            assert not accepted(noise_of, replace(one, scale=one.scale * factor))
    # No noise is made of another.
    flat = [noise_of.ravel() for noise_of in found]
    correlation = np.corrcoef(flat)[np.triu_indices(3, 1)]
    bound = norm.ppf(1 - 0.5e-6 / correlation.size)
    assert np.abs(correlation).max() < bound / flat[0].size ** 0.5


@thorough
def test_the_same_noise_on_counts_and_sums_would_be_noticed(tmp_path, key):
    plan = plan_of("laplace")
    declared = plan.design.levels[0].mechanisms
    counts = drawn(plan, tmp_path, key)[0]
    assert not accepted(counts, declared[2])
