"""Tasks whose results are taken in order."""

from __future__ import annotations

import time
from functools import partial

import pytest

from xstat_ray.runtime.ordered import ordered

pytestmark = pytest.mark.ray


def test_results_are_in_order_though_tasks_end_out_of_order(ray_folder, tmp_path):
    assert list(ordered(partial(later_first, tmp_path), range(4), in_flight=2)) == [0, 10, 20, 30]


def test_no_more_tasks_are_begun_than_may_be_in_flight(ray_folder):
    taken = []

    def items():
        for item in range(9):
            taken.append(item)
            yield item

    results = ordered(abs, items(), in_flight=3)
    assert next(results) == 0
    assert taken == [0, 1, 2]
    assert list(results) == list(range(1, 9))


def test_an_exception_of_a_task_arrives(ray_folder):
    with pytest.raises(ZeroDivisionError) as error:
        list(ordered(inverse, [1, 0, 2], in_flight=2))
    # As it was raised, without Ray's account of where.
    assert (type(error.value), str(error.value)) == (ZeroDivisionError, "division by zero")


def test_nothing_to_do(ray_folder):
    assert list(ordered(abs, [], in_flight=2)) == []


def later_first(folder, item):
    """Waits for the task after it, if it has an even number."""
    (folder / str(item)).touch()
    while item % 2 == 0 and not (folder / str(item + 1)).exists():
        time.sleep(0.01)
    return 10 * item


def inverse(number):
    return 1 / number
