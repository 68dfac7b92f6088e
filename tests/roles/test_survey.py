"""Surveys on their way between environments: their size tells nothing of a stretch."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest

from tests.sizes import first
from xstat_ray.crypto.channel import Channel
from xstat_ray.errors import ProtocolError
from xstat_ray.model.memory_need import PERSON, SURVEYED_PERSON
from xstat_ray.roles.id_exchange import announced
from xstat_ray.roles.survey import Room, Survey, room_for

KEY = bytes(range(32))


def survey(persons, number: int = 0, **other) -> Survey:
    """Make the survey of one piece, with these persons by number."""
    ids = np.array(sorted(b"+8190%08d" % person for person in persons), "S13")
    values = {"rows": len(ids), "invalid_id": 0, "excluded": 0, "forms": (("9-9", 2),)}
    values |= {"unsorted": frozenset({3}), "opened": "o", "read": b"{}"} | other
    return Survey(range(number, number + 1), ids, **values)


@pytest.mark.parametrize("persons", first(1, [1, 300, 20_000]))
def test_the_room_follows_from_the_persons_of_the_whole_table(persons):
    rng = np.random.default_rng(persons)
    everybody = rng.permutation(10**7)[:persons]
    rooms = []
    for stretches in (1, 2, 8):
        # Of a table sorted by time everybody may be in each stretch, of one sorted by id in one.
        for parts in ([everybody] * stretches, np.array_split(everybody, stretches)):
            surveys = [survey(part, place) for place, part in enumerate(parts)]
            rooms.append(room_for([one.size(KEY) for one in surveys]))
            sizes = {len(one.export(rooms[-1])) for one in surveys}
            assert sizes == {8 + rooms[-1].bytes}
            assert {len(one.size(KEY)) for one in surveys} == {24 + 8 * 4096}
    assert len(set(rooms)) == 1
    exact = persons < 4096
    most = announced(persons) if exact else announced(int(1.25 * persons))
    assert announced(persons) <= rooms[0].persons <= most


def test_there_is_room_for_whoever_comes_even_if_the_estimate_fails():
    sizes = [bytearray(survey(range(5_000)).size(KEY)) for _ in range(2)]
    for size in sizes:
        # Hashes that are so even by chance that there seem to be few.
        size[24:] = np.sort(np.linspace(2**55, 2**64 - 2**12, 4096).astype("<u8")).tobytes()
    assert room_for(sizes).persons == announced(5_000)


def test_what_is_written_is_read_back():
    one = survey(range(7), 5)
    read = Survey.from_bytes(one.export(Room(256, 1 << 16)))
    assert read.ids.tolist() == one.ids.tolist()
    for name in ("pieces", "rows", "invalid_id", "excluded", "forms", "unsorted", "opened", "read"):
        assert getattr(read, name) == getattr(one, name)


def test_surveys_are_put_together_once_for_every_person():
    both = survey([1, 3, 5]).joined(survey([3, 4], 1, unsorted=frozenset({7})))
    assert both.ids.tolist() == [b"+8190%08d" % n for n in (1, 3, 4, 5)]
    assert (both.pieces, both.rows, both.forms) == (range(2), 5, (("9-9", 2),) * 2)
    assert both.unsorted == {3, 7}
    empty = survey([], 1)
    assert survey([1]).joined(empty).ids.tolist() == survey([1]).ids.tolist()


@pytest.mark.parametrize("everybody_in_both", [False, True])
def test_surveys_are_put_together_in_less_memory_than_is_forecast(everybody_in_both):
    """A table sorted by time has everybody in each stretch, one sorted by id in one alone."""
    number = 50_000
    channel = Channel(KEY, "row")
    late = range(number) if everybody_in_both else range(number // 2, number)
    mine = survey(range(number) if everybody_in_both else range(number // 2))
    theirs = survey(late, 1)
    room = room_for([mine.size(KEY), theirs.size(KEY)])
    sealed = channel.seal_long(theirs.export(room), "survey")
    tracemalloc.start()
    both = mine.joined(Survey.from_bytes(channel.open_long(sealed, "survey")))
    whole = channel.seal_long(both.export(room), "survey")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(both.ids) == number
    notes = 4 << 18
    assert peak + mine.ids.nbytes < SURVEYED_PERSON / 4 * number + notes
    assert len(whole) < PERSON / 3 * number + notes


def test_a_survey_does_not_travel_in_the_clear():
    with pytest.raises(TypeError):
        pickle.dumps(survey([1]))
    assert "8190" not in repr(survey([1]))


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 16, 20])
def test_long_messages_are_sealed_in_parts_that_stay_together(size, monkeypatch):
    monkeypatch.setattr("xstat_ray.crypto.channel._PART", 8)
    channel = Channel(KEY, "row")
    message = bytes(range(size))
    sealed = channel.seal_long(message, "survey")
    assert len(sealed) == size + 28 * max(1, -(-size // 8))
    assert channel.open_long(sealed, "survey") == message
    part = 36
    swapped = sealed[part : 2 * part] + sealed[:part] + sealed[2 * part :]
    wrong = [sealed[:-1], sealed[part:], sealed[:part], swapped, sealed + sealed[-28:]]
    for altered in (one for one in wrong if one and one != sealed):
        with pytest.raises(ProtocolError):
            channel.open_long(altered, "survey")
