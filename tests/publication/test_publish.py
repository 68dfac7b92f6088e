from __future__ import annotations

import numpy as np
import pytest

from xstat_ray.inputs.study_file import parse
from xstat_ray.model.messages import Coefficients
from xstat_ray.planning.plan import make_plan
from xstat_ray.publication.publish import publish

NOISY = [[-3, 10], [9, 2], [4, 30]]
COAST = {"coast": {"east": ["a", "東京, 区"], "west": ["b"]}}


def plan(noise="laplace", suppress_below=5, **privacy):
    area = {"name": "area", "values": ["a", "b", "東京, 区"]} | (
        {"hierarchy": COAST} if privacy else {}
    )
    column = {"id": "id", "dimensions": [{"name": "kind", "values": ["x", "y"]}]}
    privacy = {"noise": noise, "epsilon": "1/2", "suppress_below": suppress_below, **privacy}
    study = {
        "name": "small",
        "row": {"id": "id", "dimensions": [area]},
        "column": column,
        "bounds": {"persons": 100},
    }
    return make_plan(
        parse({"study": study, "privacy": privacy}, origin="small.yaml"), key_bits=2048
    )


def tables(plan, noisy=NOISY):
    return publish(plan, Coefficients(release="00" * 16, first=0, values=np.array(noisy)))


def cells(plan, noisy=NOISY):
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
    every = np.reshape(cells(plan(suppress_below=0))["estimate"].to_pylist(), (3, 2))
    assert every.min() >= 0
    assert every.sum(axis=0).tolist() == [10, 42]
    result = cells(plan(suppress_below=5))
    # In the second column one count is small; the total is published, so the smallest other count
    # goes with it.
    small = [True, True, False, True, True, False]
    assert (every < 5).ravel().tolist() == [True, False, False, True, True, False]
    assert result["suppressed"].to_pylist() == small
    assert result["estimate"].to_pylist() == [
        None if s else e for s, e in zip(small, every.ravel(), strict=True)
    ]


def test_without_noise_the_estimate_is_the_count():
    result = cells(plan("off", 0), [[0, 10], [9, 2], [4, 30]])
    assert result["estimate"].to_pylist() == result["noisy"].to_pylist()
    assert set(result["stderr"].to_pylist()) == {0.0}
    assert b"not differentially private" in result.schema.metadata[b"WARNING"]


# Declared order: the cells a, b, 東京; then the measured levels above: coast (east, west) and total.
TREE = [[10, 0], [20, 0], [30, 0], [44, 1], [18, 1], [70, 2]]


def test_a_tree_publishes_its_levels_and_the_cells_add_up_to_them():
    design = plan(mechanism="tree", suppress_below=0)
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
    result = tables(plan("off", 0, mechanism="tree"), exact)
    assert result.areas["estimate"].to_pylist() == [5, 0, 2, 0, 7, 0]
    assert result.areas["unbiased"].to_pylist() == pytest.approx([5, 0, 2, 0, 7, 0])
