"""Noisy coefficients become published tables: labelled, refined, suppressed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tests.publication.small import NOISY, plan, tables
from xstat_ray.planning.plan import Plan


def cells(plan: Plan, noisy: list[list[int]] = NOISY) -> pa.Table:
    return tables(plan, noisy).cells


def test_labels_counts_and_types():
    result = cells(plan())
    assert result["area"].to_pylist() == ["a", "a", "b", "b", "東京, 区", "東京, 区"]
    assert result["kind"].to_pylist() == ["x", "y"] * 3
    assert result["noisy"].to_pylist() == np.ravel(NOISY).tolist()
    types = {
        name: str(result.schema.field(name).type)
        for name in ("noisy", "estimate", "stderr", "suppressed")
    }
    assert types == {
        "noisy": "int64",
        "estimate": "int64",
        "stderr": "double",
        "suppressed": "bool",
    }
    # Discrete Laplace of scale 2: variance 2 q / (1 - q)^2 with q = exp(-1/2).
    q = np.exp(-0.5)
    assert result["stderr"].to_pylist() == pytest.approx([np.sqrt(2 * q) / (1 - q)] * 6)


def test_estimates_are_not_negative_keep_the_total_and_are_null_where_suppressed():
    complete = np.reshape(cells(plan(suppress_below=0))["estimate"].to_pylist(), (3, 2))
    assert complete.min() >= 0
    assert complete.sum(axis=0).tolist() == [10, 42]
    result = cells(plan(suppress_below=5))
    # In the second column one count is small; the total is published, so the smallest other count
    # goes with it.
    small = [True, True, False, True, True, False]
    assert (complete < 5).ravel().tolist() == [True, False, False, True, True, False]
    assert result["suppressed"].to_pylist() == small
    assert result["estimate"].to_pylist() == [
        None if s else e for s, e in zip(small, complete.ravel(), strict=True)
    ]


def test_without_noise_the_estimate_is_the_count():
    result = cells(plan("off", 0), [[0, 10], [9, 2], [4, 30]])
    assert result["estimate"].to_pylist() == result["noisy"].to_pylist()
    assert set(result["stderr"].to_pylist()) == {0.0}
    assert b"not differentially private" in result.schema.metadata[b"WARNING"]


# In declared order: the cells a, b, 東京; then the levels above, coast (east, west) and total.
TREE = [[10, 0], [20, 0], [30, 0], [44, 1], [18, 1], [70, 2]]


def test_a_tree_publishes_its_levels_and_the_cells_add_up_to_them():
    design = plan(coast=True, mechanism="tree", suppress_below=0)
    assert [(m.name, m.nodes) for m in design.design.levels] == [
        ("cell", 3),
        ("coast", 2),
        ("total", 1),
    ]
    result = tables(design, TREE)
    areas = {(row["level"], row["area"], row["kind"]): row for row in result.areas.to_pylist()}
    assert [key[:2] for key in areas][::2] == [
        ("coast", "east"),
        ("coast", "west"),
        ("total", "total"),
    ]
    estimate = dict(
        zip(
            zip(result.cells["area"].to_pylist(), result.cells["kind"].to_pylist(), strict=True),
            result.cells["estimate"].to_pylist(),
            strict=True,
        )
    )
    assert areas["coast", "east", "x"]["estimate"] == estimate["a", "x"] + estimate["東京, 区", "x"]
    assert areas["coast", "west", "x"]["estimate"] == estimate["b", "x"]
    assert areas["total", "total", "x"]["estimate"] == sum(
        estimate[name, "x"] for name in ("a", "b", "東京, 区")
    )
    total = areas["total", "total", "x"]
    # Least squares lies between what was measured at the top (70) and below it (60 and 62).
    assert 60 < total["unbiased"] < 70
    assert (total["low95"] + total["high95"]) / 2 == pytest.approx(total["unbiased"])
    assert total["high95"] - total["low95"] == pytest.approx(
        2 * np.ceil(np.log(20) / np.sqrt(2) * total["stderr"])
    )
    assert total["stderr"] < design.design.levels[2].mechanism.stderr


def test_without_noise_every_level_is_the_exact_sum():
    exact = [[1, 0], [2, 0], [4, 0], [5, 0], [2, 0], [7, 0]]
    result = tables(plan("off", 0, coast=True, mechanism="tree"), exact)
    assert result.areas["estimate"].to_pylist() == [5, 0, 2, 0, 7, 0]
    assert result.areas["unbiased"].to_pylist() == pytest.approx([5, 0, 2, 0, 7, 0])
