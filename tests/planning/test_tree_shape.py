"""The plan tells which places the shape of the row tree names, or what it costs to hide it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.case import study as make_study
from tests.sizes import first
from xstat_ray.errors import PlanError
from xstat_ray.inputs.study_file import load
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Study
from xstat_ray.planning import limits as module
from xstat_ray.planning.plan import make_plan
from xstat_ray.planning.tree_shape import NAMES
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.padding import Padding

STUDIES = Path(__file__).parents[2] / "conf" / "study"
TITLE = "Tree's shape"


def study(counties: dict[str, list[str]], **privacy: object) -> Study:
    """Make a study of cells in counties."""
    labels = [label for cells in counties.values() for label in cells]
    dimension = {"name": "area", "values": labels, "hierarchy": {"county": counties}}
    return make_study(
        noise="laplace",
        row={"dimensions": [dimension]},
        privacy={"mechanism": "tree", **privacy},
    )


RAGGED = {"x": ["a", "b", "c"], "y": ["d"], "z": ["e"]}
EVEN = {"x": ["a", "b"], "y": ["c", "d"]}
LONE = {f"county {i}": [f"{i} {j}" for j in range(i)] for i in range(1, NAMES + 2)}


def told(asked: Study) -> tuple[str, dict]:
    """Read the line of the plan and what its JSON has."""
    plan = make_plan(asked, key_bits=2048)
    line = dict(plan.rows())[TITLE]
    shape = plan.as_dict()["tree_shape"]
    assert shape["sentence"] == line and "\n" not in line
    assert "sizes name the largest places all the same" in line
    return line, shape


def test_without_padding_the_plan_names_the_places():
    line, shape = told(study(RAGGED))
    assert line.startswith("names 1 of 3 of level county (x) to the compute pool")
    assert shape["named"] == [
        {"level": "cell", "nodes": 5, "named": 0, "places": []},
        {"level": "county", "nodes": 3, "named": 1, "places": ["x"]},
    ]


def test_many_names_are_counted_only():
    line, shape = told(study(LONE))
    assert f"{NAMES + 1} of {NAMES + 1} of level county to the" in line
    assert "1 of 66 of level cell (1 0)" in line
    assert shape["named"][1]["places"] == [f"county {i}" for i in range(1, NAMES + 1)]


@pytest.mark.parametrize("padding", ["off", "dp"])
def test_a_flat_table_has_no_shape(padding):
    line, _ = told(study(RAGGED, mechanism="flat", padding=padding))
    assert line.startswith("none: only cells are measured")


def test_an_even_tree_names_nothing_and_costs_nothing():
    assert told(study(EVEN))[0].startswith("names no place to the compute pool")
    line, shape = told(study(EVEN, padding="dp"))
    assert line.startswith("none, at no cost: 2 x cell in every county")
    assert shape["cells_shown"] == shape["cells"] == 4 and shape["rows_added"] == 0


def test_with_padding_the_plan_says_what_the_empty_nodes_cost():
    asked = study(RAGGED, padding="dp")
    plan = make_plan(asked, key_bits=2048)
    line, shape = told(asked)
    assert line.startswith("hidden: 3 x cell in every county, 9 cells for 5, which add ")
    assert (shape["cells"], shape["cells_shown"]) == (5, 9)
    assert (shape["nodes"], shape["nodes_shown"]) == (5 + 3 + 1, 9 + 3 + 1)
    bare = Padding.of_study(asked, ShardGrid((range(5),), plan.grid.batches))
    assert shape["rows_added"] == plan.padding.rows_added - bare.rows_added > 0
    assert shape["flags_added"] == plan.padding.flags_added - bare.flags_added > 0
    ciphertexts = 4 + shape["flags_added"]
    assert shape["bytes_added"] == ciphertexts * plan.packing.blocks * plan.ciphertext_bytes
    assert f"{shape['rows_added']:,} rows and {shape['flags_added']:,} flags of dummies" in line
    assert plan.padding.cells == plan.grid.cells == 9
    assert plan.table_ciphertexts == 13 * plan.packing.blocks


@pytest.mark.parametrize(
    ("name", "named", "factor"),
    first(
        1,
        [
            ("doto_movement", {"subprefecture": 7}, 336 / 179),
            ("catchment", {}, 1),
            ("doto_movement_mesh", {"cell": 4, "mesh10km": 85, "mesh80km": 18}, 28_800 / 9_624),
            ("preboarding", {}, 1),
        ],
    ),
)
def test_the_studies_of_hokkaido(name, named, factor):
    declared = load(STUDIES / f"{name}.yaml")
    _, shape = told(declared)
    assert {level["level"]: level["named"] for level in shape["named"] if level["named"]} == named
    design = Design.of_study(replace(declared, privacy=replace(declared.privacy, padding="dp")))
    assert design.cells / declared.cells == factor


def test_a_tree_that_is_too_irregular_to_fill_is_refused(monkeypatch):
    asked = study(RAGGED, padding="dp")
    coefficients = (9 + 3 + 1) * asked.slots
    monkeypatch.setattr(module, "MAX_COEFFICIENTS", coefficients)
    make_plan(asked)
    monkeypatch.setattr(module, "MAX_COEFFICIENTS", coefficients - 1)
    with pytest.raises(PlanError, match=r"26 entries.*more regular hierarchy"):
        make_plan(asked)
