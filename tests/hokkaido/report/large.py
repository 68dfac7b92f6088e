"""A release as large as a page should bear: 20,000 squares by 144 columns, nearly all published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from xstat_ray.geo import hokkaido
from xstat_ray.inputs.domains import decode
from xstat_ray.privacy.mechanism import half_width95
from xstat_ray.publication.release import AREAS, MANIFEST, PLAN, STATISTICS

SQUARES = 20_000
NOISE = 43.55
COLUMNS = (
    ("route", ("CTS-KUH", "CTS-MMB", "CTS-SHB", "OKD-KUH", "OKD-MMB", "OKD-SHB")),
    ("direction", ("to Doto", "from Doto")),
    (
        "offset",
        tuple(f"departure{h}h" for h in range(-6, 0)) + tuple(f"arrival+{h}h" for h in range(1, 7)),
    ),
)
PLANNED = {
    "study": "squares",
    "study_digest": "00",
    "cells": SQUARES,
    "slots": 144,
    "noise": "gaussian",
    "suppress_below": 10,
    "l1_sensitivity": 24,
    "stderr": {"cell": NOISE},
    "title": {"ja": "メッシュの試験", "en": "Squares"},
}
FACTS = {
    "release": "ef",
    "study": "squares",
    "study_digest": "00",
    "noise_free": False,
    "datasets": {},
}


def squares() -> list[str]:
    """List codes of 500 m squares in the east."""
    land = hokkaido.cells()
    east = land.filter(
        pc.is_in(land["subprefecture"].cast(pa.string()), pa.array(["Kushiro", "Nemuro"]))
    )
    return [str(code) for code in east["mesh"].to_pylist()[:SQUARES]]


def publish_squares(folder: Path, seed: int = 0) -> Path:
    """Write the files of a large release, but for the CSV."""
    rng = np.random.default_rng(seed)
    labels = [("mesh", tuple(squares())), *COLUMNS]
    size = int(np.prod([len(values) for _, values in labels]))
    exact = rng.poisson(np.exp(rng.normal(4.2, 1, size)))
    noisy = exact + np.rint(NOISE * rng.standard_normal(size)).astype(np.int64)
    estimate = np.maximum((exact + noisy) // 2, 0)
    hidden = estimate < 10
    columns = {**decode(labels, np.arange(size)), "noisy": pa.array(noisy)}
    columns |= {
        "estimate": pa.array(estimate, mask=hidden),
        "stderr": pa.array(np.full(size, NOISE)),
    }
    half = float(half_width95("gaussian", np.array(NOISE)))
    columns |= {
        "low95": pa.array(np.minimum(noisy - half, estimate), mask=hidden),
        "high95": pa.array(np.maximum(noisy + half, estimate), mask=hidden),
    }
    statistics = pa.table(columns | {"suppressed": pa.array(hidden)})
    totals = exact.reshape(SQUARES, -1).sum(axis=0)
    areas = pa.table(
        {
            "level": ["total"] * 144,
            "area": ["total"] * 144,
            **decode(COLUMNS, np.arange(144)),
            "unbiased": totals.astype(float),
            "low95": np.full(144, 1.0),
            "high95": np.full(144, 2 * half),
            "estimate": totals,
            "stderr": np.full(144, NOISE),
            "suppressed": np.zeros(144, bool),
        }
    )
    for name, content in {PLAN: PLANNED, MANIFEST: FACTS}.items():
        (folder / name).write_text(json.dumps(content))
    pq.write_table(statistics, folder / STATISTICS)
    pq.write_table(areas, folder / AREAS)
    return folder
