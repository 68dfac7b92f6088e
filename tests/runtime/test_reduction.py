"""The reduce tree on an executor that notes what it is asked for."""

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
    """Runs nothing: a join results in its shard, an addition in the union of its arguments.

    Tasks end in a drawn order.
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


def reduce(executor: Recording, shards: int, most: int) -> Counting:
    stage = Counting()
    reduce_partials(
        executor,
        Aggregator(PublicKey(3, 2)),
        (lambda shard=shard: executor.join(shard) for shard in range(shards)),
        in_flight=most,
        stage=stage,
    )
    return stage


@given(st.integers(1, 300), st.integers(1, 40), st.randoms())
def test_every_shard_is_added_once_by_additions_of_at_most_eight(shards, most, draw):
    executor = Recording(draw.choice)
    stage = reduce(executor, shards, most)
    assert sorted(executor.result) == list(range(shards)) and stage.units == shards
    assert max(executor.fan_ins, default=0) <= FAN_IN
    # A tree of that fan-in needs no more additions, with one for each level's incomplete group.
    assert len(executor.fan_ins) <= math.ceil((shards - 1) / (FAN_IN - 1)) + math.ceil(
        math.log(shards + 1, FAN_IN)
    )


@given(st.integers(1, 200), st.integers(1, 12))
def test_no_more_joins_are_in_flight_than_allowed(shards, most):
    class Bounded(Recording):
        """Checks how many tasks are waited for at a time."""

        def wait(self, refs: Sequence[int]) -> tuple[int, int]:
            assert len(refs) <= most
            return super().wait(refs)

    executor = Bounded(min)
    reduce(executor, shards, most)
    assert executor.most <= most + math.ceil(math.log(shards + 1, FAN_IN))
