"""A person who is written in several ways, to count more often than once or in spite of an opt-out.

Two rows are of one person exactly if the normal forms of their ids have the same bytes, on every
way that an id takes: as text, in dictionaries, as bytes of one width, in a name of a folder. An id
in which some way would lose a character has no normal form.

The leak that is planted is the rule as it once was, which let NUL pass: bytes of one width lose it
at the end, texts do not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from tests.case import HOURS, study
from tests.runtime.executors import Deployment, InOneProcess, OnRay, ThreeDomains
from tests.sizes import first
from xstat_ray.inputs import ids
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import IdForm, Study

SPELLINGS: Mapping[IdForm, Sequence[str]] = {
    "exact": ["p", *("p" + "\0" * nulls for nulls in range(1, 8))],
    "text": ["p", " P", "\uff50", "p\u3000", "P\0", "\u24df", "p\n", "\0p"],
    "email": ["p@b.jp", "P@B.jp", " p@b.jp", "p\uff20b.jp", "p@b.jp\0", "\uff50@b.jp"],
    "phone": ["+819012345678", "090-1234-5678", "090 1234 5678", "\uff0b81 90 1234 5678",
              "(090)12345678", "+819012345678\0", "\uff10\uff19\uff10-1234-5678"],
}  # fmt: skip
"""Ways to write one person, who boards an hour later under each."""
STRANGERS: Mapping[IdForm, str] = {
    "exact": "P", "text": "q", "email": "p@b.jp.", "phone": "+819012345679",
}  # fmt: skip
"""Somebody else, however alike."""
START = dt.datetime(2024, 1, 1)
MOST = max(map(len, SPELLINGS.values()))


@pytest.fixture
def null_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant the leak."""
    monkeypatch.setattr(ids, "_LOST", ids._LOST.replace(r"\x00|", ""))


def as_parquet(folder: Path, table: pa.Table) -> Path:
    pq.write_table(table, folder / "t.parquet")
    return folder / "t.parquet"


def as_dictionaries(folder: Path, table: pa.Table) -> Path:
    return as_parquet(folder, table.set_column(0, "id", table["id"].dictionary_encode()))


def as_arrow(folder: Path, table: pa.Table) -> Path:
    feather.write_feather(table, folder / "t.arrow")
    return folder / "t.arrow"


def as_csv(folder: Path, table: pa.Table) -> Path:
    rows = [",".join(f'"{value}"' for value in row) for row in zip(*table.to_pydict().values())]
    (folder / "t.csv").write_text("\n".join([",".join(table.column_names), *rows]) + "\n")
    return folder / "t.csv"


def as_folders(folder: Path, table: pa.Table) -> Path:
    """Write a folder for each id; its name holds the id."""
    for row in table.to_pylist():
        place = folder / "t" / f"id={quote(row.pop('id'), safe='')}"
        place.mkdir(parents=True, exist_ok=True)
        name = f"{len(list(place.iterdir()))}.parquet"
        pq.write_table(pa.Table.from_pylist([row]), place / name)
    return folder / "t"


FORMATS: Mapping[str, Callable[[Path, pa.Table], Path]] = {
    "Parquet": as_parquet,
    "CSV": as_csv,
    "names of folders": as_folders,
    "dictionaries": as_dictionaries,
    "Arrow": as_arrow,
}


def declared(form: IdForm) -> Study:
    written = {"form": form} | ({"region": "JP"} if form == "phone" else {})
    timed = {"time": "at"}
    made = study(areas="a", row=timed, column=timed, period=HOURS, id=written)
    assert made.person_units == 1
    return made


def units(
    folder: Path,
    deployment: type[Deployment],
    form: IdForm,
    write: Callable[[Path, pa.Table], Path],
    opted_out: Mapping[str, Sequence[str]] | None = None,
) -> int:
    """Count the units of the person, who is in both tables under all spellings."""
    hours = [START + dt.timedelta(hours=hour) for hour in range(MOST)]
    names = SPELLINGS[form]
    everywhere = [(name, hour) for name in names for hour in hours]
    once = list(zip(names, hours, strict=False))
    tables: dict[str, list[tuple[str, dt.datetime]]] = {"row": everywhere, "column": once}
    values = {"row": ("area", "a"), "column": ("kind", "x")}
    sources: dict[Any, Source] = {}
    for role, rows in tables.items():
        (folder / role).mkdir()
        (folder / role / "out").mkdir()
        name, value = values[role]
        columns = {
            "id": [i for i, _ in rows],
            "at": [at for _, at in rows],
            name: [value] * len(rows),
        }
        out = pa.table({"id": pa.array((opted_out or {}).get(role, []), pa.string())})
        sources[role] = Source(
            write(folder / role, pa.table(columns)),
            as_parquet(folder / role / "out", out),
            unreadable="count",
        )
    deployed = deployment(folder / "deployed")
    deployed.folder.mkdir()
    counted = deployed.publish(declared(form), sources, deployed.options(shards=2))
    return int(sum(counted.statistics["noisy"].to_pylist()))


@pytest.mark.parametrize("form", first(1, list(SPELLINGS)))
def test_however_one_is_written_one_counts_once_in_three_domains(tmp_path, form):
    assert units(tmp_path, ThreeDomains, form, as_parquet) == 1


@pytest.mark.parametrize("form", SPELLINGS)
@pytest.mark.parametrize("write", first(1, list(FORMATS)))
def test_in_whatever_file_one_stands_one_counts_once(tmp_path, form, write):
    assert units(tmp_path, InOneProcess, form, FORMATS[write]) == 1


@pytest.mark.parametrize("role", ["row", "column"])
@pytest.mark.parametrize("form", first(1, list(SPELLINGS)))
def test_who_opts_out_under_one_spelling_is_out_under_all_and_nobody_else_is(tmp_path, form, role):
    # The last that has a normal form, so not the first, under which most would be found.
    name = [name for name in SPELLINGS[form] if "\0" not in name][-1]
    (tmp_path / "out").mkdir()
    assert units(tmp_path / "out", InOneProcess, form, as_parquet, {role: [name]}) == 0
    (tmp_path / "in").mkdir()
    other = {role: [STRANGERS[form], name + "\0"]}
    assert units(tmp_path / "in", InOneProcess, form, as_parquet, other) == 1


@pytest.mark.usefixtures("null_passes")
@pytest.mark.parametrize("write", ["Parquet", "names of folders"])
def test_where_a_character_may_vanish_one_counts_as_often_as_one_is_written(tmp_path, write):
    assert units(tmp_path, InOneProcess, "exact", FORMATS[write]) == len(SPELLINGS["exact"])


@pytest.mark.usefixtures("null_passes")
def test_where_a_character_may_vanish_who_opts_out_counts_all_the_same(tmp_path):
    found = units(tmp_path, InOneProcess, "exact", as_parquet, {"column": ["p"]})
    assert found == len(SPELLINGS["exact"]) - 1


@pytest.mark.ray
@pytest.mark.parametrize("form", first(0, ["exact", "phone"]))
def test_however_one_is_written_one_counts_once_on_ray(ray_folder, tmp_path, form):
    assert units(tmp_path, OnRay, form, as_parquet) == 1
