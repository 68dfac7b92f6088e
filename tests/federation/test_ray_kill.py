"""Processes on a domain's Ray are killed in the midst of a run, and the counts are exact.

A worker of the aggregator costs a retry. After the environment of a party or the job itself, the
same command goes on. `test_kill` kills the steps where they run without Ray.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.case import COUNTS, Case, study, use_key
from tests.federation.domains import STEPS, Domains
from tests.killing import Doom, child, clean_server, points, processes_of
from tests.runtime.unreliable import Unreliable
from tests.sizes import thorough
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import PartyLostError, PendingError
from xstat_ray.planning.cluster import Cluster
from xstat_ray.planning.options import Options
from xstat_ray.runtime import ray_executor
from xstat_ray.runtime.party_environment import PartyEnvironment

pytestmark = pytest.mark.ray
EXACT = study(privacy={"padding": "dp", "mechanism": "tree"})
AGGREGATE = ("aggregator", "all")
PARTY_STEPS = [step for step in STEPS if step[1] in ("handshake", "exchange", "emit")]
IN_THE_MIDST = 12
"""Point of the aggregator's work at which some joins are in flight."""
slow = pytest.mark.slow


@pytest.fixture
def domains(quick_key: PrivateKey, tmp_path: Path) -> Domains:
    return Domains(tmp_path / "domains", EXACT, Case(tmp_path).tables)


def counted(domains: Domains) -> list[int]:
    return pq.read_table(domains.out / "statistics.parquet")["noisy"].to_pylist()


def on_ray(domains: Domains, **changes: Any) -> dict[str, Options]:
    return {
        "options": replace(
            domains.options, runtime="ray", replicas={"row": 1, "column": 2}, **changes
        )
    }


@thorough
def test_workers_of_the_aggregator_are_killed(ray_folder, domains, tmp_path, monkeypatch):
    """Joins of both shards, one of them twice, and what comes after them."""
    schedule = {("join", 0): (1, "killed"), ("join", 1): (2, "killed"), ("bound", 0): (1, "killed")}
    failures = tmp_path / "failures"
    failures.mkdir()
    domains.run(until=AGGREGATE)
    with monkeypatch.context() as patch:
        patch.setattr(
            ray_executor, "RayExecutor", partial(Unreliable, folder=failures, schedule=schedule)
        )
        domains.step(*AGGREGATE, **on_ray(domains))
    killed = {path.name: len(list(path.iterdir())) for path in failures.iterdir()}
    assert killed == {"join0": 1, "join1": 2, "bound0": 1}
    domains.run()
    assert counted(domains) == list(COUNTS.values())


def mortal(folder: Path, doomed: str | int) -> type[PartyEnvironment]:
    """Environments that note their calls.

    The first to have done call `doomed`, by name or number, dies before it replies.
    """

    class Mortal(PartyEnvironment):
        calls = 0

        def call(self, method, *args):
            value = super().call(method, *args)
            self.calls += 1
            if doomed in (method, self.calls) and not (folder / "killed").exists():
                (folder / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            with (folder / f"{os.getpid()}.calls").open("a") as file:
                file.write(f"{method}\n")
            return value

    return Mortal


def step_on_ray(
    domains: Domains,
    step: tuple[str, str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    doomed: str | int = 0,
) -> list[str]:
    """Do a step whose environments are mortal; returns the calls of the one that had most."""
    folder.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(ray_executor, "PartyEnvironment", mortal(folder, doomed))
        if doomed:
            with pytest.raises(PartyLostError, match="run the same command again"):
                domains.step(*step, **on_ray(domains))
            assert (folder / "killed").exists()
        else:
            with suppress(PendingError):
                domains.step(*step, **on_ray(domains))
    return max((path.read_text().split() for path in folder.glob("*.calls")), key=len, default=[])


def the_same_command_goes_on(
    domains: Domains, step: tuple[str, str], before: Mapping[Path, bytes]
) -> None:
    """After a kill: nothing that was handed out has changed, and nothing of it changes any more."""
    handed_out = domains.contents()
    assert handed_out.items() >= before.items()
    with suppress(PendingError):
        domains.step(*step, **on_ray(domains))
    domains.run()
    assert domains.contents().items() >= handed_out.items()
    assert counted(domains) == list(COUNTS.values())
    for party in ("row", "column"):
        assert not (domains.state(party) / "secrets").exists()


@thorough
def test_an_environment_of_a_party_is_killed(ray_folder, domains, tmp_path, monkeypatch):
    step = ("column", "emit")
    domains.run(until=step)
    before = domains.contents()
    step_on_ray(domains, step, tmp_path / "calls", monkeypatch, doomed="emit")
    the_same_command_goes_on(domains, step, before)


@slow
@pytest.mark.parametrize("step", PARTY_STEPS, ids=" ".join)
def test_an_environment_of_a_party_is_killed_in_every_step(
    ray_folder, domains, tmp_path, monkeypatch, step
):
    domains.run(until=step)
    whole = Domains(shutil.copytree(domains.folder, tmp_path / "whole"), EXACT, domains.sources)
    calls = step_on_ray(whole, step, tmp_path / "whole calls", monkeypatch)
    assert calls
    for point in points(calls, 5):
        copy = Domains(
            shutil.copytree(domains.folder, tmp_path / f"point {point}"), EXACT, domains.sources
        )
        step_on_ray(copy, step, tmp_path / f"calls {point}", monkeypatch, doomed=point)
        the_same_command_goes_on(copy, step, domains.contents())


@pytest.fixture(scope="module")
def server() -> BaseContext:
    return clean_server(__name__)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Ray's sockets must have short paths."""
    folder = Path(tempfile.mkdtemp(prefix="k"))
    yield folder
    shutil.rmtree(folder)


def run_on_ray_until(
    point: int,
    key: bytes,
    arguments: Sequence[Any],
    step: tuple[str, str],
    temporary: Path,
    report: Any,
) -> None:
    """Do one step with a new Ray, in this process, which SIGKILL ends at `point`; 0 is never."""
    tempfile.tempdir = os.environ["HOME"] = str(temporary)
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        del os.environ[name]
    use_key(PrivateKey.from_bytes(key))
    domains = Domains(*arguments)
    doom = Doom(point, {"call", "submit", "put", "send", "add"}, set())
    doom.watch()
    with suppress(PendingError):
        domains.step(*step, **on_ray(domains, cluster=Cluster(cpus=1, store_bytes=80 << 20)))
    doom.look_away()
    report.put(doom.passed)


@thorough
@pytest.mark.parametrize(
    ("step", "count"),
    [(AGGREGATE, 0), *(pytest.param(step, 5, marks=slow) for step in [*PARTY_STEPS, AGGREGATE])],
    ids=["aggregator once", *(" ".join(step) for step in [*PARTY_STEPS, AGGREGATE])],
)
def test_a_job_is_killed_with_its_ray(
    server, quick_key, domains, tmp_path, short_folder, step, count
):
    """No process of it stays, and nobody else may read what stays on the disk."""
    domains.run(until=step)

    def killed(name, point):
        arguments = (shutil.copytree(domains.folder, tmp_path / name), EXACT, domains.sources)
        status = child(
            server, run_on_ray_until, point, quick_key.export_bytes(), arguments, step, short_folder
        )
        return Domains(*arguments), status

    _, (status, passed) = killed("whole", 0) if count else (None, (0, []))
    assert status == 0
    for point in points(passed, count) if count else [IN_THE_MIDST]:
        copy, end = killed(f"point {point}", point)
        assert end == (-signal.SIGKILL, [])
        while processes_of(short_folder):
            time.sleep(0.1)
        handed_out = copy.contents()
        copy.run()
        assert copy.contents().items() >= handed_out.items() >= domains.contents().items()
        assert counted(copy) == list(COUNTS.values())
    # The first points may lie before Ray was started.
    left = [stat.S_IMODE(path.stat().st_mode) for path in short_folder.glob("xr*")]
    assert left and set(left) == {0o700}
