"""`make demo` shows its point: three findings, from published figures alone, whatever the noise is.

The world of scale=laptop is made once and counted in the clear; its releases are published with
fresh noise again and again, as in `tests/statistical/world.py`, and the answer is made of them with
the settings that the demo uses.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.statistical import facts
from tests.statistical.laptop import laptop_world
from tests.statistical.world import Found, Published
from xstat_ray.hokkaido.needs.answer import Assumptions
from xstat_ray.hokkaido.needs.findings import NEEDY

DRAWS = 40
STUDIES = {"movement": "doto_movement", "catchment": "catchment"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """Publish the demo's releases draw by draw."""
    published = Published(laptop_world(), tmp_path_factory.mktemp("demo"), STUDIES)
    return [published.release(draw, Assumptions()) for draw in range(DRAWS)]


def test_the_watershed_of_kushiro_and_memanbetsu_is_told_for_most_municipalities(found):
    counts = [facts.watershed(draw) for draw in found]
    assert counts[0].places >= 10, counts
    assert facts.mostly([count.found for count in counts]), counts


def test_the_shift_to_nakashibetsu_is_told_and_is_true(found):
    assert facts.true_rise(found[0]) > 0
    regions = [facts.told(draw).region for draw in found]
    assert facts.mostly([facts.shift_is_told(draw) for draw in found]), regions
    assert facts.mostly([facts.no_rise_is_made_up(draw) for draw in found])


def test_the_first_three_of_the_list_stand_out(found):
    needy = [facts.told(draw).needy for draw in found]
    assert facts.mostly([len(names) == NEEDY for names in needy]), needy
    # Most that are told are among the five that are truly the neediest.
    five = facts.true_five(found[0])
    assert np.mean([name in five for names in needy for name in names]) >= 0.9, needy
