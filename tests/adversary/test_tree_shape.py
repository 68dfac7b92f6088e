"""The aggregator names places by the shape of the row tree, with everything that it receives.

It knows the study, so it knows how many cells every county has. It sees the row tree, be it from
messages or from the plan, and how many rows each blinded cell has. In each draw the row party's
secrets are fresh, so a county can be anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from tests.case import Case
from tests.case import study as make_study
from tests.roles.pair import exchanged_pair
from tests.sizes import first, slow, thorough
from xstat_ray.model.messages import Rows
from xstat_ray.model.row_tree import RowTree
from xstat_ray.model.shards import Shard
from xstat_ray.model.study import Role, Study
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.planning.tree_shape import named_places
from xstat_ray.privacy.design import Design, shown_tree
from xstat_ray.roles import RowParty
from xstat_ray.roles.blinding import Blinding

FALSE_ALARM = 1e-6
DRAWS = 60
COUNTIES = {"one": 1, "two": 2, "three": 3, "five": 5}
"""Cells by county: every one has a number of its own."""
TWINS = {"one": 1, "two": 2, "other two": 2, "five": 5}
VIEW = {"epsilon": 4, "delta": "1/1000"}

Attack = Callable[["Received", np.random.Generator], dict[int, int]]
"""Guesses where each county is: declared number to blinded number. Counties may be missing."""


@dataclass(frozen=True)
class Received:
    """What the aggregator has: the study, the tree as it is shown, and the rows of every cell."""

    cells: Sequence[int]
    """Cells of each county, in declared order."""
    starts: NDArray[np.int64]
    """(counties,) where the cells of each blinded county begin."""
    rows: NDArray[np.int64]
    """(blinded cells,) rows of the release."""

    def children(self) -> NDArray[np.int64]:
        """(counties,) number of cells of each blinded county."""
        return np.diff(self.starts, append=len(self.rows))

    def per_county(self, of_cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add values of cells into blinded counties."""
        return np.add.reduceat(of_cells, self.starts)


def areas(counties: Mapping[str, int]) -> dict[str, list[str]]:
    """Names of the cells of every county."""
    return {name: [f"{name} {i}" for i in range(number)] for name, number in counties.items()}


def study_of(counties: Mapping[str, int], name: str = "shape", **privacy: object) -> Study:
    """Make a study of cells in counties, all measured, over the rows of one day."""
    named = areas(counties)
    labels = [label for labels in named.values() for label in labels]
    county = {"county": named}
    return make_study(
        name=name,
        row={"dimensions": [{"name": "area", "values": labels, "hierarchy": county}]},
        bounds={"persons": 100},
        privacy={"mechanism": "tree", **privacy},
    )


def padded(counties: Mapping[str, int] = COUNTIES, name: str = "shape") -> Study:
    """Make the study with padding."""
    return study_of(counties, name, padding="dp", view=VIEW)


def rows_of(places: Sequence[str], each: int) -> dict[str, list[str]]:
    """Make a table with `each` persons in every place."""
    where = [place for place in places for _ in range(each)]
    return {"id": [f"p{i}" for i in range(len(where))], "area": where}


def receive(study: Study, row: RowParty, plan: Plan) -> Received:
    """Collect what the aggregator is given."""
    row.prepare(plan.grid, row.draw_dummies(plan.grid))
    rows = np.zeros(plan.design.cells, np.int64)
    for shard in plan.grid.shards:
        rows += np.bincount(row.emit(shard).cells, minlength=len(rows))
    starts = plan.design.starts
    if starts is None:
        starts = row.tree_starts()
    named = study.row.dimensions[0].hierarchy[0]
    sizes = np.bincount(named.parents, minlength=len(named.labels))
    return Received(sizes.tolist(), starts[0], rows)


def truth(study: Study, row: RowParty) -> NDArray[np.int64]:
    """(counties,) blinded numbers: the row party's secret."""
    tree = shown_tree(study)
    marks = np.arange(tree.sizes[1])
    return Blinding(tree, row._seed).restore(1, marks)


@dataclass
class World:
    """A study and its tables, of which runs with fresh secrets are drawn."""

    study: Study
    tables: dict[Role, Path]

    def draws(self, number: int) -> Iterator[tuple[Received, NDArray[np.int64]]]:
        """Give what the aggregator receives, and where the counties are."""
        plan = make_plan(self.study, key_bits=2048)
        row, _ = exchanged_pair(SimpleNamespace(study=self.study, **self.tables))
        for _ in range(number):
            # A fresh secret order of the cells, and fresh dummies; the exchange has no part in it.
            row._seed = os.urandom(32)
            row._drawn = None
            yield receive(self.study, row, plan), truth(self.study, row)

    def right(self, attack: Attack, number: int, county: int) -> int:
        """How often an attack finds a county."""
        luck = np.random.default_rng(5)
        return sum(
            attack(received, luck).get(county) == where[county]
            for received, where in self.draws(number)
        )


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., World]:
    """Make worlds with `each` persons in every one of some places."""

    def make(study: Study, places: Sequence[str], each: int) -> World:
        case = Case(tmp_path)
        case.write("row", rows_of(places, each))
        case.write("column", {"id": ["p0", "p1"], "kind": ["x", "y"]})
        return World(study, case.tables)

    return make


def by_number(
    numbers: NDArray[np.int64], received: Received, luck: np.random.Generator
) -> dict[int, int]:
    """Match counties with the nodes whose number is nearest, any of them where several are."""
    guesses = {}
    for county, cells in enumerate(received.cells):
        distance = abs(numbers - cells)
        guesses[county] = int(luck.choice(np.flatnonzero(distance == distance.min())))
    return guesses


def by_shape(received: Received, luck: np.random.Generator) -> dict[int, int]:
    """Name counties by how many cells they are shown to have."""
    return by_number(received.children(), received, luck)


def by_populated_cells(received: Received, luck: np.random.Generator) -> dict[int, int]:
    """Name counties by how many of their cells have visibly more rows than the emptiest ones.

    The line is drawn in the widest gap between the numbers of rows of two cells.
    """
    ordered = np.sort(received.rows)
    widest = int(np.argmax(np.diff(ordered)))
    populated = (received.rows > ordered[widest]).astype(np.int64)
    return by_number(received.per_county(populated), received, luck)


def by_rows(received: Received, luck: np.random.Generator) -> dict[int, int]:
    """Name counties by the order of their rows: those with more cells have more."""
    total = received.per_county(received.rows) + luck.random(len(received.starts)) / 2
    return dict(zip(np.argsort(received.cells), np.argsort(total), strict=True))


def by_empty_cells(received: Received, luck: np.random.Generator) -> dict[int, int]:
    """Name counties by how many of their cells have any rows at all."""
    return by_number(received.per_county((received.rows > 0).astype(np.int64)), received, luck)


ATTACKS = [by_shape, by_populated_cells, by_rows, by_empty_cells]


def more_than_chance(right: int, draws: int, chance: float) -> bool:
    """Whether an attack was right too often for guessing; false at most once in a million."""
    return bool(binom.sf(right - 1, draws, chance) < FALSE_ALARM)


@pytest.mark.parametrize("attack", first(1, ATTACKS))
@pytest.mark.parametrize("draws", [DRAWS, pytest.param(5 * DRAWS, marks=slow)])
def test_with_padding_the_shape_names_no_place(world, attack, draws):
    # Nobody was anywhere but in one cell of each county, so that sizes tell nothing either.
    sparse = world(padded(), ["one 0", "two 0", "three 0", "five 0"], 2)
    for county in (0, 3):
        right = sparse.right(attack, draws, county)
        assert not more_than_chance(right, draws, 1 / len(COUNTIES))


def unfilled(patch: pytest.MonkeyPatch) -> None:
    """Show the tree as it is, although there are dummies."""
    patch.setattr(RowTree, "filled", lambda tree: tree)
    patch.setattr(RowTree, "filled_sizes", property(lambda tree: tree.sizes))
    patch.setattr(Design, "starts", property(lambda design: None))


def no_dummies_in_empty_cells(patch: pytest.MonkeyPatch) -> None:
    """Send no dummies for cells that stand for nothing."""
    honest = RowParty.emit

    def emit(row: RowParty, shard: Shard, *contributed: bytes) -> Rows:
        rows = honest(row, shard, *contributed)
        real = np.isin(rows.cells, row._blinding().forward)
        return Rows(rows.view, rows.shard, rows.tags[real], rows.cells[real])

    patch.setattr(RowParty, "emit", emit)


@pytest.mark.parametrize(
    ("leak", "attack"),
    first(1, [(unfilled, by_shape), (no_dummies_in_empty_cells, by_empty_cells)]),
)
def test_the_attack_names_every_place_where_the_padding_of_the_tree_fails(
    world, monkeypatch, leak, attack
):
    leak(monkeypatch)
    # A name of its own, as designs and paddings are kept by study.
    sparse = world(padded(name=leak.__name__), ["one 0", "two 0", "three 0", "five 0"], 2)
    # Of 20 cells one has no rows by chance once in 7,000,000 draws.
    draws = 13
    for county in range(len(COUNTIES)):
        right = sparse.right(attack, draws, county)
        assert right >= draws - 1 and more_than_chance(right, draws, 1 / len(COUNTIES))


@pytest.mark.parametrize("counties", first(1, [TWINS, COUNTIES]))
def test_without_padding_the_shape_names_the_places_that_the_plan_says_and_no_other(
    world, counties
):
    study = study_of(counties)
    everywhere = [label for labels in areas(counties).values() for label in labels]
    open_world = world(study, everywhere, 1)
    (said,) = (found.labels for found in named_places(study) if found.level == "county")
    assert set(said) == set(counties) - ({"two", "other two"} if counties is TWINS else set())
    sentence = dict(make_plan(study, key_bits=2048).rows())["Tree's shape"]
    for county, name in enumerate(study.row.dimensions[0].hierarchy[0].labels):
        right = open_world.right(by_shape, DRAWS, county)
        if name in said:
            assert right == DRAWS and name in sentence
        else:
            assert not more_than_chance(right, DRAWS, 1 / 2)


def test_a_cell_that_the_shape_names_is_said_too(world):
    study = study_of(COUNTIES)
    (said,) = (found.labels for found in named_places(study) if found.level == "cell")
    assert said == ("one 0",)


@thorough
@pytest.mark.parametrize("attack", [by_populated_cells, by_rows])
def test_where_many_people_were_sizes_still_tell_the_number_of_cells(world, attack):
    # What docs/security.md lists as not provided: dummies hide a person, not a population.
    everywhere = [label for labels in areas(COUNTIES).values() for label in labels]
    populated = world(padded(), everywhere, 60)
    draws = 60  # A single draw may mislead the attack; 60 of which many are right do not.
    right = populated.right(attack, draws, 3)
    assert more_than_chance(right, draws, 1 / len(COUNTIES))
    told = dict(make_plan(padded(), key_bits=2048).rows())["Tree's shape"]
    assert "sizes name the largest places" in told and "more than a few people" in told
