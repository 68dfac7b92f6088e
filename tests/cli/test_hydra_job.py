"""Composition of a job's configuration and the exit codes, in this process: a mock job, or none is reached."""

from __future__ import annotations

import errno
import sys

import pytest
from hydra.core.global_hydra import GlobalHydra

from xstat_ray.cli.hydra_job import run
from xstat_ray.errors import BudgetError, InputError, PartyError, ProtocolError

STUDY = """# @package _global_
study: {name: small}
data:
  row: {path: rows.parquet}
  column: {path: columns.parquet}
"""


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Call to run a job with arguments.

    Returns its exit code and what it wrote to standard error.
    """
    (tmp_path / "study").mkdir()
    (tmp_path / "window").mkdir()
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
        return stop.value.code, capsys.readouterr().err

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
    row = {"path": "rows.parquet", "exclude": None, "damaged": "stop", "ledger": None}
    row |= dict.fromkeys(("format", "version", "table", "query"))
    row |= {"unreadable": "stop", "warn_above": 0.05}
    row |= {"encoding": None, "delimiter": None, "int96": "refuse", "multiline": "stop"}
    assert (raw["out"], raw["shards"], raw["data"]["row"]) == ("here", 7, row)
    assert "hydra" not in raw


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["study=none", "out=x"],
            "Error: there is no study 'none'. The names are broken, catchment,",
        ),
        (["study=nycflight", "out=x"], "'nycflight'. Did you mean 'nycflights'? The names are"),
        (["study=small", "cluster=x", "out=x"], "there is no cluster 'x'. The names are"),
        (["out=x"], "You must specify 'study'"),
        (["study=small"], "a value is missing (key out). Set it on the command line: out=..."),
        (
            ["study=small", "out=x", "crypto.keybits=2048"],
            "unknown key (on the command line, key crypto.keybits). Did you mean 'key_bits'?",
        ),
        (
            ["study=small", "out=x", "crypto.q=1"],
            "key crypto.q). Known keys are constant_time, key_bits, slot_bits",
        ),
        (["study=small", "out=x", "qqqqqq=1"], "Known keys are batch, cluster, crypto,"),
        (["study=small", "out=x", "scale.shards=7"], "key scale.shards). Write shards=... alone"),
        (["study=small", "here"], "'here' is not KEY=VALUE. See xstat-ray crosstab --help"),
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
            ["study=small", "out=x", "window=x"],
            "A folder of that name in --config-dir hides the key",
        ),
        (["--no-such-option"], "there is no option --no-such-option. See xstat-ray crosstab"),
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
        (
            OSError(errno.ENOSPC, "No space left", "/x"),
            2,
            "system refuses: No space left (file /x)",
        ),
        (MemoryError(), 1, "this machine's memory is full"),
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


def test_the_composed_settings_are_printed_without_running(command, capsys, monkeypatch, tmp_path):
    arguments = ["crosstab", "study=small", "out=x", "--cfg", "job", "--config-dir", str(tmp_path)]
    GlobalHydra.instance().clear()
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as stop:
        run("crosstab", lambda *_: pytest.fail("the job ran"))
    assert not stop.value.code
    assert "key_bits: 3072" in capsys.readouterr().out


def printed(monkeypatch, capsys, *arguments):
    """What the job prints that is told nothing but options of ours."""
    monkeypatch.setattr(sys, "argv", ["crosstab", *arguments])
    with pytest.raises(SystemExit) as stop:
        run("crosstab", lambda *_: pytest.fail("the job ran"))
    assert not stop.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_needs_no_study_and_names_the_choices(monkeypatch, capsys, flag):
    text = printed(monkeypatch, capsys, flag)
    for part in ("study=catchment|", "nycflights", "privacy=gaussian|standard", "--keys"):
        assert part in text


def test_all_keys_are_printed_with_their_explanations(monkeypatch, capsys):
    text = printed(monkeypatch, capsys, "--keys")
    for part in (
        "key_bits: 3072",
        "allow_no_noise: false",
        "# Bits of a slot",
        "suppress_below: 0",
    ):
        assert part in text


def test_jobs_write_no_log_and_no_folder_of_hydra(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert command("study=small", "out=x") == (0, "")
    assert sorted(tmp_path.rglob("*")) == before
