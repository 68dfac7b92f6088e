"""Adding what is encrypted: the reduce trees over partials, and the sums up the row tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.messages import Flags, Partial
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import Aggregator
from xstat_ray.roles.join import FAN_IN, Joined
from xstat_ray.runtime.executor import Executor, Ref
from xstat_ray.runtime.progress import Stage
from xstat_ray.util.ranges import cut

T = TypeVar("T")

PRODUCTS_A_CALL = 50_000
"""Ciphertexts multiplied by one task: about a second with the portable kernel."""


class BatchMessages(NamedTuple):
    """What is joined with the flags of one batch."""

    flags: Sequence[Sequence[Ref[Flags]]]
    """The parts of each column party's flags, party after party."""
    messages: Iterable[Callable[[], object]]
    """What gets each message of rows, or a handle on it; called when its turn comes."""


def reduce_partials(
    executor: Executor,
    aggregators: Sequence[Aggregator],
    batches: Iterable[BatchMessages],
    *,
    in_flight: int,
    stage: Stage,
) -> list[Partial]:
    """Join every message of rows with the flags of its batch, and add the results in reduce trees.

    What is joined of a batch goes up a tree of its own, at whose root the row bound is enforced;
    what comes out of these goes up one tree for all batches. As soon as `FAN_IN` results of one
    level are there, a task adds them into one of the next level. The flags of a batch are kept
    until the task at its root has ended. A batch of one message has no tree.

    Where there are several column parties each has trees of its own, under its key. All join a
    message of rows when its turn comes, so it is asked for once.

    Args:
        executor: runs the joins and the additions.
        aggregators: join, add, and enforce the row bound, each for one column party, in the order
            of the study.
        batches: every batch; asked for when its turn comes.
        in_flight: most tasks that run at a time.
        stage: advances by one for each join that has ended.

    Returns:
        The counts under each key.
    """
    return _Reduction(executor, aggregators, stage).run(batches, in_flight)


class _Tree(Generic[T]):
    """Results on their way up a reduce tree: those that wait for others, by level."""

    def __init__(self) -> None:
        self._levels = list[list[Ref[T]]]()

    def put(self, result: Ref[T], level: int) -> list[Ref[T]]:
        """Take a result; as soon as `FAN_IN` of its level are there, hand them out."""
        while level >= len(self._levels):
            self._levels.append([])
        self._levels[level].append(result)
        if len(self._levels[level]) < FAN_IN:
            return []
        full = self._levels[level]
        self._levels[level] = []
        return full

    def take(self) -> tuple[list[Ref[T]], bool]:
        """Hand out up to `FAN_IN` results of any level, and tell whether these were all."""
        waiting = [result for level in self._levels for result in level]
        self._levels = [waiting[FAN_IN:]]
        return waiting[:FAN_IN], len(waiting) <= FAN_IN


class _Key:
    """What is counted under the key of one column party."""

    def __init__(self, number: int, aggregator: Aggregator) -> None:
        self.number = number
        self.aggregator = aggregator
        self.total = _Tree[Partial]()
        """Counts of whole batches."""


class _OpenBatch:
    """A batch that is being joined with the flags of one column party."""

    def __init__(self, key: _Key, flags: Sequence[Sequence[Ref[Flags]]]) -> None:
        self.key = key
        self.flags = flags[key.number]
        self.joined_with = [part for of_party in flags[: key.number + 1] for part in of_party]
        """The flags, behind those of the column parties that come before."""
        self.tree = _Tree[Joined]()
        self.running = 0
        """Joins and additions that have not ended."""
        self.complete = False
        """Whether all joins have been submitted."""


class _Reduction:
    """The reduce trees of a run, and the tasks that run for them."""

    def __init__(self, executor: Executor, aggregators: Sequence[Aggregator], stage: Stage) -> None:
        self._executor = executor
        self._keys = [_Key(number, aggregator) for number, aggregator in enumerate(aggregators)]
        self._stage = stage
        self._running: dict[Ref[Any], Callable[[Ref[Any]], None]] = {}
        """What takes the result of each task that runs."""

    def run(self, batches: Iterable[BatchMessages], in_flight: int) -> list[Partial]:
        """Run everything; see `reduce_partials`."""
        starting = self._start(batches)
        while True:
            while len(self._running) < in_flight and next(starting, False):
                pass
            if not self._running:
                break
            self._wait()
        return [self._whole(key) for key in self._keys]

    def _whole(self, key: _Key) -> Partial:
        """Add up what is left under a key."""
        while True:
            left, _ = key.total.take()
            if len(left) == 1:
                return self._executor.get(left[0])
            self._add(key, left, 0)
            self._wait()

    def _wait(self) -> None:
        ended, result = self._executor.wait(list(self._running))
        self._running.pop(ended)(result)

    def _start(self, batches: Iterable[BatchMessages]) -> Iterator[bool]:
        """Start one task at each step."""
        for flags, messages in batches:
            open_batches = [_OpenBatch(key, flags) for key in self._keys]
            coming = iter(messages)
            first = list(islice(coming, 2))
            if len(first) == 1:
                rows = first[0]()
                for batch in open_batches:
                    self._join_whole(batch, rows)
                    yield True
                continue
            for message in chain(first, coming):
                rows = message()
                for batch in open_batches:
                    self._join(batch, rows)
                    yield True
            for batch in open_batches:
                batch.complete = True
                if not batch.running:
                    self._close(batch)
                    yield True

    def _join_whole(self, batch: _OpenBatch, rows: object) -> None:
        """Join a batch that is one message."""
        join = batch.key.aggregator.join_whole
        ref = self._executor.submit(join, rows, *batch.joined_with)
        self._running[ref] = partial(self._joined_whole, batch.key)

    def _join(self, batch: _OpenBatch, rows: object) -> None:
        batch.running += 1
        ref = self._executor.submit(batch.key.aggregator.join, rows, *batch.joined_with)
        self._running[ref] = partial(self._joined, batch, 0)

    def _joined_whole(self, key: _Key, result: Ref[Partial]) -> None:
        """Take what was joined of a batch that is one message."""
        self._stage.advance()
        self._bounded(key, 0, result)

    def _joined(self, batch: _OpenBatch, level: int, result: Ref[Joined]) -> None:
        """Take what was joined or merged of a batch."""
        batch.running -= 1
        if level == 0:
            self._stage.advance()
        if full := batch.tree.put(result, level):
            self._merge(batch, full, level)
        elif batch.complete and not batch.running:
            self._close(batch)

    def _merge(self, batch: _OpenBatch, joined: Sequence[Ref[Joined]], level: int) -> None:
        batch.running += 1
        ref = self._executor.submit(batch.key.aggregator.merge, *joined)
        self._running[ref] = partial(self._joined, batch, level + 1)

    def _close(self, batch: _OpenBatch) -> None:
        """Go on with a batch of which nothing else will come and nothing runs."""
        left, are_all = batch.tree.take()
        if not are_all:
            self._merge(batch, left, 0)
            return
        ref = self._executor.submit(batch.key.aggregator.bound, *left, *batch.flags)
        self._running[ref] = partial(self._bounded, batch.key, 0)

    def _bounded(self, key: _Key, level: int, result: Ref[Partial]) -> None:
        """Take counts of whole batches, within the row bound."""
        if full := key.total.put(result, level):
            self._add(key, full, level)

    def _add(self, key: _Key, partials: Sequence[Ref[Partial]], level: int) -> None:
        ref = self._executor.submit(key.aggregator.add, *partials)
        self._running[ref] = partial(self._bounded, key, level + 1)


def sum_up_levels(
    executor: Executor,
    plan: Plan,
    aggregator: Aggregator,
    encrypted: Partial,
    starts_of_levels: Sequence[NDArray[np.int64]],
) -> NDArray[np.uint8]:
    """Lay out the whole row domain and sum it up the row tree, by tasks over ranges of nodes.

    Args:
        executor: runs the tasks.
        plan: the plan with the row domain and its measured levels.
        aggregator: lays out and adds.
        encrypted: the encrypted counts of the cells that have any.
        starts_of_levels: for every measured level above the cells, where its nodes begin on the
            measured level below.

    Returns:
        (nodes, blocks, bytes) ciphertexts of all measured levels, one level after the other.
    """
    blocks = plan.packing.blocks
    levels = [aggregator.lay_out(encrypted, plan.design.cells, blocks)]
    for starts in starts_of_levels:
        table = levels[-1]
        edges = np.append(starts, len(table))
        most = max(1, PRODUCTS_A_CALL * len(starts) // (len(table) * blocks))
        refs = []
        for nodes in cut(len(starts), most):
            low = edges[nodes.start]
            high = edges[nodes.stop]
            relative = starts[nodes.start : nodes.stop] - low
            refs.append(executor.submit(aggregator.sum_up, table[low:high], relative))
        levels.append(np.concatenate(executor.get_all(refs)))
    return np.concatenate(levels)
