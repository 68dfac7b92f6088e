"""Rows divided among groups of persons: each group is whole, and nothing is lost or moved."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.roles import person_groups
from xstat_ray.roles.bounds import Located, Part
from xstat_ray.roles.person_groups import Divided, each_group

PERSONS = 40
tables = st.lists(st.lists(st.integers(0, PERSONS - 1), max_size=30), min_size=1, max_size=5)


def made(people: list[int], first: int, weighted: bool) -> Part:
    """Rows of people; their cells count through all parts, from `first`."""
    cell = np.arange(first, first + len(people), dtype=np.int32)
    rows = Located(np.array(people, np.int32), np.zeros(len(people), np.uint32), cell)
    return Part(rows, cell + 0.5 if weighted else None)


def parts_of(table: list[list[int]], weighted: bool) -> list[Part]:
    firsts = np.cumsum([0, *map(len, table)]).tolist()
    return [made(people, first, weighted) for people, first in zip(table, firsts, strict=False)]


@given(tables, st.integers(1, 20), st.integers(1, 50), st.booleans())
def test_every_group_has_all_rows_of_its_persons_in_the_order_in_which_they_came(
    table: list[list[int]], group_rows: int, bunch_rows: int, weighted: bool
) -> None:
    parts = parts_of(table, weighted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(person_groups, "_GROUP_ROWS", group_rows)
        patch.setattr(person_groups, "_BUNCH_ROWS", bunch_rows)
        groups = each_group(lambda part: part, parts, PERSONS)
    assert parts == []
    everybody = [person for people in table for person in people]
    size = -(-PERSONS // len(groups))
    for number, group in enumerate(groups):
        mine = [row for row, person in enumerate(everybody) if person // size == number]
        assert group.rows.cell.tolist() == mine
        assert group.rows.person.tolist() == [everybody[row] for row in mine]
        assert group.weight is None or (group.weight == group.rows.cell + 0.5).all()
        assert (group.weight is None) is not weighted
    assert sum(len(group.rows.cell) for group in groups) == len(everybody)


@pytest.mark.parametrize("persons", [1, 2, 255, 256, 257, 1000])
def test_there_are_no_more_groups_than_their_numbers_have_room_for(
    persons: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person_groups, "_GROUP_ROWS", 1)
    people = np.random.default_rng(persons).permutation(np.arange(1000) % persons).tolist()
    groups = each_group(lambda part: part.rows.person, [made(people, 0, False)], persons)
    assert len(groups) == 256
    assert np.concatenate(groups).tolist() != people or persons == 1
    met = [set(group.tolist()) for group in groups]
    assert sum(map(len, met)) == len(set().union(*met)) == persons


def test_groups_have_about_as_many_rows_as_fit_the_cache() -> None:
    people = np.arange(1 << 20, dtype=np.int32)[::-1].copy()
    rows = Located(people, np.zeros(len(people), np.uint32), people)
    sizes = each_group(lambda part: len(part.rows.cell), [Part(rows, None)], len(people))
    assert max(sizes) <= 1 << 18 and sum(sizes) == len(people)


def test_without_rows_there_is_work_for_every_group_all_the_same() -> None:
    sizes = each_group(lambda part: len(part.rows.cell), [made([], 0, True)], 0)
    assert sizes and set(sizes) == {0}


def test_one_group_is_the_part_itself() -> None:
    part = made([3, 1, 2], 0, True)
    whole = Divided.of(part, 4, 1).group(0)
    assert np.shares_memory(whole.rows.person, part.rows.person)
    assert whole.rows.person.tolist() == [3, 1, 2]
