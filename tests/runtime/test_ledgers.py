"""A run says which ledgers it debits, and warns once of data sets that have a second one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.case import Case, study
from tests.heard import Heard
from xstat_ray import crosstab
from xstat_ray.inputs.source import Source
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.runtime.ledgers import DebitedPlan, ledger_rows, ledgers_of, warn_of_second

NOISY = study(noise="laplace")


@pytest.fixture
def case(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Case(tmp_path)


class Shown(Heard):
    """Keeps the plan that is shown."""

    def planned(self, plan):
        self.plan = plan


def release(case, study, sources, **out):
    shown = Shown()
    made = crosstab(study, **sources, **out, options=case.options(), progress=shown)
    return shown, made


def test_the_plan_that_is_shown_names_the_ledger_and_that_it_is_new(case):
    path = case.folder / ".xstat-ray" / "ledger.sqlite"
    before, made = release(case, NOISY, case.tables)
    assert before.plan.as_dict()["ledgers"] == [
        {"dataset": f"small/{role}", "path": str(path)} for role in ("row", "column")
    ]
    assert "ledgers" not in made.plan
    after, _ = release(case, replace(NOISY, name="again"), case.tables)
    assert after.plan.rows()[-1] == ("Budget ledger", f"{path}, of small/row and small/column")


def test_a_ledger_that_the_run_makes_is_new(tmp_path):
    rows = ledger_rows([("a", tmp_path / "one"), ("b", tmp_path / "two"), ("c", tmp_path / "one")])
    assert rows == [
        ("Budget ledger", f"{tmp_path / 'one'} (new), of a and c"),
        ("Budget ledger", f"{tmp_path / 'two'} (new), of b"),
    ]


def test_each_party_may_have_a_ledger(case):
    ledgers = {role: case.folder / f"{role}.sqlite" for role in ("row", "column")}
    sources = {role: Source(case.tables[role], ledger=path) for role, path in ledgers.items()}
    padded = study(privacy={"padding": "dp"})
    release(case, padded, sources)
    assert [[one.dataset for one in Ledger(path).show()] for path in ledgers.values()] == [
        ["small/row@pool"],
        ["small/column@pool"],
    ]
    assert not (case.folder / ".xstat-ray").exists()


def test_without_noise_and_padding_no_ledger_is_named(case):
    assert ledgers_of(study(), case.sources) == ()
    assert DebitedPlan(case.options().plan(study()), ()).rows()[-1][0] == "Time"


def test_a_second_ledger_is_warned_of_once_with_both_paths(case):
    sources = case.sources
    release(case, NOISY, sources)
    second, _ = release(case, NOISY, case.tables, out=case.folder / "again")
    new = case.folder / ".xstat-ray" / "ledger.sqlite"
    (warning,) = [text for text in second.warnings if "two ledgers" in text]
    assert f"small/row is counted in {new} by this run, and also in {case.ledger}" in warning
    assert f"small/column is counted in {new} by this run, and also in {case.ledger}" in warning
    # The same file again is no second one.
    case.ledger.unlink()
    third, _ = release(case, NOISY, case.tables)
    assert not [text for text in third.warnings if "two ledgers" in text]


def test_a_registry_that_cannot_be_used_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("XSTAT_STATE", "/dev/null")
    heard = Heard()
    warn_of_second([("a", Path(tmp_path / "ledger"))], heard)
    assert heard.warnings == []
    assert "Whether a data set has a second ledger is not known" in heard.notes[0]
