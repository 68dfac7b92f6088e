"""Which environments are asked for which rows and flags."""

from __future__ import annotations

import pytest

from tests.runtime.noting import noting_executor
from tests.synthetic import make_study
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.runtime import emission
from xstat_ray.runtime.emission import (
    RowCalls,
    flag_calls,
    opening_parts,
    wanted_batches,
)


@pytest.fixture
def plan() -> Plan:
    """A plan with two batches of three regions each."""
    return make_plan(make_study(), key_bits=2048, shards=6, batch="day")


def test_only_batches_of_which_an_environment_can_hold_rows_are_asked_for() -> None:
    assert wanted_batches([[True, False, True], [True, False, False]]) == [True, False, True]


def test_a_table_without_rows_is_asked_for_all_batches() -> None:
    assert wanted_batches([[False] * 3, [False] * 3]) == [True] * 3


def test_a_single_environment_emits_without_announcements(plan: Plan) -> None:
    executor, calls = noting_executor(["r0"], [])
    rows = RowCalls(executor.row, plan.grid.shards)
    sent = [executor.get(rows.emit(shard)) for shard in plan.grid.shards]
    assert sent == calls == [("r0", "emit", (shard,)) for shard in plan.grid.shards]


def test_one_emits_what_the_others_contribute_and_they_take_turns(plan: Plan) -> None:
    names = ["r0", "r1", "r2"]
    executor, _ = noting_executor(names, [])
    rows = RowCalls(executor.row, plan.grid.shards)
    emitters = []
    for shard in plan.grid.shards:
        emitter, method, (emitted, *contributed) = executor.get(rows.emit(shard))
        assert (method, emitted) == ("emit", shard)
        announced = tuple((name, "announce", (shard.batch,)) for name in names)
        assert {call[1:] for call in contributed} == {("contribute", (shard, *announced))}
        assert sorted([emitter, *(call[0] for call in contributed)]) == names
        emitters.append(emitter)
    assert emitters == [f"r{number % 3}" for number in range(len(emitters))]


def test_environments_work_ahead_but_never_read_a_batch_before_they_are_done_with_the_last(
    plan: Plan,
) -> None:
    """Each reads a batch once, all at the same time, and contributes before the last emission."""
    executor, calls = noting_executor(["r0", "r1"], [])
    rows = RowCalls(executor.row, plan.grid.shards)
    for shard in plan.grid.shards:
        rows.emit(shard)
    first, second, third = plan.grid.shards[:3]
    steps = [(call.environment, call.method, call.args[0]) for call in calls]
    assert steps[:7] == [
        ("r0", "announce", 0),
        ("r1", "announce", 0),
        ("r1", "contribute", first),
        ("r0", "contribute", second),
        ("r0", "emit", first),
        ("r1", "contribute", third),
        ("r1", "emit", second),
    ]
    batches = [getattr(what, "batch", what) for _, _, what in steps]
    assert batches == sorted(batches) and len(batches) == 2 * 2 + 2 * len(plan.grid.shards)


def test_a_message_that_is_asked_for_again_gets_new_contributions(plan: Plan) -> None:
    executor, _ = noting_executor(["r0", "r1"], [])
    rows = RowCalls(executor.row, plan.grid.shards)
    shard = plan.grid.shards[3]
    assert executor.get(rows.emit(shard)) == executor.get(rows.emit(shard))


@pytest.mark.parametrize(
    ("flags", "parts"),
    [(0, [range(0)]), (3, [range(3)]), (7, [range(2), range(2, 4), range(4, 7)])],
)
def test_the_flags_of_a_batch_are_emitted_in_parts_by_environments_in_turn(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, flags: int, parts: list[range]
) -> None:
    monkeypatch.setattr(emission, "CIPHERTEXTS_A_CALL", 3 * plan.packing.blocks)
    executor, calls = noting_executor([], ["c0", "c1"])
    submits = flag_calls(executor, plan, 2, flags)
    assert calls == []
    sent = [executor.get(submit()) for submit in submits]
    assert sent == [
        (f"c{part % 2}", "emit", (2, part, rows, plan.packing)) for part, rows in enumerate(parts)
    ]


def test_the_noisy_table_is_decrypted_in_parts(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emission, "CIPHERTEXTS_A_CALL", 8 * 5 * plan.packing.blocks)
    parts = opening_parts(plan)
    assert [node for part in parts for node in part] == list(range(plan.design.nodes))
    assert len(parts) > 1 and max(map(len, parts)) <= 5
