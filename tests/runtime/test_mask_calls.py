"""When the masks are asked for: among the rows, each part once, and what is left at the end."""

from __future__ import annotations

import pytest

from tests.runtime.noting import noting_executor
from tests.synthetic import make_study
from xstat_ray.planning.plan import make_plan
from xstat_ray.runtime import emission
from xstat_ray.runtime.opening import MaskCalls

PLAN = make_plan(make_study(), key_bits=2048)


def asked_after(parts: int, turns: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ask for masks among so many turns; returns how many parts are asked for after each turn."""
    nodes = -(-PLAN.design.shown // parts)
    monkeypatch.setattr(emission, "CIPHERTEXTS_A_CALL", 8 * nodes * PLAN.packing.blocks)
    assert len(emission.opening_parts(PLAN)) == parts
    executor, calls = noting_executor(["r0", "r1"], [])
    masks = MaskCalls(executor, PLAN)
    after = list[int]()
    for turn in range(turns):
        masks.among(turn, turns)
        after.append(sum(call.method == "mask_table" for call in calls))
    made = [executor.get(ref) for ref in masks.all()]
    assert [call.args[0] for call in made] == emission.opening_parts(PLAN)
    assert [call.environment for call in made] == [f"r{part % 2}" for part in range(parts)]
    assert sum(call.method == "mask_table" for call in calls) == parts
    return after


@pytest.mark.parametrize(
    ("parts", "turns", "after"),
    [
        (1, 1, [1]),
        (1, 4, [0, 1, 1, 1]),
        (1, 5, [0, 0, 1, 1, 1]),
        (2, 4, [1, 1, 2, 2]),
        (3, 1, [3]),
        (3, 3, [1, 2, 3]),
        (3, 0, []),
    ],
)
def test_parts_are_spread_evenly_among_the_turns(
    parts: int, turns: int, after: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked_after(parts, turns, monkeypatch) == after
