"""How many batches have their flags made before their turn comes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from xstat_ray.runtime.flags_ahead import FlagsAhead
from xstat_ray.runtime.reduction import BatchMessages


def held_back(sizes: list[int], most: int, most_bytes: int) -> tuple[list[int], list[int]]:
    """Put batches of these sizes.

    Returns:
        Their numbers in the order in which they came, and how many were held back whenever one
        came.
    """
    made = list[int]()
    ahead = FlagsAhead(most, most_bytes)

    def batches() -> Iterator[BatchMessages]:
        for number, size in enumerate(sizes):
            made.append(number)
            yield from ahead.put(BatchMessages([], [lambda number=number: number]), size)
        yield from ahead.rest()

    came = list[int]()
    waiting = list[int]()
    for batch in batches():
        (message,) = batch.messages
        came.append(int(str(message())))
        waiting.append(len(made) - len(came))
    return came, waiting


@pytest.mark.parametrize(
    ("sizes", "most", "most_bytes", "waiting"),
    [
        ([1] * 6, 2, 100, [2, 2, 2, 2, 1, 0]),
        ([1] * 6, 100, 3, [3, 3, 3, 2, 1, 0]),
        ([1] * 3, 100, 100, [2, 1, 0]),
        ([9, 1, 1, 9, 1], 100, 2, [0, 2, 1, 0, 0]),
        ([5, 5, 5], 4, 4, [0, 0, 0]),
        ([1, 1, 1], 0, 100, [0, 0, 0]),
        ([], 2, 100, []),
    ],
)
def test_batches_come_in_order_and_few_are_held_back(
    sizes: list[int], most: int, most_bytes: int, waiting: list[int]
) -> None:
    assert held_back(sizes, most, most_bytes) == (list(range(len(sizes))), waiting)
