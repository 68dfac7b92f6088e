"""A small made-up study in which every rule binds.

It has hours, overlapping windows, both bounds, ties, and rows outside.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa

from xstat_ray.inputs.study_file import parse
from xstat_ray.model.study import Study

PERSONS = 60
PRESENCES = 3_000
BOARDINGS = 150
START = dt.datetime(2024, 5, 1, tzinfo=dt.UTC)
HOURS = 36
VIEW = "0f" * 16
"""Name of a view."""


def make_study(**column: Any) -> Study:
    """Make a study: areas and hours, by routes and hours from departure and arrival.

    `column` overrides fields of the column side.
    """
    raw = {
        "name": "synthetic",
        "period": {"grain": "hour", "start": "2024-05-01", "end": "2024-05-02T12:00"},
        "row": {
            "id": "person",
            "time": "at",
            "weight": "dwell",
            "dimensions": [
                {"name": "zone", "column": "zone", "values": ["north", "south", "west"]},
                {"name": "area", "column": "area", "range": [1, 4]},
            ],
        },
        "column": {
            "id": "passenger",
            "dimensions": [
                {
                    "name": "route",
                    "column": "route",
                    "groups": {"domestic": ["CTS", "OKA"]},
                    "other": "abroad",
                }
            ],
            "windows": [
                {"anchor": "departure", "name": "departure", "unit": "hour", "from": -2, "to": -1},
                {"anchor": "arrival", "name": "arrival", "unit": "hour", "from": 1, "to": 2},
            ],
            **column,
        },
        "bounds": {"rows": 1, "boardings": 2, "persons": 100},
    }
    if "parties" in column:
        raw["bounds"] = {"rows": 1}
    return parse({"study": raw, "privacy": {"noise": "off"}}, origin="synthetic")


def make_tables(seed: int = 7) -> tuple[pa.Table, pa.Table]:
    """Make the tables: PRESENCES rows of the row party, BOARDINGS rows of the column party."""
    draw = np.random.default_rng(seed)

    def times(seconds: np.ndarray) -> pa.Array:
        micros = int(START.timestamp()) * 10**6 + seconds.astype(np.int64) * 10**6
        return pa.array(micros, pa.timestamp("us", "UTC"))

    def people(number: int) -> pa.Array:
        codes = draw.integers(0, PERSONS, number)
        ids = np.char.add("p", codes.astype(str)).astype(object)
        ids[draw.random(number) < 0.02] = None
        return pa.array(ids, pa.string())

    # Some rows lie up to three hours outside the study at either end.
    outside = 3 * 3600
    zones = ["north", "south", "west", "sea", None]
    rows = pa.table(
        {
            "person": people(PRESENCES),
            "at": times(draw.integers(-outside, HOURS * 3600 + outside, PRESENCES)),
            "zone": pa.array(
                draw.choice(np.array(zones, object), PRESENCES, p=[0.4, 0.3, 0.2, 0.05, 0.05])
            ),
            "area": pa.array(draw.integers(1, 6, PRESENCES)),
            # Few distinct values, so that ties are broken by the random words; some are missing.
            "dwell": pa.array(
                [None if w == 0 else float(w) for w in draw.integers(0, 5, PRESENCES).tolist()],
                pa.float64(),
            ),
        }
    )
    departure = draw.integers(-outside, HOURS * 3600 + outside, BOARDINGS)
    flags = pa.table(
        {
            "passenger": people(BOARDINGS),
            "departure": times(departure),
            "arrival": times(departure + draw.integers(1800, 4 * 3600, BOARDINGS)),
            "route": pa.array(
                draw.choice(np.array(["CTS", "OKA", "SFO", None], object), BOARDINGS)
            ),
        }
    )
    return rows, flags
