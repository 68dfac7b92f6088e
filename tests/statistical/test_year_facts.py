"""Planted facts of the year are found again from the published figures of its two studies.

Who comes again to which town, and where those come who gave to one: counts are made of the tables by
SQL in the clear, get the noise of the shipped studies, and are published. Truth is the exact
counts. The noise is fresh in every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from tests.hokkaido.needs.country import exact_sums
from tests.hokkaido.world.years import COLUMNS, count, write_year
from tests.sizes import thorough
from xstat_ray.hokkaido.world import year
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.inputs.study_file import load
from xstat_ray.model.messages import Coefficients
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.publication.publish import publish

CONF = Path(__file__).parents[2] / "conf" / "study"
OFTEN = "Teshikaga"
GIVEN = ("Mombetsu", "Nemuro", "Shiranuka", "Betsukai")
SHORT = World(seed=5, people=16_000, block=16_000, share=0.95, days=1)
"""Fewer people, of whom most have a line of the operator."""
FEW = 5
DRAWS = 20
CLEAR = 3.0
"""Standard errors by which a difference is to stand out of the noise."""
LEVEL = 5e-7
"""Chance that what is right fails on one side."""
ALL = (0, 1, 2)
Cells = NDArray[np.bool_]


class Shares(NamedTuple):
    """Published shares, their standard errors by the noise alone, and the true shares."""

    found: NDArray[np.float64]
    """NaN where the whole is below five of its standard errors."""
    stderr: NDArray[np.float64]
    true: NDArray[np.float64]

    def above(self, other: Shares) -> NDArray[np.float64]:
        """By how many standard errors these shares exceed independent ones."""
        return (self.found - other.found) / np.hypot(self.stderr, other.stderr)


class Published:
    """Exact counts of a study, and what was published of them, as (places, visits, slots)."""

    def __init__(self, plan: Plan, cells: NDArray[np.int64]) -> None:
        """Publish counts with fresh noise."""
        noisy = exact_sums(plan, cells) + plan.design.draw(plan.study.slots)
        table = publish(plan, Coefficients(release="00" * 16, first=0, values=noisy)).cells
        shape = (*(d.size for d in plan.study.row.dimensions), plan.study.slots)
        self.exact = cells.reshape(shape)
        self.noisy = table["noisy"].to_numpy().reshape(shape)
        self.variance = table["stderr"].to_numpy().reshape(shape) ** 2

    @property
    def again(self) -> Cells:
        """The cells of those who came more often than once."""
        often = np.zeros(self.exact.shape, bool)
        often[:, 1:] = True
        return often

    def share(self, part: Cells, whole: Cells, axis: tuple[int, ...] = (1, 2)) -> Shares:
        """Shares of the cells in `part` among those in `whole`, summed over some axes."""

        def add(values: NDArray[np.generic], of: Cells) -> NDArray[np.float64]:
            return np.where(of, values, 0).astype(float).sum(axis=axis)

        rest = whole & ~part
        a, b = (add(self.noisy, of) for of in (part, rest))
        var_a, var_b = (add(self.variance, of) for of in (part, rest))
        with np.errstate(invalid="ignore", divide="ignore"):
            stderr = np.sqrt(b**2 * var_a + a**2 * var_b) / (a + b) ** 2
            found = np.where(a + b > 5 * np.sqrt(var_a + var_b), a / (a + b), np.nan)
            return Shares(found, stderr, add(self.exact, part) / add(self.exact, whole))


class Country:
    """The tables of a seed, counted."""

    def __init__(self, seed: int, folder: Path, draws: int) -> None:
        """Make the tables of scale=laptop, or of `SHORT`, and count both studies."""
        self._draws = draws
        write_year(SHORT if seed == SHORT.seed else World(seed=seed), folder)
        self.plans = {
            name: make_plan(load(CONF / f"{name}.yaml"), key_bits=2048) for name in COLUMNS
        }
        self.cells = {name: count(plan.study, folder) for name, plan in self.plans.items()}
        self.places = list(self.plans["revisit"].study.row.dimensions[0].labels)

    def draws(self, name: str) -> Iterator[Published]:
        """Publish a study again and again, each time with noise of its own."""
        for _ in range(self._draws):
            yield Published(self.plans[name], self.cells[name])

    def givers(self, published: Published) -> Iterator[tuple[Cells, Cells]]:
        """For each town the cells of the town, and those of the people who gave to it."""
        for gift, name in enumerate(GIVEN):
            town, gave = (np.zeros(published.exact.shape, bool) for _ in range(2))
            town[self.places.index(name)] = True
            gave[..., gift] = True
            yield town, gave


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param(seed, marks=thorough) for seed in (SHORT.seed, 20231029, 1)),
        *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 24)),
    ],
)
def country(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Country:
    """Count a country."""
    draws = FEW if request.param == SHORT.seed else DRAWS
    return Country(request.param, tmp_path_factory.mktemp("year"), draws)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Country:
    """Count a country in which no town is special, and people give at random."""
    monkeypatch.setattr(year, "AGAIN_IN", {})
    monkeypatch.setattr(year, "AGAIN_GIVEN", year.AGAIN)
    monkeypatch.setattr(year, "VISITS_GIVEN", 0.0)
    return Country(SHORT.seed, tmp_path, DRAWS)


def comes_again_most(country: Country, published: Published) -> bool:
    """Whether the interval that begins highest is that of the town where people come again most,
    and stands out."""
    shares = published.share(published.again, np.ones_like(published.again))
    best = int(np.nanargmax(shares.found - 1.96 * shares.stderr))
    everywhere = published.share(published.again, np.ones_like(published.again), ALL)
    return country.places[best] == OFTEN and bool(shares.above(everywhere)[best] > CLEAR)


def gifts_are_followed(country: Country, published: Published) -> list[bool]:
    """Whether more of the stays of a town's givers are in the town than of the others' stays."""
    found = []
    for town, gave in country.givers(published):
        theirs, others = (published.share(town & of, of, ALL) for of in (gave, ~gave))
        found.append(bool(theirs.above(others) > CLEAR))
    return found


def givers_come_again(country: Country, published: Published) -> list[bool]:
    """Whether a town's givers come again to it more often than to other places."""
    found = []
    for town, gave in country.givers(published):
        here, elsewhere = (
            published.share(published.again & gave & of, gave & of, ALL) for of in (town, ~town)
        )
        found.append(bool(here.above(elsewhere) > CLEAR))
    return found


def mostly(found: list[bool]) -> bool:
    """Whether as many are found as chance allows where 95 of 100 are."""
    return bool(binom.cdf(sum(found), len(found), 0.95) > LEVEL)


def hardly_ever(found: list[bool]) -> bool:
    """Whether no more are found than chance allows where one of 100 is."""
    return bool(binom.sf(sum(found) - 1, len(found), 0.01) > LEVEL)


def test_the_town_to_which_people_come_again_most_is_found(country):
    assert mostly([comes_again_most(country, draw) for draw in country.draws("revisit")])


@pytest.mark.parametrize("fact", [gifts_are_followed, givers_come_again])
def test_those_who_gave_are_found_in_the_town_to_which_they_gave(country, fact):
    assert mostly([one for draw in country.draws("donation") for one in fact(country, draw)])


@thorough
def test_what_is_not_planted_is_not_found(plain):
    assert hardly_ever([comes_again_most(plain, draw) for draw in plain.draws("revisit")])
    for fact in (gifts_are_followed, givers_come_again):
        found = [one for draw in plain.draws("donation") for one in fact(plain, draw)]
        assert hardly_ever(found)


def test_intervals_of_the_noise_hold_as_often_as_they_say(country):
    """A quotient is not quite normal, which costs up to one percent."""
    shares = []
    for draw in country.draws("revisit"):
        shares.append(draw.share(draw.again, np.ones_like(draw.again)))
    for draw in country.draws("donation"):
        for town, gave in country.givers(draw):
            shares.append(draw.share(town & gave, gave, ALL))
    found, stderr, true = (
        np.concatenate([np.ravel(of) for of in column]) for column in zip(*shares, strict=True)
    )
    known = ~np.isnan(found)
    holds = (abs(found - true) <= 1.96 * stderr)[known]
    assert len(holds) > 100
    assert binom.cdf(holds.sum(), len(holds), 0.94) > LEVEL, holds.mean()
    assert binom.sf(holds.sum() - 1, len(holds), 0.96) > LEVEL, holds.mean()
