"""Persons are not counted: numbers of rows, flags and dummies tell no more than was declared.

The aggregator has everything of one padded view. About each of many persons a coin says whether
they are in the tables, with all that the bounds allow. It guesses by whatever it can count, in
cells, shards, regions and batches, and may be right as often as the view's epsilon and delta allow.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.adversary.criterion import Features, Guesses, chance, guess_drawn
from tests.adversary.deployments import DEPLOYMENTS, ONE_FUNCTION, OneProcess
from tests.adversary.padded import (
    KINDS,
    ROLES,
    Coins,
    Counts,
    Stay,
    by_batch,
    by_cell,
    coins,
    drawn,
    in_order,
    order_of,
    padded_study,
    stays_in_cells,
    tables_of,
)
from tests.adversary.planted import dummies
from tests.sizes import first, slow, thorough

AREAS = 136
DAYS = 2
EPSILON = 1.0
DELTA = 0.01
BATCHES = 64
LEARN = 8
REGIONS = 2
"""Parts into which the cells are cut for shards."""
ALLOWED = chance(EPSILON, DELTA)
IN_CELLS = padded_study(AREAS, DAYS, EPSILON, DELTA, boardings=DAYS)
IN_BATCHES = padded_study(2, BATCHES, EPSILON, DELTA)


def counted_in_cells(deployment: OneProcess, folder: Path, there: Coins) -> Counts:
    """Run with one person more or less of each kind in every cell, who are there on all days."""
    stays = stays_in_cells(there, DAYS)
    ran = deployment.run(IN_CELLS, tables_of(stays), folder, batch="day", shards=4)
    counts = by_cell(ran.of(*deployment.counters), AREAS)
    order = order_of(ran.record)
    return in_order(counts, order) | {"blinded": order}


def games_in_cells(deployment: OneProcess, folder: Path, runs: int = 1) -> dict[str, Guesses]:
    """Let the aggregator guess about the person of every cell, each region for itself."""
    draws: dict[str, list[tuple[Features, int]]] = {}
    for run in range(runs):
        there = coins(AREAS, run)
        counts = counted_in_cells(deployment, folder / str(run), there)
        region = counts.pop("blinded") * REGIONS // AREAS
        for kind in KINDS:
            for number in range(REGIONS):
                of_region = np.flatnonzero(region == number).tolist()
                draws.setdefault(f"{kind}, region {number}", []).extend(
                    drawn(counts, there[kind], of_region)
                )
    return {name: guess_drawn(of_game, runs * LEARN) for name, of_game in draws.items()}


def found(games: dict[str, Guesses]) -> list[str]:
    """The games in which the aggregator was right more often than was declared."""
    return [name for name, game in games.items() if game.beat(ALLOWED, searched=len(games))]


@pytest.mark.parametrize(
    ("deployment", "runs"),
    [
        pytest.param(ONE_FUNCTION, 1, marks=thorough),
        *(pytest.param(d, 4, marks=slow) for d in DEPLOYMENTS),
    ],
)
def test_a_person_more_in_a_cell_shows_no_more_than_was_declared(deployment, runs, tmp_path):
    assert found(games_in_cells(deployment, tmp_path, runs)) == []


@thorough
@pytest.mark.parametrize("deployment", first(1, [ONE_FUNCTION, *DEPLOYMENTS], slow))
def test_dummies_that_are_left_out_of_a_shard_are_missed(deployment, tmp_path, monkeypatch):
    dummies.left_out_of_the_first_shard(monkeypatch)
    assert found(games_in_cells(deployment, tmp_path)) == ["met, region 0", "unmet, region 0"]


def game_in_batches(kind: str, deployment: OneProcess, folder: Path) -> Guesses:
    """Let the aggregator guess about one person of every batch, in both tables or in one of them.

    Nobody else is there, but for one person where a table would be empty.
    """
    coin = np.random.default_rng(3).integers(0, 2, BATCHES).astype(bool)
    roles = ROLES[kind]
    stays = [
        Stay(f"p{batch}", batch % 2, [batch], roles) for batch in np.flatnonzero(coin).tolist()
    ]
    stays += [Stay("alone", 0, [0], [role]) for role in ("row", "column") if role not in roles]
    ran = deployment.run(IN_BATCHES, tables_of(stays), folder, batch="day", shards=BATCHES)
    counts = by_batch(ran.of(*deployment.counters), BATCHES)
    # That person is in the first batch.
    return guess_drawn(drawn(counts, coin, range(1, BATCHES)), LEARN)


@thorough
@pytest.mark.parametrize("kind", first(1, ["flag", "met", "unmet"], slow))
@pytest.mark.parametrize("deployment", first(1, [ONE_FUNCTION, *DEPLOYMENTS], slow))
def test_a_person_more_in_a_batch_shows_no_more_than_was_declared(kind, deployment, tmp_path):
    assert not game_in_batches(kind, deployment, tmp_path).beat(ALLOWED)


@thorough
@pytest.mark.parametrize("kind", first(1, ["flag", "met"], slow))
def test_flags_that_are_padded_alike_in_every_batch_are_counted(kind, tmp_path, monkeypatch):
    dummies.as_many_flags_in_every_batch(monkeypatch)
    game = game_in_batches(kind, ONE_FUNCTION, tmp_path)
    assert game.right == game.draws and game.beat(ALLOWED)
