"""The noise of whole releases against its declared distribution.

It is drawn, packed, encrypted, added, decrypted and unpacked.

Each test is an attempt to falsify. The chi-square threshold is the 1 - 10^-6 quantile, so an honest
sampler fails once in a million runs; with the sample sizes below a scale that is wrong by 20 % has
a noncentrality above 200, which passes with a probability below 10^-6. The tests run on such a
wrong sampler too, and must reject it.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from tests.sizes import first, thorough
from tests.synthetic import VIEW
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.model.messages import Partial
from xstat_ray.model.study import Bounds, ColumnSide, Dimension, Noise, Privacy, RowSide, Study
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.noise import add_noise_once
from xstat_ray.roles.join import lay_out

SHORT = 450
FULL = 2000
CELLS = 4
SLOTS = 3
QUANTILE = 1 - 1e-6


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return generate(2048)


def plan(noise: Noise) -> Plan:
    """Plan a small study."""

    def dimension(name: str, size: int) -> Dimension:
        labels = tuple(f"{name}{i}" for i in range(size))
        return Dimension(name, name, labels, tuple((label,) for label in labels))

    privacy = Privacy(noise=noise, epsilon=Fraction(1), delta=Fraction(1, 10**6))
    rows = RowSide("id", (dimension("a", CELLS),))
    columns = ColumnSide("id", (dimension("b", SLOTS),))
    return make_plan(
        Study("noise", rows, columns, bounds=Bounds(2, 1, 50), privacy=privacy), key_bits=2048
    )


def released_noise(key: PrivateKey, plan: Plan, releases: int) -> NDArray[np.int64]:
    """(releases, cells, slots) decrypted values when nobody was counted: the noise alone."""
    untouched = Partial(
        VIEW, np.zeros(0, np.uint32), np.zeros((0, plan.packing.blocks, key.public.width), np.uint8)
    )
    table = lay_out(key.public, untouched, CELLS, plan.packing.blocks)
    noisy = [add_noise_once(key.public, table, plan.packing, plan.design) for _ in range(releases)]
    plain = key.decrypt(
        np.concatenate([n.ciphertexts for n in noisy]).reshape(-1, key.public.width)
    )
    return plan.packing.unpack_signed(plain, key.public.n).reshape(releases, CELLS, SLOTS)


def probabilities(mechanism: Mechanism, values: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the probabilities that a mechanism declares."""
    if mechanism.noise == "laplace":
        mass = np.exp(-np.abs(values) / mechanism.scale)
    else:
        mass = np.exp(-(values.astype(float) ** 2) / (2 * mechanism.scale**2))
    return mass / mass.sum()


def statistic(draws: NDArray[np.int64], mechanism: Mechanism) -> tuple[float, float]:
    """Compute the chi-square of draws, and its threshold.

    Bins have at least 20 expected draws, and hold the tails, too.
    """
    reach = int(60 * mechanism.scale) + 60
    values = np.arange(-reach, reach + 1)
    expected = probabilities(mechanism, values) * draws.size
    edges = []
    held = 0.0
    for value, count in zip(values, expected, strict=True):
        held += count
        if held >= 20:
            edges.append(value)
            held = 0.0
    bins = np.searchsorted(np.array(edges[:-1]), values, side="left")
    want = np.bincount(bins, weights=expected)
    got = np.bincount(
        np.searchsorted(np.array(edges[:-1]), draws.ravel(), side="left"), minlength=len(want)
    )
    return float(((got - want) ** 2 / want).sum()), float(chi2.ppf(QUANTILE, len(want) - 1))


@pytest.mark.parametrize("noise", first(1, ["laplace", "gaussian"]))
@pytest.mark.parametrize("releases", [SHORT, pytest.param(FULL, marks=pytest.mark.slow)])
def test_noise_has_the_declared_distribution_and_a_wrong_scale_is_rejected(key, noise, releases):
    study = plan(noise)
    declared = study.mechanism
    draws = released_noise(key, study, releases)
    found, threshold = statistic(draws, declared)
    assert found < threshold
    for factor in (0.8, 1.2):
        wrong = replace(declared, scale=declared.scale * factor)
        found, threshold = statistic(wrong.draw(draws.size), declared)
        assert found > threshold


@thorough
def test_every_coefficient_is_noised_independently(key):
    study = plan("laplace")
    draws = released_noise(key, study, SHORT).reshape(SHORT, -1).astype(float)
    assert (draws.std(axis=0) > 0.5 * study.mechanism.stderr).all()
    correlation = np.corrcoef(draws.T)[np.triu_indices(CELLS * SLOTS, 1)]
    # Over all 66 pairs, five standard errors of 1/sqrt(450) have a chance of 4 in 100,000.
    assert np.abs(correlation).max() < 5 / SHORT**0.5
    # Noise that repeats from release to release could be averaged away.
    assert len(np.unique(draws, axis=0)) == SHORT
