"""What stands out of its noise is published, with intervals that hold among the published."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from xstat_ray.model.row_tree import RowTree
from xstat_ray.model.study import Privacy
from xstat_ray.privacy.evidence import FALSE, SIDE, Rule, cut, lower_reach, reach, withheld

NOISES = ("gaussian", "laplace")


def tail(noise, size):
    """Chance that noise exceeds `size` standard errors, not less than zero."""
    return norm.sf(size) if noise == "gaussian" else np.exp(-np.sqrt(2) * size) / 2


def draw(rng, noise, shape):
    """Noise of standard error 1."""
    return (
        rng.normal(size=shape) if noise == "gaussian" else rng.laplace(0, 1 / math.sqrt(2), shape)
    )


@pytest.mark.parametrize("noise", NOISES)
def test_the_cut_is_that_of_benjamini_and_hochberg(noise):
    rng = np.random.default_rng(4)
    for signals in (0, 1, 20, 200):
        size = draw(rng, noise, 200)
        size[:signals] += rng.uniform(2, 9, signals)
        eligible = rng.random(200) < 0.8
        limit = cut(noise, size, eligible)
        chance = np.sort(np.where(size > 0, tail(noise, np.maximum(size, 0)), 1)[eligible])
        passed = np.flatnonzero(chance <= FALSE * np.arange(1, len(chance) + 1) / 200)
        count = passed[-1] + 1 if len(passed) else 0
        assert (size[eligible] >= limit).sum() == count
        assert math.isinf(limit) == (count == 0)
        if count:
            assert tail(noise, limit) == pytest.approx(FALSE * count / 200)


def test_where_everything_stands_out_the_cut_is_more_than_two_standard_errors():
    for noise in NOISES:
        assert cut(noise, np.full(9, 50.0), np.full(9, True)) == reach(noise, FALSE) > 2.3
        assert math.isinf(cut(noise, np.full(9, 50.0), np.full(9, False)))


def test_the_lower_end_inverts_the_truncated_normal_distribution():
    beyond = np.array([1.0, 1.5, 2.5, 4.0, 8.0])
    below = lower_reach("gaussian", beyond, 4.5)
    assert norm.sf(below) / norm.sf(below - beyond) == pytest.approx(np.full(5, SIDE), rel=3e-3)
    assert lower_reach("gaussian", np.array([0.0, 0.1, 60.0]), 4.5) == pytest.approx(
        [4.5, 4.5, reach("gaussian", SIDE)], abs=2e-3
    )


def test_the_lower_end_inverts_the_truncated_laplace_distribution():
    scale = 1 / math.sqrt(2)
    beyond = np.array([2.8, 3.5, 5.0, 9.0])
    below = lower_reach("laplace", beyond, 20)
    # P(X >= x) / P(X >= c) where the truth, x - below, lies above c.
    over = np.exp(-below / scale) / 2
    at_cut = 1 - np.exp(-(beyond - below) / scale) / 2
    assert over / at_cut == pytest.approx(np.full(4, SIDE))
    assert lower_reach("laplace", np.array([0.0, 2.7]), 4.5).tolist() == [4.5, 4.5]
    assert lower_reach("laplace", np.array([60.0]), 4.5) == pytest.approx([reach("laplace", SIDE)])


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("grain", [0, 1])
def test_a_published_interval_holds_the_estimate_and_leaves_zero_out(noise, grain):
    rng = np.random.default_rng(8)
    truth = np.where(rng.random(4000) < 0.1, rng.exponential(40, 4000).round(), 0)
    values = truth + 5 * draw(rng, noise, 4000)
    if grain:
        values = values.round()
    estimate = np.maximum(values - 3, 0).astype(np.int64)
    figures = Rule(noise, True, 10, grain=grain).family(values, np.full(4000, 5.0), estimate)
    shown = ~figures.hidden
    assert 50 < shown.sum() < 400
    assert estimate[shown].min() >= 10 and values[shown].min() >= 10
    assert (figures.low[shown] > 0).mean() > 0.99 and figures.low[shown].min() >= 0
    assert (figures.low <= estimate)[shown].all() and (estimate <= figures.high)[shown].all()
    if grain:
        whole = np.concatenate([figures.low[shown], figures.high[shown]])
        assert (whole == whole.round()).all()


def published(noise, truth, rng, releases, distinct=True, stderr=7.0, shorter=1.0):
    """Publish counts of one family many times.

    Returns:
        How many figures were published, the share of nobody, the share that intervals hold.
    """
    rule = Rule(noise, distinct, 10)
    shown = of_nobody = held = 0
    for _ in range(releases):
        values = np.rint(truth + stderr * draw(rng, noise, len(truth)))
        estimate = np.maximum(values, 0).astype(np.int64)
        figures = rule.family(values, np.full(len(truth), stderr), estimate)
        out = ~figures.hidden
        low = values - shorter * (values - figures.low)
        high = values + shorter * (figures.high - values)
        shown += out.sum()
        of_nobody += (truth[out] == 0).sum()
        held += ((low <= truth) & (truth <= high))[out].sum()
    return shown, of_nobody / max(shown, 1), held / max(shown, 1)


@pytest.mark.parametrize("noise", NOISES)
def test_among_the_published_intervals_hold_and_nearly_nothing_is_of_nobody(noise):
    """Most counts are nothing, and the others are about the cut, which is the hardest."""
    truth = np.concatenate([np.zeros(1000), np.full(100, 28.0), np.full(100, 40.0)])
    shown, of_nobody, held = published(noise, truth, np.random.default_rng(31), 100)
    assert shown > 5000
    # Six standard errors of a share, of figures that are nearly independent.
    assert of_nobody < 0.01 + 6 * math.sqrt(0.01 / shown)
    assert held > 0.95 - 6 * math.sqrt(0.05 / shown)
    # Intervals that are half as long hold too few, and so do plain ones after a threshold.
    assert published(noise, truth, np.random.default_rng(31), 100, shorter=1 / 2)[2] < 0.935
    _, of_nobody, held = published(noise, truth, np.random.default_rng(31), 20, distinct=False)
    assert of_nobody > 0.2 and held < 0.92


def test_the_rate_is_a_mean_over_releases_of_which_most_may_publish_nothing():
    """One cell has people, too few to stand out: what little is published is mostly of nobody."""
    rng = np.random.default_rng(34)
    truth = np.concatenate([[35.0], np.zeros(399)])
    rates = {}
    for distinct in (True, False):
        found = [published("laplace", truth, rng, 1, distinct=distinct)[:2] for _ in range(1500)]
        shown, of_nobody = np.array(found).T
        rates[distinct] = of_nobody.mean()
        if distinct:
            assert 5 < (shown > 0).sum() < 150
            assert (shown * of_nobody).sum() / shown.sum() > 0.2
    # Six standard errors of the share of releases with something wrong.
    assert rates[True] < 0.01 + 6 * math.sqrt(0.01 / 1500) < rates[False]


@pytest.mark.parametrize("noise", NOISES)
def test_far_above_the_cut_intervals_are_no_wider_than_need_be(noise):
    truth = np.full(500, 400.0)
    shown, _, held = published(noise, truth, np.random.default_rng(32), 60)
    assert shown == 30_000 and 0.955 < held < 0.975
    assert 0.945 < published(noise, truth, np.random.default_rng(32), 60, distinct=False)[2] < 0.965


def test_all_is_the_threshold_alone_with_plain_intervals():
    values = np.array([[3.0, 40.0], [11.0, -2.0]])
    estimate = np.array([[3, 40], [12, 0]])
    figures = Rule("gaussian", False, 10).family(values, np.array([[10.0], [0.2]]), estimate)
    assert figures.hidden.tolist() == [[True, False], [False, True]]
    assert (figures.low[0, 1], figures.high[0, 1]) == (20, 60)
    assert (figures.low[1, 0], figures.high[1, 0]) == (10, 12)


def test_without_noise_everything_large_enough_is_published_as_it_is():
    estimate = np.array([[3], [12]])
    figures = Rule("off", True, 10).family(estimate * 1.0, np.zeros((2, 1)), estimate)
    assert figures.hidden.ravel().tolist() == [True, False]
    assert figures.low.tolist() == figures.high.tolist() == estimate.tolist()


def test_levels_are_families_and_nothing_follows_by_subtraction():
    tree = RowTree.of_groups(4, [[0, 0, 1, 1]])
    cells = np.array([[200.0], [4.0], [300.0], [290.0]])
    values = {0: cells, 1: np.array([[204.0], [590.0]]), 2: np.array([[794.0]])}
    stderrs = {0: np.full(4, 10.0), 1: np.full(2, 14.0), 2: np.full(1, 20.0)}
    rule = Rule("gaussian", True, 0)
    figures = rule.levels(tree, values, stderrs, {k: v.astype(np.int64) for k, v in values.items()})
    # The 4 is noise, and the 200 with the sum would give it away.
    assert [f.hidden.ravel().tolist() for f in figures.values()] == [
        [True, True, False, False],
        [False, False],
        [False],
    ]


def test_what_is_withheld_is_said():
    assert withheld(Privacy(publish="all"), 7) == "estimates below 7"
    assert "nothing but noise" in withheld(Privacy(publish="distinct"), 7)
    assert withheld(Privacy(publish="distinct", noise="off"), 7) == "estimates below 7"
