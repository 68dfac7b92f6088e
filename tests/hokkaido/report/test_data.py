"""Reading a release gives what was published, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xstat_ray.errors import InputError
from xstat_ray.hokkaido.report.data import ABSENT, SUPPRESSED, read_layers
from xstat_ray.hokkaido.report.make import read


@pytest.mark.parametrize("study", ["movement", "catchment", "preboarding"])
def test_values_lie_at_their_place_and_slot(country, study):
    folder = getattr(country, study)
    layer = read_layers(folder)[0]
    table = pq.read_table(folder / "statistics.parquet")
    finest = layer.levels[0]
    rng = np.random.default_rng(1)
    for number in rng.integers(0, len(table), 200):
        row = table.slice(int(number), 1).to_pylist()[0]
        place = finest.places.index(row[layer.place])
        labels = [dimension.labels.index(row[dimension.name]) for dimension in layer.dimensions]
        slot = np.ravel_multi_index(labels, [len(d.labels) for d in layer.dimensions])
        value, low, high = (
            int(part[place, slot]) for part in (finest.estimate, finest.low, finest.high)
        )
        if row["suppressed"]:
            assert (value, low, high) == (SUPPRESSED, 0, 0)
        else:
            assert value == row["estimate"]
            assert (low, high) == (row["low95"], row["high95"])
            assert low <= value <= high


def test_levels_above_the_cells_come_from_the_areas(country):
    layer = read_layers(country.movement)[0]
    table = pq.read_table(country.movement / "areas.parquet")
    assert [(level.name, level.ground.kind) for level in layer.levels] == [
        ("cell", "municipality"), ("subprefecture", "subprefecture"), ("total", "all")
    ]  # fmt: skip
    published = table.filter(~np.array(table["suppressed"])).num_rows
    assert sum(int((level.estimate >= 0).sum()) for level in layer.levels[1:]) == published
    for level in layer.levels:
        shown = level.estimate >= 0
        assert (level.low <= np.where(shown, level.estimate, 0)).all()
        assert (level.high >= np.where(shown, level.estimate, 0)).all()


def test_rows_in_any_order_and_missing_rows(country, tmp_path):
    folder = tmp_path / "movement"
    shutil.copytree(country.movement, folder)
    table = pq.read_table(folder / "statistics.parquet")
    order = np.random.default_rng(3).permutation(len(table))[:-5]
    # The first row of every label fixes the order of labels; keep it.
    kept = np.concatenate([np.arange(144), order[order >= 144]])
    pq.write_table(table.take(pa.array(kept)), folder / "statistics.parquet")
    whole = read_layers(country.movement)[0].levels[0]
    part = read_layers(folder)[0].levels[0]
    back = [whole.places.index(name) for name in part.places]
    equal = part.estimate == whole.estimate[back]
    assert (part.estimate == ABSENT).sum() == (~equal).sum() == len(table) - len(kept)


def edit(folder: Path, name: str, **changes: Any) -> None:
    """Change keys of a JSON file."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def damage(name: str) -> Callable[[Path], None]:
    """Remove a file."""

    def change(folder: Path) -> None:
        (folder / name).unlink()

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (damage("manifest.json"), "there is no manifest.json"),
        (damage("statistics.parquet"), "there is no statistics.parquet"),
        (damage("plan.json"), "cannot be read as a JSON object"),
        (lambda folder: edit(folder, "plan.json", study_digest="0"), "belong to different studies"),
        (
            lambda folder: edit(folder, "manifest.json", noise_free=True),
            "contradict each other about the noise",
        ),
        (lambda folder: (folder / "unfinished").touch(), "not finished"),
        (
            lambda folder: (folder / "statistics.parquet").write_bytes(b"PAR1"),
            "no such column|cannot be read",
        ),
    ],
)
def test_a_folder_that_holds_no_whole_release_is_refused_with_its_name(
    country, tmp_path, change, message
):
    folder = tmp_path / "movement"
    shutil.copytree(country.movement, folder)
    change(folder)
    with pytest.raises(InputError, match=message) as error:
        read_layers(folder)[0]
    assert str(folder) in str(error.value) and error.value.remedy


def test_one_answer_and_each_study_once(country):
    with pytest.raises(InputError, match="holds the same study, catchment"):
        read([country.catchment, country.catchment.parent / "." / "catchment", country.catchment])
    with pytest.raises(InputError, match="this is the second"):
        read([country.needs, country.needs])


def test_answers_without_a_table_or_a_column_are_refused(country, tmp_path):
    folder = tmp_path / "needs"
    shutil.copytree(country.needs, folder)
    table = pq.read_table(folder / "opening.parquet")
    pq.write_table(table.drop_columns(["change"]), folder / "opening.parquet")
    with pytest.raises(InputError, match="column change"):
        read([folder])
    (folder / "opening.parquet").unlink()
    with pytest.raises(InputError, match=r"opening\.parquet"):
        read([folder])


def test_exact_counts_are_known_as_such(exact):
    assert read([exact.movement]).noise_free and read([exact.needs]).noise_free
    layer = read_layers(exact.movement)[0]
    shown = layer.levels[0].estimate >= 0
    assert (layer.levels[0].low == layer.levels[0].high).all() and shown.any()
