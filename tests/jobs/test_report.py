"""The command as a person runs it."""

from __future__ import annotations

from functools import partial

import pytest

from jobs.report import gather
from tests.hokkaido.needs.country import catchment_cells, make_country, movement_cells, release_of
from tests.jobs.command import assert_refused, run
from tests.sizes import first, thorough

report = partial(run, "report")


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    made = make_country(7, 20_000)
    release_of("doto_movement", movement_cells(made), folder / "mo'vement")
    release_of("catchment", catchment_cells(made), folder / "catch, ment")
    release_of("catchment", catchment_cells(made), folder / "off", "off")
    return folder


def test_several_runs_make_one_report_whose_path_is_printed(releases):
    code, output, error = report(
        releases, "run=mo'vement", "out=report", "run=catch, ment", "figures=false"
    )
    assert (code, error) == (0, "")
    assert "Report: report/report.html" in output.splitlines()[-1]
    assert {path.name for path in (releases / "report").iterdir()} == {
        "report.html", "doto_movement.geo.parquet", "doto_movement.geojson", "catchment.geo.parquet", "catchment.geojson"
    }  # fmt: skip


@thorough
def test_quiet_prints_nothing_but_the_warning(releases):
    only = ("display=quiet", "figures=false", "geofiles=false")
    assert report(releases, "run=catch, ment", "out=quiet", *only)[1:] == ("", "")
    code, output, error = report(releases, "run=off", "out=exact", *only)
    assert (code, output) == (0, "") and "NOT differentially private" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    first(
        1,
        [
            ([], "a value is missing (key run)"),
            (["run=nowhere"], "nowhere, key run). Name the output folder of xstat-ray crosstab"),
            (["run=off", "run=off"], "off is given twice (on the command line, key run)"),
            (["run=off", "run=catch, ment"], "holds the same study, catchment"),
            (["run=off", "language=fr"], "language 'fr' is not supported"),
            (["run=[]"], "no folder is given"),
            (["runs=off", "run=off"], "runs"),
        ],
    ),
)
def test_bad_input(releases, arguments, message):
    assert_refused(report(releases, "out=bad", *arguments), message)
    assert not (releases / "bad").exists()


def test_runs_are_gathered_into_one_list():
    assert gather(["run=[a,b]", "out=c"]) == ["run=[a,b]", "out=c"]
    assert gather(["out=b"]) == ["out=b"]
    assert gather(["run=a, b", "out=b", "run=c'd"]) == ["out=b", "run=['a, b','c\\'d']"]
