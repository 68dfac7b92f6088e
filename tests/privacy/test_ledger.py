from __future__ import annotations

import multiprocessing
import stat
from fractions import Fraction

import pytest

from xstat_ray.errors import BudgetError
from xstat_ray.privacy.ledger import Debit, Ledger


def debit(release="r1", epsilon="1/3", study="s", datasets=("a", "b")):
    return Debit(tuple(datasets), release, study, Fraction(epsilon), Fraction(0))


def test_thirds_add_up_exactly_to_the_cap(tmp_path):
    ledger = Ledger(tmp_path / "new" / "ledger.sqlite")
    for i in range(3):
        ledger.debit(debit(f"r{i}"), Fraction(1))
    assert ledger.spent("a") == ledger.spent("b") == 1
    with pytest.raises(BudgetError, match="epsilon 1 of 1 is spent and this release needs 1/3"):
        ledger.debit(debit("r3"), Fraction(1))


def test_a_repeat_of_a_release_is_free_and_on_other_terms_refused(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.debit(debit(), Fraction(1))
    ledger.debit(debit(), Fraction(1))
    assert ledger.spent("a") == Fraction(1, 3)
    with pytest.raises(BudgetError, match="other terms"):
        ledger.debit(debit(epsilon="1/4"), Fraction(1))


def test_all_data_sets_are_debited_or_none(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.debit(debit(epsilon="1", datasets=("b",)), Fraction(1))
    with pytest.raises(BudgetError, match="data set b"):
        ledger.debit(debit("r2"), Fraction(1))
    assert ledger.spent("a") == 0


def test_only_the_owner_can_read_it(tmp_path):
    Ledger(tmp_path / "state" / "ledger.sqlite")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / "ledger.sqlite").stat().st_mode) == 0o600


def _spend(path, worker):
    ledger, done = Ledger(path), 0
    for i in range(20):
        try:
            ledger.debit(debit(f"{worker}-{i}", "1/10", datasets=("a",)), Fraction(3))
            done += 1
        except BudgetError:
            pass
    return done


def test_concurrent_debits_cannot_overspend_and_none_is_lost(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        done = pool.starmap(_spend, [(path, worker) for worker in range(3)])
    assert sum(done) == 30
    assert Ledger(path).spent("a") == 3
