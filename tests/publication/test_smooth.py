"""Smoothed cells add up to the refined areas, err less where cells resemble each other, and stay where
the noise is small."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from tests.case import study
from tests.pages import text_of
from tests.publication.small import plan, tables
from xstat_ray.errors import StudyError
from xstat_ray.model.row_tree import RowTree
from xstat_ray.privacy.least_squares import Estimate, NoisyLevel, least_squares
from xstat_ray.privacy.refine import refine
from xstat_ray.publication import smooth as module
from xstat_ray.publication.smooth import TUNING, shrink_singular_values, smooth
from xstat_ray.util.package_files import CONF

CELLS = 60
COLUMNS = 24
STDERR = 20.0
TREE = [[10, 0], [20, 0], [30, 0], [44, 1], [18, 1], [70, 2]]
"""Noisy values of three cells, of the areas east and west above them, and of the total."""
Table = NDArray[np.int64]


def patterned(rng: np.random.Generator) -> Table:
    """Counts (cells, columns): two patterns of columns, which cells have in different parts."""
    weights = rng.lognormal(3, 1.5, (CELLS, 2))
    patterns = rng.dirichlet(np.full(COLUMNS, 2.0), 2)
    return rng.poisson(weights @ patterns * 4)


def noisy(counts: Table, rng: np.random.Generator, stderr: float = STDERR) -> tuple[Any, ...]:
    """The tree of the cells, their least squares, and the refined cells and areas."""
    tree = RowTree.of_groups(CELLS, [np.sort(rng.integers(0, 6, CELLS))])
    sums = [counts]
    for first in tree.first_children:
        sums.append(np.add.reduceat(sums[-1], first))
    measured = {
        level: NoisyLevel(
            np.rint(values + rng.normal(0, stderr, values.shape)).astype(int), stderr**2
        )
        for level, values in enumerate(sums)
    }
    estimates = refine(tree, measured)
    return tree, least_squares(tree, measured)[0], estimates[0], estimates[1]


def rmse(found: Table, true: Table) -> float:
    return float(np.sqrt(np.mean((found - true) ** 2)))


def test_smoothed_cells_are_counts_that_add_up_to_the_refined_areas():
    rng = np.random.default_rng(1)
    tree, cells, _, areas = noisy(patterned(rng), rng)
    smoothed = smooth(tree, cells, areas)
    assert smoothed.dtype == np.int64 and smoothed.min() >= 0
    assert (np.add.reduceat(smoothed, tree.first_children[0]) == areas).all()
    assert (areas == 0).any() and (areas > 0).any()


def test_smoothing_errs_far_less_where_cells_share_patterns():
    for seed in range(5):
        rng = np.random.default_rng(seed)
        counts = patterned(rng)
        tree, cells, estimate, areas = noisy(counts, rng)
        assert rmse(smooth(tree, cells, areas), counts) < 0.8 * rmse(estimate, counts)


def test_cells_stay_where_noise_is_small():
    rng = np.random.default_rng(2)
    counts = patterned(rng) + 100
    tree, cells, estimate, areas = noisy(counts, rng, stderr=0.5)
    assert rmse(smooth(tree, cells, areas), estimate) < 1


def test_a_cell_that_breaks_the_pattern_is_pulled_towards_it():
    # This is the bias that the pages warn of, and why the column has no interval.
    rng = np.random.default_rng(3)
    weights = np.full((CELLS, 1), 400)
    counts = rng.poisson(weights / COLUMNS, (CELLS, COLUMNS))
    counts[7, 3] += 40
    errors = []
    for _ in range(25):
        tree, cells, _, areas = noisy(counts, rng)
        errors.append(smooth(tree, cells, areas)[7, 3] - counts[7, 3])
    assert np.mean(errors) < -5 * np.std(errors) / np.sqrt(len(errors))


def test_linear_algebra_that_rounds_otherwise_changes_nothing(monkeypatch):
    rng = np.random.default_rng(4)
    drawn = [noisy(patterned(rng), rng) for _ in range(6)]
    before = [smooth(tree, cells, areas) for tree, cells, _, areas in drawn]
    right = np.linalg.svd

    def otherwise(size: float) -> None:
        def svd(*arguments: Any, **options: Any) -> list[NDArray[np.float64]]:
            found = right(*arguments, **options)
            return [part * (1 + rng.uniform(-size, size, part.shape)) for part in found]

        monkeypatch.setattr(np.linalg, "svd", svd)

    def changed() -> int:
        after = [smooth(tree, cells, areas) for tree, cells, _, areas in drawn]
        return sum((old != new).any() for old, new in zip(before, after, strict=True))

    # Sixteen times the precision of these numbers.
    otherwise(16 * np.finfo(float).eps)
    assert changed() == 0
    otherwise(1e-2)
    assert changed() > 0


def test_sums_are_made_in_a_fixed_order():
    rng = np.random.default_rng(8)
    rows = rng.normal(size=(6, 4))
    columns = rng.normal(size=(4, 7))
    expected = [[sequential(row, column) for column in columns.T.tolist()] for row in rows.tolist()]
    assert module._combine(rows, columns).tolist() == expected
    values = rng.normal(size=(6, 7))
    assert np.allclose(module._row_sums(values, columns), values @ columns.T)
    by_row = [[sequential(row, value) for value in values.T.tolist()] for row in rows.T.tolist()]
    assert module._column_sums(values, rows).tolist() == by_row


def sequential(left: list[float], right: list[float]) -> float:
    """Sum of products, from the first to the last."""
    total = left[0] * right[0]
    for a, b in zip(left[1:], right[1:], strict=True):
        total = total + a * b
    return total


@pytest.mark.parametrize("shape", [(CELLS, 1), (CELLS, 2), (3, 40)])
def test_narrow_tables_and_empty_ones_can_be_smoothed(shape):
    rng = np.random.default_rng(5)
    tree = RowTree.of_groups(shape[0], [np.arange(shape[0]) // 3])
    nothing = np.zeros(shape)
    areas = np.zeros((tree.sizes[1], shape[1]), np.int64)
    variances = np.full(shape[0], 4.0)
    assert (smooth(tree, Estimate(nothing, variances), areas) == 0).all()
    areas[0] = 6
    assert (smooth(tree, Estimate(nothing, variances), areas)[:3] == 2).all()
    values = rng.normal(3, 2, shape)
    smoothed = smooth(tree, Estimate(values, variances), areas)
    assert smoothed.sum() == areas.sum()


def test_singular_values_of_noise_are_removed_and_those_of_a_signal_lose_what_noise_added():
    rng = np.random.default_rng(6)
    shape = (60, 40)
    noise = rng.normal(0, 2, shape)
    # At the edge of what noise reaches a value can stick out, but little is left of it.
    assert np.linalg.norm(shrink_singular_values(noise, 2).values) < 0.2 * np.linalg.norm(noise)
    left = np.linalg.qr(rng.normal(size=(60, 2)))[0]
    right = np.linalg.qr(rng.normal(size=(40, 2)))[0]
    signal = (left * [300, 200]) @ right.T
    shrunk, rank = shrink_singular_values(signal + noise, 2)
    assert np.linalg.matrix_rank(shrunk, tol=1e-6) == rank and rank in (2, 3)
    assert np.linalg.norm(shrunk - signal) < 0.35 * np.linalg.norm(noise)
    assert np.linalg.svd(shrunk)[1][0] < np.linalg.svd(signal + noise)[1][0]


def test_the_structure_has_the_rank_that_is_asked_for():
    rng = np.random.default_rng(7)
    values = rng.gamma(1, 5, (30, 20))
    product = module.factorise(values, values, 3)
    assert product.min() >= 0 and np.linalg.matrix_rank(product, tol=1e-6) == 3
    best = np.linalg.svd(values)[1][3:]
    assert np.linalg.norm(values - product) < 1.15 * np.linalg.norm(best)


def test_a_release_has_the_column_only_if_the_study_asks_for_it():
    assert "smoothed" not in tables(plan()).cells.column_names
    release = tables(plan(smooth=True, suppress_below=5))
    cells = release.cells
    assert cells.schema.field("smoothed").type == "int64"
    assert "smoothed" not in release.areas.column_names
    # What else is published is the same.
    assert cells.drop_columns(["smoothed"]).equals(tables(plan(suppress_below=5)).cells)
    assert cells["smoothed"].is_null().to_pylist() == cells["suppressed"].to_pylist()
    assert 0 < cells["smoothed"].null_count < len(cells)


def test_smoothed_cells_of_a_release_add_up_to_its_areas():
    design = plan(coast=True, mechanism="tree", suppress_below=0, smooth=True)
    result = tables(design, TREE)
    east = {"a", "東京, 区"}
    areas = {(r["area"], r["kind"]): r["estimate"] for r in result.areas.to_pylist()}
    rows = result.cells.to_pylist()
    for kind in ("x", "y"):
        parts = [r["smoothed"] for r in rows if r["kind"] == kind and r["area"] in east]
        assert sum(parts) == areas["east", kind]


def test_without_noise_the_smoothed_count_is_the_count():
    cells = tables(plan("off", 0, smooth=True), [[0, 10], [9, 2], [4, 30]]).cells
    assert cells["smoothed"].to_pylist() == cells["noisy"].to_pylist() == [0, 10, 9, 2, 4, 30]


def test_no_shipped_study_asks_for_it():
    """Where it would be shown, `estimate` errs less: docs/privacy.md."""
    studies = [
        yaml.safe_load(path.read_text(encoding="utf-8"))["privacy"]
        for path in (CONF / "study").glob("*.yaml")
    ]
    assert studies and not any(privacy.get("smooth", False) for privacy in studies)
    assert all(privacy["publish"] == "distinct" for privacy in studies)


def test_a_dimension_cannot_take_the_name_of_the_column():
    with pytest.raises(StudyError, match="taken"):
        study(column={"dimensions": [{"name": "smoothed", "values": ["x"]}]})


def test_hardly_any_values_leave_less_on_the_worlds_for_tuning():
    page = text_of("docs/privacy.md")
    left = {
        (int(beyond), int(percent)): float(value)
        for beyond, percent, value in re.findall(
            r"`left\.beyond_(\d+)\.spread_(\d+)` \| ([\d.]+)", page
        )
    }
    shipped = (TUNING.beyond, round(100 * TUNING.spread))
    assert len(left) > 10 and left[shipped] < 1.01 * min(left.values())
    assert f"{TUNING.spread} *n*" in page
