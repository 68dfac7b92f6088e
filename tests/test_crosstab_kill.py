"""`kill -9` between noise and publication: the same command finishes the same release, drawn once and paid for once."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys

import pytest

from tests.case import KEY_BITS, study
from xstat_ray import crosstab
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.roles import ColumnParty
from xstat_ray.runtime import driver
from xstat_ray.workspace import Workspace

POINTS = 20
NOISY = study(noise="laplace", privacy={"mechanism": "tree"})
OUTSIDE = {
    *("open", "write", "flush", "fsync", "replace", "unlink", "rmdir", "mkdir", "close"),
    *("execute", "executemany", "commit", "decrypt"),
}
"""Functions of the system, of SQLite and of files, each call of which is a point at which to die."""


@pytest.fixture(scope="module")
def key():
    return generate(KEY_BITS)


@pytest.fixture(scope="module")
def server():
    """Children are forked from a clean process that has imported everything, and not from this one with its threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "xstat_ray.crosstab"])
    return context


def run_until(point, key, call, aside, report):
    """Run the study NOISY in this process, which SIGKILL ends at `point` after the noise; None reports all points."""
    ColumnParty.generate_key = lambda self, bits: with_key(self, key)
    add_noise_once, keep = driver.add_noise_once, Workspace.keep
    passed = []

    def watch(frame, event, argument):
        inside = event == "call" and "/xstat_ray/" in frame.f_code.co_filename
        if inside or (event == "c_call" and argument.__name__ in OUTSIDE):
            passed.append(frame.f_code.co_name if inside else argument.__name__)
            if len(passed) == point:
                os.kill(os.getpid(), signal.SIGKILL)

    def noise(*arguments):
        sys.setprofile(watch)
        return add_noise_once(*arguments)

    def kept(self, *arguments):
        keep(self, *arguments)
        # What was stored, for the test to work out what must come of it.
        sys.setprofile(None)
        shutil.copytree(self.folder, aside)
        sys.setprofile(watch)

    driver.add_noise_once, Workspace.keep = noise, kept
    crosstab(NOISY, **call)
    sys.setprofile(None)
    report.put(passed)


def with_key(party, key):
    party._key = PrivateKey.from_bytes(key)
    return party._key.public.encode()


def child(server, case, point, key):
    """Such a run in a process of its own; returns its exit status and what it passed."""
    call = {**case.tables, "out": case.out, "options": case.options()}
    report = server.SimpleQueue()
    process = server.Process(target=run_until, args=(point, key.export_bytes(), call, case.folder / "aside", report))
    process.start()
    process.join()
    return process.exitcode, None if report.empty() else report.get()


def test_x(server, key, tmp_path):
    import time
    for i in range(2):
        t=time.time()
        (tmp_path/"a").mkdir();case=Case(tmp_path/ "a"); 
        r=child(server, case, None, key)
        print(time.time()-t, r[0], len(r[1])); 
        shutil.rmtree(tmp_path/"a")
    print(*r[1])
