"""Who blinds, evaluates and keeps which persons in the ID exchange."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.noting import Call, noting_executor
from xstat_ray.runtime import exchange
from xstat_ray.runtime.exchange import Holder, exchange_ids
from xstat_ray.runtime.progress import Progress


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three persons a call, and keys on disk after every second call."""
    monkeypatch.setattr(exchange, "PERSONS_A_CALL", 3)
    monkeypatch.setattr(exchange, "PARTS_KEPT", 2)


class Persons(Progress):
    """Keeps how many persons each finished call has exchanged."""

    def __init__(self) -> None:
        super().__init__()
        self.persons: list[int] = []

    def worked(self, what: str, count: int) -> None:
        assert what == "persons"
        self.persons.append(count)


def test_persons_are_cut_into_parts_and_parts_into_rounds() -> None:
    executor, _ = noting_executor(["r0", "r1"], [])
    holder = Holder.of("row", executor.row, 8, None)
    assert holder.parts == [range(2), range(2, 5), range(5, 8)]
    assert holder.rounds == [[range(2), range(2, 5)], [range(5, 8)]]
    assert [holder.turn(number) for number in range(3)] == [*executor.row, executor.row[0]]


def test_an_environment_without_persons_exchanges_nothing() -> None:
    executor, calls = noting_executor(["r0"], ["c0"])
    exchange_ids(executor, [Holder.of("row", executor.row, 0, None)], Progress())
    assert calls == []


def test_each_party_blinds_the_other_evaluates_and_only_the_first_of_a_holder_keeps_the_keys(
    tmp_path: Path,
) -> None:
    executor, calls = noting_executor(["r0"], ["c0", "c1"])
    holders = [
        Holder.of("row", executor.row, 4, None),
        Holder.of("column", executor.column, 7, tmp_path),
    ]
    progress = Persons()
    exchange_ids(executor, holders, progress)
    assert progress.persons == [2, 2, 2, 2, 3]

    def evaluated(by: str, of: str, part: range) -> Call:
        return Call(by, "evaluate", (Call(of, "blind", (part,)), part))

    of_row = [range(2), range(2, 4)]
    returned = [evaluated("c0", "r0", of_row[0]), evaluated("c1", "r0", of_row[1])]
    first_round = [range(2), range(2, 4)]
    first = [evaluated("r0", "c0", first_round[0]), evaluated("r0", "c1", first_round[1])]
    second = [evaluated("r0", "c0", range(4, 7))]
    assert [call for call in calls if call.method == "finalize"] == [
        ("r0", "finalize", (returned, of_row, None)),
        ("c0", "finalize", (first, first_round, tmp_path)),
        ("c1", "finalize", (first, first_round)),
        ("c0", "finalize", (second, [range(4, 7)], tmp_path)),
        ("c1", "finalize", (second, [range(4, 7)])),
    ]
