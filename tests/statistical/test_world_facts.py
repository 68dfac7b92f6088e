"""What people of a synthetic Hokkaido really did is found again from published numbers alone.

The truth is that of `truth/`, which comes from everybody's plans. Counts come from the tables by
SQL in the clear (`tests/hokkaido/needs/counting.py`), populations from the job without noise. For
each draw they get the noise of the committed studies and of conf/population.yaml, and are
published.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import binom

from tests.sizes import thorough
from tests.statistical import facts
from tests.statistical.world import (
    BUSY,
    FEW,
    FLYING,
    LEVEL,
    SEEDS,
    SHORT,
    Found,
    Published,
    countries,
)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("two worlds", marks=thorough),
        pytest.param("20 draws", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]),
    ],
)
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """Publish two small worlds, or a large one again and again."""
    folder = tmp_path_factory.mktemp("world")
    if request.param == "two worlds":
        return [published.release(0) for published in countries(SHORT, range(3, 3 + FEW), folder)]
    published = Published(BUSY, folder)
    return [published.release(draw) for draw in range(SEEDS)]


@pytest.fixture(scope="module")
def flown(found: list[Found], tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """Publish a world with more passengers; the short form takes that of `found`."""
    if len(found) == FEW:
        return found
    published = Published(FLYING, tmp_path_factory.mktemp("flying"))
    return [published.release(seed) for seed in range(SEEDS)]


def mostly(right: list[bool], seeds: int) -> bool:
    """Whether at least 90 % are right; in the short form, no fewer than chance allows."""
    return (
        np.mean(right) >= 0.9 if seeds == SEEDS else binom.cdf(sum(right), len(right), 0.9) > LEVEL
    )


def test_the_watershed_is_found_municipality_by_municipality(found):
    right = []
    towns = defaultdict(set)
    for result in found:
        for area, (named, airport) in facts.main_airports(result).items():
            right.append(named)
            towns[airport].add(area)
    assert len(right) >= (4 if len(found) == SEEDS else 1) * len(found) and len(towns) > (
        len(found) == SEEDS
    ), towns
    assert mostly(right, len(found))


def test_the_shift_to_nakashibetsu_is_found(flown):
    shifts = [facts.shifts(result) for result in flown]
    # Nowhere is a fall of its share found that did not happen.
    assert not any(result.denied for result in shifts)
    seen = np.concatenate([result.seen for result in shifts]).tolist()
    # The short form has too few passengers for a shift that is found.
    assert len(seen) >= len(flown) or len(flown) == FEW
    assert mostly(seen, len(flown))


def test_the_share_near_the_airport_is_within_its_interval(found):
    """Shares of those who can be counted miss by noise alone; all draws of a world count the same
    people."""
    shares = [facts.boarding(result) for result in found]
    counted, everybody = (np.concatenate(part) for part in zip(*shares, strict=True))
    assert len(counted) >= (12 * SEEDS if len(found) == SEEDS else 1)
    assert facts.covers(counted), counted
    assert facts.covers(everybody, 1 if len(found) == FEW else 1 / len(found)), everybody
    # Half as wide, intervals hold too few.
    assert not facts.covers(2 * counted) or len(found) == FEW


def test_the_time_from_landing_is_that_of_the_airports_people_use(found):
    """By the nearest airport the time would be a quarter of an hour too short."""
    landing = [facts.landing(result) for result in found]
    # The short form has too few passengers for more than the interval.
    if len(found) != FEW:
        for result in landing:
            assert np.square(result.by_nearest).mean() > 4 * np.square(result.errors).mean()
        assert abs(np.concatenate([result.errors for result in landing]).mean()) < 5
    errors = np.concatenate([result.errors / result.stderrs for result in landing])
    assert facts.covers(errors, 1 if len(found) == FEW else 1 / len(found)), errors


def test_the_neediest_areas_are_found(found):
    """Each draw finds four of the five at least; the short form has too few people for that."""
    hits = [facts.five_found(result) for result in found]
    if len(found) == FEW:
        for result in found:
            table = result.tables["needs"].to_pylist()
            assert max(row["rank_high"] - row["rank_low"] for row in table[:5]) > 5
    else:
        assert min(hits) >= 4, hits
