"""Which environments work through which bins of the ID exchange."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.runtime.noting import Call, noting_executor
from xstat_ray.roles.id_exchange import Shape
from xstat_ray.runtime import exchange
from xstat_ray.runtime.exchange import exchange_ids, holder_of
from xstat_ray.runtime.progress import Progress


class Persons(Progress):
    """Keeps how many persons were exchanged."""

    persons = 0

    def worked(self, what: str, count: int) -> None:
        assert what == "persons"
        self.persons += count


@pytest.fixture
def shape(monkeypatch: pytest.MonkeyPatch) -> Shape:
    """Four bins, on which environments that run nothing agree."""
    agreed = Shape(row=500, column=300, bins=4, width=8)
    monkeypatch.setattr(exchange, "_agree", lambda _: agreed)
    return agreed


def of(calls: list[Call], method: str) -> list[tuple[str, tuple[Any, ...]]]:
    """List environments and arguments of the calls of a method."""
    return [(call.environment, call.args) for call in calls if call.method == method]


def test_environments_of_the_row_party_hold_ranges_of_bins_and_work_in_turn(shape: Shape) -> None:
    executor, calls = noting_executor(["r0", "r1"], ["c0"])
    progress = Persons()
    exchange_ids(executor, progress)
    masked = [call for call in of(calls, "hide") if call[0] != "c0"]
    assert masked == [("r0", (0,)), ("r1", (2,)), ("r0", (1,)), ("r1", (3,))]
    assert progress.persons == 800
    assert not of(calls, "put_keys")


def test_every_matrix_goes_to_the_environment_that_holds_the_bin(shape: Shape) -> None:
    executor, calls = noting_executor(["r0"], ["c0", "c1"])
    exchange_ids(executor, Progress())
    evaluated = of(calls, "evaluate")
    for number in range(4):
        holder = f"c{number % 2}"
        assert (holder, (Call("r0", "hide", (number,)), number)) in evaluated
        assert ("r0", (Call(holder, "hide", (number,)), number)) in evaluated
    assert len(evaluated) == 8


def test_environments_that_hold_the_same_persons_give_each_other_the_keys(shape: Shape) -> None:
    executor, calls = noting_executor(["r0"], ["c0", "c1"])
    exchange_ids(executor, Progress())
    assert of(calls, "put_keys") == [
        (f"c{1 - number % 2}", (Call(f"c{number % 2}", "keys_of", (number,)), number))
        for number in range(4)
    ]


@pytest.mark.parametrize("environments", [1, 2, 3, 5])
def test_an_environment_holds_the_bins_of_its_share(environments: int) -> None:
    bins = 3 * environments
    names = [f"r{number}" for number in range(environments)]
    executor, _ = noting_executor(names, ["c0"])
    holders = [holder_of(executor, "row", number, bins) for number in range(bins)]
    expected = np.repeat(names, 3).tolist()
    assert [getattr(holder, "name", "") for holder in holders] == expected


def test_both_parties_agree_before_any_bin() -> None:
    executor, calls = noting_executor(["r0", "r1"], ["c0"])
    exchange._agree(executor)
    order = [(call.environment, call.method) for call in calls]
    assert order == [
        ("r0", "offer_columns"),
        ("c0", "offer_columns"),
        ("r0", "choose_columns"),
        ("c0", "choose_columns"),
        ("r0", "accept_choices"),
        ("c0", "accept_choices"),
        ("r0", "share_exchange"),
        ("r1", "join_exchange"),
    ]
    (given,) = [call.args for call in calls if call[:2] == ("c0", "choose_columns")]
    assert given == (Call("r0", "offer_columns", ()),)
