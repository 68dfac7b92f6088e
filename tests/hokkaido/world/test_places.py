"""Places: ways to airports, roads, cells, zones, and attraction."""

from __future__ import annotations

import numpy as np
import pytest

from xstat_ray.geo import hokkaido, mesh
from xstat_ray.hokkaido.world.places import Places, places


@pytest.fixture(scope="module")
def where() -> Places:
    return places()


def named(where: Places, *codes: str) -> np.ndarray:
    """Find places by their codes."""
    return np.array([list(where.codes).index(code) for code in codes])


def test_places_are_the_municipalities_and_the_other_prefectures(where):
    assert where.local == 179
    assert len(where.codes) == 179 + 46
    assert list(where.codes[:179]) == hokkaido.municipalities()["code"].to_pylist()
    assert set(where.codes[179:]) == {f"{p:02d}000" for p in range(2, 48)}
    assert (where.regions[:179] == "Hokkaido").all()
    assert {"Tohoku", "Kanto", "Kinki"} <= set(where.regions[179:])
    # The 2020 census counted 126.1 million people.
    assert where.population.sum() == pytest.approx(126.1e6, rel=0.01)


def test_everybody_can_get_to_an_airport(where):
    assert np.isfinite(where.access).any(axis=1).all()
    assert np.isfinite(where.access[179:]).sum(axis=1).tolist() == [1] * 46
    at = {name: number for number, name in enumerate(where.airports)}
    nakashibetsu, sapporo = named(where, "01692", "01100")
    assert where.access[nakashibetsu, at["SHB"]] < 20 < where.access[nakashibetsu, at["KUH"]]
    assert where.access[sapporo, at["OKD"]] < where.access[sapporo, at["CTS"]] < 80


def test_driving_is_within_hokkaido_and_symmetric(where):
    inside = where.drive[:179, :179]
    assert np.isfinite(inside).all()
    np.testing.assert_allclose(inside, inside.T)
    assert np.isinf(where.drive[179:]).all()
    assert np.isinf(where.drive[:, 179:]).all()


def test_cells_are_of_the_place_and_denser_in_its_centre(where):
    rng = np.random.default_rng(1)
    place = rng.integers(0, 179, 20_000)
    cells = where.cell(place, rng.random(len(place)))
    assert (where.municipality(cells) == place).all()
    kushiro = named(where, "01206").repeat(4_000)
    near, far = (where.cell(kushiro, rng.random(4_000), spread) for spread in (0.1, 1.0))
    assert len(np.unique(near)) < len(np.unique(far))
    outside = where.cell(named(where, "13000"), np.array([0.7]))
    assert where.municipality(outside) == -1


def test_zones_are_home_airport_and_elsewhere(where):
    names = np.array(where.zone_names)
    airports = hokkaido.airports()
    gates = mesh.encode(airports["lat"].to_numpy(), airports["lon"].to_numpy(), "500m").astype(
        np.int32
    )
    far = where.cell(named(where, "01206").repeat(len(gates)), np.zeros(len(gates)))
    assert list(names[where.zones(gates, far)]) == where.airports
    # People who live at the airport are there, not at home.
    assert list(names[where.zones(gates, gates)]) == where.airports
    assert set(names[where.zones(far, far)]) == {"home"}
    neighbour = far // 10 * 10 + np.where(far % 10 == 1, 2, 1).astype(np.int32)
    assert set(names[where.zones(neighbour, far)]) == {"home"}
    assert set(names[where.zones(far, gates)]) == {"elsewhere"}


def test_what_attracts_people_is_seasonal(where):
    shiretoko = named(where, "01545")[0]
    assert (where.air >= 0).all()
    assert where.air[7, shiretoko] > where.air[10, shiretoko]
    assert not where.ground[:, 179:].any()
