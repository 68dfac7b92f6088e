from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pytest

from xstat_ray.model.dimension import Dimension
from xstat_ray.model.period import Period
from xstat_ray.model.study import Bounds, ColumnSide, Privacy, RowSide, Study, Window
from xstat_ray.privacy.mechanism import Mechanism

MONTH = Period("hour", datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))


def study(noise="laplace", epsilon="1", delta="0", rows=1, windows=(), offset=True, **bounds):
    dim = Dimension("d", "d", ("a", "b"), (("a",), ("b",)))
    return Study(
        "s",
        RowSide("id", (dim,)),
        ColumnSide("id", (dim,), windows=windows, offset_dimension=offset),
        period=MONTH if windows else Period(),
        bounds=Bounds(rows, persons=100, **bounds),
        privacy=Privacy(noise=noise, epsilon=Fraction(epsilon), delta=Fraction(delta)),
    )


def window(size):
    return (Window("t", tuple(range(0, 3600 * size, 3600)), tuple(f"t+{i}" for i in range(size))),)


@pytest.mark.parametrize(
    ("rows", "boardings", "per_column", "size", "offset", "l1", "l2"),
    [
        (1, 1, 1, 0, True, 1, 1),
        (8, 1, 1, 0, True, 8, 64),
        (8, 5, 3, 0, True, 8, 64),
        (2, 3, 3, 5, True, 30, 180),
        (2, 3, 3, 5, False, 30, 900),
        (2, 2, 1, 5, True, 20, 40),
        (2, 2, 1, 5, False, 20, 200),
    ],
)
def test_sensitivities_follow_from_the_bounds(rows, boardings, per_column, size, offset, l1, l2):
    windows = window(size) if size else ()
    bounds = {"rows": rows, "boardings": boardings, "per_column": per_column}
    mechanism = Mechanism.of_study(study(windows=windows, offset=offset, **bounds))
    assert (mechanism.l1, mechanism.l2_squared) == (l1, l2)


@pytest.mark.parametrize("epsilon", ["1/10", "1", "7/3"])
def test_laplace_scale_is_the_least_that_gives_epsilon(epsilon):
    mechanism = Mechanism.of_study(study(epsilon=epsilon, rows=3))
    assert Fraction(3) / Fraction(mechanism.scale) <= Fraction(epsilon)
    assert mechanism.scale == pytest.approx(3 / float(Fraction(epsilon)), rel=1e-12)


def drawn_as_a_whole(epsilon, delta):
    """Gaussian noise that one role draws; that of several is in test_joint_gaussian.py."""
    return Mechanism.calibrated(study("gaussian", epsilon, delta).privacy, 2, 4)


@pytest.mark.parametrize(("epsilon", "delta"), [("1", "1/1000000000"), ("1/2", "1/1000000")])
def test_gaussian_is_never_below_an_independent_accountant_and_not_far_above(pld, epsilon, delta):
    mechanism = drawn_as_a_whole(epsilon, delta)
    loss = pld.from_discrete_gaussian_mechanism(mechanism.scale, sensitivity=2)
    exact = loss.get_epsilon_for_delta(float(Fraction(delta)))
    assert exact <= float(Fraction(epsilon)) <= 1.01 * exact


@pytest.mark.parametrize(("noise", "delta"), [("laplace", "0"), ("gaussian", "1/1000000")])
def test_stderr_is_the_spread_of_the_draws(noise, delta):
    mechanism = Mechanism.of_study(study(noise, "1/2", delta))
    draws = mechanism.draw(40_000)
    assert draws.dtype == np.int64
    # The relative standard error of a sample's spread is at most 1.2 % here; 10 % off would be
    # seen.
    assert draws.std() == pytest.approx(mechanism.stderr, rel=0.05)
    assert abs(draws.mean()) < 5 * mechanism.stderr / 200


@pytest.mark.parametrize(("noise", "delta"), [("laplace", "0"), ("gaussian", "1/1000000")])
def test_tail_bound_is_exceeded_with_less_than_two_to_the_minus_64(noise, delta):
    mechanism = Mechanism.of_study(study(noise, "1", delta, rows=4))
    for coefficients in (1, 10**6):
        bound = mechanism.tail(coefficients)
        values = np.arange(bound + 1, bound + 5000, dtype=float)
        if noise == "laplace":
            decay = np.exp(-1 / mechanism.scale)
            mass = (1 - decay) / (1 + decay) * np.exp(-values / mechanism.scale)
        else:
            mass = (
                np.exp(-(values**2) / 2 / mechanism.scale**2) / np.sqrt(2 * np.pi) / mechanism.scale
            )
        assert 0 < 2 * mass.sum() * coefficients < 2.0**-64


def test_off_is_off():
    mechanism = Mechanism.of_study(study("off"))
    assert mechanism.scale == mechanism.stderr == mechanism.tail(10) == 0
    assert (mechanism.draw(5) == 0).all()


def test_rho_is_exactly_that_of_the_scale_that_is_drawn():
    mechanism = drawn_as_a_whole("1", "1/1000000")
    variance = Fraction(mechanism.scale) ** 2
    assert mechanism.rho * 2 * (variance - Fraction(1, 11)) == mechanism.l2_squared == 4
    assert Mechanism.of_study(study()).rho == 0
