"""The reduce tree over a recording executor: every shard once, and never more in flight than allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.model.messages import Partial
from xstat_ray.roles import Aggregator
from xstat_ray.roles.join import FAN_IN
from xstat_ray.runtime.executor import Executor
from xstat_ray.runtime.progress import Stage
from xstat_ray.runtime.reduction import reduce_partials


class Recording(Executor):
    """Runs nothing: a submitted join stands for its shard, an addition for the union.

    Finishes in a drawn order.
    """

    def __init__(self, order: Any) -> None:
        self._order = order
        self.running: set[int] = set()
        self.most = 0
        self.fan_ins: list[int] = []
        self.values: dict[int, tuple[int, ...]] = {}

    def _start(self, value: tuple[int, ...]) -> int:
        ref = len(self.values)
        self.values[ref] = value
        self.running.add(ref)
        self.most = max(self.most, len(self.running))
        return ref

    def join(self, shard: int) -> int:
        return self._start((shard,))

    def submit(self, function: Any, *args: Any) -> int:
        assert function.__name__ == "add" and len(set(args)) == len(args)
        self.fan_ins.append(len(args))
        return self._start(tuple(shard for ref in args for shard in self.values[ref]))

    def put(self, value: Any) -> Any:
        raise NotImplementedError

    def wait(self, refs: Sequence[int]) -> tuple[int, int]:
        assert set(refs) <= self.running
        done = self._order(sorted(refs))
        self.running.remove(done)
        return done, done

    def get(self, ref: int) -> Partial:
        self.result = self.values[ref]
        return Partial(cells=np.zeros(0, np.uint32), ciphertexts=np.zeros((0, 1, 4), np.uint8))


class Counting(Stage):
    def __init__(self) -> None:
        self.units = 0

    def advance(self, units: int = 1) -> None:
        self.units += units


def reduce(executor: Recording, shards: int, window: int) -> Counting:
    stage = Counting()
    reduce_partials(
        executor,
        Aggregator(PublicKey(3, 2)),
        (lambda shard=shard: executor.join(shard) for shard in range(shards)),
        in_flight=window,
        stage=stage,
    )
    return stage


@given(st.integers(1, 300), st.integers(1, 40), st.randoms())
def test_every_shard_once_within_the_window_by_additions_of_at_most_eight(shards, window, draw):
    executor = Recording(draw.choice)
    stage = reduce(executor, shards, window)
    assert sorted(executor.result) == list(range(shards)) and stage.units == shards
    assert max(executor.fan_ins, default=0) <= FAN_IN
    # No more additions than a tree of that fan-in needs, one for each level's incomplete group at
    # the end at most.
    assert len(executor.fan_ins) <= math.ceil((shards - 1) / (FAN_IN - 1)) + math.ceil(
        math.log(shards + 1, FAN_IN)
    )


@given(st.integers(1, 200), st.integers(1, 12))
def test_no_more_than_the_window_is_ever_in_flight(shards, window):
    class Bounded(Recording):
        """Counts only while shards remain: the last additions, one after the other, depend on each other."""

        def wait(self, refs: Sequence[int]) -> tuple[int, int]:
            assert len(refs) <= window
            return super().wait(refs)

    executor = Bounded(min)
    reduce(executor, shards, window)
    assert executor.most <= window + math.ceil(math.log(shards + 1, FAN_IN))
