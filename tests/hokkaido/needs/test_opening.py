"""The tables of the opened route and of boarding."""

from __future__ import annotations

import numpy as np
import pytest

from xstat_ray.hokkaido.needs.access import AIRPORTS, areas
from xstat_ray.hokkaido.needs.opening import opening_table, sum_by_state, watershed_table
from xstat_ray.hokkaido.needs.publication import NoisyCounts


def counts(summer: list[float], winter: list[float], stderr: float = 10.0) -> NoisyCounts:
    """Count passengers by airport in the first area; all other areas are unknown."""
    values = np.full((len(areas()), 2, len(AIRPORTS)), np.nan)
    values[0] = summer, winter
    return NoisyCounts(values, np.where(np.isnan(values), np.nan, stderr**2))


def test_a_change_is_told_from_noise():
    row = opening_table(counts([900, 50, 50, 0], [450, 50, 500, 0])).to_pylist()[0]
    assert (row["code"], row["name_ja"], row["name_en"]) == ("01206", "釧路市", "Kushiro")
    assert (row["before"], row["after"], row["change"]) == (0.05, 0.5, pytest.approx(0.45))
    assert row["low95"] < 0.45 < row["high95"] and row["changed"]
    error = np.hypot(row["before_stderr"], row["after_stderr"])
    assert row["high95"] - row["low95"] == pytest.approx(2 * 1.96 * error, rel=1e-4)
    assert not opening_table(counts([900, 50, 50, 0], [900, 40, 60, 0])).to_pylist()[0]["changed"]


def test_what_is_not_known_is_null_and_not_unchanged():
    table = opening_table(counts([900, 50, 50, 0], [5, 1, 3, 0]))
    for row in table.to_pylist()[:2]:
        assert row["after"] is row["change"] is row["low95"] is row["changed"] is None
    assert table["before"].null_count == len(areas()) - 1


def test_watershed_has_a_row_for_every_area_and_airport():
    table = watershed_table(counts([100, 300, 0, 0], [100, 500, 0, 0]))
    assert len(table) == len(areas()) * len(AIRPORTS)
    rows = table.to_pylist()
    assert [(row["airport"], row["passenger_days"], row["share"]) for row in rows[:2]] == [
        ("KUH", 200, 0.2),
        ("MMB", 800, 0.8),
    ]
    assert rows[0]["stderr"] == pytest.approx(np.sqrt(200))
    assert {row["share"] for row in rows[4:]} == {None}
    sampled = watershed_table(counts([100, 300, 0, 0], [100, 500, 0, 0]), 0.42).to_pylist()[0]
    assert sampled["share_stderr"] > rows[0]["share_stderr"]


def test_near_another_airport_is_elsewhere():
    zones = np.zeros((2, 1, 1, 4))
    zones[:, 0, 0] = [[5, 70, 2, 20], [6, 3, 80, 30]]
    assert sum_by_state(zones)[:, 0, 0].tolist() == [[5, 70, 22], [6, 80, 33]]
