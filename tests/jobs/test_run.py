"""Composition of a job's configuration and the exit codes, in this process: a mock job, or none is reached."""

from __future__ import annotations

import sys

import pytest
from hydra.core.global_hydra import GlobalHydra

from jobs._run import run
from xstat_ray.errors import BudgetError, InputError, PartyError, ProtocolError

STUDY = """# @package _global_
study: {name: small}
data:
  row: {path: rows.parquet}
  column: {path: columns.parquet}
"""


@pytest.fixture
def command(tmp_path, monkeypatch, capfd):
    """Call to run a job with arguments.

    Returns its exit code and what it wrote to standard error.
    """
    (tmp_path / "study").mkdir()
    (tmp_path / "ledger").mkdir()
    (tmp_path / "study" / "small.yaml").write_text(STUDY)
    (tmp_path / "study" / "broken.yaml").write_text("# @package _global_\nstudy: [\n")
    (tmp_path / "study" / "endless.yaml").write_text(
        "# @package _global_\nstudy: &a {name: [*a]}\n"
    )
    (tmp_path / "study" / "packless.yaml").write_text(STUDY.partition("\n")[2])
    (tmp_path / "study" / "tableless.yaml").write_text(STUDY.partition("data:")[0])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")

    def call(*arguments, job=lambda raw, origin: None):
        GlobalHydra.instance().clear()
        monkeypatch.setattr(sys, "argv", ["crosstab", "--config-dir", str(tmp_path), *arguments])
        with pytest.raises(SystemExit) as stop:
            run("crosstab", job)
        return stop.value.code, capfd.readouterr().err

    yield call
    GlobalHydra.instance().clear()


def test_the_job_gets_plain_values_and_the_file_of_the_study(command, tmp_path):
    got = []
    assert command("study=small", "out=here", "shards=7", job=lambda *call: got.append(call)) == (
        0,
        "",
    )
    [(raw, origin)] = got
    assert origin == str(tmp_path / "study" / "small.yaml")
    assert type(raw["data"]) is dict
    row = {"path": "rows.parquet", "exclude": None, "damaged": "stop"}
    assert (raw["out"], raw["shards"], raw["data"]["row"]) == ("here", 7, row)
    assert "hydra" not in raw


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study=none", "out=x"], "Could not find 'study/none'"),
        (["out=x"], "You must specify 'study'"),
        (["study=small"], "a value is missing (key out). Set it on the command line: out=..."),
        (["study=small", "out=x", "crypto.keybits=2048"], "Could not override 'crypto.keybits'"),
        (["study=small", "out=["], "no viable alternative"),
        (["study=broken", "out=x"], 'broken.yaml", line 3'),
        (["study=endless", "out=x"], "nested without end"),
        (["study=packless", "out=x"], "lacks its package line"),
        (
            ["study=tableless", "out=x"],
            "a value is missing (key data.row.path). Set it on the command line",
        ),
        (["study=small", "out=${nothing}"], "key out"),
        (
            ["study=small", "out=x", "ledger=x"],
            "A folder of that name in --config-dir hides the key",
        ),
        (["--no-such-option"], "no-such-option"),
    ],
)
def test_a_configuration_that_does_not_compose_is_bad_input(command, arguments, message):
    code, error = command(*arguments, job=lambda *_: pytest.fail("the job ran"))
    assert code == 2
    assert message in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            InputError("bad [table]", file="rows.csv", row=3),
            2,
            "Error: bad [table] (file rows.csv, row 3)",
        ),
        (BudgetError("spent"), 3, "Error: spent"),
        (ProtocolError("altered"), 1, "Error: altered"),
        (PartyError("gone"), 1, "Error: gone"),
        (KeyboardInterrupt(), 130, "The same command resumes an unfinished release"),
        (ZeroDivisionError("unforeseen"), 1, "ZeroDivisionError: unforeseen"),
    ],
)
def test_how_a_job_ends_is_its_exit_code(command, error, code, message):
    def job(raw, origin):
        raise error

    got, written = command("study=small", "out=x", job=job)
    assert got == code
    assert message in written
    assert ("Traceback" in written) == isinstance(error, ZeroDivisionError)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_needs_no_study_and_explains_every_key(command, monkeypatch, capfd, flag):
    monkeypatch.setattr(sys, "argv", ["crosstab", flag])
    with pytest.raises(SystemExit) as stop:
        run("crosstab", lambda *_: pytest.fail("the job ran"))
    text = capfd.readouterr().out
    assert not stop.value.code
    for part in (
        "study=catchment|",
        "nycflights",
        "privacy=gaussian|standard",
        "key_bits: 3072",
        "allow_no_noise: false",
    ):
        assert part in text
