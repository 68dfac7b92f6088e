"""Who is in both tables: neither party learns it, also not one that lists every possible number."""

from __future__ import annotations

import pytest

from tests.adversary.matching import coincidences, learnt
from tests.adversary.people import NUMBERS, People, bytes_of, listing_all, mixed
from tests.adversary.planted.first_exchange import exchange
from tests.adversary.recorder import NOBODY, Record, Recorder
from tests.case import study
from xstat_ray.model.study import Role

ROLES: tuple[Role, ...] = ("row", "column")
STUDY = study(noise="laplace")


def first_version(people: People) -> Record:
    with Recorder().recording(NOBODY) as record:
        row, column = exchange(bytes_of(people.row), bytes_of(people.column))
    met = {key.tobytes() for key in row.keys} & {key.tobytes() for key in column.keys}
    assert len(met) == len(people.both)
    return record


def overlapping(number: int) -> People:
    """60 people of each party, of whom so many are the same."""
    return People(NUMBERS[:60], NUMBERS[60 - number : 120 - number])


@pytest.mark.parametrize("role", ROLES)
def test_in_the_exchange_of_version_1_a_party_names_everybody_who_matched(role):
    people = mixed(1)
    best, beaten = learnt(first_version(people).of(role), people.of(role), people.both)
    assert beaten and best.asked == people.of(role)
    assert best.right(people.both) == len(people.of(role))


@pytest.mark.parametrize("role", ROLES)
def test_in_the_exchange_of_version_1_whoever_lists_all_numbers_has_the_others_table(role):
    people = listing_all(2, role)
    other: Role = "column" if role == "row" else "row"
    best, beaten = learnt(first_version(people).of(role), people.of(role), people.both)
    assert beaten and {best.named, best.asked - best.named} >= {people.of(other)}


@pytest.mark.parametrize("role", ROLES)
def test_in_the_exchange_of_version_1_the_number_of_matches_shows(role):
    shown = [coincidences(first_version(overlapping(n)).of(role)) for n in (20, 40)]
    assert shown[0] != shown[1]
