"""The studies of the year, without noise, count what SQL counts in the clear tables."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.case import KEY_BITS
from tests.hokkaido.world.years import COLUMNS, NO_CONSENT, OPTED_OUT, ROWS, count
from tests.sizes import first, slow
from xstat_ray import Options, crosstab
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.study import Study

CONF = Path(__file__).parents[3] / "conf" / "study"


@pytest.fixture(scope="module")
def tables(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the tables of the year, with nights that leave no choice between places to chance."""
    folder = tmp_path_factory.mktemp("tables")
    for name in (*COLUMNS.values(), *OPTED_OUT, NO_CONSENT, ROWS):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(built / name, folder / name)
    rows = pq.read_table(built / ROWS)
    nights = 100 * rows["nights"].to_numpy().astype(int) + np.arange(len(rows)) % 100
    place = rows.schema.get_field_index("nights")
    pq.write_table(rows.set_column(place, "nights", pa.array(nights)), folder / ROWS)
    return folder


def shipped(name: str, *subprefectures: str) -> Study:
    """Read a shipped study, without noise; of some subprefectures only, if any are named."""
    raw = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    raw["privacy"]["noise"] = "off"
    if subprefectures:
        raw["study"]["row"]["dimensions"][0]["only"] = {"subprefecture": list(subprefectures)}
    return parse(raw, origin=f"{name}.yaml")


@pytest.mark.parametrize(
    ("name", "subprefectures"),
    first(2, [(name, of) for of in (("Kushiro", "Nemuro"), ()) for name in COLUMNS], slow),
)
def test_the_job_counts_the_same(tables: Path, name: str, subprefectures: tuple[str, ...]):
    study = shipped(name, *subprefectures)
    counted = count(study, tables)
    release = crosstab(
        study,
        row=Source(tables / ROWS, tuple(tables / of for of in OPTED_OUT)),
        column=Source(tables / COLUMNS[name], (tables / NO_CONSENT,)),
        options=Options(key_bits=KEY_BITS, shards=2, allow_no_noise=True),
    )
    assert counted.sum() > 40
    np.testing.assert_array_equal(
        release.statistics["noisy"].to_numpy().reshape(counted.shape), counted
    )


def test_hardly_anybody_stays_in_more_places_than_count(built: Path):
    bound = shipped("revisit").bounds.rows
    places = duckdb.execute(
        f"SELECT count(*) FROM '{built}/{ROWS}' GROUP BY subscriber"
    ).fetchnumpy()["count_star()"]
    lost = np.maximum(places - bound, 0).sum() / places.sum()
    assert lost < 0.05
