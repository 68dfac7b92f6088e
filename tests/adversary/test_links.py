"""Tags link nothing: not periods, not batches, not releases; equal tags of one view alone match."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.adversary.criterion import DRAWS, LEARN, Guesses, chance, guess_worlds
from tests.adversary.deployments import DEPLOYMENTS, PUBLIC, READER, OneProcess, Ran, played
from tests.adversary.features import features, shared_parts
from tests.adversary.people import NUMBERS, People
from tests.adversary.planted.first_exchange import FirstColumn, FirstRow
from tests.adversary.planted.flags import kept_for_the_next_release
from tests.adversary.planted.patches import replace_everywhere
from tests.adversary.planted.tags import half_without_the_period
from tests.adversary.recorder import NOBODY, RECEIVED, Record, Recorder, Thing
from tests.case import HOURS, study
from tests.sizes import first, slow, thorough
from xstat_ray.crypto.tags import tags
from xstat_ray.roles import ColumnParty

TIMED = study(
    noise="laplace",
    period=HOURS,
    row={"time": "at"},
    column={"time": "at"},
    bounds={"boardings": 2, "per_column": 2, "persons": 2000},
)
SETTLED = study(noise="laplace", privacy={"epsilon": "1/1000000", "cap": 10})
"""Noise is so wide that what is published never coincides."""
TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d.*")
LONG = 12
"""Bytes that no two releases have in common by chance."""


def seen_twice(people: list[str], later: list[str]) -> dict[Any, Any]:
    """Tables of two hours of two days: these people in the first, those in the other."""
    hours = [dt.datetime(2024, 1, 1, 3, 5)] * len(people) + [dt.datetime(2024, 1, 2, 3, 5)] * len(
        later
    )
    ids = [*people, *later]
    return {
        "row": {"id": ids, "at": hours, "area": ["a"] * len(ids)},
        "column": {"id": ids, "at": hours, "kind": ["x"] * len(ids)},
    }


def tags_of(things: list[Thing]) -> NDArray[np.uint8]:
    """All different tags that the aggregator was given."""
    found = [
        thing.value
        for thing in things
        if thing.kind == RECEIVED and isinstance(thing.value, np.ndarray)
        if thing.value.dtype == np.uint8 and thing.value.shape[1:] == (16,)
    ]
    return np.unique(np.concatenate(found), axis=0)


def game(folder: Path, shards: int) -> Guesses:
    """Let the aggregator guess whether the same people come again, or others."""
    number = iter(range(1000))

    def world(later: list[str]) -> dict[str, float]:
        tables = seen_twice(list(NUMBERS[:12]), later)
        place = folder / str(next(number))
        things = played(TIMED, tables, place, "aggregator", shards=shards).of("aggregator")
        rows = tags_of(things)
        assert len(rows) == 24
        received = features(thing for thing in things if thing.kind == RECEIVED)
        return received | shared_parts(rows, np.arange(len(rows)))

    worlds: list[Callable[[], dict[str, float]]] = [
        partial(world, list(later)) for later in (NUMBERS[12:24], NUMBERS[:12])
    ]
    return guess_worlds(worlds, LEARN, DRAWS)


@slow
@pytest.mark.parametrize("shards", first(1, [4, 1], slow))
def test_nobody_is_recognised_in_another_period(shards, tmp_path):
    """With four shards the periods are in different batches, with one in the same."""
    assert not game(tmp_path, shards).beat(chance())


@slow
def test_tags_with_a_part_that_stays_over_periods_are_recognised(tmp_path, monkeypatch):
    replace_everywhere(monkeypatch, tags, half_without_the_period)
    assert game(tmp_path, 4).beat(chance())


def words_of(things: list[Thing]) -> frozenset[bytes]:
    words = (word for thing in things for word in thing.words if len(word) >= LONG)
    return frozenset(word for word in words if TIME.fullmatch(word) is None)


class Releases:
    """Releases of the same people, and of others in one table or in both."""

    def __init__(self, deployment: OneProcess, folder: Path) -> None:
        self._deployment = deployment
        self._folder = folder
        self.first = self._release("first", NUMBERS[:30], NUMBERS[15:45])
        self.again = self._release("again", NUMBERS[:30], NUMBERS[15:45])

    def _release(self, name: str, row: tuple[str, ...], column: tuple[str, ...]) -> Ran:
        tables = People(row, column).tables()
        return self._deployment.run(SETTLED, tables, self._folder / name)

    def strangers(self, role: str) -> Ran:
        """A release in which nobody but the role's own people, if it has any, is the same."""
        row = NUMBERS[:30] if role == "row" else NUMBERS[100:130]
        column = NUMBERS[15:45] if role == "column" else NUMBERS[115:145]
        return self._release(f"strangers to {role}", row, column)

    def kept(self, strangers: Ran, *roles: str) -> frozenset[bytes]:
        """What these roles had in both releases of the same people and not among strangers."""
        first, again, others = (
            words_of(ran.of(*roles)) for ran in (self.first, self.again, strangers)
        )
        return (first & again) ^ (first & others)


@slow
@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow))
def test_nothing_of_the_same_people_comes_again_in_another_release(deployment, tmp_path):
    releases = Releases(deployment, tmp_path)
    for role in ("row", "column"):
        assert releases.kept(releases.strangers(role), role) == frozenset()
    strangers = releases.strangers("nobody")
    for roles in (deployment.counters, (PUBLIC,), (READER,)):
        assert releases.kept(strangers, *roles) == frozenset()


@thorough
@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow))
def test_flags_that_are_sent_once_more_are_recognised(deployment, tmp_path, monkeypatch):
    monkeypatch.setattr(ColumnParty, "emit", kept_for_the_next_release)
    releases = Releases(deployment, tmp_path)
    assert len(releases.kept(releases.strangers("nobody"), *deployment.counters)) >= 30


def first_version(row: FirstRow, column: FirstColumn) -> Record:
    with Recorder().recording(NOBODY) as record:
        row.finalize(column.evaluate(row.blind()))
        column.finalize(row.evaluate(column.blind()))
    return record


def test_a_key_of_the_exchange_that_is_used_again_is_recognised():
    column = FirstColumn([person.encode() for person in NUMBERS[:30]])
    again, before = (
        words_of(first_version(FirstRow([b"0" * 12]), column).of("row")) for _ in range(2)
    )
    assert len(again & before) >= 30
