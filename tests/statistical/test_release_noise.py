"""The noise of whole releases against its declared distribution.

The roles draw their shares of it; these are packed, masked, encrypted, added, decrypted and unpacked.

Each test is an attempt to falsify. The chi-square threshold is the 1 - 10^-6 quantile, so an honest
sampler fails once in a million runs; with the sample sizes below a scale that is wrong by 20 % has
a noncentrality above 200, which passes with a probability below 10^-6. The tests run on such a
wrong sampler too, and must reject it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from gmpy2 import mpz
from numpy.typing import NDArray
from scipy.stats import chi2

from tests.sizes import first, slow, thorough
from tests.synthetic import VIEW
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.masking import MaskEncryptor, add, draw_seed, mask_numbers, subtract
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.messages import Masks, Partial
from xstat_ray.model.study import Bounds, ColumnSide, Noise, Privacy, RowSide, Study
from xstat_ray.noise.bits import Attempt
from xstat_ray.noise.dealing import Dealer
from xstat_ray.noise.sampler import Sampler
from xstat_ray.noise.shares import draw_gaussian_share, narrow, pack_shares
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.roles import Aggregator
from xstat_ray.roles.aggregator import draw_share
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
    """(releases, cells, slots) opened values when nobody was counted: the noise alone."""
    untouched = Partial(
        VIEW, np.zeros(0, np.uint32), np.zeros((0, plan.packing.blocks, key.public.width), np.uint8)
    )
    table = lay_out(key.public, untouched, CELLS, plan.packing.blocks)
    aggregator = Aggregator(key.public, 1, CELLS)
    n = key.public.n
    encryptor = MaskEncryptor(key.public, releases * CELLS)
    values = []
    for release in range(releases):
        row, column = drawn_shares(plan, release)
        seed = draw_seed()
        masks = mask_numbers(seed, n, range(CELLS))
        masked = encryptor.encrypt(add(masks, modulo(row, plan, n), n))
        ready = aggregator.rerandomise(table, plan.packing, draw_share(plan.design, SLOTS))
        opened = key.decrypt(
            aggregator.put_masks(
                ready, [Masks(first=0, ciphertexts=masked.reshape(CELLS, 1, -1))]
            ).ciphertexts.reshape(CELLS, -1)
        )
        shared = add(opened, modulo(column, plan, n), n)
        values.append(plan.packing.unpack_signed(subtract(shared, masks, n), n))
    return np.array(values)


def modulo(share: NDArray[np.int64], plan: Plan, n: mpz) -> list[mpz]:
    """The numbers modulo n that a party adds."""
    return [number % n for number in pack_shares(share, plan.packing)]


def drawn_shares(plan: Plan, release: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both parties' shares of a release."""
    if plan.noise is None:
        row, column = (narrow(draw_gaussian_share(plan.design, SLOTS)) for _ in range(2))
        return row, column
    attempt = Attempt(release.to_bytes(32, "little"), 0)
    dealer = Dealer(plan.noise, attempt, os.urandom(32))
    samplers = [
        Sampler(role, plan.noise, attempt, os.urandom(32), dealer.export_seed(role))
        for role in ("row", "column")
    ]
    parts = []
    for part in plan.noise.parts:
        row_part = samplers[0].begin(part.number)
        column_part = samplers[1].begin(part.number, dealer.deal(part.number))
        under_way = True
        while under_way:
            of_row = row_part.opening
            under_way = row_part.advance(column_part.opening)
            column_part.advance(of_row)
        parts.append((row_part.share, column_part.share))
    row, column = (np.concatenate(shares, axis=1) for shares in zip(*parts, strict=True))
    return row, column


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


@thorough
@pytest.mark.parametrize("noise", first(1, ["gaussian", "laplace"], slow))
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


@pytest.mark.slow
@thorough
def test_every_coefficient_is_noised_independently(key):
    study = plan("laplace")
    draws = released_noise(key, study, SHORT).reshape(SHORT, -1).astype(float)
    assert (draws.std(axis=0) > 0.5 * study.mechanism.stderr).all()
    correlation = np.corrcoef(draws.T)[np.triu_indices(CELLS * SLOTS, 1)]
    # Over all 66 pairs, six standard errors of 1/sqrt(450) have a chance of 1 in 7,000,000.
    assert np.abs(correlation).max() < 6 / SHORT**0.5
    # Noise that repeats from release to release could be averaged away.
    assert len(np.unique(draws, axis=0)) == SHORT
