"""`kill -9` between noise and publication.

The same command then finishes the same release, drawn once and paid for once.
"""

from __future__ import annotations

import shutil
import signal
from collections import Counter

import pytest

from tests.case import KEY_BITS, Case, study, use_key
from tests.killing import SYSTEM, Doom, child, clean_server
from tests.opened import opened
from tests.sizes import slow, thorough
from xstat_ray import InputError, crosstab, make_plan
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.inputs.source import Source
from xstat_ray.publication.publish import publish
from xstat_ray.publication.release import Release, write
from xstat_ray.publication.workspace import Workspace
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.runtime import driver

NOISY = study(noise="laplace", privacy={"mechanism": "tree"})


@pytest.fixture(scope="module")
def key():
    return generate(KEY_BITS)


@pytest.fixture(scope="module")
def server():
    return clean_server(__name__)


def run_until(point, key, call, aside, report):
    """Run the study NOISY in this process, which SIGKILL ends at a point.

    Args:
        point: the call before which it ends, counted from the noise on; 0 for never.
        key: the column party's key.
        call: arguments of `crosstab`.
        aside: folder for a copy of the output folder, made once the noise is stored.
        report: queue for the points that were passed.
    """
    use_key(PrivateKey.from_bytes(key))
    draw_noise = driver.draw_noise
    keep = Workspace.keep
    functions = {"advance_noise", "keep_noise", "encrypt", "decrypt", "publish"}
    doom = Doom(point, functions, SYSTEM | {"close"})

    def noise(*arguments):
        doom.watch()
        return draw_noise(*arguments)

    def kept(self, *arguments):
        keep(self, *arguments)
        doom.look_away()
        shutil.copytree(self.folder, aside)
        doom.watch()

    driver.draw_noise = noise
    Workspace.keep = kept
    crosstab(NOISY, **call)
    doom.look_away()
    report.put(doom.passed)


def killed(server, case, key, point):
    """Run until `point` in a process of its own.

    Returns:
        Its exit status and, if it lived, the points that it passed.
    """
    call = {**case.sources, "out": case.out, "options": case.options()}
    return child(server, run_until, point, key.export_bytes(), call, case.folder / "aside")


def new_case(folder, name):
    (folder / name).mkdir()
    return Case(folder / name)


def expected_files(case):
    """Work out what must be published from the stored ciphertexts; None if none are stored."""
    stored = next(
        (
            path
            for path in (case.folder / "aside", case.out)
            if (path / "unfinished/masked.msg").exists()
        ),
        None,
    )
    if stored is None:
        return None
    plan = make_plan(NOISY, key_bits=KEY_BITS, shards=2)
    copy = shutil.copytree(stored, case.folder / "copy")
    row = RowParty(NOISY, Source(case.tables["row"], ledger=case.folder / "other.sqlite"))
    column = ColumnParty(NOISY, Source(case.tables["column"], ledger=case.folder / "other.sqlite"))
    with Workspace(copy, plan) as work:
        for party in (row, column):
            party.load(work.party(party.role))
        resumable = work.resumable()
        coefficients = opened(plan, row, column, resumable.to_open)
    folder = case.folder / "expected"
    folder.mkdir()
    write(Release(*publish(plan, coefficients), resumable.facts, plan.as_dict()), folder)
    return files(folder)


def files(folder):
    """Read all files but the event log, to which every run adds."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.name != "events.jsonl"
    }


def state(case):
    """Tell how far a run got before it was killed."""
    if not (case.out / "unfinished" / "masked.msg").exists():
        return "nothing stored" if not case.published() else "published"
    paid = case.ledger.exists() and case.debits() == 1
    return (
        f"{len(case.published())} statistics" if case.published() else "paid" if paid else "stored"
    )


def spread(passed, count):
    """Points over the whole run, and as many after the ledgers' last statement.

    Publication is a small part of the points, as every statement of a ledger is one.
    """
    last = max(i for i, name in enumerate(passed, 1) if name == "execute")
    half = count // 2
    return {
        first + i * (len(passed) - first) // (half - 1) for first in (1, last) for i in range(half)
    }


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(8, marks=thorough),
        pytest.param(20, marks=thorough),
        pytest.param(None, marks=slow),
    ],
    ids=["8 points", "20 points", "every point"],
)
def test_killed_anywhere_between_noise_and_publication(server, key, tmp_path, monkeypatch, points):
    use_key(key, monkeypatch.setattr)
    status, passed = killed(server, new_case(tmp_path, "whole"), key, 0)
    steps = {"advance_noise", "keep_noise", "encrypt", "decrypt", "publish", "execute"}
    assert status == 0 and steps < set(passed)
    chosen = range(1, len(passed) + 1) if points is None else spread(passed, points)
    states = Counter()
    for point in sorted(chosen):
        case = new_case(tmp_path, f"point {point}")
        assert killed(server, case, key, point) == (-signal.SIGKILL, []), passed[point - 1]
        states[state(case)] += 1
        finish(case, f"{point}: {passed[point - 1]}")
    assert sum(states.values()) == len(chosen)
    everything = {"nothing stored", "stored", "paid", "1 statistics", "published"}
    # Eight points cannot meet what lasts a moment.
    assert len(states) >= 3 if points == 8 else states.keys() >= everything, states


def finish(case, where):
    """Run the command once more, and check what is then there."""
    expected = expected_files(case)
    before = state(case)
    if before == "published":
        with pytest.raises(InputError, match="already holds a release"):
            case.run(NOISY)
    else:
        case.run(NOISY)
    assert case.debits() == 1, where
    assert not (case.out / "unfinished").exists(), where
    assert (expected is None) == (before == "nothing stored"), where
    found = files(case.out)
    assert found.keys() == {
        *(
            "statistics.parquet",
            "statistics.csv",
            "areas.parquet",
            "areas.csv",
            "manifest.json",
            "plan.json",
        )
    }, where
    assert expected in (None, found), where
