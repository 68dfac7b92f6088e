"""Crashes, refusals and reruns of a release of populations."""

from __future__ import annotations

import datetime as dt
import shutil
from fractions import Fraction
from typing import NoReturn

import pytest

from tests.hokkaido.population.operator import BOUNDED, HOMES, NOISY, crowd, declare
from xstat_ray.errors import BudgetError, InputError, PlanError
from xstat_ray.hokkaido.population import run as run_module
from xstat_ray.hokkaido.population.run import OperatorTables
from xstat_ray.model.study import Privacy
from xstat_ray.privacy.ledger import Ledger


class Crash(Exception):
    """Ends a run at a planned place."""


def crash(*arguments: object) -> NoReturn:
    """Stand in for a stage, and crash."""
    raise Crash


def test_a_rerun_replays_the_stored_noise_and_spends_once(publish, tables, tmp_path, monkeypatch):
    declaration = declare(**BOUNDED | {"privacy": NOISY})
    out = tmp_path / "out"

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "write_release", crash)
        with pytest.raises(Crash):
            publish(declaration, tables, out)
    # Neither key nor codes nor exact sums are left.
    assert sorted(p.name for p in (out / "unfinished").iterdir()) == ["facts.json", "noisy"]
    assert not (out / "statistics.parquet").exists()
    shutil.copytree(out, tmp_path / "copy")
    with pytest.raises(InputError, match="the unfinished release of another population"):
        publish(declare(**BOUNDED | {"privacy": NOISY, "days": 2}), tables, out)
    first, second = (publish(declaration, tables, folder) for folder in (out, tmp_path / "copy"))
    for name in ("statistics.parquet", "areas.parquet", "population_all.csv", "manifest.json"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    ledger = Ledger(tmp_path / "ledger.sqlite")
    assert ledger.spent("operator") <= 2 and [e.kind for e in ledger.history()] == ["cap", "debit"]
    with pytest.raises(InputError, match="already holds a release"):
        publish(declaration, tables, out)


@pytest.mark.parametrize("stage", ["check_files", "store_noise"])
def test_a_crash_before_the_noise_is_stored_leaves_nothing(
    publish, tables, tmp_path, monkeypatch, stage
):
    with monkeypatch.context() as patch:
        patch.setattr(run_module, stage, crash)
        with pytest.raises(Crash):
            publish(declare(**BOUNDED | {"privacy": NOISY}), tables, tmp_path / "out")
    assert not (tmp_path / "out" / "unfinished").exists()
    assert not (tmp_path / "ledger.sqlite").exists()


def test_the_ledger_refuses_and_nothing_is_published(publish, tables, tmp_path):
    declaration = declare(
        **BOUNDED
        | {"privacy": Privacy(**vars(NOISY) | {"epsilon": Fraction(3), "cap": Fraction(4)})}
    )
    publish(declaration, tables)
    with pytest.raises(BudgetError, match="operator"):
        publish(declaration, tables, tmp_path / "refused")
    assert (
        not list((tmp_path / "refused").glob("*.parquet"))
        and not (tmp_path / "refused" / "unfinished").exists()
    )


def test_refusals_before_anything_is_counted(publish, tables, tmp_path):
    with pytest.raises(PlanError, match="publishes exact counts"):
        publish(declare(), tables, allow_no_noise=False)
    with pytest.raises(PlanError, match="noisy values, more than"):
        publish(declare(area="mesh", days=30), tables)
    for name, key in (
        ("presence", "presence"),
        ("subscribers", "subscribers"),
        ("register", "register"),
    ):
        gone = OperatorTables(**vars(tables) | {name: tmp_path / "nowhere"})
        with pytest.raises(InputError, match=f"Set data.{key}"):
            publish(declare(), gone)
    with pytest.raises(InputError, match="column subscriber"):
        publish(declare(), OperatorTables(**vars(tables) | {"presence": tables.register}))
    with pytest.raises(InputError, match=r"none of the \d+ rows of used subscribers"):
        publish(declare(first_day=dt.date(2024, 1, 1)), tables)
    assert not list(tmp_path.rglob("statistics.parquet")) and not list(tmp_path.rglob("unfinished"))


def test_a_line_that_is_listed_twice_or_is_in_two_files_is_refused(publish, tmp_path):
    operator = crowd(3, homes=HOMES[:1], hours=range(1))
    tables = operator.write(tmp_path / "tables", files=2)
    shutil.copy(tables.presence / "part-0.parquet", tables.presence / "part-2.parquet")
    with pytest.raises(InputError, match="on 2023-11-01 are in two files") as error:
        publish(declare(), tables)
    assert error.value.file.endswith("part-2.parquet")
    operator.subscribers.append(operator.subscribers[0])
    with pytest.raises(InputError, match="a subscriber is listed twice"):
        publish(declare(), operator.write(tmp_path / "twice"))
