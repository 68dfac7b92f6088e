"""Planted facts of 20 made-up countries are found again from what is published of each.

The countries differ by their seed: who lives where, who travels when, who is whose customer. Each
is as large as that of the demo, counted in the clear, and published thrice, with the noise, the
refinement and the rules of the shipped studies; a world of its own that is published again and
again is in `test_world_facts.py`, with a short form.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import binom

from tests.statistical import facts
from tests.statistical.laptop import laptop_world
from tests.statistical.world import LEVEL, Found, countries
from xstat_ray.hokkaido.needs.answer import Assumptions
from xstat_ray.hokkaido.needs.findings import NEEDY

SEEDS = 20
DEMOS = 2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


class Country(NamedTuple):
    """What is published of a country."""

    demos: list[Found]
    """Draws of the noise, with what the demo assumes."""
    known: Found
    """Where the share of the passengers who can be counted is known."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Country]:
    """Publish the countries, none of which is that of the demo."""
    folder = tmp_path_factory.mktemp("countries")
    return [
        Country(
            [published.release(draw, Assumptions()) for draw in range(DEMOS)],
            published.release(DEMOS),
        )
        for published in countries(laptop_world(), range(SEEDS), folder)
    ]


def swapped(found: Found) -> Found:
    """Plant a fault: what is published, beside a truth whose airports are in another order."""
    truth = found.truth
    watershed, counted = (days[..., ::-1] for days in (truth.watershed, truth.counted))
    return found._replace(truth=truth._replace(watershed=watershed, counted=counted))


def test_the_findings_of_the_demo_are_told_in_nearly_all_countries(found):
    demos = [demo for country in found for demo in country.demos]
    counts = [facts.watershed(demo) for demo in demos]
    assert facts.mostly([count.found for count in counts]), counts
    assert min(facts.true_rise(demo) for demo in demos) > 0
    assert facts.mostly([facts.shift_is_told(demo) for demo in demos])
    assert facts.mostly([facts.no_rise_is_made_up(demo) for demo in demos])
    needy = [facts.told(demo).needy for demo in demos]
    assert facts.mostly([len(names) == NEEDY for names in needy]), needy
    right = [name in facts.true_five(demo) for demo in demos for name in facts.told(demo).needy]
    assert np.mean(right) >= 0.9, needy
    wrong = [swapped(demo) for demo in demos]
    assert not facts.mostly([facts.watershed(demo).found for demo in wrong])
    assert not facts.mostly([facts.shift_is_told(demo) for demo in wrong])


def test_the_main_airport_is_found_where_it_leads_by_more_than_noise(found):
    for known, least in (
        ([country.known for country in found], 0.9),
        ([swapped(country.known) for country in found], 0),
    ):
        right = [named for one in known for named, _ in facts.main_airports(one).values()]
        assert len(right) >= 10 * SEEDS and least <= np.mean(right) < least + 0.5, np.mean(right)


def test_the_shift_of_single_areas_is_found_where_it_stands_out(found):
    shifts = [facts.shifts(country.known) for country in found]
    assert not any(shift.denied for shift in shifts)
    seen = np.concatenate([shift.seen for shift in shifts])
    inside = np.concatenate([shift.inside for shift in shifts])
    assert len(seen) >= SEEDS // 2 and binom.cdf(seen.sum(), len(seen), 0.9) > LEVEL, seen.mean()
    assert binom.cdf(inside.sum(), len(inside), 0.95) > LEVEL, inside.mean()


def test_shares_near_the_airport_are_within_their_intervals(found):
    pairs = zip(*(facts.boarding(country.known) for country in found), strict=True)
    for errors in (np.concatenate(part) for part in pairs):
        assert len(errors) >= 12 * SEEDS
        assert facts.covers(errors) and not facts.covers(2 * errors), errors


def test_minutes_from_landing_are_within_their_intervals(found):
    """These intervals have the error of the roads in them, which the made-up country is without."""
    landing = [facts.landing(country.known) for country in found]
    errors, stderrs, by_nearest = (np.concatenate(part) for part in zip(*landing, strict=True))
    assert facts.covers(errors / stderrs) and abs(errors.mean()) < 5
    assert np.square(by_nearest).mean() > 4 * np.square(errors).mean()


def test_the_neediest_areas_are_found(found):
    hits = [facts.five_found(country.known) for country in found]
    assert facts.mostly([hit >= 4 for hit in hits]) and min(hits) >= 3, hits
    inside = np.concatenate([facts.needs_inside(country.known, 5) for country in found])
    assert binom.cdf(inside.sum(), len(inside), 0.95) > LEVEL, inside.mean()
