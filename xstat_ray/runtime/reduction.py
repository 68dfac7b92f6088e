"""Adding what is encrypted: the reduce tree over partials, and the sums up the row tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.messages import Partial
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import Aggregator
from xstat_ray.roles.join import FAN_IN
from xstat_ray.runtime.executor import Executor, Ref
from xstat_ray.runtime.progress import Stage
from xstat_ray.util.ranges import cut

PRODUCTS_A_CALL = 50_000
"""Ciphertexts multiplied by one task: about a second with the portable kernel."""


def reduce_partials(
    executor: Executor,
    aggregator: Aggregator,
    joins: Iterable[Callable[[], Ref[Partial]]],
    *,
    in_flight: int,
    stage: Stage,
) -> Partial:
    """Add the results of all joins in a reduce tree.

    As soon as `FAN_IN` results of one level are there, a task adds them into one of the next level.

    Args:
        executor: runs the joins and the additions.
        aggregator: adds.
        joins: what submits each join; called when its turn comes.
        in_flight: most tasks that run at a time.
        stage: advances by one for each join that has ended.
    """
    pending = iter(joins)
    levels: list[list[Ref[Partial]]] = [[]]
    running: dict[Ref[Partial], int] = {}
    while True:
        while len(running) < in_flight and (submit := next(pending, None)) is not None:
            running[submit()] = 0
        if not running:
            break
        ended, result = executor.wait(list(running))
        level = running.pop(ended)
        stage.advance(1 if level == 0 else 0)
        levels[level].append(result)
        if len(levels[level]) == FAN_IN:
            running[executor.submit(aggregator.add, *levels[level])] = level + 1
            levels[level] = []
            if len(levels) == level + 1:
                levels.append([])
    left = [ref for level_refs in levels for ref in level_refs]
    while len(left) > 1:
        left = [*left[FAN_IN:], executor.submit(aggregator.add, *left[:FAN_IN])]
    return executor.get(left[0])


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
