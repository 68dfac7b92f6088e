"""One file of many cannot be read: the run stops and names it, or leaves it out and says so."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import COLUMNS, ROWS, Case, counts, study
from tests.heard import Heard
from tests.sizes import every_other, thorough
from xstat_ray import InputError, Source, crosstab
from xstat_ray.model.study import Role
from xstat_ray.roles.party import Party
from xstat_ray.runtime.ray_executor import RayExecutor


def in_the_middle(path: Path) -> None:
    """Damage a page of a column that only later stages read; the footer and the ids stay whole."""
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    content = bytearray(path.read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-20]),
    "empty": lambda path: path.write_bytes(b""),
    "in the middle": in_the_middle,
    "without a column": lambda path: pq.write_table(pq.read_table(path).select(["id"]), path),
}


@pytest.fixture(params=["row", "column"])
def role(request: pytest.FixtureRequest) -> Role:
    return request.param


@pytest.fixture
def case(tmp_path: Path, role: Role) -> Case:
    """The party's table is a folder of three files; the second holds nobody else's rows."""
    case = Case(tmp_path)
    columns = {"row": ROWS, "column": COLUMNS}[role]
    folder = tmp_path / "many"
    folder.mkdir()
    pq.write_table(pa.table({k: v[:2] for k, v in columns.items()}), folder / "a.parquet")
    pq.write_table(
        pa.table({k: ["7", v[0]][i : i + 1] for i, (k, v) in enumerate(columns.items())}),
        folder / "b.parquet",
    )
    pq.write_table(pa.table({k: v[2:] for k, v in columns.items()}), folder / "c.parquet")
    case.tables[role] = folder
    return case


@pytest.mark.parametrize("damage", every_other(2, list(DAMAGES)))
def test_stop_and_skip(case, role, damage):
    right = counts(case.run(study(), out=case.folder / "whole"))
    bad = case.tables[role] / "b.parquet"
    DAMAGES[damage](bad)
    with pytest.raises(InputError) as caught:
        case.run(study())
    assert caught.value.file == str(bad) and not case.published()
    heard = Heard()
    source = Source(case.tables[role], skip_damaged=True)
    options = case.options()
    release = crosstab(
        study(), **(case.tables | {role: source}), out=case.out, options=options, progress=heard
    )
    # The file held a person whom the other party does not know.
    assert counts(release) == right
    (entry,) = case.intake(role)["set_aside"]
    assert entry["file"] == str(bad) and str(bad) in entry["problem"]
    assert case.intake(role)["rows"] == 4
    assert any(
        f"1 damaged files of the {role} party were left out" in text for text in heard.warnings
    )


def test_a_table_of_which_nothing_can_be_read_is_refused(case, role):
    for path in case.tables[role].iterdir():
        DAMAGES["cut short"](path)
    with pytest.raises(InputError, match="damaged"):
        case.run(study(), **{role: Source(case.tables[role], skip_damaged=True)})


def test_a_list_of_people_who_opted_out_is_never_skipped(case, role):
    lists = case.folder / "opted_out"
    shutil.copytree(case.tables[role], lists)
    DAMAGES["cut short"](lists / "b.parquet")
    with pytest.raises(InputError, match="damaged") as caught:
        case.run(study(), **{role: Source(case.tables[role], exclude=lists, skip_damaged=True)})
    assert caught.value.file == str(lists / "b.parquet")


@thorough
@pytest.mark.ray
def test_environments_that_divide_a_table_agree_on_what_is_left_out(ray_folder, case, role):
    DAMAGES["in the middle"](case.tables[role] / "b.parquet")
    sources = {
        party: Source(table, skip_damaged=party == role) for party, table in case.tables.items()
    }
    with RayExecutor(study(), sources, {"row": 2, "column": 2}) as executor:
        from tests.runtime.running import encrypted
        from xstat_ray import make_plan

        encrypted(executor, make_plan(study(), key_bits=2048, shards=2))
        replicas = executor.parties[role]
        assert executor.get_all([replica.call(Party.damaged_files) for replica in replicas]) == [
            1,
            1,
        ]
