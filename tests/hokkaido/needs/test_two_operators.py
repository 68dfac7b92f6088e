"""The study of two operators counts what one operator with the customers of both counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import OmegaConf

from tests.case import KEY_BITS
from tests.hokkaido.needs.country import plan_of
from tests.pages import ROOT
from tests.several import keys_at_hand
from tests.sizes import slow
from xstat_ray import Options, Source, crosstab
from xstat_ray.geo import hokkaido

PEOPLE = 24
FIRST = np.datetime64("2023-10-28T00:00:00", "s")
HOURS = 48


def write(folder: Path) -> None:
    """Write the presence of two blocks of people, and a boarding of each person."""
    rng = np.random.default_rng(3)
    ids = [f"+8170{10000000 + 7 * number}" for number in range(PEOPLE)]
    meshes = hokkaido.cells()["mesh"].to_numpy()
    presence = folder / "operator" / "presence" / "date=2023-10-28"
    presence.mkdir(parents=True)
    hours = FIRST + np.arange(HOURS) * np.timedelta64(1, "h")
    for block in range(2):
        mine = ids[block::2]
        rows = {
            "subscriber": np.repeat(mine, HOURS),
            "time": np.tile(hours, len(mine)),
            "mesh": rng.choice(meshes, len(mine) * HOURS).astype(np.int32),
            "dwell": np.full(len(mine) * HOURS, 60, np.int32),
        }
        pq.write_table(pa.table(rows), presence / f"part-000{block}.parquet")
    departure = FIRST + rng.integers(600, 1800, PEOPLE) * np.timedelta64(1, "m")
    boardings = {
        "passenger": ids,
        "leg": rng.choice(["CTS-KUH", "OKD-MMB"], PEOPLE),
        "departure_airport": rng.choice(["CTS", "KUH"], PEOPLE),
        "departure": departure,
        "arrival": departure + np.timedelta64(45, "m"),
    }
    pq.write_table(pa.table(boardings), folder / "boardings.parquet")


@slow
def test_customers_of_two_operators_are_counted_as_those_of_one(tmp_path: Path) -> None:
    write(tmp_path)
    shipped = OmegaConf.load(ROOT / "conf" / "study" / "two_operators.yaml")
    shipped.tables = str(tmp_path)
    paths = dict(shipped.data.row.path)
    assert list(paths) == ["first_operator", "second_operator"]
    options = Options(key_bits=KEY_BITS, shards=2, allow_no_noise=True)
    column = tmp_path / "boardings.parquet"
    with keys_at_hand():
        both = crosstab(
            plan_of("two_operators", "off").study,
            row={name: Source(path) for name, path in paths.items()},
            column=column,
            options=options,
        )
        one = crosstab(
            plan_of("doto_movement", "off").study,
            row=tmp_path / "operator" / "presence",
            column=column,
            options=options,
        )
    counts = [release.statistics["noisy"].to_numpy() for release in (both, one)]
    assert counts[0].sum() > 50 and (counts[0] == counts[1]).all()
