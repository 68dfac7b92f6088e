"""The draw of the noise in one cluster: calls that are made again, and the covert check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.adversary.planted import sampler
from tests.case import Case, study
from tests.runtime.running import inside
from tests.sizes import thorough
from xstat_ray.errors import DepartureError
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.joint_draw import JointDraw
from xstat_ray.roles.noise_share import NoiseShare
from xstat_ray.runtime.executor import Executor, Instance, LocalExecutor, LocalInstance, Ref
from xstat_ray.runtime.joint_noise import draw_noise
from xstat_ray.runtime.progress import Progress
from xstat_ray.runtime.ray_executor import RayExecutor, RayInstance

CHECKED = study(noise="laplace", privacy={"checked": 2})
STEPS = {
    name for kind in (JointDraw, NoiseShare) for name in vars(kind) if not name.startswith("_")
}


class Repeating(LocalInstance[Any]):
    """An instance that does every step of the draw twice, as one whose answer was lost."""

    def call(self, method: Callable[..., Any], *args: object) -> Ref[Any]:
        if method.__name__ in STEPS:
            super().call(method, *args)
        return super().call(method, *args)


def sources(case: Case) -> dict[str, Source]:
    return {role: Source(path, ledger=case.ledger) for role, path in case.tables.items()}


def agreed(executor: Executor, declared: Study) -> Plan:
    """Lead the parties through the handshake; returns the plan."""
    row = executor.row[0]
    column = executor.column[0]
    hellos = executor.get_all([row.call(RowParty.hello), column.call(ColumnParty.hello)])
    of_row = row.call(RowParty.agree, hellos[1])
    of_column = column.call(ColumnParty.agree, hellos[0])
    confirmed = row.call(RowParty.confirm, of_column), column.call(ColumnParty.confirm, of_row)
    executor.get_all(confirmed)
    return make_plan(declared, key_bits=2048)


@pytest.mark.parametrize("declared", [study(noise="laplace"), CHECKED], ids=["plain", "checked"])
def test_steps_that_are_done_twice_change_nothing(declared, tmp_path):
    executor = LocalExecutor(declared, sources(Case(tmp_path)))
    row, column = (Repeating(party.party) for party in (executor.row[0], executor.column[0]))
    executor.row = [row]
    executor.columns = {"column": [column]}
    plan = agreed(executor, declared)
    draw_noise(executor, plan, Progress())
    low, high = row.party._noise + column.party._noise
    assert abs(low + (high << 32)).max() <= plan.noise.largest


def test_a_departure_ends_the_run_of_a_driver(tmp_path, monkeypatch):
    executor = LocalExecutor(CHECKED, sources(Case(tmp_path)))
    plan = agreed(executor, CHECKED)
    sampler.deals_other_shares(monkeypatch)
    with pytest.raises(DepartureError, match="the aggregator did not follow") as caught:
        draw_noise(executor, plan, Progress())
    assert caught.value.who == "aggregator"


def spoil(environment: Any) -> None:
    """Have the party in this environment draw other coins than its seed gives."""
    sampler.tosses_other_coins(pytest.MonkeyPatch(), environment._name)


@thorough
@pytest.mark.ray
def test_on_ray_steps_are_done_twice_and_a_departure_is_named(ray_folder, tmp_path, monkeypatch):
    call = RayInstance.call

    def again(self: Instance[Any], method: Callable[..., Any], *args: object) -> Ref[Any]:
        if method.__name__ in STEPS:
            call(self, method, *args)
        return call(self, method, *args)

    monkeypatch.setattr(RayInstance, "call", again)
    with RayExecutor(CHECKED, sources(Case(tmp_path)), {}) as executor:
        plan = agreed(executor, CHECKED)
        draw_noise(executor, plan, Progress())
        shares = [
            inside(executor, role, 0, lambda e: e._party._noise) for role in ("row", "column")
        ]
        low, high = sum(shares)
        assert abs(low + (high << 32)).max() <= plan.noise.largest
    with RayExecutor(CHECKED, sources(Case(tmp_path)), {}) as executor:
        plan = agreed(executor, CHECKED)
        inside(executor, "row", 0, spoil)
        with pytest.raises(DepartureError) as caught:
            draw_noise(executor, plan, Progress())
        assert caught.value.who == "row party"
