"""The event log of a run, which tells nothing of its tables."""

from __future__ import annotations

import json
import re

import pytest

from tests.case import Case, study
from xstat_ray import InputError
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.events import NAME, Recorded
from xstat_ray.runtime.progress import Progress

ALLOWED = {"time", "event", "stage", "task", "times", "seconds", "error"}
STAGES = ["start", "intake", "exchange", "noise", "aggregate", "sums", "masks", "decrypt"]


def events(folder):
    return [json.loads(line) for line in (folder / NAME).read_text().splitlines()]


def test_a_run_writes_its_stages_and_nothing_about_its_tables(tmp_path):
    cases = []
    for name, rows in (("few", 4), ("many", 900)):
        (tmp_path / name).mkdir()
        case = Case(tmp_path / name)
        case.write("row", {"id": [str(i) for i in range(rows)], "area": ["a"] * rows})
        case.run(study(noise="laplace"))
        cases.append(events(case.out))
    for seen in cases:
        assert [e["stage"] for e in seen if e["event"] == "start"] == STAGES
        assert [e["stage"] for e in seen if e["event"] == "end"] == STAGES
        assert {key for event in seen for key in event} <= ALLOWED
    # But for times, runs on different tables leave the same log.
    few, many = (
        [{k: v for k, v in e.items() if k not in ("time", "seconds")} for e in seen]
        for seen in cases
    )
    assert few == many


def test_a_failure_is_told_by_its_type_and_a_resumed_run_adds_to_the_log(tmp_path, monkeypatch):
    case = Case(tmp_path)
    with monkeypatch.context() as patch:

        def fail(self, public, partial):
            with self._progress.stage("noise", 1):
                raise InputError("the canary 5f0c", file="secret-name.parquet")

        patch.setattr(Driver, "rerandomise", fail)
        with pytest.raises(InputError):
            case.run(study(noise="laplace"))
    assert events(case.out)[-1] | {"time": ""} == {
        "time": "",
        "event": "failed",
        "stage": "noise",
        "error": "InputError",
    }
    case.run(study(noise="laplace"))
    text = (case.out / NAME).read_text()
    assert "canary" not in text and "secret-name" not in text
    assert len(re.findall('"event": "start", "stage": "decrypt"', text)) == 1
    assert len(re.findall('"event": "start", "stage": "intake"', text)) == 2


def test_retries_are_written_and_shown_and_a_full_disk_does_not_end_the_run(tmp_path):
    shown = []

    class Shown(Progress):
        def retried(self, task, times):
            shown.append((task, times))

    Recorded(Shown(), tmp_path).retried("join", 2)
    assert shown == [("join", 2)] and events(tmp_path)[0]["event"] == "retry"
    Recorded(Shown(), tmp_path / "missing").retried("join", 1)
    assert len(shown) == 2


def test_an_unexpected_error_is_not_named(tmp_path):
    with pytest.raises(ZeroDivisionError), Recorded(Progress(), tmp_path).stage("intake", 1):
        1 / 0
    assert events(tmp_path)[-1]["error"] == "Exception"
