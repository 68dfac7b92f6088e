"""The people of a block: shares, homes, and who may be used."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from xstat_ray.hokkaido.world.people import People, people_of
from xstat_ray.hokkaido.world.places import places
from xstat_ray.hokkaido.world.settings import World

MANY = World(people=60_000, block=40_000, outside=0.25)


@pytest.fixture(scope="module")
def people() -> People:
    return people_of(MANY, 0)


def test_blocks_are_sorted_and_apart(people):
    rest = people_of(MANY, 1)
    assert (len(people), len(rest)) == (40_000, 20_000)
    assert (np.diff(people.numbers) > 0).all()
    assert not np.isin(people.numbers, rest.numbers).any()


def test_a_block_does_not_depend_on_how_many_follow(people):
    more = people_of(dataclasses.replace(MANY, people=1_000_000), 0)
    for field in dataclasses.fields(people):
        assert np.array_equal(getattr(people, field.name), getattr(more, field.name))


def test_shares_are_those_of_the_settings(people):
    local = people.home < places().local
    assert local.mean() == pytest.approx(0.75, abs=0.01)
    old_enough = people.age >= 10
    assert people.subscriber[old_enough].mean() == pytest.approx(MANY.share, abs=0.01)
    assert not people.subscriber[~old_enough].any()
    assert people.corporate[people.subscriber].mean() == pytest.approx(MANY.corporate, abs=0.01)
    assert people.opt_out[people.subscriber].mean() == pytest.approx(MANY.opt_out, abs=0.005)
    assert people.refuses[people.member].mean() == pytest.approx(MANY.no_consent, abs=0.01)
    for chosen, of in (
        (people.corporate, people.subscriber),
        (people.opt_out, people.subscriber),
        (people.refuses, people.member),
    ):
        assert not (chosen & ~of).any()


def test_homes_are_in_proportion_to_the_population(people):
    where = places()
    local = people.home[people.home < where.local]
    count = np.bincount(local, minlength=where.local)
    expected = where.population[: where.local] / where.population[: where.local].sum() * len(local)
    large = expected > 300
    assert large.sum() >= 8
    np.testing.assert_allclose(count[large], expected[large], rtol=0.2)
    assert (where.municipality(people.cell[people.home < where.local]) == local).all()


def test_what_may_be_used_excludes_companies_children_the_old_and_who_opted_out(people):
    used = people.usable
    assert used.any()
    assert people.age[used].min() == 15
    assert people.age[used].max() == 79
    assert not (people.corporate | people.opt_out)[used].any()
    assert (people.subscriber & ~people.unused & ~people.opt_out == used).all()
