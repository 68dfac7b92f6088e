"""Who is in both tables: neither party learns it, also not one that lists every possible number."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.adversary.criterion import DRAWS, LEARN, chance, guess_worlds
from tests.adversary.deployments import CASES, played
from tests.adversary.matching import Naming, in_common, learnt, namings
from tests.adversary.matrices import namings_of_matrices
from tests.adversary.people import NUMBERS, People, bytes_of, listing_all, mixed
from tests.adversary.planted import matrices
from tests.adversary.planted.first_exchange import exchange
from tests.adversary.planted.patches import replace_everywhere
from tests.adversary.recorder import NOBODY, Record, Recorder, Thing
from tests.case import study
from tests.sizes import first, slow, thorough
from xstat_ray.crypto import oprf
from xstat_ray.model.study import Role

ROLES: tuple[Role, ...] = ("row", "column")
STUDY = study(noise="laplace")


def first_version(people: People) -> Record:
    with Recorder().recording(NOBODY) as record:
        row, column = exchange(bytes_of(people.row), bytes_of(people.column))
    met = {key.tobytes() for key in row.keys} & {key.tobytes() for key in column.keys}
    assert len(met) == len(people.both)
    return record


def named_by(things: list[Thing], role: Role, people: People) -> tuple[Naming | None, bool]:
    """The best that a party can say about who matched, and whether it is more than chance."""
    own = people.of(role)
    return learnt([*namings(things, own), *namings_of_matrices(things, own)], people.both)


def overlapping(number: int) -> People:
    """60 people of each party, of whom so many are the same."""
    return People(NUMBERS[:60], NUMBERS[60 - number : 120 - number])


@pytest.mark.parametrize("role", ROLES)
def test_in_the_exchange_of_version_1_a_party_names_everybody_who_matched(role):
    people = mixed(1)
    best, beaten = named_by(first_version(people).of(role), role, people)
    assert beaten and best.asked == people.of(role)
    assert best.right(people.both) == len(people.of(role))


@pytest.mark.parametrize("role", ROLES)
def test_in_the_exchange_of_version_1_whoever_lists_all_numbers_has_the_others_table(role):
    people = listing_all(2, role)
    other: Role = "column" if role == "row" else "row"
    best, beaten = named_by(first_version(people).of(role), role, people)
    assert beaten and {best.named, best.asked - best.named} >= {people.of(other)}


@pytest.mark.parametrize("role", ROLES)
def test_in_the_exchange_of_version_1_the_number_of_matches_shows(role):
    worlds = [
        partial(lambda n: in_common(first_version(overlapping(n)).of(role)), n) for n in (20, 40)
    ]
    assert guess_worlds(worlds, LEARN, DRAWS).beat(chance())


@pytest.mark.parametrize("deployment", first(1, CASES, slow))
def test_neither_party_names_anybody_who_matched(deployment, tmp_path):
    people = mixed(1)
    ran = deployment.run(STUDY, people.tables(), tmp_path)
    for role in ROLES:
        _, beaten = named_by(ran.of(role), role, people)
        assert not beaten, role


@slow
@pytest.mark.parametrize("role", ROLES)
def test_nor_does_a_party_that_lists_every_possible_number(role, tmp_path):
    people = listing_all(2, role)
    things = played(STUDY, people.tables(), tmp_path, role).of(role)
    assert not named_by(things, role, people)[1]


@slow
@pytest.mark.parametrize("role", first(1, ROLES, slow))
def test_the_number_of_matches_does_not_show(role, tmp_path):
    number = iter(range(1000))

    def world(overlap: int) -> dict[str, float]:
        tables = overlapping(overlap).tables()
        return in_common(played(STUDY, tables, tmp_path / str(next(number)), role).of(role))

    assert not guess_worlds([partial(world, n) for n in (20, 40)], LEARN, DRAWS).beat(chance())


@pytest.mark.parametrize("role", first(1, list(ROLES)))
def test_matrices_without_pads_name_everybody_who_matched(role, tmp_path, monkeypatch):
    replace_everywhere(monkeypatch, oprf.hidden, matrices.without_pads)
    people = mixed(3)
    best, beaten = named_by(played(STUDY, people.tables(), tmp_path, role).of(role), role, people)
    assert beaten and best.right(people.both) == len(people.of(role))


def twice(folder: Path, role: Role, people: People) -> list[Thing]:
    """Two exchanges; in the second the other party has nobody left who was in both tables."""
    other: Role = "column" if role == "row" else "row"
    kept = [name for name in getattr(people, other) if name.encode() not in people.both]
    later = People(people.row, tuple(kept)) if role == "row" else People(tuple(kept), people.column)
    return [
        thing
        for name, of in (("first", people), ("later", later))
        for thing in played(STUDY, of.tables(), folder / name, role).of(role)
    ]


@thorough
@pytest.mark.parametrize("role", first(1, ROLES))
def test_two_exchanges_together_name_nobody(role, tmp_path):
    people = mixed(4)
    assert not named_by(twice(tmp_path, role, people), role, people)[1]


@thorough
@pytest.mark.parametrize("role", first(1, ROLES))
def test_pads_that_are_used_twice_name_whoever_left(role, tmp_path, monkeypatch):
    replace_everywhere(monkeypatch, oprf._pad, matrices.with_the_same_pads)
    people = mixed(4)
    best, beaten = named_by(twice(tmp_path, role, people), role, people)
    assert beaten and best.right(people.both) == len(people.of(role))
