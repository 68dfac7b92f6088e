"""What the owner of the row party's table is told of its order, and how little the driver is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.case import Case, study
from tests.heard import Heard
from tests.sizes import first
from xstat_ray import Source, crosstab
from xstat_ray.crypto.kernels import choice
from xstat_ray.errors import InputError
from xstat_ray.planning.options import Options
from xstat_ray.planning.plan import make_plan
from xstat_ray.planning.plan_report import make_report
from xstat_ray.planning.table_check import inspect_order, order_sentence

SORTED = pa.table({"id": ["1", "2", "3", "4"], "area": ["a", "b", "a", "b"]})
UNSORTED = SORTED.take([2, 0, 1, 3])
PADDED = {"padding": "dp", "delta": 1e-9}


def notes_of_the_kernel() -> list[str]:
    """The notes that a run begins with on a machine that cannot run the native kernel."""
    reason = choice.shortfall()
    note = f"The kernel {choice.kernel().name} is used, as ifma cannot run: {reason}."
    return [note] if reason is not None else []


@pytest.fixture(params=["chosen", "portable", "without ifma"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run with the kernel that is chosen here, the portable one, and without the extension."""
    if request.param == "portable":
        monkeypatch.setenv(choice.VARIABLE, "portable")
    if request.param == "without ifma":
        request.getfixturevalue("without_ifma")
    return request.param


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Call with tables by name of the file to write them; returns their folder."""

    def write(**tables: pa.Table) -> Path:
        made = tmp_path / "many"
        made.mkdir()
        for name, table in tables.items():
            pq.write_table(table, made / f"{name}.parquet")
        return made

    return write


def test_what_is_found_and_the_time_it_takes(folder):
    small = study()
    plan = make_plan(small)
    found = inspect_order(small, Source(folder(a=SORTED, b=UNSORTED, c=SORTED)))
    assert (found.order, found.rows) == ("unsorted", 12)
    assert found.seconds(plan, 2) == pytest.approx(plan.row_seconds(2, 8, 4))
    told, _, memory = found.sentence(plan).partition("; memory ")
    assert (
        told == "3 files, 1 of them not sorted by id (b.parquet); about 0 s on 2 cores for 12 rows"
    )
    assert "all in one process" in memory
    as_dict = found.as_dict(plan)
    needs = as_dict.pop("memory")
    bare = plan.as_dict()["memory"]
    assert needs["row"]["survey"] > bare["row"]["survey"]
    assert needs["column"] == bare["column"]
    assert as_dict == {
        "files": 3,
        "rows": 12,
        "order": "unsorted",
        "unsorted": ["b.parquet"],
        "unknown": [],
        "estimated_seconds_on_2_cores": 0.0,
    }
    assert make_report(small, Options(shards=1), table=found).as_dict()[
        "row_table"
    ] == found.as_dict(make_plan(small))


def test_files_in_another_order_take_longer():
    plan = make_plan(study())
    assert (
        plan.row_seconds(1, 0, 10**6) > plan.row_seconds(1, 10**6) == 2 * plan.row_seconds(2, 10**6)
    )
    assert plan.seconds(1, rows=10**9) - plan.seconds(1) == pytest.approx(
        plan.row_seconds(1, 10**9)
    )


def test_few_files_are_named_and_one_is_one(folder):
    small = study()
    many = folder(**dict.fromkeys("abcde", UNSORTED))
    plan = make_plan(small)
    assert "5 of them not sorted by id (a.parquet, b.parquet, c.parquet, ...);" in inspect_order(
        small, Source(many)
    ).sentence(plan)
    pa_csv.write_csv(SORTED, many.parent / "a.csv")
    text = inspect_order(small, Source(many.parent / "a.csv"))
    assert text.sentence(plan).partition("; memory ")[0] == "1 file, sorted by id"
    assert text.as_dict(plan)["rows"] is None


def test_a_table_that_cannot_be_used_is_refused_as_by_the_intake(folder):
    with pytest.raises(InputError, match="no such column") as caught:
        inspect_order(study(), Source(folder(a=SORTED.rename_columns(["person", "area"]))))
    assert caught.value.column == "id"


@pytest.mark.parametrize("tables", first(1, [{"a": SORTED}, {"a": SORTED, "b": UNSORTED}]))
def test_a_run_says_what_the_intake_found_and_the_party_alone_where(
    tmp_path, folder, tables, kernel
):
    case = Case(tmp_path)
    heard = Heard()
    small = study()
    case.tables["row"] = folder(**tables)
    crosstab(small, **case.sources, out=case.out, options=case.options(), progress=heard)
    *of_the_kernel, of_the_table, _, _ = heard.notes
    assert of_the_table == order_sentence(make_plan(small), "b" not in tables)
    assert of_the_kernel == notes_of_the_kernel()
    assert kernel == "chosen" or len(of_the_kernel) == (kernel == "without ifma")
    assert case.intake("row")["unsorted"] == ["b.parquet"][: len(tables) - 1]
    assert "unsorted" not in case.intake("column")
    published = b"".join(path.read_bytes() for path in case.out.glob("*.json*"))
    assert b"sorted by id" not in published and b"b.parquet" not in published


def test_with_padding_the_driver_is_not_told(tmp_path, folder):
    case = Case(tmp_path)
    heard = Heard()
    case.tables["row"] = folder(a=SORTED, b=UNSORTED)
    crosstab(
        study(privacy=PADDED), **case.sources, out=case.out, options=case.options(), progress=heard
    )
    *notes, row, column = heard.notes
    assert notes == notes_of_the_kernel() and case.intake("row")["unsorted"] == ["b.parquet"]
    # What follows is read from the parties' records, by whoever may read these.
    assert row.startswith("Rows of the row party") and column.startswith("Rows of the column party")
    assert "sorted" not in row + column


def test_no_sentence_of_a_run_has_a_figure_of_the_table():
    plan = make_plan(study())
    assert {order_sentence(plan, is_sorted) for is_sorted in (True, False)} == {
        "The row party's files are sorted by id.",
        "The row party has files that are not sorted by id; parties/row/intake.json names them. "
        "Reading those takes about 2 times as long.",
    }
