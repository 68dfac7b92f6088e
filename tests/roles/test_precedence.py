"""Of a row's flags only that of the first column party counts, whatever the order of work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey, PublicEncryptor
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Flags, Partial, Rows
from xstat_ray.roles import Aggregator
from xstat_ray.roles.matching import match, met

VIEWS = ("0f" * 16, "1e" * 16, "2d" * 16)
CELLS = 4
Row = tuple[tuple[int, int, int], int]
"""Tags of a row, here small numbers, and its cell."""

tags = st.integers(0, 4)
a_shard = st.lists(st.tuples(st.tuples(tags, tags, tags), st.integers(0, CELLS - 1)), max_size=12)
flags_of_party = st.sets(tags, max_size=4)


@cache
def key() -> PrivateKey:
    return generate(2048)


@cache
def ones() -> NDArray[np.uint8]:
    """(8, 1, width) encryptions of one."""
    return PublicEncryptor(key().public, 8).encrypt([1] * 8).reshape(8, 1, -1)


def as_tags(numbers: Sequence[int]) -> NDArray[np.uint8]:
    """Tags that share their first words, so that the second ones decide."""
    words = np.array([(number // 2, number) for number in numbers], "<u8").reshape(-1, 2)
    return words.view(np.uint8)


def rows_of(shard: Sequence[Row]) -> Rows:
    ordered = sorted(shard)
    columns = [as_tags([of[number] for of, _ in ordered]) for number in range(3)]
    cells = np.array([cell for _, cell in ordered], np.uint32)
    return Rows(view="".join(VIEWS), shard=0, tags=np.concatenate(columns, axis=1), cells=cells)


def flags_of(number: int, held: set[int]) -> Flags:
    return Flags(
        view=VIEWS[number],
        batch=0,
        part=0,
        tags=as_tags(sorted(held)),
        ciphertexts=ones()[: len(held)],
    )


def opened(partial: Partial) -> Counter[int]:
    numbers = key().decrypt(partial.ciphertexts[:, 0])
    return Counter(dict(zip(partial.cells.tolist(), map(int, numbers), strict=True)))


def by_dictionary(shards: Sequence[Sequence[Row]], held: list[set[int]], most: int) -> list[object]:
    """What each party's cells should hold."""
    rows = [row for shard in shards for row in shard]
    counted = [Counter[int]() for _ in held]
    crowds = [Counter(of[number] for of, _ in rows) for number in range(len(held))]
    for of, cell in rows:
        first = next((n for n, flags in enumerate(held) if of[n] in flags), None)
        if first is not None and crowds[first][of[first]] <= most:
            counted[first][cell] += 1
    return list(counted)


@settings(max_examples=15)
@given(
    st.lists(a_shard, min_size=1, max_size=3),
    st.lists(flags_of_party, min_size=3, max_size=3),
    st.integers(1, 4),
    st.booleans(),
)
def test_a_row_counts_for_the_first_party_and_a_flag_over_the_bound_nowhere(
    shards: list[list[Row]], held: list[set[int]], most: int, merged: bool
) -> None:
    aggregator = Aggregator(key().public, most, CELLS)
    flags = [flags_of(number, of_party) for number, of_party in enumerate(held)]
    found = []
    for number in range(3):
        joined = [aggregator.join(rows_of(shard), *flags[: number + 1]) for shard in shards]
        if merged:
            joined = [aggregator.merge(*joined)]
        found.append(opened(aggregator.bound(*joined, flags[number])))
        if len(shards) == 1:
            whole = aggregator.join_whole(rows_of(shards[0]), *flags[: number + 1])
            assert opened(whole) == found[-1]
    assert found == by_dictionary(shards, held, most)


@settings(max_examples=100)
@given(st.lists(tags), st.sets(tags), st.integers(1, 3))
def test_a_row_is_met_whether_or_not_the_flag_has_too_many(
    rows: list[int], flags: set[int], most: int
) -> None:
    ordered = sorted(rows)
    sides = as_tags(ordered), as_tags(sorted(flags))
    assert met(*sides, most).tolist() == [tag in flags for tag in ordered]
    pairs = match(*sides, most)
    assert len(pairs.rows) == sum(rows.count(tag) for tag in flags if rows.count(tag) <= most)


def test_parties_in_another_order_or_of_another_view_are_refused() -> None:
    aggregator = Aggregator(key().public, 1, CELLS)
    rows = rows_of([((1, 1, 1), 0)])
    first, second, third = (flags_of(number, {1}) for number in range(3))
    for wrong in ((second,), (second, first), (first, third), (first, second, third, first)):
        with pytest.raises(ProtocolError, match="different views"):
            aggregator.join(rows, *wrong)
    with pytest.raises(ProtocolError, match="different batches"):
        aggregator.join(rows, replace(first, batch=1), second)
    short = replace(rows, tags=rows.tags[:, :32])
    with pytest.raises(ProtocolError, match="another number of tags than of views"):
        aggregator.join(short, first)
