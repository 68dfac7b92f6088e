"""The three forms of a hierarchy in a study file, and the ones that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xstat_ray.errors import StudyError
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.dimension import Level

FILE = """mesh,town,region
11,Kushiro,Kushiro
12,Nemuro,Nemuro
13,Kushiro,Kushiro
14,Betsukai,Nemuro
"""


def hierarchy(tmp_path: Path, dimension: dict[str, Any]) -> tuple[Level, ...]:
    """The levels of a study's one row dimension."""
    (tmp_path / "areas.csv").write_text(FILE)
    study = {
        "name": "s",
        "row": {"id": "id", "dimensions": [{"name": "area", **dimension}]},
        "column": {"id": "id", "dimensions": [{"name": "c", "values": ["x"]}]},
    }
    return parse({"study": study}, origin=str(tmp_path / "s.yaml")).row.dimensions[0].hierarchy


def test_columns_of_the_domain_file(tmp_path):
    town, region = hierarchy(
        tmp_path, {"file": "areas.csv", "field": "mesh", "hierarchy": ["town", "region"]}
    )
    assert (town.name, town.labels, town.parents) == (
        "town",
        ("Kushiro", "Nemuro", "Betsukai"),
        (0, 1, 0, 2),
    )
    assert (region.name, region.labels, region.parents) == (
        "region",
        ("Kushiro", "Nemuro"),
        (0, 1, 1),
    )


def test_named_groups_level_by_level(tmp_path):
    groups = {"coast": {"east": ["a", "c"], "west": ["b"]}, "island": {"all": ["west", "east"]}}
    coast, island = hierarchy(tmp_path, {"values": ["a", "b", "c"], "hierarchy": groups})
    assert (coast.labels, coast.parents, island.parents) == (("east", "west"), (0, 1, 0), (0, 0))


@pytest.mark.parametrize(("ways", "blocks"), [(4, ["2x2", "4x4"]), (16, ["4x4"])])
def test_quadrants_of_a_grid_with_a_ragged_edge(tmp_path, ways, blocks):
    levels = hierarchy(tmp_path, {"range": [0, 34], "hierarchy": {"quadrants": ways, "width": 7}})
    assert [level.name for level in levels] == blocks
    parents = list(range(35))
    for level in levels:
        parents = [level.parents[p] for p in parents]
    size = int(blocks[-1].split("x")[0])
    corner = {(y // size, x // size) for y in range(5) for x in range(7)}
    assert len(set(parents)) == len(corner) == len(levels[-1].labels)
    for i in range(35):
        for j in range(35):
            same = (i // 7 // size, i % 7 // size) == (j // 7 // size, j % 7 // size)
            assert (parents[i] == parents[j]) == same


BAD = [
    ({"values": ["a"], "hierarchy": ["town"]}, "needs a public table"),
    ({"values": ["a", "b"], "hierarchy": {"l": {"g": ["a"]}}}, "'b' is in no group"),
    (
        {"values": ["a", "b"], "hierarchy": {"l": {"g": ["a", "b"], "h": ["a"]}}},
        "'a' is in two groups",
    ),
    ({"values": ["a"], "hierarchy": {"l": {"g": ["a", "z"]}}}, "'z' is not a label"),
    ({"values": ["a"], "hierarchy": {"l": ["a"]}}, "not a mapping of group"),
    ({"range": [0, 9], "hierarchy": {"quadrants": 16, "width": 3}}, "not rows of 3"),
    ({"range": [0, 8], "hierarchy": {"quadrants": 9, "width": 3}}, "neither 4 nor 16"),
    (
        {"file": "areas.csv", "field": "mesh", "hierarchy": ["region", "town"]},
        "belongs to two groups",
    ),
    (
        {"file": "areas.csv", "field": "mesh", "other": "o", "hierarchy": ["town"]},
        "label of other has no group",
    ),
    ({"file": "areas.csv", "field": "mesh", "hierarchy": ["nothing"]}, "no such column"),
]


@pytest.mark.parametrize(("dimension", "message"), BAD)
def test_bad_hierarchies_are_refused(tmp_path, dimension, message):
    with pytest.raises(StudyError, match=message):
        hierarchy(tmp_path, dimension)


@pytest.mark.parametrize("text", ["east ", "east\u200b", "\ufeffeast"])
def test_labels_and_groups_that_look_alike_are_refused(tmp_path, text):
    groups = {"coast": {"east": ["a"], text: ["b"]}}
    with pytest.raises(StudyError, match="the groups 'east' and .* look alike"):
        hierarchy(tmp_path, {"values": ["a", "b"], "hierarchy": groups})
    with pytest.raises(StudyError, match="the labels 'east' and .* look alike"):
        hierarchy(tmp_path, {"values": ["east", text]})
    with pytest.raises(StudyError, match="the labels 'east' and .* look alike"):
        hierarchy(tmp_path, {"groups": {"east": ["a"], text: ["b"]}})
