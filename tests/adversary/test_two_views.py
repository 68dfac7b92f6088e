"""Two padded views together: no tag, part of a tag or ciphertext of one is known from the other.

The aggregator keeps what it saw of one run when it sees the next: of another release, or of the same
that began again. A coin says of each of many people whether they are in the tables, or whether
they were taken out of them between the views. Which cell is which is given to the aggregator, although
every view has a secret order of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from tests.adversary.criterion import Guesses, chance, guess_drawn
from tests.adversary.deployments import (
    DEPLOYMENTS,
    ONE_FUNCTION,
    OneProcess,
    Ran,
    sources_of,
)
from tests.adversary.padded import (
    KINDS,
    Coins,
    Counts,
    Sent,
    both,
    by_cell,
    coins,
    drawn,
    in_order,
    linked,
    order_of,
    padded_study,
    stays_in_cells,
    tables_of,
)
from tests.adversary.planted import dummies
from tests.sizes import first, slow, thorough
from xstat_ray.runtime.driver import Driver

AREAS = 72
DAYS = 2
EPSILON = 0.5
DELTA = 0.01
LEARN = 8
STUDY = padded_study(AREAS, DAYS, EPSILON, DELTA, boardings=DAYS)
EVERYWHERE = [ONE_FUNCTION, *DEPLOYMENTS]
Twice = Callable[[OneProcess, Path, Sequence[Coins]], list[Ran]]
"""Shows the aggregator two views."""


class Crash(Exception):
    """Stands for the death of the process."""


def two_runs(deployment: OneProcess, folder: Path, people: Sequence[Coins]) -> list[Ran]:
    """Run one release after the other, each with whoever is there then."""
    return [
        deployment.run(
            STUDY,
            tables_of(stays_in_cells(there, DAYS)),
            folder / str(number),
            batch="day",
            shards=4,
        )
        for number, there in enumerate(people)
    ]


def begun_again(deployment: OneProcess, folder: Path, people: Sequence[Coins]) -> list[Ran]:
    """Run a release until the noise; the process dies; run it again with the same tables."""
    (there,) = people
    sources = sources_of(tables_of(stays_in_cells(there, DAYS)), folder, {})
    options = {"batch": "day", "shards": 4}

    def crash(*_: object) -> None:
        raise Crash

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Crash):
        patch.setattr(Driver, "rerandomise", crash)
        with deployment.watched() as before:
            deployment.release(STUDY, sources, folder, options)
    with deployment.watched() as record:
        deployment.release(STUDY, sources, folder, options)
    return [Ran(before, folder / "out"), Ran(record, folder / "out")]


AGAIN = [(begun_again, DEPLOYMENTS[0]), *((two_runs, place) for place in DEPLOYMENTS)]
"""How the aggregator comes to a second view of the same tables, and where."""


class Views(NamedTuple):
    """Two views of which the aggregator has everything."""

    counts: Counts
    """Numbers of every cell, of either view and of both together."""
    links: Counts
    """Of them, those of rows that have something in common with anything of the other view."""


def views_of(deployment: OneProcess, runs: Sequence[Ran]) -> Views:
    """Count whatever can be counted, in both views and between them."""
    things = [run.of(*deployment.counters) for run in runs]
    orders = [order_of(run.record) for run in runs]
    first, second = (
        in_order(by_cell(seen, AREAS), order) for seen, order in zip(things, orders, strict=True)
    )
    links = linked([Sent.of(seen) for seen in things], orders)
    return Views(both(first, second) | links, links)


def games(views: Views, coin: Coins) -> dict[str, Guesses]:
    """Let the aggregator guess about the people of every cell."""
    return {
        kind: guess_drawn(drawn(views.counts, coin[kind], range(AREAS)), LEARN) for kind in KINDS
    }


def found(guesses: dict[str, Guesses], allowed: float) -> list[str]:
    """The kinds of people about whom the aggregator was right more often than was declared."""
    return [kind for kind, game in guesses.items() if game.beat(allowed, searched=len(guesses))]


def known(views: Views) -> int:
    """How many times anything of one view was found in the other."""
    return sum(
        int(numbers.sum()) for name, numbers in views.links.items() if name.startswith("known")
    )


def stay(deployment: OneProcess, twice: Twice, folder: Path) -> tuple[Views, Coins]:
    """Take two views of the same tables; of each person a coin says whether they are in them."""
    there = coins(AREAS, 5)
    people = [there] if twice is begun_again else [there, there]
    return views_of(deployment, twice(deployment, folder, people)), there


def leave(deployment: OneProcess, folder: Path) -> tuple[Views, Coins]:
    """Take two views; everybody is in the first, and a coin says whether also in the second."""
    everybody = {kind: np.ones(AREAS, bool) for kind in KINDS}
    there = coins(AREAS, 6)
    return views_of(deployment, two_runs(deployment, folder, [everybody, there])), there


@pytest.mark.parametrize(
    ("twice", "deployment"),
    [*first(0, AGAIN[:1]), *first(0, [*AGAIN[1:], (two_runs, ONE_FUNCTION)], slow)],
)
def test_two_views_of_the_same_people_tell_no_more_than_both_may(twice, deployment, tmp_path):
    views, there = stay(deployment, twice, tmp_path)
    assert known(views) == 0
    assert found(games(views, there), chance(2 * EPSILON, 2 * DELTA)) == []


@thorough
@pytest.mark.parametrize("deployment", first(1, EVERYWHERE, slow))
def test_who_is_in_one_of_two_views_shows_no_more_than_one_may(deployment, tmp_path):
    views, there = leave(deployment, tmp_path)
    assert known(views) == 0
    assert found(games(views, there), chance(EPSILON, DELTA)) == []


@thorough
@pytest.mark.parametrize("deployment", first(1, EVERYWHERE, slow))
def test_dummies_that_are_drawn_from_the_same_seed_twice_cancel(deployment, tmp_path, monkeypatch):
    dummies.from_the_same_seed(monkeypatch)
    views, there = leave(deployment, tmp_path)
    guesses = games(views, there)
    assert found(guesses, chance(EPSILON, DELTA)) == list(KINDS)
    assert all(game.right == game.draws for game in guesses.values())


@thorough
@pytest.mark.parametrize(
    ("twice", "deployment"),
    [(two_runs, ONE_FUNCTION), *first(0, AGAIN, slow)],
)
def test_dummies_that_carry_the_same_tags_twice_are_told_from_people(
    twice, deployment, tmp_path, monkeypatch
):
    dummies.under_the_same_tag_key(monkeypatch)
    views, there = stay(deployment, twice, tmp_path)
    assert known(views) > 0
    assert found(games(views, there), chance(2 * EPSILON, 2 * DELTA)) == list(KINDS)
