"""The timetable: routes, seasons, and the choice of flights."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.timetable import DOTO, SAPPORO, WINTER, Timetable, timetable


@pytest.fixture(scope="module")
def table() -> Timetable:
    return timetable()


@pytest.fixture(scope="module")
def legs(table: Timetable) -> list[str]:
    """Name the routes by their airports."""
    names = places().airports
    return [f"{names[a]}-{names[b]}" for a, b in zip(table.origin, table.target, strict=True)]


def test_every_route_leads_back(table, legs):
    assert [legs[route] for route in table.back] == [
        "-".join(reversed(leg.split("-"))) for leg in legs
    ]
    assert (table.back[table.back] == np.arange(len(legs))).all()


def test_flights_take_plausible_times(table):
    minutes = table.arrival - table.departure
    assert minutes.min() >= 30
    assert minutes.max() <= 240
    assert len(set(zip(table.number, table.route, strict=True))) == len(table.number)


def test_the_route_from_okadama_to_nakashibetsu_opens_with_the_winter_timetable(table, legs):
    assert dt.date(2023, 10, 29).toordinal() == WINTER
    new = [legs.index("OKD-SHB"), legs.index("SHB-OKD")]
    before, after = table.capacity()
    assert not before[new].any()
    assert after[new].all()
    routes = np.repeat(new, 200)
    u = np.random.default_rng(1).random(400)
    for day, flies in ((WINTER - 1, False), (WINTER, True), (WINTER + 90, True)):
        assert ((table.flight(routes, np.full(400, day), u) >= 0) == flies).all()


def test_studied_routes_join_sapporo_and_the_east(table, legs):
    studied = {leg for leg, yes in zip(legs, table.studied, strict=True) if yes}
    wanted = {f"{a}-{b}" for a in SAPPORO for b in DOTO} | {
        f"{b}-{a}" for a in SAPPORO for b in DOTO
    }
    assert studied == wanted & set(legs)
    assert {"OKD-SHB", "OKD-KUH", "CTS-MMB", "CTS-KUH"} <= studied


def test_flights_are_of_the_route_and_the_weekday_in_proportion_to_seats(table, legs):
    route = legs.index("CTS-KUH")
    on_route = np.flatnonzero(table.route == route)
    day = dt.date(2024, 1, 10)
    chosen = table.flight(
        np.full(9_000, route),
        np.full(9_000, day.toordinal()),
        np.random.default_rng(2).random(9_000),
    )
    assert set(chosen) <= set(on_route[table.flies[day.weekday(), on_route]])
    share = np.bincount(chosen, minlength=len(table.number))[on_route] / 9_000
    flying = table.seats[on_route] * table.flies[day.weekday(), on_route]
    np.testing.assert_allclose(share, flying / flying.sum(), atol=0.02)
