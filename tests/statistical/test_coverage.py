"""Published intervals against the truth: they cover it 95 % of the time, whatever the noise is.

Each test is an attempt to falsify, and must reject intervals and standard errors that are wrong by
25 %.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from xstat_ray.model.dimension import Dimension, Level
from xstat_ray.model.messages import Coefficients
from xstat_ray.model.row_tree import tree_of
from xstat_ray.model.study import (
    Bounds,
    ColumnSide,
    MechanismChoice,
    Noise,
    Privacy,
    RowSide,
    Study,
)
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.mechanism import half_width95
from xstat_ray.publication.publish import publish

SLOTS = 400
RELEASES = 12
TOWNS = Level("town", tuple("abcd"), (0, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3))
"""Towns of one, two, three and six cells."""
NAMES = ("cell", "town", "total")
EPSILON = Fraction(1, 10)


def make_study(noise: Noise, mechanism: MechanismChoice) -> Study:
    """Make a study of twelve areas in towns."""
    areas = tuple(f"area {i}" for i in range(12))
    kinds = tuple(f"kind {i}" for i in range(SLOTS))
    area = Dimension("area", "area", areas, tuple((name,) for name in areas), hierarchy=(TOWNS,))
    kind = Dimension("kind", "kind", kinds, tuple((name,) for name in kinds))
    privacy = Privacy(noise=noise, mechanism=mechanism, epsilon=EPSILON, delta=Fraction(1, 10**6))
    return Study(
        "coverage",
        RowSide("id", (area,)),
        ColumnSide("id", (kind,)),
        bounds=Bounds(2, 1, 50),
        privacy=privacy,
    )


@pytest.fixture(scope="module", params=["laplace", "gaussian"])
def noise(request: pytest.FixtureRequest) -> Noise:
    return request.param


@pytest.fixture(scope="module", params=["flat", "tree"])
def published(request: pytest.FixtureRequest, noise: Noise) -> dict[str, list[np.ndarray]]:
    """Publish `RELEASES` times, and find errors, stderrs, half widths and coverage by level."""
    study = make_study(noise, request.param)
    rng = np.random.default_rng(9)
    plan = make_plan(study, key_bits=2048)
    tree = tree_of(study.row.dimensions)
    truth = [rng.poisson(3, (12, SLOTS)) * (rng.random((12, 1)) < 0.7)]
    for level, size in enumerate(tree.sizes[1:]):
        above = np.zeros((size, SLOTS), np.int64)
        np.add.at(above, list(TOWNS.parents) if level == 0 else [0] * 4, truth[-1])
        truth.append(above)
    exact = np.concatenate([truth[measured.level] for measured in plan.design.levels])
    parts: dict[str, list[tuple]] = {name: [] for name in NAMES}
    for _ in range(RELEASES):
        noisy = Coefficients(release="00" * 16, first=0, values=exact + plan.design.draw(SLOTS))
        cells, areas = publish(plan, noisy)
        stderr = cells["stderr"].to_numpy()
        half = half_width95(noise, stderr)
        error = cells["noisy"].to_numpy() - truth[0].ravel()
        parts["cell"].append((error, stderr, half, abs(error) <= half))
        for name, exact_sums in zip(NAMES[1:], truth[1:], strict=True):
            rows = areas.filter(np.array(areas["level"].to_pylist()) == name)
            value, low, high, stderr = (
                rows[c].to_numpy() for c in ("unbiased", "low95", "high95", "stderr")
            )
            counts = exact_sums.ravel()
            parts[name].append(
                (value - counts, stderr, (high - low) / 2, (low <= counts) & (counts <= high))
            )
    return {
        name: [np.concatenate(column) for column in zip(*releases, strict=True)]
        for name, releases in parts.items()
    }


def test_the_noisy_count_of_a_cell_is_within_its_interval_95_times_in_100(published):
    error, _, half, covered = published["cell"]
    # With 57,600 independent cells the standard error of the share is 0.09 %.
    assert 0.94 < covered.mean() < 0.96
    assert (abs(error) <= 0.75 * half).mean() < 0.94
    assert (abs(error) <= 1.25 * half).mean() > 0.96


@pytest.mark.parametrize("level", NAMES[1:])
def test_the_count_of_an_area_is_within_its_interval_95_times_in_100_or_a_little_more(
    published, level
):
    error, _, half, covered = published[level]
    # With 4,800 independent columns the standard error is 0.3 % for the total, less for towns.
    assert 0.937 < covered.mean() < 0.975
    assert (abs(error) <= 0.75 * half).mean() < 0.93


@pytest.mark.parametrize("level", NAMES)
def test_the_standard_error_is_that_of_what_is_published(published, level):
    error, stderr, _, _ = published[level]
    ratio = np.sqrt(np.mean((error / stderr) ** 2))
    # At least 4,800 squares of values of kurtosis at most 6 have a standard error of 1.6 %; the
    # bounds are six of them away.
    assert 0.905 < ratio < 1.105
    assert abs(np.mean(error / stderr)) < 0.08


def exact_coverage(noise: Noise, scale: float) -> float:
    """Compute the probability that noise of a scale is within its interval."""
    reach = int(40 * scale) + 10
    values = np.arange(-reach, reach + 1).astype(float)
    mass = np.exp(-abs(values) / scale if noise == "laplace" else -(values**2) / (2 * scale**2))
    mass /= mass.sum()
    stderr = np.sqrt((mass * values**2).sum())
    return mass[abs(values) <= half_width95(noise, stderr)].sum()


def test_a_single_noise_is_covered_at_every_scale_and_no_wider_than_need_be(noise):
    scales = np.geomspace(0.2, 100, 150)
    coverage = np.array([exact_coverage(noise, scale) for scale in scales])
    assert coverage.min() >= 0.95
    assert coverage[scales > 20].max() < 0.96
    # 1.96 standard errors of Laplace noise cover less, which is why its intervals are wider.
    if noise == "laplace":
        assert 1 - np.exp(-1.96 * np.sqrt(2)) == pytest.approx(0.9375, abs=1e-4)


def test_two_laplace_noises_of_any_weights_are_covered():
    half = 100 * np.log(20) / np.sqrt(2)
    assert half_width95("laplace", np.array([100.0])) == np.ceil(half)
    # The sum of noises of variances 2 a^2 and 2 b^2 with a^2 + b^2 = 1/2 has
    # P(|X| > t) = (a^2 exp(-t/a) - b^2 exp(-t/b)) / (a^2 - b^2).
    a2 = np.linspace(0.2501, 0.4999, 500)
    b2 = 0.5 - a2
    t = half / 100
    outside = (a2 * np.exp(-t / np.sqrt(a2)) - b2 * np.exp(-t / np.sqrt(b2))) / (a2 - b2)
    assert 0.045 < outside.min() < outside.max() < 0.05


def test_without_noise_an_interval_is_a_point():
    assert half_width95("off", np.zeros(3)).tolist() == [0, 0, 0]
