"""`make demo` shows its point: three findings, from published figures alone, whatever the noise is.

The world of scale=laptop is made once and counted in the clear; its releases are published with
fresh noise again and again, as in `tests/statistical/world.py`, and the answer is made of them with
the settings that the demo uses.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.statistical.laptop import laptop_world
from tests.statistical.world import CODES, NAMES, Found, Published
from xstat_ray.hokkaido.needs.access import AIRPORTS
from xstat_ray.hokkaido.needs.answer import Assumptions
from xstat_ray.hokkaido.needs.findings import NEEDY, Findings, find
from xstat_ray.hokkaido.needs.opening import OPENED

DRAWS = 20
ENOUGH = 18
STUDIES = {"movement": "doto_movement", "catchment": "catchment"}
TRAFFIC = 20
"""Visitor-days, of those whom both companies know, from which a municipality has traffic."""
BORDERING = ("KUH", "MMB")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    """Publish the demo's releases draw by draw."""
    published = Published(laptop_world(), tmp_path_factory.mktemp("demo"), STUDIES)
    return [published.release(draw, Assumptions()) for draw in range(DRAWS)]


def told(found: list[Found]) -> list[Findings]:
    return [find(draw.tables) for draw in found]


def enough(right: list[bool]) -> bool:
    return sum(right) >= ENOUGH


def watershed(draw: Found) -> tuple[int, int, int]:
    """Count municipalities of Kushiro and Memanbetsu that have traffic, are told, are told wrong.

    The truth is the airport of most visitor-days of everybody.
    """
    everybody = draw.truth.watershed.sum(axis=1)
    counted = draw.truth.counted.sum(axis=(1, 2))
    true = everybody.argmax(axis=1)
    leading = {name: port for port, names in find(draw.tables).watershed.items() for name in names}
    with_traffic = [
        place
        for place in range(len(CODES))
        if counted[place] >= TRAFFIC and AIRPORTS[true[place]] in BORDERING
    ]
    named = [leading.get(NAMES[place]) for place in with_traffic]
    wrong = [
        port not in (None, AIRPORTS[true[place]])
        for place, port in zip(with_traffic, named, strict=True)
    ]
    right = len(named) - named.count(None) - sum(wrong)
    return len(with_traffic), right, sum(wrong)


def test_the_watershed_of_kushiro_and_memanbetsu_is_told_for_most_municipalities(found):
    counts = [watershed(draw) for draw in found]
    assert counts[0][0] >= 10, counts
    most = [right > places / 2 and right > 5 * wrong for places, right, wrong in counts]
    assert enough(most), counts


def test_the_shift_to_nakashibetsu_is_told_and_is_true(found):
    port = AIRPORTS.index(OPENED)
    days = found[0].truth.watershed
    before, after = days[..., port].sum(axis=0) / days.sum(axis=(0, 2))
    regions = [one.region for one in told(found)]
    right = [
        region is not None and abs(region.after - region.before - (after - before)) < 0.05
        for region in regions
    ]
    assert after > before and enough(right), (before, after, regions)
    with np.errstate(invalid="ignore"):
        part = days[..., port] / days.sum(axis=-1)
    truly = {name for name, rise in zip(NAMES, part[:, 1] - part[:, 0], strict=True) if rise > 0}
    assert enough([{rise.area for rise in one.risen} <= truly for one in told(found)])


def test_the_first_three_of_the_list_stand_out(found):
    needy = [one.needy for one in told(found)]
    assert enough([len(names) == NEEDY for names in needy]), needy
    # Most that are told are among the five that are truly the neediest.
    five = {NAMES[place] for place in np.argsort(-found[0].truth.need)[:5]}
    right = [name in five for names in needy for name in names]
    assert np.mean(right) >= 0.9, needy
