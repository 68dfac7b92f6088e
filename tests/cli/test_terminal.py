"""What a person at a terminal sees of a run, at the width of theirs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from xstat_ray.cli import terminal
from xstat_ray.cli.terminal import make_progress, print_summary
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.messages import Coefficients
from xstat_ray.planning.plan import make_plan
from xstat_ray.publication.publish import publish
from xstat_ray.publication.release import Release
from xstat_ray.util.readable import readable_bytes

LABELS = ["[bold]a[/bold]", "[/]", "[red]", "[blue]"]


def plan():
    row = {"id": "id", "dimensions": [{"name": "area", "values": LABELS}]}
    column = {"id": "id", "dimensions": [{"name": "kind", "values": ["x"]}]}
    study = {"name": "small", "row": row, "column": column, "bounds": {"persons": 1234}}
    return make_plan(
        parse({"study": study, "privacy": {"suppress_below": 7}}, origin="small.yaml"),
        key_bits=2048,
    )


@pytest.fixture(params=["auto", "quiet", "json"])
def display(request):
    return request.param


def play(display):
    progress = make_progress(display)
    progress.planned(plan())
    with progress.stage("aggregate", 2) as stage:
        stage.advance()
        progress.worked("rows", 70)
        progress.worked("flags", 0)
        stage.advance()
    progress.note("by [the] way")
    return progress


def test_nothing_goes_to_standard_output(display, capsys):
    play(display)
    assert capsys.readouterr().out == ""


def test_what_each_display_shows(capsys):
    play("quiet")
    assert capsys.readouterr().err == ""
    play("auto")
    shown = capsys.readouterr().err
    for part in (
        "Plan: small",
        "4 cells x 1 columns = 4 counts",
        "epsilon 1",
        "1,234 people",
        "below 7",
        "2/2",
        "memory ",
        "by [the] way",
    ):
        assert part in shown
    play("json")
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert events == [
        {"event": "plan", **plan().as_dict()},
        {"event": "start", "stage": "aggregate", "units": 2},
        {"event": "end", "stage": "aggregate"},
        {"event": "note", "message": "by [the] way"},
    ]


def test_every_display_warns_and_measures(display, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    progress = play(display)
    assert progress.seconds.keys() == {"aggregate"}
    capsys.readouterr()
    progress.warn("exact [counts]")
    shown = capsys.readouterr().err
    assert "exact [counts]" in shown
    if display == "json":
        assert json.loads(shown) == {"event": "warning", "message": "exact [counts]"}
    else:
        assert "\x1b[1;31m" in shown


def test_a_bar_shows_what_its_own_stage_works_through(capsys, monkeypatch):
    monkeypatch.setattr(terminal.Task, "elapsed", 2.0)
    monkeypatch.setenv("COLUMNS", "120")
    progress = make_progress("auto")
    with progress.stage("exchange", 1):
        progress.worked("persons", 3000)
        progress.worked("persons", 500)
    assert "1,750 persons/s" in capsys.readouterr().err
    with progress.stage("decrypt", 1):
        progress.worked("ciphertexts", 8)
    shown = capsys.readouterr().err
    assert "4 ciphertexts/s" in shown and "persons/s" not in shown


@pytest.mark.parametrize(
    ("stage", "total", "what", "count"),
    [
        ("exchange", 24, "persons", 60_000),
        ("aggregate", 1234, "rows", 30_000_000),
        ("decrypt", 64, "ciphertexts", 80_000),
        ("people", 6_400_000, "", 0),
    ],
)
def test_a_bar_is_one_line_of_80_columns(capsys, monkeypatch, stage, total, what, count):
    monkeypatch.setattr(terminal.Task, "elapsed", 2.0)
    monkeypatch.setenv("COLUMNS", "80")
    progress = make_progress("auto")
    with progress.stage(stage, total) as bar:
        progress.worked(what, count)
        bar.advance(total)
    (line,) = capsys.readouterr().err.rstrip("\n").split("\n")
    assert f"{total}/{total}" in line and "left 0:00:00 memory" in line
    assert f"{count // 2:,} {what}/s" in line or not count


def test_a_stage_that_fails_is_not_reported_as_ended(capsys):
    with pytest.raises(ZeroDivisionError), make_progress("json").stage("noise", 1):
        raise ZeroDivisionError
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["start"]


def test_the_summary_prints_labels_and_paths_as_they_are(capsys, tmp_path):
    tables = publish(
        plan(), Coefficients(release="00" * 16, first=0, values=np.array([[2000], [300], [0], [0]]))
    )
    out = tmp_path / ("[bold]" + "long" * 40)
    print_summary(
        Release(*tables, {"spent": {"epsilon": "1/3", "delta": "0"}}, plan().as_dict(), out)
    )
    shown = capsys.readouterr().out
    for part in (
        "kind: x",
        "2,300",
        "area: [bold]a[/bold]",
        "2,000",
        "1,997 to 2,003",
        "area: [/]",
    ):
        assert part in shown
    assert "[red]" not in shown
    assert "2 of 4 estimates published, 2 suppressed; spent epsilon 1/3, delta 0." in shown
    assert f"Statistics: {out}/statistics.parquet (and .csv)" in shown
    assert all(len(line.rstrip()) <= 80 or str(out) in line for line in shown.splitlines())


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1024, "1.02 kB"), (5 * 10**9, "5 GB")]
)
def test_bytes_are_short(count, text):
    assert readable_bytes(count) == text


def test_memory_is_that_of_the_machine(monkeypatch, tmp_path):
    assert 0 < terminal.memory_share() < 1
    monkeypatch.setattr(terminal, "Path", lambda name: tmp_path / "none")
    assert terminal.memory_share() is None
