"""The reduce tree on an executor that notes what it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakSet

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.synthetic import VIEW
from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.model.messages import Partial
from xstat_ray.roles import Aggregator
from xstat_ray.roles.join import FAN_IN
from xstat_ray.runtime.executor import Executor
from xstat_ray.runtime.progress import Stage
from xstat_ray.runtime.reduction import BatchMessages, reduce_partials


class Recording(Executor):
    """Runs nothing: a result is the messages in it, and the batches whose row bound it has met.

    Tasks end in a drawn order.
    """

    def __init__(self, order: Any) -> None:
        self._order = order
        self.running: dict[int, list[BatchFlags]] = {}
        self.most = 0
        self.fan_ins: list[int] = []
        self.values: dict[int, tuple[Message, ...]] = {}
        self.bounded: list[int] = []
        self.flags = WeakSet[BatchFlags]()
        """Flags that something still refers to."""
        self.most_flags = 0

    def submit(self, function: Any, *args: Any) -> int:
        name = function.__name__
        flags = [arg for arg in args if isinstance(arg, BatchFlags)]
        added = [arg for arg in args if isinstance(arg, int)]
        assert len(set(added)) == len(added) and not set(added) & self.running.keys()
        value = [message for ref in added for message in self.values[ref]]
        value += [arg for arg in args if isinstance(arg, Message)]
        batches = {message.batch for message in value}
        assert len(value) == 1 if name.startswith("join") else len(added) > 0
        assert (len(flags) == 2) == (name in ("join", "join_whole", "bound"))
        assert all({part.batch} == batches for part in flags)
        if name == "add":
            assert batches <= set(self.bounded)
        else:
            assert len(batches) == 1 and not batches & set(self.bounded)
        self.bounded += batches if name in ("join_whole", "bound") else []
        self.fan_ins += [len(added)] if added else []
        return self._start(tuple(value), flags)

    def _start(self, value: tuple[Message, ...], flags: list[BatchFlags]) -> int:
        ref = len(self.values)
        self.values[ref] = value
        self.running[ref] = flags
        self.most = max(self.most, len(self.running))
        self.most_flags = max(self.most_flags, len(self.flags))
        return ref

    def put(self, value: Any) -> Any:
        raise NotImplementedError

    def wait(self, refs: Sequence[int]) -> tuple[int, int]:
        assert set(refs) == self.running.keys()
        done = self._order(sorted(refs))
        del self.running[done]
        return done, done

    def get(self, ref: int) -> Partial:
        self.result = self.values[ref]
        return Partial(
            view=VIEW, cells=np.zeros(0, np.uint32), ciphertexts=np.zeros((0, 1, 4), np.uint8)
        )


class Message(NamedTuple):
    """A message of rows."""

    batch: int
    number: int


class BatchFlags:
    """A part of the flags of a batch."""

    def __init__(self, executor: Recording, batch: int) -> None:
        self.batch = batch
        executor.flags.add(self)


class Counting(Stage):
    def __init__(self) -> None:
        self.units = 0

    def advance(self, units: int = 1) -> None:
        self.units += units


def reduce(executor: Recording, sizes: Sequence[int], most: int) -> Counting:
    """Reduce batches of these numbers of messages."""

    def batches() -> Iterator[BatchMessages]:
        for batch, size in enumerate(sizes):
            flags = [BatchFlags(executor, batch) for _ in range(2)]
            yield BatchMessages(
                [flags], [partial(Message, batch, number) for number in range(size)]
            )

    stage = Counting()
    aggregator = Aggregator(PublicKey(3, 2), 1, 100)
    reduce_partials(executor, [aggregator], batches(), in_flight=most, stage=stage)
    return stage


def additions(count: int) -> int:
    """Most additions of a tree of fan-in eight, with one for each level's incomplete group."""
    return math.ceil((count - 1) / (FAN_IN - 1)) + math.ceil(math.log(count + 1, FAN_IN))


batch_sizes = st.lists(st.integers(1, 20), min_size=1, max_size=30) | st.lists(
    st.integers(1, 300), min_size=1, max_size=2
)


@given(batch_sizes, st.integers(1, 40), st.randoms())
def test_every_message_is_added_once_by_additions_of_at_most_eight(sizes, most, draw):
    executor = Recording(draw.choice)
    stage = reduce(executor, sizes, most)
    expected = [Message(batch, at) for batch, size in enumerate(sizes) for at in range(size)]
    assert sorted(executor.result) == expected and stage.units == len(expected)
    assert max(executor.fan_ins, default=0) <= FAN_IN
    assert sorted(executor.bounded) == list(range(len(sizes)))
    in_batches = sum(1 + additions(size) for size in sizes if size > 1)
    assert len(executor.fan_ins) <= in_batches + additions(len(sizes))


@given(batch_sizes, st.integers(1, 12), st.randoms())
def test_no_more_tasks_are_in_flight_than_allowed(sizes, most, draw):
    executor = Recording(draw.choice)
    reduce(executor, sizes, most)
    assert executor.most <= most


@given(batch_sizes, st.integers(1, 12), st.randoms())
def test_flags_are_kept_no_longer_than_tasks_of_their_batch_run(sizes, most, draw):
    executor = Recording(draw.choice)
    reduce(executor, sizes, most)
    # Those of the batches that the running tasks belong to, and of the batch that comes next.
    assert executor.most_flags <= 2 * (most + 1)
    assert not executor.flags
