"""The plan job: what it prints for people and for programs."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.jobs.command import run
from tests.pages import ROOT
from tests.sizes import first, thorough

STUDY = """# @package _global_
study:
  name: small
  row:
    id: id
    dimensions:
      - {name: area, range: [1, 256], hierarchy: {quadrants: 16, width: 16}}
  column:
    id: id
    dimensions: [{name: kind, values: [x, y]}]
  bounds: {persons: 100}
privacy: {mechanism: auto, cap: 1}
"""
DATA = """data:
  row: {path: nowhere/rows.parquet}
  column:
    path: ???
"""


@pytest.fixture
def plan(tmp_path):
    """Call with arguments: exit code, standard output, standard error.

    There are no tables, and no `data` in `small`.
    """
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "small.yaml").write_text(STUDY)
    (tmp_path / "conf" / "study" / "tables.yaml").write_text(STUDY + DATA)

    def call(*arguments):
        done = run("plan", tmp_path, "--config-dir", "conf", "study=small", *arguments, columns=80)
        assert [path.name for path in tmp_path.iterdir()] == ["conf"]
        return done

    return call


def test_tables_for_people(plan):
    code, output, error = plan("target_stderr=5", "target_level=total")
    assert (code, error) == (0, "")
    lines = output.splitlines()
    for part in (
        "256 cells x 2 columns",
        "Ciphertexts",
        "kB",
        "epsilon 1",
        "tree (chosen)",
        "on 2 cores",
    ):
        assert part in output
    (total,) = [line.split() for line in lines if line.startswith("total")]
    assert total[:3] == ["total", "1", "21.7"]
    assert (
        len(total) == 3 + 3
    )  # The flat mechanism adds no noise to totals: error, noise and share are the tree's.
    assert all(len(line) <= 80 for line in lines)
    answer = " ".join(output.partition("For a standard error of at most ")[2].split())
    assert (
        answer.startswith("5 on level total: privacy.epsilon=1.")
        and "more than the cap of 1." in answer
    )

    epsilon = answer.partition("privacy.epsilon=")[2].partition(",")[0]
    code, output, _ = plan(f"privacy.epsilon={epsilon}", "privacy.cap=2", "display=json")
    assert code == 0 and 4.9 < json.loads(output)["stderr"]["total"] <= 5


@thorough
def test_what_padding_adds(plan):
    code, output, error = plan("privacy.padding=dp")
    assert (code, error) == (0, "")
    words = " ".join(output.replace("│", "").split())
    assert "Pool's view epsilon 1, delta 1e-09, by dummies in 1 batches" in words
    assert "Padding by length of a batch" in words and "release (chosen)" in words
    assert all(len(line) <= 80 for line in output.splitlines())
    _, output, _ = plan()
    assert "PADDING OFF: exact row and match totals of blinded cells" in " ".join(
        output.replace("│", "").split()
    )


def test_json_for_programs_and_the_rest_of_a_crosstab_command_is_accepted(plan):
    others = [
        "out=out",
        "runtime=local",
        "unsafe.allow_no_noise=true",
        "data.row.path=no.csv",
        "cluster.cpus=1",
    ]
    code, output, error = plan("display=json", "target_stderr=4", *others, "study=tables")
    assert (code, error) == (0, "")
    content = json.loads(output)
    assert (content["study"], content["mechanism"], content["epsilon"]) == ("small", "tree", "1")
    assert set(content["compared"]) == {"flat", "tree"}
    assert content["target"]["level"] == "cell" and content["target"]["reached"] <= 4


@thorough
def test_the_row_table_is_looked_at_only_on_demand(plan, tmp_path_factory):
    path = tmp_path_factory.mktemp("row") / "rows.parquet"
    pq.write_table(pa.table({"id": ["b", "a", "c"], "area": ["1", "2", "3"]}), path)
    assert "Row table" not in plan(f"data.row.path={path}")[1]
    code, output, error = plan(f"data.row.path={path}", "look=true")
    assert (code, error) == (0, "")
    words = " ".join(output.replace("│", "").split())
    assert (
        "Row table 1 file, 1 of them not sorted by id (rows.parquet); about 0 s on 2 cores for 3 rows"
        in words
    )
    _, output, _ = plan(f"data.row.path={path}", "look=true", "display=json")
    assert json.loads(output)["row_table"]["order"] == "unsorted"


def test_quiet_checks_only(plan):
    assert plan("display=quiet") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    first(
        1,
        [
            (["target_stderr=0"], "target_stderr is not more than zero (on the command line, key"),
            (["target_stderr=1", "target_level=town"], "Use one of cell, 4x4, total"),
            (["crypto.slot_bits=4"], "key crypto.slot_bits"),
            (["target_stdrr=1"], "target_stdrr"),
            (["look=true"], "path is missing"),
            (["look=true", "study=tables"], "nowhere/rows.parquet"),
        ],
    ),
)
def test_bad_input(plan, arguments, message):
    code, output, error = plan(*arguments)
    assert (code, output) == (2, "")
    assert message in error and "Traceback" not in error


@thorough
def test_a_sweep_tells_what_would_be_published_of_a_past_release(plan):
    """The release is that of the notebook, as it left a run."""
    folder = ROOT / "docs" / "examples" / "hokkaido" / "catchment"
    sweep = f"sweep={{privacy.epsilon:[0.25,1],data:{folder}}}"
    code, output, error = plan("study=catchment", sweep, "display=json")
    assert (code, error) == (0, "")
    little, much = (point["published"] for point in json.loads(output)["points"])
    assert 0 < little["cells"] < much["cells"]
    assert little["share_of_counts"] < much["share_of_counts"] < 1
    code, output, error = plan("study=preboarding", sweep)
    assert (code, output) == (2, "")
    assert "other values of zone than the study" in error and str(folder) in error
