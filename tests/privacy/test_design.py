"""What a design shows to the aggregator: the measured levels, with padding at equal arity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.case import study as make_study
from xstat_ray.model.study import Study
from xstat_ray.privacy.design import Design, shown_tree


def study(mechanism: str = "tree", padding: str = "dp", report: list[str] | None = None) -> Study:
    """Make a study of six cells in three towns in two counties."""
    hierarchy = {
        "town": {"t": ["a", "b", "c"], "u": ["d"], "v": ["e", "f"]},
        "county": {"x": ["t", "u"], "y": ["v"]},
    }
    dimension = {"name": "area", "values": list("abcdef"), "hierarchy": hierarchy}
    return make_study(
        noise="laplace",
        row={"dimensions": [dimension]},
        privacy={"mechanism": mechanism, "padding": padding, "report": report},
    )


@pytest.mark.parametrize(
    ("asked", "nodes", "shown"),
    [
        (study(), [6, 3, 2, 1], [12, 4, 2, 1]),
        (study(padding="off"), [6, 3, 2, 1], [6, 3, 2, 1]),
        (study(mechanism="flat"), [6], [6]),
        # Only between measured levels is there a shape: five cells at most in a county.
        (study(report=["county"]), [6, 2], [8, 2]),
        (study(report=["total"]), [6, 1], [6, 1]),
    ],
)
def test_with_padding_measured_levels_are_shown_at_equal_arity(asked, nodes, shown):
    design = Design.of_study(asked)
    assert [level.nodes for level in design.levels] == nodes
    assert [level.shown for level in design.levels] == shown
    assert (design.nodes, design.shown, design.cells) == (sum(nodes), sum(shown), shown[0])
    # A flat table shows no neighbours: all cells stand under the root.
    assert shown_tree(asked).sizes == (*shown, 1)
    sizes = [section.stop - section.start for section in design.shown_sections]
    assert sizes == shown and design.shown_sections[-1].stop == design.shown
    assert design.draw(2).shape == (design.shown, 2)


def test_the_starts_follow_from_the_plan_with_padding_alone():
    starts = Design.of_study(study()).starts
    assert [level.tolist() for level in starts] == [[0, 3, 6, 9], [0, 2], [0]]
    assert Design.of_study(study(padding="off")).starts is None
    assert Design.of_study(study(mechanism="flat")).starts == []


def test_empty_nodes_change_neither_noise_nor_errors():
    padded, bare = (Design.of_study(study(padding=padding)) for padding in ("dp", "off"))
    assert padded.unfilled() == bare
    assert [level.mechanism for level in padded.levels] == [m.mechanism for m in bare.levels]
    assert padded.sections == bare.sections


def test_empty_nodes_get_noise_like_all_others():
    design = Design.of_study(study())
    noise = design.draw(4000)
    scale = design.levels[0].mechanism.stderr
    cells = noise[design.shown_sections[0]]
    assert (abs(cells.std(axis=1) - scale) < 0.2 * scale).all()
    assert len(np.unique(cells, axis=0)) == 12


def test_an_even_tree_is_shown_as_it_is():
    asked = study()
    (dimension,) = asked.row.dimensions
    town = replace(dimension.hierarchy[0], parents=(0, 0, 1, 1, 2, 2))
    county = replace(dimension.hierarchy[1], parents=(0, 0, 0), labels=("x",))
    even = replace(
        asked, row=replace(asked.row, dimensions=(replace(dimension, hierarchy=(town, county)),))
    )
    design = Design.of_study(even)
    assert [level.shown for level in design.levels] == [level.nodes for level in design.levels]
