"""Which environments are asked for which rows and flags."""

from __future__ import annotations

import pytest

from tests.runtime.noting import noting_executor
from tests.synthetic import make_study
from xstat_ray.model.shards import Shard
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.runtime import emission
from xstat_ray.runtime.emission import (
    FlagCalls,
    RowCalls,
    opening_parts,
    wanted_batches,
)


@pytest.fixture
def plan() -> Plan:
    """A plan with two batches of three regions each."""
    return make_plan(make_study(), key_bits=2048, shards=6, batch="day")


def test_only_batches_that_can_hold_rows_are_asked_for() -> None:
    assert wanted_batches([True, False, True]) == [True, False, True]


def test_a_table_without_rows_is_asked_for_all_batches() -> None:
    assert wanted_batches([False] * 3) == [True] * 3


@pytest.mark.parametrize("environments", [1, 2, 3, 7])
@pytest.mark.parametrize("batches", [1, 2, 7, 12])
def test_every_batch_is_emitted_by_the_environment_that_prepares_it(
    plan: Plan, environments: int, batches: int
) -> None:
    names = [f"r{number}" for number in range(environments)]
    executor, calls = noting_executor(names, [])
    rows = RowCalls(executor.row, batches)
    rows.prepare(plan.grid, b"drawn")
    stretches = {call.environment: call.args[2] for call in calls}
    assert [batch for name in names for batch in stretches[name]] == list(range(batches))
    assert max(map(len, stretches.values())) - min(map(len, stretches.values())) <= 1
    for batch in range(batches):
        shard = Shard(number=batch, region=range(9), batch=batch)
        emitter, method, args = executor.get(rows.emit(shard))
        assert (method, args) == ("emit", (shard,)) and batch in stretches[emitter]


@pytest.mark.parametrize("environments", [1, 2, 3])
def test_environments_work_at_the_same_time_and_through_their_batches_in_order(
    environments: int,
) -> None:
    executor, _ = noting_executor([f"r{number}" for number in range(environments)], [])
    rows = RowCalls(executor.row, 12)
    assert sorted(rows.order) == list(range(12))
    emitters = [getattr(rows.emitter(batch), "name", "") for batch in rows.order]
    assert emitters == [f"r{place % environments}" for place in range(12)]
    of_first = [batch for batch in rows.order if batch < 12 // environments]
    assert of_first == sorted(of_first)


@pytest.mark.parametrize(
    ("flags", "parts"),
    [(0, [range(0)]), (3, [range(3)]), (7, [range(2), range(2, 4), range(4, 7)])],
)
def test_the_flags_of_a_batch_are_emitted_in_parts_when_they_are_called(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, flags: int, parts: list[range]
) -> None:
    monkeypatch.setattr(emission, "CIPHERTEXTS_A_CALL", 3 * plan.packing.blocks)
    executor, calls = noting_executor([], ["c0"])
    submits = FlagCalls(executor.column, plan).of_batch(2, flags)
    assert calls == []
    sent = [executor.get(submit()) for submit in submits]
    assert sent == [
        ("c0", "emit", (2, part, rows, plan.packing)) for part, rows in enumerate(parts)
    ]


@pytest.mark.parametrize("environments", [1, 2, 3])
@pytest.mark.parametrize("sizes", [[7] * 24, [1, 8, 0, 3, 9, 2, 2, 30, 7]])
def test_environments_encrypt_about_as_many_flags_however_batches_are_cut(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, environments: int, sizes: list[int]
) -> None:
    monkeypatch.setattr(emission, "CIPHERTEXTS_A_CALL", 3 * plan.packing.blocks)
    names = [f"c{number}" for number in range(environments)]
    executor, calls = noting_executor([], names)
    flags = FlagCalls(executor.column, plan)
    for batch, size in enumerate(sizes):
        for submit in flags.of_batch(batch, size):
            submit()
    asked = dict.fromkeys(names, 0)
    for call in calls:
        asked[call.environment] += len(call.args[2])
    assert sum(asked.values()) == sum(sizes)
    assert max(asked.values()) - min(asked.values()) <= 3


def test_the_noisy_table_is_decrypted_in_parts(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emission, "CIPHERTEXTS_A_CALL", 8 * 5 * plan.packing.blocks)
    parts = opening_parts(plan)
    assert [node for part in parts for node in part] == list(range(plan.design.nodes))
    assert len(parts) > 1 and max(map(len, parts)) <= 5
