from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from tests import oracle
from tests.runtime.running import coefficients, counts, seeds
from tests.synthetic import make_study
from xstat_ray import Options, crosstab
from xstat_ray.crypto.kernels import choice
from xstat_ray.model.study import Bounds, Dimension, Privacy, View
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import play
from xstat_ray.runtime.executor import LocalExecutor
from xstat_ray.runtime.ray_executor import RayExecutor

pytestmark = pytest.mark.ray
FAST = [(2048, 3), (3072, 16)]
MATRIX = [(key_bits, shards) for key_bits in (2048, 3072) for shards in (1, 3, 16)]


@pytest.mark.parametrize(
    ("key_bits", "shards"),
    [case if case in FAST else pytest.param(*case, marks=pytest.mark.slow) for case in MATRIX],
)
def test_equals_the_group_by_on_every_cell_of_the_demo(
    ray_folder, nycflights, nycflights_expected, key_bits, shards
):
    study = nycflights.study
    release = crosstab(
        study,
        row=nycflights.row,
        column=nycflights.column,
        options=Options(runtime="ray", key_bits=key_bits, shards=shards, allow_no_noise=True),
    )
    noisy = release.statistics["noisy"].to_numpy()
    assert (noisy.reshape(study.cells, study.slots) == nycflights_expected).all()


@pytest.mark.parametrize("padding", ["off", "dp"])
def test_windows_and_bounds_with_replicas(ray_folder, small, tmp_path, padding):
    view = View(Fraction(10), Fraction(1, 1000))
    privacy = Privacy(noise="off", mechanism="tree", padding=padding, view=view)
    study = replace(make_study(offset_dimension=False), privacy=privacy)
    plan = make_plan(study, key_bits=2048, shards=40)
    with RayExecutor(study, small.sources, {"row": 2, "column": 2}) as executor:
        table = counts(executor, plan, tmp_path / "ledger")
        expected = oracle.count(study, small.rows, small.flags, seeds(executor))
    assert (table == coefficients(plan, expected)).all()


def test_ray_and_local_and_the_played_protocol_agree(ray_folder, small, tmp_path):
    # One column, and bounds that never bind: nothing is drawn.
    everywhere = Dimension("route", "route", ("any",), ((),), other="any")
    study = make_study(offset_dimension=False)
    study = replace(
        study,
        column=replace(study.column, dimensions=(everywhere,)),
        bounds=Bounds(rows=1000, boardings=50, persons=100),
    )
    plan = make_plan(study, key_bits=2048, shards=12)
    played = play(
        plan, row_table=small.row, column_table=small.column, ledger=tmp_path / "ledger"
    ).values
    assert played.sum() > 100
    with LocalExecutor(study, small.sources) as executor:
        assert (counts(executor, plan, tmp_path / "ledger") == played).all()
    with RayExecutor(study, small.sources, {}) as executor:
        assert (counts(executor, plan, tmp_path / "ledger") == played).all()


@pytest.mark.parametrize("kernel", ["", "portable"])
def test_parties_and_tasks_take_the_kernel_that_is_forced_here(
    ray_folder, small, kernel, monkeypatch
):
    # The cluster was started before, so its processes do not inherit the variable.
    monkeypatch.setenv("XSTAT_KERNEL", kernel)
    forced = choice.kernel().name
    with RayExecutor(make_study(), small.sources, {"column": 2}) as executor:
        for role in ("row", "column"):
            assert executor.get(executor.party(role).call("kernel")) == forced
        assert executor.get(executor.submit(kernel_of_a_task)) == forced


def kernel_of_a_task():
    return choice.kernel().name
