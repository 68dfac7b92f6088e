"""`kill -9` in every step: run again, it ends with the same messages, one noise, one debit, and nothing is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sys
from contextlib import suppress

import pyarrow.parquet as pq
import pytest

from tests.case import COUNTS, Case, study
from tests.federation.domains import RUN, STEPS, Domains
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import PendingError
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles import ColumnParty

EXACT = study(privacy={"padding": "dp"})
NOISY = study(noise="laplace", privacy={"mechanism": "tree"})
SYSTEM = {
    "open",
    "write",
    "flush",
    "fsync",
    "replace",
    "unlink",
    "rmdir",
    "mkdir",
    "ftruncate",
    "execute",
    "put",
    "add",
    "send",
}
"""Functions of files, of SQLite and of the package: just before a call of one of them the process may die."""

LAST = 0.97
"""Where the last point lies: a run may pass a few fewer than another."""


@pytest.fixture(scope="module")
def server():
    """Children are forked from a clean process that has imported everything, not from this one with its threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def use_key(key, patch=setattr):
    patch(
        ColumnParty, "generate_key", lambda self, bits, constant_time: setattr(self, "_key", key) or key.public.encode()
    )


def run_until(point, key, arguments, step, report):
    """One step in this process, which SIGKILL ends at `point`; 0 is never."""
    use_key(PrivateKey.from_bytes(key))
    domains, passed = Domains(*arguments), 0

    def watch(frame, event, argument):
        nonlocal passed
        ours = event == "call" and "xstat_ray" in frame.f_code.co_filename
        name = frame.f_code.co_name if ours else argument.__name__ if event == "c_call" else None
        if name in SYSTEM:
            passed += 1
            if passed == point:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    with suppress(PendingError):
        domains.step(*step)
    sys.setprofile(None)
    report.put(passed)


def child(server, key, arguments, step, point):
    """Such a run in a process of its own; returns its exit status and the points that it passed if it lived."""
    report = server.SimpleQueue()
    process = server.Process(target=run_until, args=(point, key.export_bytes(), arguments, step, report))
    process.start()
    process.join()
    return process.exitcode, 0 if report.empty() else report.get()


def contents(domains):
    return {path.relative_to(domains.exchange): path.read_bytes() for path in domains.messages()}


def killed_and_resumed(server, key, folder, tables, step, points, which, study):
    before = Domains(folder / "before", study, tables)
    before.run(until=step)
    status, passed = child(server, key, (shutil.copytree(before.folder, folder / "whole"), study, tables), step, 0)
    assert status == 0 and passed >= points
    for point in sorted({1 + round(i * LAST * (passed - 1) / (points - 1)) for i in range(points)})[which]:
        arguments = (shutil.copytree(before.folder, folder / f"point {point}"), study, tables)
        assert child(server, key, arguments, step, point) == (-signal.SIGKILL, 0)
        domains = Domains(*arguments)
        handed_out = contents(domains)
        assert handed_out.items() >= contents(before).items()
        domains.run()
        # What anybody may have read before stays as it is.
        assert contents(domains).items() >= handed_out.items(), point
        yield domains


@pytest.mark.parametrize(
    "which", [slice(1, 4, 2), pytest.param(slice(None), marks=pytest.mark.slow)], ids=["2 points", "5 points"]
)
@pytest.mark.parametrize("step", STEPS, ids=" ".join)
def test_killed_in_a_step_and_resumed(server, quick_key, tmp_path, step, which):
    exact = step[1] in ("handshake", "blind", "evaluate", "emit")
    case = Case(tmp_path)
    runs = killed_and_resumed(server, quick_key, tmp_path, case.tables, step, 5, which, EXACT if exact else NOISY)
    for domains in runs:
        statistics = pq.read_table(domains.out / "statistics.parquet")
        assert statistics["noisy"].to_pylist() == list(COUNTS.values()) or not exact
        log = [json.loads(line) for line in (domains.state("aggregator") / "log.jsonl").read_text().splitlines()]
        assert [entry["event"] for entry in log].count("noise") == 1
        if not exact:
            assert Ledger(domains.options.ledger).spent("small/row") == 1
        for party in ("row", "column"):
            assert not (domains.state(party) / "secrets").exists()
            assert not (domains.state(party) / "handshake").exists()
        assert len(contents(domains)) == len(domains.messages()) and (domains.exchange / RUN).exists()
