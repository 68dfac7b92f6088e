"""The recorder and the criterion: what is new is recorded, and both reject in both directions."""

from __future__ import annotations

import numpy as np
import pytest

from tests.adversary.criterion import DRAWS, LEARN, Guesses, chance, guess_worlds
from tests.adversary.planted.first_exchange import FirstRow
from tests.adversary.recorder import COMPUTED, HELD, NOBODY, SENT, Recorder
from tests.case import study
from xstat_ray.roles import RowParty


def test_a_field_that_nobody_listed_is_recorded(tmp_path):
    party = RowParty(study(), tmp_path)
    party.new_field = {"inside": [b"a value of a field that is new"]}
    with Recorder().recording(NOBODY) as record:
        party.hello()
    found = {(thing.kind, thing.name): thing.value for thing in record.of("row")}
    assert found[HELD, "RowParty.new_field['inside'][0]"] == b"a value of a field that is new"
    assert any(kind == SENT and name.endswith("hello()") for kind, name in found)
    assert record.of("column") == []


def test_what_is_computed_on_the_way_is_recorded_as_it_was():
    party = FirstRow([b"one person", b"two people"])
    with Recorder("row").recording(NOBODY) as record:
        points = party.blind()
        sent = points.copy()
    products = [thing for thing in record.of("row") if thing.name.endswith("evaluate.products[]")]
    assert [row.tobytes() for row in sent] == list(products[0].words)
    assert all(thing.kind == COMPUTED for thing in products)


@pytest.mark.parametrize(("right", "beaten"), [(22, True), (19, False), (11, False)])
def test_guesses_beat_a_coin_only_if_it_cannot_be_luck(right, beaten):
    assert Guesses(right, 22).beat(chance()) == beaten
    assert not Guesses(right, 22).beat(chance(), searched=10**9)


def test_what_privacy_allows_is_no_leak():
    assert chance() == 0.5
    assert chance(1) == pytest.approx(0.731, abs=1e-3)
    assert chance(0, 1) == 1
    assert Guesses(80, 100).beat(chance())
    assert Guesses(100, 100).beat(chance(1))
    assert not Guesses(80, 100).beat(chance(1))


@pytest.mark.parametrize("leak", [0.0, 10.0])
def test_a_feature_that_tells_worlds_apart_is_found_among_many(leak):
    draw = np.random.default_rng(3)

    def world(number: int) -> dict[str, float]:
        features = {f"noise {place}": draw.normal() for place in range(200)}
        return features | {"leak": draw.normal() + leak * number}

    guesses = guess_worlds([lambda: world(0), lambda: world(1)], LEARN, DRAWS)
    assert guesses.beat(chance()) == bool(leak)
