"""Which environments work through which bins of the ID exchange."""

from __future__ import annotations

from typing import Any

import pytest

from tests.runtime.noting import Call, noting_executor
from xstat_ray.roles.id_exchange import Shape
from xstat_ray.runtime import exchange
from xstat_ray.runtime.exchange import exchange_ids
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


def test_environments_take_bins_in_turn(shape: Shape) -> None:
    executor, calls = noting_executor(["r0", "r1"], ["c0"])
    progress = Persons()
    exchange_ids(executor, progress)
    hidden = [call for call in of(calls, "hide") if call[0] != "c0"]
    assert hidden == [("r0", (0,)), ("r1", (1,)), ("r0", (2,)), ("r1", (3,))]
    assert progress.persons == 800


def test_every_matrix_goes_to_the_environment_that_holds_the_bin(shape: Shape) -> None:
    executor, calls = noting_executor(["r0"], ["c0", "c1"])
    exchange_ids(executor, Progress())
    evaluated = of(calls, "evaluate")
    for number in range(4):
        holder = f"c{number % 2}"
        assert (holder, (Call("r0", "hide", (number,)), number)) in evaluated
        assert ("r0", (Call(holder, "hide", (number,)), number)) in evaluated
    assert len(evaluated) == 8


@pytest.mark.parametrize("names", [(["r0"], ["c0", "c1"]), (["r0", "r1"], ["c0"])])
def test_environments_of_a_party_give_each_other_the_keys(
    shape: Shape, names: tuple[list[str], list[str]]
) -> None:
    executor, calls = noting_executor(*names)
    exchange_ids(executor, Progress())
    (several,) = [instances for instances in names if len(instances) > 1]
    keys = [Call(several[number % 2], "keys_of", (number,)) for number in range(4)]
    assert of(calls, "put_keys") == [
        (several[0], ([1, 3], keys[1], keys[3])),
        (several[1], ([0, 2], keys[0], keys[2])),
    ]


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
