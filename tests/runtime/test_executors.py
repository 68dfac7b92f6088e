"""One suite for all deployments: one process, Ray, and three domains that share files.

On every cell each gives the count of one SQL query over both tables in the clear.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests import oracle
from tests.bad_faith import bound_nothing, bound_nothing_here
from tests.runtime.executors import Deployment, InOneProcess, OnRay, Sources, ThreeDomains
from tests.runtime.running import inside
from tests.sizes import first, slow, thorough
from tests.synthetic import make_study
from xstat_ray import Options
from xstat_ray.crypto.kernels import choice
from xstat_ray.inputs.source import Source
from xstat_ray.model.dimension import Dimension, Level
from xstat_ray.model.study import Bounds, Privacy, Study, View
from xstat_ray.planning.batching import Batch
from xstat_ray.protocol import play
from xstat_ray.roles.party import Party
from xstat_ray.runtime.executor import Executor
from xstat_ray.runtime.ray_executor import RayExecutor

LOCAL = pytest.param(InOneProcess, id="one process")
RAY = pytest.param(OnRay, id="Ray", marks=pytest.mark.ray)
DOMAINS = pytest.param(ThreeDomains, id="three domains")
VIEW = View(Fraction(10), Fraction(1, 1000))
"""Dummies in every cell, and few enough for a test."""


@pytest.fixture(params=[LOCAL, RAY, DOMAINS])
def deployment(request: pytest.FixtureRequest, tmp_path: Path) -> Deployment:
    """Each deployment in turn."""
    if request.param is OnRay:
        request.getfixturevalue("ray_folder")
    elif request.param is ThreeDomains:
        request.getfixturevalue("umask_kept")
    return request.param(tmp_path / "deployment")


@thorough
@pytest.mark.parametrize(
    ("key_bits", "shards"),
    [
        (2048, 3),
        *(pytest.param(*case, marks=slow) for case in ((2048, 16), (2048, 1), (3072, 16))),
        *(pytest.param(3072, shards, marks=pytest.mark.slow) for shards in (1, 3)),
    ],
)
def test_equals_the_group_by_on_every_cell_of_the_demo(
    deployment: Deployment,
    nycflights: SimpleNamespace,
    nycflights_expected: NDArray[np.int64],
    key_bits: int,
    shards: int,
) -> None:
    study = nycflights.study
    sources = {"row": Source(nycflights.row), "column": Source(nycflights.column)}
    options = deployment.options(key_bits=key_bits, shards=shards)
    release = deployment.publish(study, sources, options)
    table = release.statistics
    noisy = table["noisy"].to_numpy().reshape(study.cells, study.slots)
    assert (noisy == nycflights_expected).all()
    labels = [(d.name, d.labels) for d in study.row.dimensions] + list(study.column_labels)
    names, domains = zip(*labels, strict=True)
    assert list(zip(*(table[name].to_pylist() for name in names), strict=True)) == list(
        itertools.product(*domains)
    )
    assert release.plan["shards"] == shards


def check(
    deployment: Deployment, study: Study, small: SimpleNamespace, **options: object
) -> Options:
    """Check every coefficient by the oracle, which draws from the parties' seeds."""
    chosen = deployment.options(**options)
    counted = deployment.counted(study, small.sources, chosen)
    expected = oracle.count(study, small.rows, small.flags, counted.seeds)
    assert expected.sum() > 100
    assert (counted.values == deployment.shown(study, chosen, expected)).all()
    return chosen


@pytest.mark.parametrize(
    ("offset_dimension", "shards", "mechanism"),
    [
        pytest.param(False, 36, "tree", marks=thorough),
        pytest.param(True, 36, "tree", marks=thorough),
        *(
            pytest.param(offset_dimension, shards, "flat", marks=slow)
            for offset_dimension in (True, False)
            for shards in (1, 80)
        ),
    ],
)
def test_windows_and_bounds(
    deployment: Deployment,
    small: SimpleNamespace,
    offset_dimension: bool,
    shards: int,
    mechanism: str,
) -> None:
    study = replace(
        make_study(offset_dimension=offset_dimension),
        privacy=Privacy(noise="off", mechanism=mechanism),
    )
    options = check(deployment, study, small, shards=shards)
    assert len(options.plan(study).design.levels) == (1 if mechanism == "flat" else 3)


def uneven(study: Study) -> Study:
    """Put the last of the four areas into a coast of its own."""
    zone, area = study.row.dimensions
    coast = Level("coast", ("east", "west"), (0, 0, 0, 1))
    return replace(
        study, row=replace(study.row, dimensions=(zone, replace(area, hierarchy=(coast,))))
    )


@pytest.mark.parametrize("batch", first(0, ["auto", "day"]))
def test_padding_changes_no_count(
    deployment: Deployment, small: SimpleNamespace, batch: Batch
) -> None:
    privacy = Privacy(noise="off", mechanism="tree", padding="dp", view=VIEW)
    study = replace(uneven(small.study), privacy=privacy)
    options = check(deployment, study, small, shards=7, batch=batch)
    assert [level.shown for level in options.plan(study).design.levels] == [18, 6, 3, 1]


@thorough
@pytest.mark.ray
@pytest.mark.parametrize("padding", first(1, ["dp", "off"]))
def test_windows_and_bounds_with_replicas(
    ray_folder: Path, small: SimpleNamespace, tmp_path: Path, padding: str
) -> None:
    privacy = Privacy(noise="off", mechanism="tree", padding=padding, view=VIEW)
    study = replace(uneven(make_study(offset_dimension=False)), privacy=privacy)
    check(OnRay(tmp_path), study, small, shards=40, replicas={"row": 2, "column": 2})


def test_all_agree_with_the_played_protocol(
    deployment: Deployment, small: SimpleNamespace, tmp_path: Path
) -> None:
    # One column, and bounds that never bind: nothing is drawn.
    everywhere = Dimension("route", "route", ("any",), ((),), other="any")
    study = make_study(offset_dimension=False)
    study = replace(
        study,
        column=replace(study.column, dimensions=(everywhere,)),
        bounds=Bounds(rows=1000, boardings=50, persons=100, per_column=50),
    )
    options = deployment.options(shards=12)
    played = play(
        options.plan(study),
        row_table=small.row,
        column_table=small.column,
        ledger=tmp_path / "ledger",
    ).values
    assert played.sum() > 100
    assert (deployment.counted(study, small.sources, options).values == played).all()


class UnboundedOnRay(OnRay):
    """On Ray, with environments of the row party that bound nothing."""

    def executor(self, study: Study, sources: Sources, options: Options) -> Executor:
        executor = super().executor(study, sources, options)
        for replica in range(len(executor.row)):
            inside(executor, "row", replica, bound_nothing_here)
        return executor


@thorough
@pytest.mark.parametrize("padding", ["off", "dp"])
def test_people_with_more_rows_than_the_bound_count_nowhere(
    deployment: Deployment,
    small: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    padding: str,
) -> None:
    bound_nothing(monkeypatch.setattr)
    if isinstance(deployment, OnRay):
        deployment = UnboundedOnRay(deployment.folder)
    study = replace(
        make_study(offset_dimension=False),
        bounds=Bounds(rows=2, boardings=50, persons=100, per_column=50),
        privacy=Privacy(noise="off", padding=padding, view=VIEW),
    )
    options = deployment.options(shards=20, batch="day", replicas={"row": 2})
    counted = deployment.counted(study, small.sources, options)
    most = {"off": 2, "dp": 1}[padding]
    expected = [
        oracle.count(study, small.rows, small.flags, counted.seeds, rows_per_flag=limit)
        for limit in (most, 1000)
    ]
    assert 100 < expected[0].sum() < expected[1].sum()
    assert (counted.values == deployment.shown(study, options, expected[0])).all()


@thorough
@pytest.mark.ray
@pytest.mark.parametrize("kernel", ["", "portable"])
def test_parties_and_tasks_take_the_kernel_that_is_forced_here(
    ray_folder: Path, small: SimpleNamespace, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The cluster was started before, so its processes do not inherit the variable.
    monkeypatch.setenv("XSTAT_KERNEL", kernel)
    forced = choice.kernel().name
    with RayExecutor(make_study(), small.sources, {"column": 2}) as executor:
        for role in ("row", "column"):
            assert executor.get(executor.first(role).call(Party.kernel)) == forced
        assert executor.get(executor.submit(kernel_of_a_task)) == forced


def kernel_of_a_task() -> str:
    """Return the name of the kernel in the process of a task."""
    return choice.kernel().name
