from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize

from xstat_ray.privacy.refine import largest_remainder, project, refine

tables = arrays(np.int64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=st.integers(-50, 200))


@given(tables)
def test_non_negative_integers_that_keep_every_column_total(noisy):
    refined = refine(noisy)
    assert refined.dtype == np.int64 and (refined >= 0).all()
    assert (refined.sum(axis=0) == np.maximum(noisy.sum(axis=0), 0)).all()


@given(arrays(np.int64, st.integers(1, 8), elements=st.integers(0, 100)))
def test_counts_that_need_no_mending_are_left_alone(values):
    assert (refine(values[:, None])[:, 0] == values).all()


@pytest.mark.parametrize("seed", range(5))
def test_projection_is_the_nearest_point(seed):
    values = np.random.default_rng(seed).integers(-20, 30, 6)
    total = max(0, int(values.sum()))
    best = minimize(
        lambda x: ((x - values) ** 2).sum(),
        np.full(6, total / 6),
        bounds=[(0, None)] * 6,
        constraints={"type": "eq", "fun": lambda x: x.sum() - total},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert np.allclose(project(values, total), best.x, atol=1e-3)


def test_projection_has_less_bias_in_sums_than_clipping():
    rng = np.random.default_rng(3)
    truth = np.zeros((1000, 1), np.int64)
    truth[:10] = 300
    noisy = truth + rng.integers(-20, 21, truth.shape)
    clipped = np.maximum(noisy, 0).sum() - truth.sum()
    kept = refine(noisy).sum() - truth.sum()
    assert abs(kept) < 2000 < clipped


def test_largest_remainder_rounds_the_largest_fractions_up():
    assert largest_remainder(np.array([0.2, 1.7, 0.6, 0.5]), 3).tolist() == [0, 2, 1, 0]
