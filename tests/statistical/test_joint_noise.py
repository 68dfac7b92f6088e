"""The joint sampler's noise against the discrete Laplace, and its shares against the noise.

Each test is an attempt to falsify, in both directions. Thresholds are quantiles of 1 - 10^-6, so an
honest sampler fails one test once in a million runs. A scale that is wrong by 5 % moves the mean of
|N| by 5 % too, which has a relative standard error of 1/sqrt(draws): by 18 standard errors with
131,072 draws. The noncentrality of the chi-square is draws * 0.05^2, 327 at least. Both pass with a
probability below 10^-6; the tests run on such wrong samplers too, and must reject them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency, norm

from tests.noise.drawing import ATTEMPT, Drawing, plan_of
from tests.sizes import first
from xstat_ray.noise import triples
from xstat_ray.noise.bits import Attempt
from xstat_ray.noise.coins import Coins
from xstat_ray.noise.dealing import Dealer

SCALE = 24.0
QUANTILE = 1 - 1e-6
SLOTS = 128
SHORT = 1 << 17
FULL = 1 << 19
RELEASES = 2048


def draw(coins: Coins, count: int, attempt: Attempt = ATTEMPT):
    """Draw (count,) noise in parts, and both shares modulo 2^62."""
    size = min(count, 1 << 15)
    plan = plan_of(*[coins] * (count // size), rows=size // SLOTS, slots=SLOTS)
    found = []
    for part in plan.parts:
        drawing = Drawing(plan, part.number, attempt)
        limbs = (drawing.row.share, drawing.column.share, drawing.row.share + drawing.column.share)
        # Wraps modulo 2^64, which is enough for noise and for the low bits of shares.
        found.append([low + (high << 32) for low, high in limbs])
    row, column, noise = (np.concatenate(kind).ravel() for kind in zip(*found, strict=True))
    return noise, {"row": row, "column": column}


def chi_square(noise, scale):
    """Compute the chi-square of draws against a scale, and its threshold; tails are binned."""
    q = math.exp(-1 / scale)
    reach = int(60 * scale)
    values = np.arange(-reach, reach + 1)
    expected = (1 - q) / (1 + q) * q ** np.abs(values) * noise.size
    enough = np.flatnonzero(np.cumsum(expected) >= 20)[0]
    edges = values[enough : len(values) - enough]
    bins = np.searchsorted(edges, values)
    want = np.bincount(bins, weights=expected)
    got = np.bincount(np.searchsorted(edges, noise), minlength=len(want))
    return float(((got - want) ** 2 / want).sum()), float(chi2.ppf(QUANTILE, len(want) - 1))


def scale_error(noise, scale):
    """Compute by how many standard errors the mean size differs from a scale's, with its sign."""
    q = math.exp(-1 / scale)
    mean = 2 * q / (1 - q * q)
    square = 2 * q / (1 - q) ** 2
    error = math.sqrt((square - mean**2) / noise.size)
    return (np.abs(noise).mean() - mean) / error


def accepted(noise, scale) -> tuple[bool, bool]:
    """Say whether chi-square and scale test accept draws as of a scale."""
    found, threshold = chi_square(noise, scale)
    return found < threshold, abs(scale_error(noise, scale)) < norm.ppf(1 - 0.5e-6)


@pytest.mark.parametrize("count", [SHORT, pytest.param(FULL, marks=pytest.mark.thorough)])
def test_noise_has_the_declared_scale_and_one_wrong_by_5_percent_is_rejected(count):
    noise, _ = draw(Coins.of_scale(SCALE), count)
    assert accepted(noise, SCALE) == (True, True)
    for factor, sign in ((0.95, -1), (1.05, 1)):
        wrong, _ = draw(Coins.of_scale(SCALE * factor), count)
        assert accepted(wrong, SCALE) == (False, False)
        assert np.sign(scale_error(wrong, SCALE)) == sign


@pytest.mark.parametrize(("scale", "bits"), first(0, [(1.5, 48), (SCALE, 64), (300.0, 48)]))
def test_other_scales_and_bits_have_their_distribution(scale, bits):
    noise, _ = draw(Coins.of_scale(scale, bits), SHORT)
    assert accepted(noise, scale) == (True, True)


@pytest.mark.parametrize("digit", first(1, [2, 0, 6]))
def test_a_coin_that_is_never_or_half_as_often_one_is_rejected(digit):
    right = Coins.of_scale(SCALE)
    for factor in (0, 0.5):
        thresholds = list(right.thresholds)
        thresholds[digit] = int(thresholds[digit] * factor)
        noise, _ = draw(replace(right, thresholds=tuple(thresholds)), SHORT)
        assert accepted(noise, SCALE)[0] is False


@pytest.mark.slow
def test_two_thousand_releases_have_the_declared_noise_each_for_itself():
    releases = np.stack(
        [
            draw(Coins.of_scale(SCALE), 256, Attempt(number.to_bytes(4, "big"), 0))[0]
            for number in range(RELEASES)
        ]
    )
    assert releases.size >= 500_000
    assert accepted(releases.ravel(), SCALE) == (True, True)
    for factor in (0.95, 1.05):
        # As many draws at another scale, in one release: its size does not matter to the tests.
        wrong, _ = draw(Coins.of_scale(SCALE * factor), FULL)
        assert accepted(wrong, SCALE) == (False, False)
    # Coefficients of one release, and one coefficient of all releases, are not correlated.
    for table in (releases, releases.T):
        correlation = np.corrcoef(table.astype(float).T)[np.triu_indices(table.shape[1], 1)]
        bound = norm.ppf(1 - 0.5e-6 / correlation.size)
        assert np.abs(correlation).max() * math.sqrt(len(table)) < bound + 1
    assert len(np.unique(releases, axis=0)) == RELEASES


def judged(noise, share) -> tuple[bool, bool, bool]:
    """Say whether a share's low bits are uniform, and it is independent of the noise, twice."""
    low = share & 63
    got = np.bincount(low, minlength=64)
    uniform = ((got - noise.size / 64) ** 2 / (noise.size / 64)).sum() < chi2.ppf(QUANTILE, 63)
    classes = np.clip(noise // 8 + 4, 0, 8)
    table = np.zeros((64, 9))
    np.add.at(table, (low, classes), 1)
    independent = chi2_contingency(table).pvalue > 1e-6
    coefficient = np.corrcoef(share.astype(float), noise.astype(float))[0, 1]
    uncorrelated = abs(coefficient) * math.sqrt(noise.size) < norm.ppf(1 - 0.5e-6)
    return bool(uniform), bool(independent), bool(uncorrelated)


def test_a_share_tells_nothing_about_the_noise():
    noise, shares = draw(Coins.of_scale(SCALE), SHORT)
    for share in shares.values():
        assert judged(noise, share) == (True, True, True)


def test_shares_without_masks_are_told_from_those_with(monkeypatch):
    right = triples.integer_shares
    monkeypatch.setattr(triples, "integer_shares", lambda *of: 0 * right(*of))
    noise, shares = draw(Coins.of_scale(SCALE), SHORT)
    assert judged(noise, shares["column"])[2] is False


def test_low_bits_of_shares_without_low_bits_of_masks_are_told_from_others(monkeypatch):
    right = triples.integer_shares
    monkeypatch.setattr(triples, "integer_shares", lambda *of: right(*of) & ~63)
    # With one seed for both, all dealt bits are zero and what is opened are the coins.
    monkeypatch.setattr(Dealer, "export_seed", lambda dealer, role: bytes(32))
    noise, shares = draw(Coins.of_scale(SCALE), SHORT)
    assert judged(noise, shares["row"])[1] is False
