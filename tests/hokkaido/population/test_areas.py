"""Areas of a release, their levels, and the cells that lie in them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tests.hokkaido.population.operator import cells_of, declare
from xstat_ray.geo import hokkaido, mesh
from xstat_ray.hokkaido.population.areas import areas_of
from xstat_ray.model.row_tree import level_labels, level_names


def test_every_municipality_is_an_area_below_its_subprefecture():
    areas = areas_of(declare())
    towns = hokkaido.municipalities()
    assert areas.dimension.labels == tuple(towns["code"].to_pylist())
    assert areas.tree.sizes == (179, 14, 1)
    parents = level_labels([areas.dimension], 1)
    subprefectures = [parents[i] for i in areas.dimension.hierarchy[0].parents]
    assert subprefectures == towns["subprefecture"].to_pylist()


@pytest.mark.parametrize("kind", ["municipality", "mesh"])
def test_cells_are_found_in_their_area(kind):
    areas = areas_of(declare(area=kind, within=("Nemuro",)))
    nemuro = int(cells_of("01223")[3])
    kushiro = int(cells_of("01206")[0])
    places = areas.find(pa.array([str(nemuro), str(kushiro), "533945991", None, "x"]))
    assert (places[:2] >= 0).all() and (places[2:] == -1).all()
    leaf = areas.land_leaf[places[:2]]
    assert leaf[1] == -1
    label = areas.dimension.labels[areas.tree.nodes[0][leaf[0]]]
    assert label == ("01223" if kind == "municipality" else str(nemuro))
    assert areas.land_municipality[int(places[1])].as_py() == "01206"


def test_meshes_lie_in_squares_of_1_10_and_80_km():
    areas = areas_of(declare(area="mesh", within=("Nemuro", "Okhotsk")))
    assert level_names([areas.dimension]) == ("cell", "mesh1km", "mesh10km", "mesh80km", "total")
    codes = np.array(areas.dimension.labels, int)
    for level, name in enumerate(("1km", "10km", "80km"), start=1):
        above = np.array(level_labels([areas.dimension], level))[areas.tree.nodes[level]]
        found = above[areas.tree.ancestors(0, level)]
        assert np.array_equal(
            found.astype(int), mesh.parent(codes[areas.tree.nodes[0]], "500m", name)
        )
    land = hokkaido.cells()
    inside = pc.is_in(
        land["subprefecture"].cast(pa.string()), value_set=pa.array(["Nemuro", "Okhotsk"])
    )
    assert areas.tree.cells == pc.sum(inside).as_py() == (areas.land_leaf >= 0).sum()
