"""A release is drawn and paid for once, whatever happens to the disk or the process on the way."""

from __future__ import annotations

import resource
import shutil
import stat
from contextlib import contextmanager

import pytest

from tests.case import KEY_BITS, Case, study
from tests.opened import opened
from tests.sizes import every_other
from xstat_ray import InputError, make_plan
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import PartyLostError
from xstat_ray.inputs.source import Source
from xstat_ray.noise.sampler import Sampler
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.publication.publish import publish
from xstat_ray.publication.release import Release, write
from xstat_ray.publication.workspace import Workspace
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.executor import LocalExecutor


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


def test_an_attempt_that_lost_a_party_leaves_no_secret_to_the_next(case, monkeypatch):
    de_identify = Driver.de_identify
    found = []

    def lost_once(self, folders):
        found.append(list((case.out / "unfinished").iterdir()))
        made = de_identify(self, folders)
        if len(found) == 1:
            raise PartyLostError("lost")
        return made

    monkeypatch.setattr(Driver, "de_identify", lost_once)
    case.run(study())
    assert found == [[], []] and case.published()


def test_several_environments_of_each_party_finish_what_is_stored(case, monkeypatch):
    def several(study, sources):
        made = [LocalExecutor(study, sources) for _ in range(2)]
        made[0].row = [instance for executor in made for instance in executor.row]
        made[0].columns = {
            "column": [instance for executor in made for instance in executor.column]
        }
        return made[0]

    monkeypatch.setattr("xstat_ray.runtime.open.LocalExecutor", several)
    release = Driver.release
    monkeypatch.setattr(Driver, "release", lambda *_: pytest.fail("killed"))
    with pytest.raises(pytest.fail.Exception, match="killed"):
        case.run(study(noise="laplace"))
    monkeypatch.setattr(Driver, "release", release)
    case.run(study(noise="laplace"))
    assert case.published() and case.debits() == 1


# A full disk


@contextmanager
def largest_file(size):
    """A file of this process can grow to `size` bytes and no further, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


WIDE = study(
    noise="laplace",
    areas=[*"ab", *(f"area {i}" for i in range(60))],
    column={"dimensions": [{"name": "kind", "values": [*"xy", *(f"kind {i}" for i in range(38))]}]},
)
"""A study with a noisy table of 32 kB and statistics of 110 kB as CSV; its ledger stays below 40
kB."""


def test_a_disk_that_is_full_at_the_statistics(case):
    with (
        largest_file(64_000),
        pytest.raises(InputError, match="cannot write the output: File too large .* Free space"),
    ):
        case.run(WIDE)
    assert case.published() == set()
    assert not (case.out / "manifest.json").exists()
    assert case.debits() == 1
    release = case.run(WIDE)
    assert case.published() == {"statistics.csv", "statistics.parquet"}
    assert case.debits() == 1
    assert release.statistics.num_rows == 62 * 40


@pytest.mark.parametrize(
    ("size", "told"),
    [
        # Not even the file in which SQLite keeps who reads.
        (4_000, "the budget ledger cannot be used: disk I/O error"),
        (33_000, "cannot write the output: File too large"),
    ],
)
def test_a_disk_that_is_full_before_the_noise_is_stored(case, size, told):
    # The first run would make it.
    Ledger(case.ledger)
    with largest_file(size), pytest.raises(InputError, match=told):
        case.run(WIDE)
    assert case.published() == set()
    assert not (case.out / "unfinished").exists()
    assert case.debits() == 0


# Resuming


class Crash(Exception):
    """Stands for the death of the process."""


def crash(*_):
    raise Crash


def crashing(place):
    """Make what crashes in place of a function, and has its name."""

    def crash(*_):
        raise Crash

    crash.__name__ = place[-1]
    return crash


POINTS = {
    "noise drawn": (Workspace, "keep"),
    "table stored": (Driver, "release"),
    "table approved": (ColumnParty, "admit"),
    "budget debited": (PrivateKey, "decrypt"),
    "decrypted": (RowParty, "unblind"),
    "unmasked": (ColumnParty, "check_published"),
    "checked": ("xstat_ray.publication.release.parquet_bytes",),
    "all written": (Workspace, "finish"),
}


@pytest.fixture
def draws(monkeypatch):
    """Parts of noise that the row party has begun to draw so far."""
    made = []
    begin = Sampler.begin

    def noted(self, number, deal=None):
        if deal is None:
            made.append(number)
        return begin(self, number, deal)

    monkeypatch.setattr(Sampler, "begin", noted)
    return made


NOISY = study(noise="laplace")


@pytest.mark.parametrize("point", every_other(2, list(POINTS)))
def test_a_crash_at_any_point_is_made_good_by_the_same_command(case, monkeypatch, draws, point):
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(*POINTS[point], crashing(POINTS[point]))
        case.run(NOISY)
    stored = point != "noise drawn"
    assert (case.out / "statistics.parquet").exists() == (point == "all written")
    assert (case.out / "unfinished" / "masked.msg").exists() == stored
    assert case.debits() == (point not in ("noise drawn", "table stored"))
    expected = from_stored_ciphertexts(case) if stored else None
    assert len(draws) == 1
    case.run(NOISY)
    assert len(draws) == (1 if stored else 2)
    assert case.debits() == 1
    assert not (case.out / "unfinished").exists()
    if expected is not None:
        assert {name: (case.out / name).read_bytes() for name in expected} == expected


@pytest.mark.parametrize(("point", "views"), [("noise drawn", 2), ("table stored", 1)])
def test_every_view_of_the_aggregator_is_counted(case, monkeypatch, point, views):
    padded = study(noise="laplace", privacy={"padding": "dp"})
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(*POINTS[point], crash)
        case.run(padded)
    # A run that starts again draws fresh dummies; one that is resumed shows nothing more.
    assert case.run(padded).manifest["view"]["shown"] == views


def from_stored_ciphertexts(case):
    """Work out the files of an unfinished release from what it stored, with another ledger."""
    plan = make_plan(NOISY, key_bits=KEY_BITS, shards=2)
    row = RowParty(NOISY, Source(case.tables["row"], ledger=case.folder / "other.sqlite"))
    column = ColumnParty(NOISY, Source(case.tables["column"], ledger=case.folder / "other.sqlite"))
    with Workspace(shutil.copytree(case.out, case.folder / "copy"), plan) as work:
        resumable = work.resumable()
        assert resumable is not None
        for party in (row, column):
            party.load(work.party(party.role))
        coefficients = opened(plan, row, column, resumable.to_open)
    folder = case.folder / "expected"
    folder.mkdir()
    write(Release(*publish(plan, coefficients), resumable.facts, plan.as_dict()), folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def unfinished(case, monkeypatch):
    """A release that stopped after its noisy table was stored."""
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(*POINTS["table stored"], crash)
        case.run(NOISY)
    return case


def test_secrets_on_disk_are_for_the_owner_only(unfinished):
    folder = unfinished.out / "unfinished"
    for role in ("row", "column"):
        assert stat.S_IMODE((folder / role / "secrets").stat().st_mode) == 0o600
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


@pytest.mark.parametrize(
    ("study", "options"),
    [(study(noise="laplace", bounds={"persons": 1999}), {}), (NOISY, {"key_bits": 3072})],
)
def test_another_study_or_key_size_does_not_touch_an_unfinished_release(unfinished, study, options):
    before = unfinished.contents()
    with pytest.raises(
        InputError,
        match="unfinished release of another study or key size .*out.* Run that study again",
    ):
        unfinished.run(study, **options)
    assert unfinished.contents() == before
