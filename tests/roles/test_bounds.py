"""Bounds on what one person contributes: which rows are kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import suppress

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.crypto.derive import keyed_words
from xstat_ray.model.study import Bounds
from xstat_ray.roles.boarding_bounds import bound_boardings
from xstat_ray.roles.bounds import (
    Located,
    Part,
    bound_rows,
    draw_by_content,
    keep_per_group,
)
from xstat_ray.roles.disjoint import DisjointCheck, NotDisjointError

rows = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 9)), max_size=60)


@given(rows, st.integers(1, 4), st.integers(0, 2**32))
def test_keeps_the_largest_weights_and_never_more_than_the_limit(table, limit, seed):
    person, period, weight = (
        (np.array(c, np.int64) for c in zip(*table, strict=True))
        if table
        else [np.zeros(0, int)] * 3
    )
    priority = np.random.default_rng(seed).integers(0, 2**63, len(person), dtype=np.uint64)
    keep = keep_per_group((person, period), limit, priority, weight.astype(float))
    kept = defaultdict(list)
    all_ = defaultdict(list)
    for i, group in enumerate(zip(person, period, strict=True)):
        all_[group].append(weight[i])
        if keep[i]:
            kept[group].append(weight[i])
    for group, weights in all_.items():
        assert sorted(kept[group]) == sorted(sorted(weights)[-limit:])


@given(rows, st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32))
def test_boardings_are_bounded_in_each_column_first_and_then_in_all(table, q, f, seed):
    person = np.array([row[0] for row in table], np.int64)
    column = np.array([row[1] for row in table], np.int64)
    priority = np.random.default_rng(seed).integers(0, 2**63, len(person), dtype=np.uint64)
    bounds = Bounds(boardings=f, per_column=q)
    within, kept = bound_boardings(person, column, bounds, priority)
    assert not (kept & ~within).any()
    there = Counter(zip(person.tolist(), column.tolist(), strict=True))
    left = Counter(zip(person[within].tolist(), column[within].tolist(), strict=True))
    assert left == {group: min(number, q) for group, number in there.items()}
    found = Counter(person[kept].tolist())
    assert found == {p: min(n, f) for p, n in Counter(person[within].tolist()).items()}


def test_a_person_with_many_boardings_in_one_column_keeps_those_in_others():
    person = np.zeros(21, np.int64)
    column = np.array([0] * 20 + [1])
    words = keyed_words(b"s" * 32, "test", np.arange(21))
    _, kept = bound_boardings(person, column, Bounds(boardings=2, per_column=1), words)
    assert kept[:20].sum() == 1 and kept[20]


def test_without_weights_every_row_of_a_group_is_equally_likely():
    person = np.repeat(np.arange(4000), 5)
    priority = np.random.default_rng(1).integers(0, 2**63, len(person), dtype=np.uint64)
    keep = keep_per_group((person,), 2, priority)
    hits = Counter(np.flatnonzero(keep) % 5)
    # 4000 groups keep 2 of 5: 1600 expected a place, standard deviation 31; a rule that prefers a
    # place is far off.
    assert all(abs(hits[place] - 1600) < 5 * 31 for place in range(5))


def test_missing_weight_loses_against_any_weight():
    weight = np.array([np.nan, -5.0])
    assert keep_per_group((np.zeros(2, int),), 1, np.array([0, 1], np.uint64), weight).tolist() == [
        False,
        True,
    ]


def words(seed):
    """Make what draws uniform words for rows, as a party does."""
    return lambda rows, number: keyed_words(
        bytes([seed]) * 32, "test", rows.person, rows.period, rows.cell, number
    )


def located(table):
    columns = zip(*table, strict=True) if table else ([], [], [], [])
    person, period, cell, weight = (np.array(column, np.int64) for column in columns)
    return Part(
        Located(person.astype(np.int32), period.astype(np.uint32), cell.astype(np.int32)),
        weight.astype(float),
    )


def as_counter(rows):
    return Counter(zip(*(column.tolist() for column in rows), strict=True))


stays = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 4), st.integers(1, 9)),
    max_size=40,
)


@given(stays, st.integers(1, 3), st.integers(0, 255))
def test_weights_of_one_cell_are_added_up_and_the_heaviest_cells_kept_once(table, limit, seed):
    total = defaultdict(Counter)
    for person, period, cell, weight in table:
        total[person, period][cell] += weight
    kept = as_counter(bound_rows(located(table), limit, words(seed)).rows)
    assert not kept or set(kept.values()) == {1}
    for group, cells in total.items():
        chosen = [cells[cell] for person, period, cell in kept if (person, period) == group]
        assert sorted(chosen) == sorted(cells.values())[-limit:]


@given(stays, st.integers(1, 3), st.integers(0, 255))
def test_without_weights_rows_are_kept_as_they_are_and_never_more_than_the_limit(
    table, limit, seed
):
    rows = located(table).rows
    kept = as_counter(bound_rows(Part(rows, None), limit, words(seed)).rows)
    assert kept <= as_counter(rows)
    groups = Counter((person, period) for person, period, *_ in table)
    assert Counter((p, t) for p, t, _ in kept.elements()) == {
        g: min(n, limit) for g, n in groups.items()
    }


@given(stays, st.permutations(range(40)), st.booleans(), st.integers(1, 3))
def test_the_choice_depends_neither_on_the_order_of_the_rows_nor_on_how_they_are_cut(
    table, order, weighted, limit
):
    shuffled = [table[place] for place in order if place < len(table)]

    def bound(part):
        rows, weight = located(part)
        part = Part(rows, weight if weighted else None)
        return as_counter(bound_rows(part, limit, words(7)).rows)

    by_person = [bound([row for row in table if row[0] == person]) for person in range(5)]
    assert bound(table) == bound(shuffled) == sum(by_person, Counter())


@given(stays, st.booleans())
def test_merged_rows_are_those_beyond_the_first_of_a_cell(table, weighted):
    rows, weight = located(table)
    bounded = bound_rows(Part(rows, weight if weighted else None), 9, words(3))
    cells = {(person, period, cell) for person, period, cell, _ in table}
    assert bounded.merged == (len(table) - len(cells) if weighted else 0)


def test_equal_weights_are_kept_in_random_order():
    table = [(person, 0, cell, 1) for person in range(4000) for cell in range(5)]
    kept = bound_rows(located(table), 2, words(3)).rows
    hits = np.bincount(kept.cell, minlength=5)
    assert abs(hits - 1600).max() < 5 * 31


numbers = st.integers(0, 4) | st.integers(0, 2**31 - 1)
periods = st.integers(0, 4) | st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(numbers, periods), max_size=40))
def test_rows_are_put_in_order_of_person_and_period_and_equal_ones_stay_in_turn(table):
    """Small numbers fit into a word together with that of the row, and large ones do not."""
    person = np.array([row[0] for row in table], np.int32)
    period = np.array([row[1] for row in table], np.uint32)
    part = Part(Located(person, period, np.arange(len(table), dtype=np.int32)), None)
    expected = sorted(range(len(table)), key=lambda row: table[row])
    assert part.in_order().rows.cell.tolist() == expected


@given(st.lists(stays, max_size=4))
def test_a_person_in_two_parts_is_met(tables):
    people = [{person for person, *_ in table} for table in tables]
    disjoint = DisjointCheck(5)
    entered = 0
    with suppress(NotDisjointError):
        for table in tables:
            disjoint.add(located(table).in_order())
            entered += 1
    clean = [
        n
        for n in range(len(people) + 1)
        if sum(map(len, people[:n])) == len(set().union(*people[:n]))
    ]
    assert entered == max(clean)


@given(stays)
def test_the_edges_of_a_part_are_its_first_and_its_last_person(table):
    part = located(table).in_order()
    first, inner, last = part.edges()
    assert as_counter(Part.join([first, inner, last]).rows) == as_counter(part.rows)
    people = sorted({person for person, *_ in table})
    assert {*first.rows.person.tolist()} == {*people[:1]}
    assert {*last.rows.person.tolist()} == {*people[1:][-1:]}
    assert not {*inner.rows.person.tolist()} & {*people[:1], *people[-1:]}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=30), st.randoms())
def test_words_are_drawn_by_what_is_in_a_row_and_not_by_where_it_stands(table, random):
    shuffled = random.sample(table, len(table))

    def drawn(rows):
        columns = np.array(rows, np.int64).reshape(-1, 2).T
        words = draw_by_content(b"s" * 32, "test", *columns).tolist()
        assert len(set(words)) == len(rows)
        return sorted(zip(rows, words, strict=True))

    assert drawn(table) == drawn(shuffled)
    # Rows that come in addition change nothing for the others.
    assert set(drawn(table)) <= set(drawn([*table, (7, 7)]))


def test_of_equal_rows_each_is_as_likely_as_any_other_row():
    person = np.repeat(np.arange(4000), 3)
    content = np.tile([5, 5, 9], 4000)
    priority = draw_by_content(b"s" * 32, "test", person, content)
    keep = keep_per_group((person,), 1, priority)
    # One of three rows is kept, and two of these are equal: 1333 of the third kind are expected,
    # standard deviation 30; 2000 if contents, and not rows, had been drawn.
    assert abs(int(keep[content == 9].sum()) - 1333) < 5 * 30


def test_sums_of_weights_do_not_depend_on_the_order_in_which_they_are_added():
    weights = np.array([0.1, 0.2, 0.3, 1e16, -1e16, 0.7] * 3)
    # A rival with the same sum, so that the draw decides; it does so in the same way every time.
    rival = located([(0, 0, 1, 1)])._replace(weight=np.array([np.sort(weights).sum()]))
    here = Located(*(np.zeros(len(weights), kind) for kind in ("i4", "u4", "i4")))

    def kept(seed):
        part = Part(here, np.random.default_rng(seed).permutation(weights))
        both = Part.join([part, rival])
        return [bound_rows(both, 1, words(s)).rows.cell.tolist() for s in range(9)]

    first = kept(0)
    assert all(kept(seed) == first for seed in range(1, 30))
