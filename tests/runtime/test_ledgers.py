"""A run says which ledgers it debits, and warns once of data sets that have a second one."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import pytest

from tests.case import Case, study
from tests.heard import Heard
from xstat_ray import crosstab
from xstat_ray.errors import BudgetError, InputError
from xstat_ray.inputs.source import Source
from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.ledgers import DebitedPlan, ledger_rows, ledgers_of, look, warn_of_second

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


@pytest.mark.parametrize("role", ["row", "column"])
def test_a_full_ledger_ends_a_run_before_anything_is_encrypted(case, role, monkeypatch):
    ledgers = {name: case.folder / f"{name}.sqlite" for name in ("row", "column")}
    sources = {name: Source(case.tables[name], ledger=path) for name, path in ledgers.items()}
    Ledger(ledgers[role]).set_cap(f"small/{role}", Fraction(1, 2), Fraction(1, 10**9))
    before = Ledger(ledgers[role]).history()
    called = []
    monkeypatch.setattr(Driver, "de_identify", lambda *_: called.append(1))
    with pytest.raises(BudgetError, match=f"small/{role}.*epsilon 0 of 0.5 is spent"):
        release(case, NOISY, sources, out=case.folder / "out")
    assert not called
    assert Ledger(ledgers[role]).history() == before
    other = Ledger(ledgers["column" if role == "row" else "row"])
    assert not other.history()


def test_a_full_account_of_the_pool_ends_a_run_before_anything_is_encrypted(case, monkeypatch):
    path = case.folder / "ledger.sqlite"
    Ledger(path).set_cap("small/row@pool", Fraction(1, 2))
    monkeypatch.setattr(Driver, "de_identify", lambda *_: pytest.fail("encrypted"))
    sources = {name: Source(case.tables[name], ledger=path) for name in case.tables}
    with pytest.raises(BudgetError, match="small/row@pool.*Nothing was handed to the pool"):
        release(case, study(noise="laplace", privacy={"padding": "dp"}), sources)


def test_what_is_debited_already_is_not_asked_for_again(case):
    """A rerun that finishes a release finds its own debit in the ledger."""
    poor = study(noise="laplace", privacy={"cap": 1})
    with pytest.MonkeyPatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(import_module("xstat_ray.job"), "publish", _fail)
        case.run(poor)
    assert Ledger(case.ledger).spent("small/row") == 1
    assert case.run(poor).manifest["spent"]["epsilon"] == "1"


def _fail(*_):
    raise RuntimeError


@pytest.mark.parametrize("kind", ["folder", "file above", "no ledger"])
def test_a_ledger_that_cannot_be_used_ends_a_run_at_once(case, kind, monkeypatch):
    path = case.folder / "place"
    if kind == "folder":
        path.mkdir()
    else:
        path.write_text("no ledger")
    path = path / "ledger.sqlite" if kind == "file above" else path
    monkeypatch.setattr(Driver, "de_identify", lambda *_: pytest.fail("encrypted"))
    sources = {name: Source(case.tables[name], ledger=path) for name in case.tables}
    with pytest.raises(InputError, match="budget ledger cannot be used") as refused:
        release(case, NOISY, sources)
    assert refused.value.file == str(path)


def test_a_plan_tells_what_is_left_and_changes_nothing(tmp_path):
    full, half, new = (tmp_path / name for name in ("full", "half", "new"))
    for path, epsilon in ((full, "9.5"), (half, "0.3")):
        debit = Debit("a", "r", "5d" * 32, "s", Fraction(epsilon), Fraction(0))
        Ledger(path).debit(debit, Fraction(10), Fraction(1, 10**9))
    before = [Ledger(path).head() for path in (full, half)]
    rooms = look(NOISY, [("a", full), ("a", half), ("b", new), ("c", half / "below")])
    assert [Ledger(path).head() for path in (full, half)] == before
    assert not new.exists()
    texts = [room.row[1] for room in rooms]
    assert texts[0].startswith("NO ROOM: data set a: epsilon 9.5 of 10 is spent")
    assert texts[1] == "epsilon 0.3 of 10 is spent, 9.7 is left; this run takes 1"
    assert texts[2] == "epsilon 0 of 10 is spent, 10 is left; this run takes 1"
    assert texts[3].startswith("NO ROOM: the ledger cannot be made in")
    assert [bool(room.as_dict()["problem"]) for room in rooms] == [True, False, False, True]


def test_a_plan_looks_at_the_account_of_the_pool_too(tmp_path):
    padded = study(noise="off", privacy={"padding": "dp"})
    assert [room.dataset for room in look(padded, [("a", tmp_path / "x")])] == ["a@pool"]
    assert look(study(), [("a", tmp_path / "x")]) == []


def test_decimal_caps_are_exact(tmp_path):
    """0.1 and 0.2 are 0.3, which binary numbers would not say."""
    ledger = Ledger(tmp_path / "ledger")
    cap = study(privacy={"epsilon": 0.1, "cap": 0.3}).privacy.cap
    for number, epsilon in enumerate((0.1, 0.2)):
        taken = study(privacy={"epsilon": epsilon}).privacy.epsilon
        ledger.debit(Debit("a", str(number), "5d" * 32, "s", taken, Fraction(0)), cap)
    more = Debit("a", "more", "5d" * 32, "s", Fraction("1e-30"), Fraction(0))
    with pytest.raises(BudgetError, match="epsilon 0.3 of 0.3 is spent"):
        ledger.debit(more, cap)
