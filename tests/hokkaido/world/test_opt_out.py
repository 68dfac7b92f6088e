"""Out means out: people on a list count as if they had never been in the tables."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.case import KEY_BITS
from tests.hokkaido.needs.country import plan_of
from tests.sizes import first, slow, thorough
from xstat_ray import Options, crosstab
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.inputs.phone_numbers import to_e164
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Bounds

LISTS = ("operator/opt_out.parquet", "operator/not_used.parquet", "airline/no_consent.parquet")


@pytest.fixture(scope="module")
def tables(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a world in which many opted out.

    Each passenger boards once, so that no draw decides between two boardings.
    """
    out = tmp_path_factory.mktemp("world") / "tables"
    build(
        dataclasses.replace(world, opt_out=0.3, no_consent=0.3, member=0.8, studied=200),
        out,
        map,
        lambda _: None,
    )
    file = out / "airline" / "boardings.parquet"
    boardings = pq.read_table(file)
    _, first = np.unique(phones(boardings, "passenger"), return_index=True)
    pq.write_table(boardings.take(pa.array(np.sort(first))), file)
    return out


@pytest.fixture(scope="module")
def without(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the tables without those who are on a list."""
    out = tmp_path_factory.mktemp("without")
    for file in tables.rglob("*.parquet"):
        table = pq.read_table(file, partitioning=None)
        name = file.relative_to(tables)
        side = name.parts[0]
        column = {"operator": "subscriber", "airline": "passenger"}.get(side)
        if column:
            table = table.filter(
                pc.invert(pc.is_in(phones(table, column), value_set=listed(tables, side)))
            )
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, out / name)
    return out


def phones(table: pa.Table, column: str) -> pa.Array:
    """Read phone numbers in their normal form."""
    return to_e164(table[column].combine_chunks(), "JP")


def listed(tables: Path, side: str) -> pa.Array:
    """List everybody whom a party must leave out."""
    lists = [pq.read_table(tables / name) for name in LISTS if name.startswith(side)]
    return pa.concat_arrays([phones(table, table.column_names[0]) for table in lists])


def counts(tables: Path, folder: Path, lists: tuple[str, ...] = LISTS) -> np.ndarray:
    """Run the job for exact counts, with bounds that never bind, so that no draw decides."""
    study = plan_of("doto_movement", noise="off").study
    study = dataclasses.replace(study, bounds=Bounds(rows=12, boardings=4, persons=40_000))
    release = crosstab(
        study,
        row=Source(
            str(tables / "operator" / "presence"),
            tuple(str(tables / n) for n in lists if n.startswith("operator")),
        ),
        column=Source(
            str(tables / "airline" / "boardings.parquet"),
            tuple(str(tables / n) for n in lists if n.startswith("airline")),
        ),
        options=Options(key_bits=KEY_BITS, allow_no_noise=True),
    )
    return release.statistics["noisy"].to_numpy()


@pytest.fixture(scope="module")
def never(without: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Count the tables in which nobody is on a list."""
    return counts(without, tmp_path_factory.mktemp("never"))


@slow
def test_people_on_a_list_count_as_if_they_had_never_been(tables, never, tmp_path):
    assert (counts(tables, tmp_path) == never).all()
    assert never.sum() > 500


@thorough
@pytest.mark.parametrize("forgotten", first(1, ["operator", "airline"], slow))
def test_without_the_lists_they_would_be_seen(tables, never, tmp_path, forgotten):
    lists = tuple(name for name in LISTS if not name.startswith(forgotten))
    assert counts(tables, tmp_path, lists).sum() > 1.1 * never.sum()


def test_the_lists_name_people_who_are_in_the_tables(tables, without):
    for name in ("airline/boardings.parquet", "operator/subscribers.parquet"):
        assert (
            pq.read_metadata(without / name).num_rows
            < 0.8 * pq.read_metadata(tables / name).num_rows
        )
