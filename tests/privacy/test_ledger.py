from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import sqlite3
import stat
from dataclasses import replace
from fractions import Fraction
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.privacy.ledgers import debit, spend
from tests.sizes import thorough
from xstat_ray.errors import BudgetError, InputError
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.study import Bounds, ColumnSide, Privacy, RowSide, Study
from xstat_ray.privacy.accountant import GAUSSIAN, laplace_noise, zcdp_epsilon
from xstat_ray.privacy.accounts import Account
from xstat_ray.privacy.gaussian_profile import gaussian_epsilon
from xstat_ray.privacy.joint_gaussian import LEAST_SIGMA
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.privacy.mechanism import Mechanism

DELTA = Fraction(1, 10**9)
TEXTS = "at, kind, dataset, study, name, release"
REST = "'0', '0', '0', cap, note, session, head"


def gaussian(release="g1", rho="1/200", **terms):
    return debit(release, "1", rho=rho, delta=DELTA, **terms)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(place):
    return Ledger(place)


def kinds(ledger, dataset=None):
    return [entry.kind for entry in ledger.history(dataset)]


def test_thirds_add_up_exactly_to_the_cap(tmp_path):
    ledger = Ledger(tmp_path / "new" / "ledger.sqlite")
    for i in range(3):
        ledger.debit(debit(f"r{i}"), Fraction(1))
    assert ledger.spent("a") == 1
    with pytest.raises(
        BudgetError, match="epsilon 1 of 1 is spent and with this release it would be 4/3"
    ):
        ledger.debit(debit("r3", "1/3"), Fraction(1))
    assert ledger.show() == [Account("a", Fraction(1), Fraction(1), Fraction(0), 3)]


def test_a_repeat_of_a_release_is_free_and_on_other_terms_refused(ledger):
    ledger.debit(debit(), Fraction(1))
    ledger.debit(debit(), Fraction(1))
    assert ledger.spent("a") == Fraction(1, 3)
    for other in (debit(epsilon="1/4"), debit(study="6e"), debit(delta="1/9"), debit(rho="1/9")):
        with pytest.raises(BudgetError, match="other terms"):
            ledger.debit(other, Fraction(1))
    assert ledger.spent("a") == Fraction(1, 3)


def test_other_terms_include_the_session(ledger):
    ledger.debit(debit(session="s1"), Fraction(1))
    with pytest.raises(BudgetError, match="other terms"):
        ledger.debit(debit(session="s2"), Fraction(1))


def test_data_sets_are_debited_apart(ledger):
    ledger.debit(debit(epsilon="1", dataset="b"), Fraction(1))
    ledger.debit(debit("r2"), Fraction(1))
    with pytest.raises(BudgetError, match="data set b"):
        ledger.debit(debit("r2", dataset="b"), Fraction(1))
    assert ledger.spent("a") == Fraction(1, 3)
    assert kinds(ledger, "b") == ["cap", "debit", "refusal"]


def test_a_session_pays_for_one_release(ledger):
    ledger.debit(debit(session="s1"), Fraction(1))
    ledger.debit(debit(session="s1"), Fraction(1))
    for other in (debit("r2", session="s1"), debit("r2", "0", session="s1")):
        with pytest.raises(BudgetError, match="session s1 has paid for release r1, and pays for"):
            ledger.debit(other, Fraction(1))
    ledger.debit(debit("r2", session="s2"), Fraction(1))
    ledger.debit(debit("r2", session="s1", dataset="b"), Fraction(1))
    assert (ledger.spent("a"), ledger.spent("b")) == (Fraction(2, 3), Fraction(1, 3))


def test_releases_without_a_session_are_debited_each(ledger):
    for release in ("r1", "r2"):
        ledger.debit(debit(release), Fraction(1))
    assert ledger.spent("a") == Fraction(2, 3)


def test_only_the_owner_can_read_it(tmp_path):
    Ledger(tmp_path / "state" / "ledger.sqlite")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / "ledger.sqlite").stat().st_mode) == 0o600


def test_a_full_disk_leaves_no_half_made_ledger(path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
    try:
        with pytest.raises(
            InputError, match="the budget ledger cannot be used: .*on a disk with free space"
        ):
            Ledger(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(path.parent.iterdir()) == []
    Ledger(path).debit(debit(), Fraction(1))


def test_another_database_is_not_taken_for_a_ledger(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE debit (epsilon TEXT)")
    connection.close()
    with pytest.raises(InputError, match=r"no ledger of this version \(file .*ledger.sqlite\)"):
        Ledger(path)


# Gaussian noise


def test_gaussian_debits_add_up_in_rho_at_the_delta_of_the_data_set(ledger):
    cap = Fraction(49, 20)
    for i in range(12):
        ledger.debit(gaussian(f"g{i}"), cap)
    assert ledger.spent("a") == zcdp_epsilon(Fraction(12, 200), DELTA)
    ledger.debit(debit("pure"), cap)
    assert ledger.spent("a") == zcdp_epsilon(Fraction(12, 200), DELTA) + Fraction(1, 3)
    with pytest.raises(
        BudgetError,
        match=r"epsilon 2\.40\d{4} of 2.45 is spent and with this release it would be 2\.4",
    ):
        ledger.debit(gaussian("g12"), cap)


def test_the_delta_of_a_data_set_is_the_first_and_changes_only_with_the_cap(ledger):
    ledger.debit(debit(), Fraction(2))
    with pytest.raises(
        BudgetError, match=r"its delta is 0 .* Gaussian.* set-cap .?ledger=.* dataset=a cap="
    ):
        ledger.debit(gaussian(), Fraction(2))
    ledger.set_cap("a", Fraction(2), DELTA)
    ledger.debit(gaussian(), Fraction(2))
    assert ledger.spent("a") == Fraction(1, 3) + zcdp_epsilon(Fraction(1, 200), DELTA)
    ledger.set_cap("a", Fraction(2), Fraction(1, 10**6))
    assert ledger.spent("a") == Fraction(1, 3) + zcdp_epsilon(Fraction(1, 200), Fraction(1, 10**6))
    with pytest.raises(BudgetError, match="its delta cannot be 0"):
        ledger.set_cap("a", Fraction(2), Fraction(0))


# Noise that two parties draw together has a delta


def joint(release, delta="1/4", epsilon="1/10"):
    return debit(release, epsilon, delta=Fraction(delta) * DELTA)


def test_deltas_are_taken_off_the_delta_of_the_data_set(ledger):
    ledger.debit(joint("j1"), Fraction(9), DELTA)
    assert ledger.show() == [
        Account("a", Fraction(1, 10), Fraction(9), DELTA, 1, spent_delta=DELTA / 4)
    ]
    ledger.debit(gaussian(), Fraction(9))
    assert ledger.spent("a") == Fraction(1, 10) + zcdp_epsilon(Fraction(1, 200), DELTA * 3 / 4)
    assert ledger.spent("a") > Fraction(1, 10) + zcdp_epsilon(Fraction(1, 200), DELTA)


def test_a_delta_may_be_spent_to_the_last_but_no_further(ledger):
    for i in range(4):
        ledger.debit(joint(f"j{i}"), Fraction(9), DELTA)
    assert ledger.spent("a") == Fraction(4, 10)
    with pytest.raises(
        BudgetError,
        match=r"delta 1e-09 of 1e-09 is spent and with this release it would be 1\.25e-09 \(set-cap",
    ):
        ledger.debit(joint("j4"), Fraction(9))
    with pytest.raises(BudgetError, match="delta 1e-09 of 1e-09 is spent"):
        ledger.debit(joint("j4", f"1/{10**30}"), Fraction(9))
    with pytest.raises(BudgetError, match="delta 1e-09 of 1e-09 is spent"):
        ledger.debit(gaussian(), Fraction(9))
    ledger.debit(debit("exact"), Fraction(9))
    ledger.set_cap("a", Fraction(9), 2 * DELTA)
    ledger.debit(gaussian(), Fraction(9))
    assert ledger.show()[0].releases == 6


def test_a_gaussian_release_needs_some_delta_to_stay(ledger):
    ledger.debit(gaussian(), Fraction(9))
    ledger.debit(joint("j1", "3/4"), Fraction(9))
    with pytest.raises(BudgetError, match="delta 7.5e-10 of 1e-09 is spent and .* be 1e-09 "):
        ledger.debit(joint("j2", "1/4"), Fraction(9))
    ledger.debit(joint("j2", "1/5"), Fraction(9))


def test_a_delta_that_is_spent_cannot_be_taken_back(ledger):
    ledger.debit(joint("j1", "1/2"), Fraction(9), DELTA)
    with pytest.raises(BudgetError, match="have spent 5e-10 of its delta"):
        ledger.set_cap("a", Fraction(9), DELTA / 3)
    ledger.set_cap("a", Fraction(9), DELTA / 2)
    ledger.set_cap("a", Fraction(9), DELTA)
    ledger.debit(gaussian(), Fraction(9))
    with pytest.raises(BudgetError, match="have spent 5e-10 of its delta"):
        ledger.set_cap("a", Fraction(9), DELTA / 2)


def test_a_data_set_at_delta_0_takes_no_noise_with_a_delta(ledger):
    ledger.debit(debit(), Fraction(9))
    with pytest.raises(BudgetError, match="delta 0 of 0 is spent and .* be 2.5e-10 .set-cap can"):
        ledger.debit(joint("j1"), Fraction(9), DELTA)


@settings(max_examples=15)
@given(
    st.fractions(min_value=Fraction(1, 100), max_value=8, max_denominator=100),
    st.integers(3, 12),
    st.integers(1, 40),
)
def test_one_gaussian_release_costs_at_most_what_the_study_declares(epsilon, digits, rows):
    dimension = Dimension("d", "d", ("a",), (("a",),))
    privacy = Privacy("gaussian", epsilon=epsilon, delta=Fraction(1, 10**digits), cap=epsilon)
    study = Study(
        "s",
        RowSide("i", (dimension,)),
        ColumnSide("i", (dimension,)),
        bounds=Bounds(rows),
        privacy=privacy,
    )
    mechanism = Mechanism.of_study(study)
    spent = gaussian_epsilon(mechanism.rho, privacy.delta)
    assert spent <= epsilon
    # Less is spent where a share of the noise is as small as it may be.
    assert epsilon * Fraction(99, 100) <= spent or mechanism.share_scale < 1.001 * LEAST_SIGMA


# Caps


def test_the_first_cap_is_the_studys_and_a_later_study_does_not_change_it(ledger):
    ledger.debit(debit(epsilon="1"), Fraction(1))
    with pytest.raises(
        BudgetError,
        match=r"of 1 is spent .* xstat-ray budget set-cap .?ledger=\S+ dataset=a cap=\.\.\.",
    ):
        ledger.debit(debit("r2"), Fraction(100))
    assert ledger.show()[0].cap == 1


def test_a_refused_first_release_sets_no_cap(ledger):
    with pytest.raises(BudgetError):
        ledger.debit(debit(epsilon="2"), Fraction(1))
    assert ledger.show() == []
    ledger.debit(debit(epsilon="2"), Fraction(2))
    assert ledger.spent("a") == 2


def test_a_changed_cap_counts_from_then_on(ledger):
    ledger.debit(debit(epsilon="1"), Fraction(1))
    ledger.set_cap("a", Fraction(2))
    ledger.set_cap("b", Fraction(4, 3))
    ledger.debit(debit("r2"), Fraction(1))
    ledger.set_cap("a", Fraction(1, 2))
    with pytest.raises(BudgetError, match="epsilon 4/3 of 0.5 is spent"):
        ledger.debit(debit("r3", "1/9"), Fraction(100))


def test_a_cap_can_be_set_beforehand(ledger):
    ledger.set_cap("a", Fraction(1, 4), DELTA)
    assert ledger.show() == [Account("a", Fraction(0), Fraction(1, 4), DELTA, 0)]
    with pytest.raises(BudgetError, match="data set a: epsilon 0 of 0.25 is spent"):
        ledger.debit(debit(), Fraction(10))


@pytest.mark.parametrize(
    ("cap", "delta", "key"), [(-1, None, "cap"), (1, -1, "delta"), (1, 1, "delta")]
)
def test_impossible_limits_are_refused(ledger, cap, delta, key):
    with pytest.raises(InputError) as caught:
        ledger.set_cap("a", Fraction(cap), None if delta is None else Fraction(delta))
    assert caught.value.key == key
    assert ledger.history() == []


# The history


def test_the_history_tells_everything_in_order(ledger):
    ledger.debit(debit(), Fraction(1, 2))
    with pytest.raises(BudgetError):
        ledger.debit(gaussian(), Fraction(9))
    ledger.set_cap("a", Fraction(2), DELTA)
    first, paid, refused, raised = ledger.history("a")
    assert [entry.kind for entry in (first, paid, refused, raised)] == [
        "cap",
        "debit",
        "refusal",
        "cap",
    ]
    assert (first.release, first.study, first.cap, first.delta) == ("r1", "5d", Fraction(1, 2), 0)
    assert (paid.release, paid.study, paid.name, paid.epsilon, paid.rho) == (
        "r1",
        "5d",
        "name",
        Fraction(1, 3),
        0,
    )
    assert (refused.release, refused.rho, refused.delta, refused.cap) == (
        "g1",
        Fraction(1, 200),
        DELTA,
        Fraction(1, 2),
    )
    assert "its delta is 0" in refused.note
    assert (raised.release, raised.study, raised.cap, raised.delta) == ("", "", 2, DELTA)
    assert first.at <= paid.at <= refused.at <= raised.at
    assert all(entry.at.endswith("+00:00") for entry in ledger.history())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE history SET epsilon = '0'",
        "DELETE FROM history",
        "DELETE FROM history WHERE kind = 'debit'",
        f"REPLACE INTO history SELECT number, {TEXTS}, {REST}, digest || '1' FROM history",
        f"REPLACE INTO history SELECT number + 9, {TEXTS}, {REST}, digest || '1' FROM history",
        f"REPLACE INTO history SELECT number + 9, {TEXTS} || '1', {REST}, digest FROM history",
        f"REPLACE INTO history SELECT number + 9, {TEXTS} || '1', {REST}, digest || '1' "
        "FROM history",
    ],
)
def test_the_file_refuses_to_have_its_history_changed(path, statement):
    ledger = Ledger(path)
    ledger.debit(debit(session="s1"), Fraction(1))
    before = ledger.history()
    connection = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)
    connection.close()
    assert ledger.history() == before


# Under fire


def _open(path):
    Ledger(path)


def test_many_may_open_a_new_ledger_at_once(tmp_path):
    with multiprocessing.get_context("fork").Pool(8) as pool:
        pool.map(_open, [tmp_path / str(i // 8) for i in range(160)], chunksize=1)


@pytest.mark.parametrize(
    ("workers", "times"), [(3, 20), pytest.param(8, 200, marks=pytest.mark.slow)]
)
def test_concurrent_debits_cannot_overspend_and_none_is_lost(path, workers, times):
    """All workers together want `workers` times the cap."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        done = pool.starmap(spend, [(path, worker, times) for worker in range(workers)])
    ledger = Ledger(path)
    assert ledger.spent("a") == Fraction(times, 10)
    history = ledger.history()
    assert sorted(e.release for e in history if e.kind == "debit") == sorted(
        release for some in done for release in some
    )
    assert [e.kind for e in history].count("refusal") == (workers - 1) * times


def _killed(work):
    """Run `work` in a child process; the signal that ended it, 0 if none did."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WTERMSIG(status)


def _watch(*, instruction=lambda: None, close=lambda: None):
    """Have functions called before each instruction of SQLite, and before a connection closes."""

    class Connection(sqlite3.Connection):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.set_progress_handler(instruction, 1)

        def close(self):
            close()
            super().close()

    sqlite3.connect = partial(sqlite3.connect, factory=Connection)


def _die_after(number):
    """A function that kills the process when it has been called `number` times before."""
    left = iter(range(number))
    return lambda: None if next(left, None) is not None else os.kill(os.getpid(), signal.SIGKILL)


def _die_at_instruction(number):
    _watch(instruction=_die_after(number))


def _die_at_close(number):
    """The connection that opened the file is closed first, then that of the committed debit."""
    _watch(close=_die_after(number))


def _die_at_byte(size):
    """The system ends the process where a file of the ledger would exceed `size`: amid a commit."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _instructions(path, monkeypatch):
    made = []
    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", sqlite3.connect)
        _watch(instruction=lambda: made.append(None))
        Ledger(path).debit(debit(), Fraction(1))
    return len(made)


@thorough
def test_a_process_killed_at_any_point_leaves_the_whole_debit_or_nothing(
    tmp_path, path, monkeypatch
):
    Ledger(path).debit(debit("r0"), Fraction(1))
    instructions = _instructions(shutil.copy(path, tmp_path / "spare.sqlite"), monkeypatch)
    points = [
        *((_die_at_instruction, instructions * i // 20) for i in range(20)),
        *((_die_at_byte, size) for size in range(1000, 30_000, 2000)),
        *((_die_at_close, number) for number in range(2)),
    ]
    whole = []
    for i, (die, at) in enumerate(points):
        copy = shutil.copy(path, tmp_path / f"{i}.sqlite")
        assert _killed(lambda: (die(at), Ledger(copy).debit(debit(), Fraction(1)))) != 0, (die, at)
        ledger = Ledger(copy)
        whole.append(ledger.spent("a") == Fraction(2, 3))
        assert ledger.spent("a") == Fraction(1, 3) + Fraction(whole[-1], 3)
        ledger.debit(debit(), Fraction(1))
        assert kinds(ledger) == ["cap", "debit", "debit"]
    assert not whole[0]
    assert whole[-2:] == [False, True]


# What is known of the noise


def test_what_is_known_of_the_noise_is_kept_and_makes_the_total_exact(path):
    ledger = Ledger(path)
    for number in range(20):
        known = debit(f"l{number}", "1/2", delta="1e-12")
        ledger.debit(replace(known, noise=laplace_noise(24)), Fraction(50), DELTA)
    for number in range(3):
        ledger.debit(replace(gaussian(f"g{number}"), noise=GAUSSIAN), Fraction(50))
    (account,) = Ledger(path).show()
    assert (account.releases, account.spent_delta) == (23, Fraction(20, 10**12))
    by_kind = 10 + gaussian_epsilon(Fraction(3, 200), DELTA - account.spent_delta)
    assert account.spent < by_kind - Fraction(1, 4)
    assert {entry.note for entry in ledger.history("a")} == {"", "laplace 24", "gaussian"}


@thorough
def test_a_release_fits_by_its_exact_cost_that_would_not_by_the_sum(path):
    ledger = Ledger(path)
    terms = {"delta": "1e-12"}
    for number in range(30):
        one = replace(debit(f"l{number}", "1", **terms), noise=laplace_noise(24))
        ledger.debit(one, Fraction(29), Fraction(1, 10**6))
    assert 26 < ledger.spent("a") < 29
    with pytest.raises(BudgetError, match="with this release it would be 29"):
        for number in range(30, 40):
            one = replace(debit(f"l{number}", "1", **terms), noise=laplace_noise(24))
            ledger.debit(one, Fraction(29))
    assert ledger.spent("a") <= 29


def test_a_repeat_of_a_debit_of_an_earlier_version_is_free(ledger):
    ledger.debit(gaussian(), Fraction(5))
    ledger.debit(replace(gaussian(), noise=GAUSSIAN), Fraction(5))
    assert kinds(ledger) == ["cap", "debit"]
    assert ledger.spent("a") == zcdp_epsilon(Fraction(1, 200), DELTA)
