"""Demand: by air beyond a drive, by road within Hokkaido, and what the new route draws."""

from __future__ import annotations

import numpy as np
import pytest

from xstat_ray.hokkaido.world.demand import (
    air_weights,
    airport_weights,
    outing_weights,
    road_weights,
)
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.timetable import timetable


def place(code: str) -> int:
    """Find a place by its code."""
    return list(places().codes).index(code)


SAPPORO, KUSHIRO, NEMURO, OTARU, TOKYO = map(place, ("01100", "01206", "01223", "01203", "13000"))


def test_nobody_flies_where_people_can_drive(block):
    weights = air_weights(10, 0, 1.0)
    assert weights[SAPPORO, OTARU] == 0
    assert weights[SAPPORO, KUSHIRO] > 0
    assert weights[TOKYO, SAPPORO] > 0
    assert (weights >= 0).all()


@pytest.mark.parametrize("weights", [lambda: road_weights(10), lambda: outing_weights(10)])
def test_journeys_by_road_stay_in_hokkaido(weights):
    outside = weights()[: places().local, places().local :]
    assert not outside.any()


def test_people_stay_overnight_only_far_from_home():
    weights = road_weights(8)
    assert weights[SAPPORO, OTARU] == 0 < weights[SAPPORO, KUSHIRO]
    assert (outing_weights(8).sum(axis=1)[: places().local] > 0).all()


def test_the_new_route_draws_people_to_nakashibetsu():
    table = timetable()
    airports = places().airports
    to_shb = table.target == airports.index("SHB")
    shares = []
    for winter in (0, 1):
        weights = airport_weights(np.array([SAPPORO]), np.array([NEMURO]), winter, 1.0)[0]
        shares.append(weights[to_shb].sum() / weights.sum())
    assert shares[1] > shares[0] + 0.1


def test_the_weight_of_an_aim_is_the_sum_over_the_routes():
    month = 10
    winter = 1
    studied = 3.0
    routes = airport_weights(np.array([SAPPORO]), np.array([KUSHIRO]), winter, studied)
    total = routes.sum() * places().air[month - 1, KUSHIRO]
    assert air_weights(month, winter, studied)[SAPPORO, KUSHIRO] == pytest.approx(total)
