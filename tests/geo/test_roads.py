"""Distances and driving times, compared with known ones."""

from __future__ import annotations

import numpy as np
import pytest

from xstat_ray.geo import hokkaido
from xstat_ray.geo.roads import SPEEDS_KMH, drive_minutes, great_circle_km, road_km

TOWNS = {row["name_en"]: (row["lat"], row["lon"]) for row in hokkaido.municipalities().to_pylist()}
PLACES = TOWNS | {row["iata"]: (row["lat"], row["lon"]) for row in hokkaido.airports().to_pylist()}


def test_great_circle_of_known_arcs():
    assert great_circle_km(0, 0, 0, 180) == pytest.approx(np.pi * 6371.0088)
    assert great_circle_km(43, 141, 44, 141) == pytest.approx(111.195, abs=0.001)
    assert great_circle_km(43, 141, 43, 141) == 0


@pytest.mark.parametrize(
    ("start", "end", "km"),
    [
        ("Kushiro", "Nemuro", 125),
        ("Sapporo", "Kushiro", 310),
        ("MMB", "Abashiri", 21),
        ("KUH", "Kushiro", 20),
        ("SHB", "Nemuro", 80),
        ("SHB", "Rausu", 65),
        ("Kushiro", "Teshikaga", 75),
        ("CTS", "Sapporo", 47),
    ],
)
def test_known_distances_by_road_within_a_fifth(start, end, km):
    """The lengths are those of national roads 38, 44, 244, 335 and 391, and of the expressway."""
    assert float(road_km(*PLACES[start], *PLACES[end])) == pytest.approx(km, rel=0.2)


@pytest.mark.parametrize(("km", "minutes"), [(20, 30), (125, 140), (310, 270)])
def test_known_driving_times_within_a_fifth(km, minutes):
    assert float(drive_minutes(km)) == pytest.approx(minutes, rel=0.2)


def test_driving_time_is_continuous_and_rises_with_the_distance():
    km = np.linspace(0, 500, 5001)
    minutes = drive_minutes(km)
    slowest = SPEEDS_KMH[0][1]
    fastest = SPEEDS_KMH[-1][1]
    assert minutes[0] == 0
    assert (np.diff(minutes) > 0.1 * 60 / fastest * 0.999).all()
    assert (np.diff(minutes) < 0.1 * 60 / slowest * 1.001).all()


def test_points_are_broadcast():
    towns = np.array([PLACES["Kushiro"], PLACES["Nemuro"]])
    ports = np.array([PLACES["KUH"], PLACES["MMB"], PLACES["SHB"]])
    km = road_km(towns[:, None, 0], towns[:, None, 1], ports[None, :, 0], ports[None, :, 1])
    assert km.shape == (2, 3)
    assert km[1].argmin() == 2, "Nemuro is nearest to Nakashibetsu"
