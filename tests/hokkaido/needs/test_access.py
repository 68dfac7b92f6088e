"""Times to the areas, by the map and by what was counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from xstat_ray.hokkaido.needs.access import (
    AIRPORTS,
    Minutes,
    Travel,
    after_landing,
    airport_minutes,
    areas,
    hub_minutes,
    inner_minutes,
    landing,
)
from xstat_ray.hokkaido.needs.publication import NoisyCounts


def counted(values: Sequence | np.ndarray, stderr: float = 0.0) -> Minutes:
    """Estimate landing times from counts with this error."""
    values = np.array(values, float)
    return landing(NoisyCounts(values, np.full(values.shape, stderr**2)))


def place(name: str) -> int:
    """Find an area by its name."""
    return areas()["name_en"].to_pylist().index(name)


def test_the_areas_are_those_of_eastern_hokkaido():
    assert len(areas()) == 50
    assert set(areas()["subprefecture"].to_pylist()) == {"Okhotsk", "Kushiro", "Nemuro", "Tokachi"}


def test_distances_from_airports_and_from_sapporo():
    nearest = [AIRPORTS[i] for i in airport_minutes().argmin(axis=1)]
    assert [
        nearest[place(name)] for name in ("Kushiro", "Ozora", "Nakashibetsu", "Obihiro")
    ] == list(AIRPORTS)
    assert 60 < airport_minutes()[place("Nemuro"), AIRPORTS.index("SHB")] < 110
    assert hub_minutes()[place("Nemuro")] == hub_minutes().max()


@pytest.mark.parametrize("hour", [1, 2, 4, 6])
def test_who_arrives_in_an_hour_and_stays_is_found(hour):
    present = [1000 if other >= hour else 0 for other in range(1, 7)]
    assert counted([present]).value == 60 * hour - 30


def test_the_error_of_the_time_is_that_of_the_counts():
    rng = np.random.default_rng(3)
    exact = np.array([0, 100, 900, 1000, 1000, 1000.0])
    found = counted(exact + 40 * rng.standard_normal((5000, 6)), 40)
    assert found.value.mean() == pytest.approx(counted([exact]).value[0], abs=1)
    assert found.value.std() == pytest.approx(found.stderr.mean(), rel=0.05)


def through(airport: str, passengers: float = 5000.0) -> NoisyCounts:
    """Make a catchment in which everybody comes through one airport."""
    counts = np.zeros((50, 4))
    counts[:, AIRPORTS.index(airport)] = passengers
    return NoisyCounts(counts, np.zeros((50, 4)))


def present(absent: int, passengers: float = 1000.0, stderr: float = 0.0) -> NoisyCounts:
    """Make the counts of passengers who are in all areas after `absent` hours."""
    counts = passengers * (np.arange(1, 7) > absent) * np.ones((50, 1))
    return NoisyCounts(counts, np.full(counts.shape, stderr**2))


def test_an_area_has_the_land_that_is_in_the_map():
    # Betsukai has 1,320 square kilometres: a circle of 20.5 km, 26.6 km of road.
    assert inner_minutes()[place("Betsukai")] == pytest.approx(60 * (10 / 35 + 16.6 / 60), abs=1)
    assert 15 < inner_minutes().min() < 25


def test_too_few_passengers_are_no_time_and_the_map_stands_alone():
    few = present(0, 10, 40)
    travel = Travel()
    for airport in ("KUH", "MMB"):
        alone = after_landing(few, through(airport), travel, 1.0)
        assert np.isnan(alone.counted.value).all() and np.isnan(alone.counted.stderr).all()
        assert alone.both.value.tolist() == alone.by_map.value.tolist()
        # The map goes by the airport that is used, not by the nearest.
        drive = travel.leaving + airport_minutes()[:, AIRPORTS.index(airport)]
        assert alone.both.value == pytest.approx(drive, abs=1)
        assert alone.both.stderr == pytest.approx(travel.road_error * drive, rel=0.05)


def test_counts_move_the_time_more_the_surer_they_are():
    catchment = through("MMB")
    sure, unsure = (
        after_landing(present(4, 1000, error), catchment, Travel(), 1.0) for error in (0.0, 50.0)
    )
    moved = [found.both.value - found.by_map.value for found in (sure, unsure)]
    assert (moved[0] > moved[1]).all()
    far = sure.by_map.value - inner_minutes() < 60
    assert (moved[1][far] > 0).all()
    assert (sure.both.stderr < sure.by_map.stderr).all()
    # Without trust in the map the counts decide: four hours and a half to the edge, and the way
    # inside.
    trusting = after_landing(
        present(4), catchment, replace(Travel(), road_error=10.0), 1.0
    ).both.value
    beyond_terminal = sure.by_map.value - inner_minutes() > 15
    expected = (270 + inner_minutes())[beyond_terminal]
    assert trusting[beyond_terminal] == pytest.approx(expected, rel=0.02)


def test_counted_times_are_of_the_airports_of_the_study_of_movement():
    """Half of the passengers come through Obihiro, and are not counted after landing."""
    counts = np.zeros((50, 4))
    counts[:, AIRPORTS.index("OBO")] = counts[:, AIRPORTS.index("KUH")] = 5000
    found = after_landing(present(1), NoisyCounts(counts, np.zeros((50, 4))), Travel(), 1.0)
    obihiro = place("Obihiro")
    by_kushiro = airport_minutes()[place("Obihiro"), AIRPORTS.index("KUH")]
    assert found.by_map.value[obihiro] < by_kushiro
    # The map has those through Kushiro at the edge when they were counted, so that nothing is
    # added.
    assert 15 + by_kushiro - inner_minutes()[obihiro] == pytest.approx(
        found.counted.value[obihiro], abs=15
    )
    assert found.both.value[obihiro] == pytest.approx(found.by_map.value[obihiro], abs=5)
