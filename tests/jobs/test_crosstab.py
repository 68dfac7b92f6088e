"""The command as a person runs it: a process with arguments, its exit code, its output, and the files it leaves.

What the library refuses and how it resumes is tested in tests/test_crosstab.py, without the second
that a process takes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sizes import first, slow, thorough
from xstat_ray import load_study, make_plan
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.publication.workspace import Workspace

ROOT = Path(__file__).parents[2]
STUDY = """# @package _global_
study:
  name: small
  row:
    id: id
    dimensions: [{name: area, range: [1, AREAS]}]
  column:
    id: id
    dimensions: [{name: kind, values: [x, y]}]
  bounds: {persons: 100}
privacy: {cap: 1}
data:
  row: {path: rows.parquet}
  column: {path: columns.parquet}
"""


JOB = ("-m", "xstat_ray.cli", "crosstab")
INTERRUPTED = ("-c", """
import os, runpy, signal
from xstat_ray.cli import terminal

tell = terminal._event
# A shell that starts this suite in the background has its processes ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt(kind, **fields):
    tell(kind, **fields)
    if (kind, fields.get("stage")) == ("start", "decrypt"):
        os.kill(os.getpid(), signal.SIGINT)

terminal._event = interrupt
runpy.run_module("jobs.crosstab", run_name="__main__")
""")  # fmt: skip
"""The job, with Ctrl-C pressed at the moment at which decryption starts."""


class Command:
    """A folder with two tables and two studies, in which the command is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.studies = folder / "conf" / "study"
        self.studies.mkdir(parents=True)
        (self.studies / "small.yaml").write_text(STUDY.replace("AREAS", "2"))
        (self.studies / "large.yaml").write_text(STUDY.replace("AREAS", "2000"))
        (self.studies / "typo.yaml").write_text(
            STUDY.replace("AREAS", "2") + "privcy: {epsilon: 2}\n"
        )
        pq.write_table(
            pa.table({"id": ["1", "2", "3"], "area": [1, 2, 1]}), folder / "rows.parquet"
        )
        pq.write_table(
            pa.table({"id": ["1", "2", "9"], "kind": ["x", "y", "x"]}), folder / "columns.parquet"
        )

    def start(
        self, *arguments: str, program: Sequence[str] = JOB, **environment: str
    ) -> subprocess.Popen:
        fixed = ["runtime=local", "crypto.key_bits=2048", "out=out", *arguments]
        if not any(argument.startswith("study=") for argument in arguments):
            fixed.append("study=small")
        return subprocess.Popen(
            [sys.executable, *program, "--config-dir", "conf", *fixed],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        process = self.start(*arguments, **environment)
        output, error = process.communicate(timeout=120)
        return process.returncode, output, error

    def debits(self) -> Fraction:
        """Every release costs an epsilon of one."""
        return Ledger(self.folder / ".xstat-ray" / "ledger.sqlite").spent("small/row")

    def statistics(self, out: str = "out") -> list[Path]:
        return list((self.folder / out).glob("statistics*"))


@pytest.fixture
def command(tmp_path):
    return Command(tmp_path)


@thorough
def test_done_then_refused_for_the_folder_then_for_the_budget(command):
    code, output, error = command.run()
    assert code == 0
    assert "Plan: small" in error
    assert re.search(
        r"4 of 4 estimates published, 0 suppressed; spent epsilon 1, delta [\d.]+e-\d\d\.\n", output
    )
    assert "Statistics: out/statistics.parquet" in output
    before = {path.name: path.read_bytes() for path in command.statistics()}
    assert before.keys() == {"statistics.csv", "statistics.parquet"}

    code, output, error = command.run()
    assert (code, output) == (2, "")
    assert (
        "already holds a release, which is never overwritten (file out). Choose another out="
        in error
    )
    assert {path.name: path.read_bytes() for path in command.statistics()} == before

    code, output, error = command.run("out=second")
    assert (code, output) == (3, "")
    assert "data set small/row: epsilon 1 of 1 is spent" in error
    assert command.statistics("second") == []
    assert command.debits() == 1


@thorough
def test_quiet_prints_nothing_but_the_warning_that_padding_is_off(command):
    assert command.run("display=quiet", "privacy.padding=dp") == (0, "", "")
    second = command.folder / "second.sqlite"
    Ledger(second)
    ledgers = [f"data.{role}.ledger={second}" for role in ("row", "column")]
    code, output, error = command.run("display=quiet", "out=second", *ledgers)
    assert (code, output) == (0, "") and "WARNING" in error and "PADDING IS OFF" in error


def test_json_lines_begin_with_the_plan(command):
    code, output, error = command.run("display=json")
    assert (code, output) == (0, "")
    events = [json.loads(line) for line in error.splitlines()]
    assert (
        events[0].items()
        >= {"event": "plan", "study": "small", "cells": 2, "slots": 2, "key_bits": 2048}.items()
    )
    stages = ["start", "intake", "exchange", "noise", "aggregate", "sums", "masks", "decrypt"]
    assert [event["stage"] for event in events if event["event"] == "end"] == stages


def test_without_noise_only_on_demand_and_with_a_red_warning(command):
    code, _, error = command.run("privacy.noise=off")
    assert code == 2
    assert "key privacy.noise" in error
    assert "unsafe.allow_no_noise=true" in error
    assert not (command.folder / "out").exists()

    code, _, error = command.run(
        "privacy.noise=off", "unsafe.allow_no_noise=true", "display=quiet", FORCE_COLOR="1"
    )
    assert code == 0
    assert "\x1b[1;31m" in error
    assert "NOT differentially" in error
    assert [
        pq.read_table(path)["noisy"].to_pylist()
        for path in command.statistics()
        if path.suffix == ".parquet"
    ] == [[1, 0, 0, 1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    first(
        1,
        [
            (["study=typo"], "typo.yaml, key privcy). Did you mean 'privacy'?"),
            (["data.row.path=nowhere.parquet"], "nowhere.parquet). Set data.row.path"),
            (
                ["out=rows.parquet/out"],
                "cannot write the output: a file is in the place of the folder, or of one above it "
                "(file rows.parquet/out)",
            ),
        ],
    ),
)
def test_bad_input(command, arguments, message):
    code, output, error = command.run(*arguments, "display=quiet")
    assert (code, output) == (2, "")
    assert message in error
    assert "Traceback" not in error
    assert command.statistics() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_an_output_folder_that_is_read_only(command):
    (command.folder / "out").mkdir(mode=0o500)
    code, _, error = command.run("display=quiet")
    assert code == 2
    assert "cannot write the output: Permission denied (file out)" in error


def test_a_second_run_on_the_same_folder(command):
    plan = make_plan(load_study(command.studies / "small.yaml"), key_bits=2048)
    with Workspace(command.folder / "out", plan):
        code, _, error = command.run("display=quiet")
    assert code == 2
    assert "another run is using the output folder (file out)" in error
    assert command.statistics() == []


@slow
def test_an_interrupted_release_is_resumed_without_new_budget(command):
    process = command.start("study=large", "display=json", program=INTERRUPTED)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "The same command resumes an unfinished release" in error
    assert command.statistics() == []
    assert (command.folder / "out" / "unfinished" / "masked.msg").exists()

    code, _, error = command.run("study=large", "display=json")
    assert code == 0
    assert "An unfinished release was found" in error
    assert '"stage": "noise"' not in error
    assert command.debits() == 1
    assert not (command.folder / "out" / "unfinished").exists()
