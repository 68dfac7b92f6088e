from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from xstat_ray.needs.access import (
    AIRPORTS,
    Minutes,
    Travel,
    after_landing,
    airport_minutes,
    areas,
    hub_minutes,
    landing,
)
from xstat_ray.needs.publication import Tally


def counted(values, stderr=0.0):
    values = np.array(values, float)
    return landing(Tally(values, np.full(values.shape, stderr**2)))


def place(name):
    return areas()["name_en"].to_pylist().index(name)


def test_the_areas_are_those_of_eastern_hokkaido():
    assert len(areas()) == 50
    assert set(areas()["subprefecture"].to_pylist()) == {"Okhotsk", "Kushiro", "Nemuro", "Tokachi"}


def test_distances_from_airports_and_from_sapporo():
    nearest = [AIRPORTS[i] for i in airport_minutes().argmin(axis=1)]
    assert [nearest[place(name)] for name in ("Kushiro", "Ozora", "Nakashibetsu", "Obihiro")] == list(AIRPORTS)
    assert 60 < airport_minutes()[place("Nemuro"), AIRPORTS.index("SHB")] < 110
    assert hub_minutes()[place("Nemuro")] == hub_minutes().max()


@pytest.mark.parametrize("hour", [1, 2, 4, 6])
def test_who_arrives_in_an_hour_and_stays_is_found(hour):
    present = [1000 if other >= hour else 0 for other in range(1, 7)]
    assert counted([present]).value == 60 * hour - 30


def test_the_error_of_the_time_is_that_of_the_counts():
    rng, exact = np.random.default_rng(3), np.array([0, 100, 900, 1000, 1000, 1000.0])
    found = counted(exact + 40 * rng.standard_normal((5000, 6)), 40)
    assert found.value.mean() == pytest.approx(counted([exact]).value[0], abs=1)
    assert found.value.std() == pytest.approx(found.stderr.mean(), rel=0.05)


def test_too_few_passengers_are_no_time_and_the_map_stands_alone():
    few = counted(np.full((50, 6), 10.0), 40)
    assert np.isnan(few.value).all() and np.isnan(few.stderr).all()
    travel = Travel()
    alone = after_landing(few, travel)
    assert alone.value == pytest.approx(travel.leaving + airport_minutes().min(axis=1))
    assert alone.stderr == pytest.approx(travel.road_error * alone.value)


def test_counts_move_the_time_more_the_surer_they_are():
    by_map = Travel().leaving + airport_minutes().min(axis=1)
    sure, unsure = (Minutes(by_map + 100, np.full(50, error)) for error in (1.0, 60.0))
    moved = [after_landing(minutes, Travel()).value - by_map for minutes in (sure, unsure)]
    assert (moved[0] > moved[1]).all() and (moved[1] > 0).all() and (moved[0] < 100).all()
    # Whoever distrusts the map goes by the counts.
    trusting = after_landing(sure, replace(Travel(), road_error=10.0))
    assert trusting.value == pytest.approx(by_map + 100, rel=0.1)
    assert (trusting.stderr <= np.hypot(1.0, 60 / np.sqrt(12))).all()
