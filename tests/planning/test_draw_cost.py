"""The forecast of the draw of the noise: its bytes are those of the messages, its time grows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.case import study
from tests.noise.drawing import STUDY, Drawing
from tests.pages import text_of
from xstat_ray.noise.plan import NoisePlan
from xstat_ray.planning import draw_cost
from xstat_ray.planning.plan import Plan, make_plan


def plan(noise: str = "laplace", columns: int = 50, **privacy: Any) -> Plan:
    values = [f"kind {number}" for number in range(columns)]
    column = {"dimensions": [{"name": "kind", "values": values}]}
    return make_plan(study(noise=noise, column=column, privacy=privacy), key_bits=2048)


def took(planned: Plan, cores: int = 2) -> float:
    return draw_cost.seconds(planned.study, planned.noise, planned.coefficients, cores)


def test_the_bytes_of_openings_are_those_that_are_sent():
    noise = plan().noise
    assert noise is not None
    openings = Drawing(noise).openings
    # Of each message the header is apart.
    assert draw_cost.opened_bytes(noise) == sum(pair[0].masked.nbytes for pair in openings)
    sent = sum(len(pair[0].encode(STUDY)) for pair in openings)
    assert draw_cost.opened_bytes(noise) < sent


def test_sets_cost_what_they_are_drawn_and_computed_again():
    one, two, three, four = (plan(checked=sets) for sets in (1, 2, 3, 4))
    assert two.as_dict()["noise_bytes_each_way"] == 2 * one.as_dict()["noise_bytes_each_way"]
    assert took(two) > 2 * took(one)
    assert took(four) - took(three) == pytest.approx(took(three) - took(two))
    assert took(two, cores=1) > took(two) == took(two, cores=9)
    grown = three.seconds(2) - one.seconds(2)
    assert grown == pytest.approx(took(three) - took(one), rel=1e-6)
    assert json.loads(json.dumps(three.as_dict()))["noise_sets"] == 3


def test_the_rates_are_not_above_those_that_were_measured():
    """By the page's record of the suite `noise`: coefficients a second, by scale and bits."""
    digits = {("24", 48): 10, ("24", 64): 11, ("1000", 48): 16, ("1000", 64): 16}
    rates = {"row": draw_cost.ROW, "column": draw_cost.COLUMN, "aggregator": draw_cost.AGGREGATOR}
    lines = text_of("docs/performance.md").splitlines()
    for (scale, bits), count in digits.items():
        for role, rate in rates.items():
            (line,) = (x for x in lines if x.startswith(f"| `{role}.scale_{scale}.bits_{bits}`"))
            number, unit = line.split("|")[2].split()[:2]
            measured = float(number) * {"M": 1e6, "k": 1e3}[unit] * 2 * count * bits
            assert 0.4 < rate / measured < 1.02, line


def test_the_sentence_says_what_the_check_buys():
    def told(planned: Plan) -> str:
        return dict(planned.rows())["Draw"]

    assert "is not noticed (privacy.checked)" in told(plan())
    assert "chance of 4/5 at least" in told(plan(checked=5)) and "5 sets" in told(plan(checked=5))
    assert told(plan("gaussian")) == "each role draws its share"
    assert told(plan("off")) == "no noise" and took(plan("off")) == 0
    assert took(plan("gaussian")) > 50 * took(plan())


def test_work_grows_with_coefficients_digits_and_bits():
    small = plan(columns=50).noise
    wide = plan(columns=100).noise
    assert small is not None and wide is not None
    assert draw_cost.coin_bits(wide) == 2 * draw_cost.coin_bits(small)
    part = small.parts[0]
    assert draw_cost.coin_bits(small) == 2 * part.coins.digits * part.coins.bits * 100
    halved = NoisePlan((replace(part, rows=range(1)),), small.delta)
    assert draw_cost.coin_bits(halved) * 2 == draw_cost.coin_bits(small)
