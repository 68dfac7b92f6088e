"""Which environments are asked for which rows and flags."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.runtime.noting import noting_executor
from tests.synthetic import make_study
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.runtime import emission
from xstat_ray.runtime.emission import (
    decrypt_parts,
    emit_rows,
    flag_calls,
    senders_by_batch,
    senders_of,
)


def plan_of(padding: str = "off") -> Plan:
    """A plan with three batches."""
    study = make_study()
    study = replace(study, privacy=replace(study.privacy, padding=padding))
    return make_plan(study, key_bits=2048, shards=3)


@pytest.fixture
def plan() -> Plan:
    return plan_of()


@pytest.fixture
def padded() -> Plan:
    return plan_of("dp")


def test_only_environments_that_can_hold_rows_of_a_batch_are_asked(plan: Plan) -> None:
    assert len(plan.grid.batches) == 3
    has_rows = [[True, False, True], [True, False, False]]
    assert senders_by_batch(plan, has_rows) == [[0, 1], [], [0]]


def test_a_table_without_rows_is_asked_once_for_each_batch(plan: Plan) -> None:
    assert senders_by_batch(plan, [[False] * 3, [False] * 3]) == [[0], [0], [0]]


@pytest.mark.parametrize("holds", [True, False])
def test_with_padding_all_are_asked_whatever_they_hold(padded: Plan, holds: bool) -> None:
    batches = len(padded.grid.batches)
    has_rows = [[holds] * batches, [False] * batches]
    assert senders_by_batch(padded, has_rows) == [[0, 1]] * batches


def test_without_padding_each_environment_emits_its_rows_as_one_message(plan: Plan) -> None:
    executor, calls = noting_executor(["r0", "r1"], [])
    shard = plan.grid.shards[1]
    messages = senders_of(plan, executor.row, shard)
    sent = [executor.get(emit_rows(senders, shard)) for senders in messages]
    assert sent == [("r0", "emit", (shard,)), ("r1", "emit", (shard,))]
    assert calls == sent


def test_with_padding_one_emits_what_the_others_contribute_and_they_take_turns(
    padded: Plan,
) -> None:
    executor, _ = noting_executor(["r0", "r1", "r2"], [])
    emitters = []
    for shard in padded.grid.shards:
        (senders,) = senders_of(padded, executor.row, shard)
        emitter, method, (emitted, *contributed) = executor.get(emit_rows(senders, shard))
        assert (method, emitted) == ("emit", shard)
        assert {call[1:] for call in contributed} == {("contribute", (shard,))}
        assert sorted([emitter, *(call[0] for call in contributed)]) == ["r0", "r1", "r2"]
        emitters.append(emitter)
    turns = [f"r{number % 3}" for number in range(len(emitters))]
    assert emitters == turns


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
    parts = decrypt_parts(plan)
    assert [node for part in parts for node in part] == list(range(plan.design.nodes))
    assert len(parts) > 1 and max(map(len, parts)) <= 5
