"""A ledger that is replaced, or restored from a copy of before a release, ends the next release."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.case import Case, study, use_key
from tests.federation.domains import Domains
from tests.sizes import first, slow, thorough
from xstat_ray import InputError, Options, Source, crosstab
from xstat_ray.crypto.keygen import generate
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles.payer import Payer

NOISY = study(noise="laplace")
PARTIES = ("row", "column")
OTHER = {"row": "column", "column": "row"}


@pytest.fixture(scope="module")
def key():
    return generate(2048)


class Releases:
    """Releases of one study by parties with a ledger each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.case = Case(folder)
        self.ledgers = {party: folder / f"{party}.sqlite" for party in PARTIES}
        self.number = 0

    def release(self) -> Path:
        """Release the study once more; returns the folder, which a release has files in."""
        self.number += 1
        out = self.folder / f"run {self.number}"
        return self.run(out)

    def run(self, out: Path) -> Path:
        raise NotImplementedError

    def is_refused(self) -> None:
        """The next release tells that a ledger lacks entries, and publishes nothing."""
        with pytest.raises(
            InputError, match=r"restored from an old copy .*Put back the newest copy"
        ):
            self.release()
        assert not list((self.folder / f"run {self.number}").rglob("statistics*"))


class InOneProcess(Releases):
    def run(self, out):
        sources = {
            party: Source(self.case.tables[party], ledger=ledger)
            for party, ledger in self.ledgers.items()
        }
        crosstab(NOISY, **sources, out=out, options=Options(key_bits=2048, shards=1))
        return out


class InThreeDomains(Releases):
    def run(self, out):
        domains = Domains(out, NOISY, self.case.tables, self.ledgers, shards=1)
        domains.run()
        return domains.out


@pytest.fixture(params=first(1, [InOneProcess, InThreeDomains]))
def releases(request, tmp_path, key, monkeypatch) -> Releases:
    use_key(key, monkeypatch.setattr)
    return request.param(tmp_path)


def spent(releases: Releases) -> dict[str, int]:
    return {
        party: int(Ledger(path).spent(f"small/{party}")) for party, path in releases.ledgers.items()
    }


def test_each_party_records_the_head_of_the_other_s_ledger(releases):
    releases.release()
    for party, path in releases.ledgers.items():
        told = Ledger(path).witnessed(f"small/{OTHER[party]}")
        assert told and all(map(Ledger(releases.ledgers[OTHER[party]]).holds, told))
    assert list(releases.release().glob("statistics*"))
    assert spent(releases) == {"row": 2, "column": 2}


@pytest.mark.parametrize("party", PARTIES)
def test_a_copy_of_before_a_release_is_noticed_until_the_newest_is_back(releases, party, tmp_path):
    releases.release()
    ledger = releases.ledgers[party]
    copy = shutil.copy(ledger, tmp_path / "copy")
    releases.release()
    newest = shutil.copy(ledger, tmp_path / "newest")
    shutil.copy(copy, ledger)
    for _ in range(2):
        releases.is_refused()
    shutil.copy(newest, ledger)
    assert list(releases.release().glob("statistics*"))


@pytest.mark.parametrize("party", PARTIES)
def test_a_new_ledger_is_noticed_until_the_other_party_accepts_it(releases, party):
    releases.release()
    releases.ledgers[party].unlink()
    releases.is_refused()
    Ledger(releases.ledgers[OTHER[party]]).witness(f"small/{party}", "")
    assert list(releases.release().glob("statistics*"))
    assert list(releases.release().glob("statistics*"))


def test_nobody_pays_where_the_key_holder_s_ledger_was_restored(releases, tmp_path):
    copy = tmp_path / "copy"
    Ledger(copy)
    releases.release()
    shutil.copy(copy, releases.ledgers["column"])
    releases.is_refused()
    assert spent(releases) == {"row": 1, "column": 0}


def begun(releases: InThreeDomains, until: tuple[str, str]) -> Domains:
    """A run in three domains that has come as far as `until`."""
    domains = Domains(
        releases.folder / "begun", NOISY, releases.case.tables, releases.ledgers, shards=1
    )
    domains.run(until)
    return domains


@thorough
def test_a_run_that_goes_on_with_another_copy_is_debited_on_that(tmp_path, key, monkeypatch):
    use_key(key, monkeypatch.setattr)
    releases = InThreeDomains(tmp_path)
    releases.release()
    ledger = releases.ledgers["row"]
    old = shutil.copy(ledger, tmp_path / "old")
    run = begun(releases, ("row", "unblind"))
    shutil.copy(old, ledger)
    run.run()
    assert list(run.out.glob("statistics*")) and spent(releases) == {"row": 2, "column": 2}


@thorough
@pytest.mark.parametrize("step", first(1, ["publish", "unblind", "approve", "exchange"], slow))
def test_a_run_that_was_refused_is_paid_for_once_the_newest_copy_is_back(
    tmp_path, key, monkeypatch, step
):
    use_key(key, monkeypatch.setattr)
    releases = InThreeDomains(tmp_path)
    releases.release()
    ledger = releases.ledgers["row"]
    old = shutil.copy(ledger, tmp_path / "old")
    releases.release()
    run = begun(releases, ("row", step))
    newest = shutil.copy(ledger, tmp_path / "newest")
    shutil.copy(old, ledger)
    with pytest.raises(InputError, match="Put back the newest copy"):
        run.step("row", step)
    assert not list(run.out.glob("statistics*"))
    shutil.copy(newest, ledger)
    run.run()
    assert list(run.out.glob("statistics*")) and spent(releases) == {"row": 3, "column": 3}
    assert list(releases.release().glob("statistics*")), "no entry of the old copy is asked for"


@pytest.mark.parametrize("told", first(1, [True, False]))
def test_a_copy_is_noticed_before_the_key_holder_checks(tmp_path, key, monkeypatch, told):
    """Not so where the leak is planted: the key holder hears of the debit when it checks."""
    use_key(key, monkeypatch.setattr)
    releases = InThreeDomains(tmp_path)
    ledger = releases.ledgers["row"]
    Ledger(ledger)
    old = shutil.copy(ledger, tmp_path / "old")
    if not told:
        monkeypatch.setattr(Payer, "_record_head", lambda *_: None)
    run = begun(releases, ("column", "check"))
    monkeypatch.undo()
    use_key(key, monkeypatch.setattr)
    assert list(run.out.glob("statistics*"))
    shutil.copy(old, ledger)
    if told:
        releases.is_refused()
    else:
        assert list(releases.release().glob("statistics*"))


@pytest.mark.parametrize("party", PARTIES)
def test_a_party_that_tells_nothing_notices_nothing(releases, party, monkeypatch):
    """The leak planted: without what the other recorded a restored ledger is as good as another."""
    releases.release()
    releases.ledgers[party].unlink()
    monkeypatch.setattr(Payer, "_check_ledger", lambda *_: None)
    assert list(releases.release().glob("statistics*"))
