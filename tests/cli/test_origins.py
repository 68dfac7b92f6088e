"""An error names the file, or the command line, that the value came from; its remedy works."""

from __future__ import annotations

import re
import shlex
import sys

import pytest
from hydra.core.global_hydra import GlobalHydra

from tests.sizes import first, thorough
from xstat_ray.cli.config import crosstab_config
from xstat_ray.cli.hydra_job import run
from xstat_ray.errors import InputError, StudyError

STUDY = """# @package _global_
study:
  name: small
  row: {id: a, dimensions: [{name: area, values: [x, y]}]}
  column: {id: b, dimensions: [{name: kind, values: [z]}]}
  bounds: {persons: 100}
privacy: {epsilon: 1, cap: 5}
data:
  row: {path: rows.parquet}
  column: {path: columns.parquet}
"""


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Call to read the configuration of a run; returns the exit code and what was written."""
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "small.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)

    def call(*arguments, job=crosstab_config):
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["crosstab", "--config-dir", ".", *arguments])
        with pytest.raises(SystemExit) as stop:
            run("crosstab", job)
        return stop.value.code, capsys.readouterr().err

    yield call
    GlobalHydra.instance().clear()


@pytest.mark.parametrize(
    ("setting", "place"),
    first(
        3,
        [
            ("study.bounds.persons=x", "on the command line, key study.bounds.persons"),
            ("privacy.epsilon=0", "on the command line, key privacy.epsilon"),
            ("crypto.key_bits=-1", "on the command line, key crypto.key_bits"),
            ("+scale.shards=7", "on the command line, key scale"),
            ("+data.row.pat=7", "on the command line, key data.row.pat"),
            (
                "study.row.dimensions=[{name: a, values: [1.5]}]",
                "on the command line, key study.row",
            ),
            ("data.row.exclude=[1]", "on the command line, key data.row.exclude"),
            ("privacy.epsilon=7", "small.yaml, key privacy.cap"),
        ],
    ),
)
def test_a_value_of_the_command_line_is_said_to_be_of_it(command, setting, place):
    code, error = command("study=small", "out=x", setting)
    assert code == 2
    assert place in error


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("  bounds: {persons: 100}", "study.bounds.persons"),
        ("privacy: {epsilon: 1, cap: 5}", "privacy.cap"),
        ("  row: {path: rows.parquet}", "data.row.path"),
    ],
)
def test_a_value_of_the_study_file_is_said_to_be_of_it(command, tmp_path, line, key):
    file = tmp_path / "study" / "small.yaml"
    name = key.rpartition(".")[2]
    file.write_text(STUDY.replace(line, re.sub(rf"{name}: [^,}}]+", f"{name}: [{{}}]", line)))
    code, error = command("study=small", "out=x")
    assert code == 2
    assert f"file {file}, key {key}" in error


def test_a_value_of_another_file_is_said_to_be_of_that(command, tmp_path):
    (tmp_path / "privacy").mkdir()
    (tmp_path / "privacy" / "mine.yaml").write_text("releases: 0\n")
    code, error = command("study=small", "out=x", "privacy=mine")
    assert code == 2
    assert f"file {tmp_path / 'privacy' / 'mine.yaml'}, key privacy.releases" in error


def test_an_error_about_a_table_keeps_its_file(command):
    def job(raw, origin):
        raise InputError("torn", file="rows.csv", key="data.row.path", row=3)

    assert (
        "torn (file rows.csv, key data.row.path, row 3)"
        in command("study=small", "out=x", "data.row.path=rows.csv", job=job)[1]
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[x, y]", "[010, y]", r"010 .* as the number 8 \(file .*small.yaml, line 4, key study"),
        ("persons: 100", "persons: 0100", r"line 6, key study.bounds.persons\)\. Write 100"),
        ("cap: 5", "cap: 1:30", r"line 7, key privacy.cap"),
        ("  bounds", "  1: 1\n  1: 2\n  bounds", r"occurs twice .*line 7, key study.1"),
    ],
)
def test_what_yaml_changed_in_the_study_file_is_refused(command, tmp_path, old, new, message):
    (tmp_path / "study" / "small.yaml").write_text(STUDY.replace(old, new))
    code, error = command("study=small", "out=x", job=lambda *_: pytest.fail("the job ran"))
    assert code == 2
    assert re.search(message, error)


def test_what_yaml_changed_in_the_file_of_privacy_is_refused(command, tmp_path):
    (tmp_path / "privacy").mkdir()
    (tmp_path / "privacy" / "mine.yaml").write_text("releases: 010\n")
    code, error = command("study=small", "out=x", "privacy=mine")
    assert code == 2
    assert "mine.yaml, line 1, key privacy.releases). Write 10" in error


@pytest.mark.parametrize(
    ("setting", "get", "expected"),
    [
        (
            "privacy.epsilon=0.12345678901234567890",
            ("privacy", "epsilon"),
            "0.12345678901234567890",
        ),
        (
            "study.row.dimensions=[{name:area,values:[1_000,5]}]",
            ("study", "row", "dimensions"),
            [{"name": "area", "values": ["1_000", 5]}],
        ),
        (
            "study.row.dimensions=[{name:area,values:[+5]}]",
            ("study", "row", "dimensions"),
            [{"name": "area", "values": ["+5"]}],
        ),
    ],
)
def test_digits_that_the_command_line_loses_are_refused_and_the_remedy_keeps_them(
    command, setting, get, expected
):
    code, error = command("study=small", "out=x", setting)
    assert code == 2
    assert "on the command line" in error
    remedy = error.partition("quotes, twice: ")[2].strip()
    got = []
    assert command(
        "study=small", "out=x", *shlex.split(remedy), job=lambda raw, _: got.append(raw)
    ) == (0, "")
    [value] = got
    for name in get:
        value = value[name]
    assert value == expected


def test_a_text_that_looks_like_something_else_is_quoted_by_the_remedy(command):
    code, error = command("study=small", "out=x", "study.row.id=2024")
    assert code == 2
    assert "on the command line, key study.row.id" in error
    remedy = error.partition("quotes, twice: ")[2].strip()
    assert command("study=small", "out=x", *shlex.split(remedy)) == (0, "")


def test_words_that_the_shell_has_split_are_put_together_by_the_remedy(command):
    code, error = command("study=small", "out=x", "data.row.path=my", "rows.csv")
    assert code == 2
    remedy = error.partition("write ")[2].partition(". See")[0]
    got = []
    command("study=small", "out=x", *shlex.split(remedy), job=lambda raw, _: got.append(raw))
    assert got[0]["data"]["row"]["path"] == "my rows.csv"


@pytest.mark.parametrize(
    "path",
    first(
        1, ["days/date=2024-05-01/part.csv", "データ/位置.csv", "my data/rows (1).csv", "2024_05"]
    ),
)
def test_paths_arrive_as_they_were_typed(command, path):
    got = []
    setting = f"data.row.path={path}"
    assert command("study=small", "out=x", setting, job=lambda raw, _: got.append(raw)) == (0, "")
    assert got[0]["data"]["row"]["path"] == path


@pytest.mark.parametrize("order", first(1, ["bad,good", "good,bad,good", "good,bad"]))
def test_of_several_runs_the_first_that_fails_gives_the_exit_code(command, order):
    ran = []

    def job(raw, origin):
        ran.append(raw["data"]["row"]["path"])
        if ran[-1] == "bad":
            raise StudyError("it is bad")

    code, error = command("study=small", "out=x", f"data.row.path={order}", "-m", job=job)
    assert code == 2
    assert ran == order.split(",")
    lines = [line for line in error.splitlines() if line.startswith(("Run", "Error"))]
    number = 1 + ran.index("bad")
    assert lines[number].startswith("Error: it is bad")
    assert lines[number - 1].startswith(f"Run {number}: ")
    assert "data.row.path=bad" in lines[number - 1]


@thorough
def test_several_runs_without_a_failure_end_with_0(command):
    assert command("study=small", "out=x", "shards=1,2", "-m", job=lambda *_: None)[0] == 0


@thorough
def test_an_interrupt_ends_all_of_several_runs(command):
    ran = []

    def job(raw, origin):
        ran.append(raw["shards"])
        raise KeyboardInterrupt

    assert command("study=small", "out=x", "shards=1,2", "-m", job=job)[0] == 130
    assert ran == [1]
