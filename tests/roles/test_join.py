"""The join on equal tags and the addition of ciphertexts, beside a dictionary's."""

from __future__ import annotations

import tracemalloc
from collections import Counter, defaultdict
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.synthetic import VIEW
from xstat_ray.crypto.buffers import to_rows
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PublicEncryptor
from xstat_ray.crypto.tags import sort_order
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Flags, Partial, Rows
from xstat_ray.roles import Aggregator
from xstat_ray.roles import join as join_module
from xstat_ray.roles.join import add, bound, join, lay_out, merge
from xstat_ray.roles.matching import match

# Words from a small set: tags that repeat, and tags that share their first word and differ in the
# second.
words = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1])
tag_lists = st.lists(st.tuples(words, words), max_size=30)


def tag_array(tags):
    return np.array(tags, "<u8").reshape(-1, 2).view(np.uint8)


def sort(tags):
    """Sort pairs of words, which is the order of tags in messages."""
    array = tag_array(sorted(tags))
    assert (sort_order(array, np.zeros(len(array), np.uint32)) == np.arange(len(array))).all()
    return array


@given(tag_lists, tag_lists)
def test_matches_are_those_of_a_dictionary(row_tags, flag_tags):
    row_tags = sorted(row_tags)
    flag_tags = sorted(set(flag_tags))
    places = defaultdict(list)
    for row, tag in enumerate(row_tags):
        places[tag].append(row)
    expected = [(row, flag) for flag, tag in enumerate(flag_tags) for row in places[tag]]
    row, flag, _ = match(sort(row_tags), sort(flag_tags), 100)
    assert list(zip(row.tolist(), flag.tolist(), strict=True)) == expected


@given(st.integers(0, 2**32), st.integers(0, 400), st.integers(0, 400))
def test_matches_of_random_tags(seed, rows, flags):
    draw = np.random.default_rng(seed)
    drawn = draw.bytes(16 * 300)
    pick = [drawn[16 * i : 16 * i + 16] for i in range(300)]

    def ordered(tags):
        array = np.frombuffer(b"".join(tags), np.uint8).reshape(-1, 16)
        return array[sort_order(array, np.zeros(len(array), np.uint32))]

    row_tags = ordered([pick[i] for i in draw.integers(0, 300, rows)])
    flag_tags = ordered([pick[i] for i in set(draw.integers(0, 300, flags).tolist())])
    row, flag, _ = match(row_tags, flag_tags, 100)
    assert (row_tags[row] == flag_tags[flag]).all()
    present = {bytes(tag) for tag in flag_tags}
    assert len(row) == sum(bytes(tag) in present for tag in row_tags)
    assert len(set(row.tolist())) == len(row)


UNSORTED = [(2, 0), (1, 0)]
UNSORTED_SECOND_WORD = [(1, 5), (1, 4)]


@pytest.mark.parametrize("wrong", [UNSORTED, UNSORTED_SECOND_WORD])
def test_unsorted_tags_are_refused_on_either_side(wrong):
    fine = tag_array([(1, 4), (1, 5)])
    for sides in ((tag_array(wrong), fine), (fine, tag_array(wrong))):
        with pytest.raises(ProtocolError, match="not sorted"):
            match(*sides, 100)


def test_repeated_flags_are_refused_and_repeated_rows_are_not():
    twice = tag_array([(1, 4), (1, 4)])
    row, flag, _ = match(twice, twice[:1], 100)
    assert row.tolist() == [0, 1] and flag.tolist() == [0, 0]
    with pytest.raises(ProtocolError, match="two flags carry the same tag"):
        match(twice[:1], twice, 100)


@pytest.fixture(scope="module")
def key():
    return generate(2048)


@pytest.fixture(scope="module")
def encrypt(key):
    encryptor = PublicEncryptor(key.public, 500)

    def flags(values):
        """(N, 2, width) ciphertexts of the (N, 2) values."""
        rows = encryptor.encrypt([int(v) for pair in values for v in pair])
        return rows.reshape(-1, 2, key.public.width)

    return flags


def opened(key, partial):
    """Decrypt a partial: {cell: (first block, second block)}."""
    width = key.public.width
    values = key.decrypt(partial.ciphertexts.reshape(-1, width))
    return {
        int(cell): (int(values[2 * i]), int(values[2 * i + 1]))
        for i, cell in enumerate(partial.cells)
    }


rows_of_shard = st.lists(st.tuples(words, words, st.integers(0, 4)), max_size=20)
flags_of_batch = st.dictionaries(
    st.tuples(words, words), st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=8
)


@settings(max_examples=25)
@given(rows_of_shard, flags_of_batch, st.integers(0, 8))
def test_a_cell_holds_the_sum_of_the_flags_that_its_rows_met(key, encrypt, rows, flags, cut):
    flags = dict(sorted(flags.items()))
    parts = flag_parts(flags, encrypt, cut)
    expected = defaultdict(lambda: (0, 0))
    for first, second, cell in rows:
        if (first, second) in flags:
            expected[cell] = tuple(
                a + b for a, b in zip(expected[cell], flags[first, second], strict=True)
            )
    joined = join(key.public, len(rows), shard_of(rows), parts)
    partial = joined.counts
    assert (np.diff(partial.cells.astype(int)) > 0).all()
    assert opened(key, partial) == expected
    numbers = {tag: number for number, tag in enumerate(flags)}
    met = sorted((numbers[row[:2]], row[2]) for row in rows if row[:2] in numbers)
    found = zip(joined.flags.tolist(), joined.cells.tolist(), strict=True)
    assert sorted(found) == met and not len(joined.left_out)


messages_of_batch = st.lists(rows_of_shard, min_size=1, max_size=5)


@settings(max_examples=40, deadline=None)
@given(messages_of_batch, flags_of_batch, st.integers(0, 8), st.integers(1, 4), st.data())
def test_a_batch_has_the_bytes_that_it_has_without_the_flags_over_the_bound(
    key, encrypt, messages, flags, cut, most, data
):
    flags = dict(sorted(flags.items()))
    parts = flag_parts(flags, encrypt, cut)
    met = Counter(row[:2] for rows in messages for row in rows)
    within = [[row for row in rows if met[row[:2]] <= most] for rows in messages]
    joined = [join(key.public, most, shard_of(rows), parts) for rows in messages]
    if data.draw(st.booleans(), "whether some are merged first"):
        joined = [merge(key.public, joined[:3]), *joined[3:]]
    partial = bound(key.public, most, joined, parts)
    unbounded = [join(key.public, sum(map(len, within)), shard_of(rows), parts) for rows in within]
    expected = add(key.public, [part.counts for part in unbounded])
    assert partial.cells.tolist() == expected.cells.tolist()
    assert partial.ciphertexts.tobytes() == expected.ciphertexts.tobytes()
    model = defaultdict(lambda: (0, 0))
    for first, second, cell in (row for rows in within for row in rows):
        if (first, second) in flags:
            sums = zip(model[cell], flags[first, second], strict=True)
            model[cell] = tuple(a + b for a, b in sums)
    assert opened(key, partial) == model


def shard_of(rows):
    """Put (first word, second word, cell) into a message."""
    rows = sorted(rows)
    return Rows(
        view=VIEW,
        shard=0,
        tags=tag_array([row[:2] for row in rows]),
        cells=np.array([row[2] for row in rows], np.uint32),
    )


def flag_parts(flags, encrypt, cut):
    """Encrypt the sorted flags of a batch, in two parts."""
    tags = sort(flags)
    ciphertexts = encrypt(list(flags.values()))
    return [
        Flags(view=VIEW, batch=0, part=number, tags=tags[section], ciphertexts=ciphertexts[section])
        for number, section in enumerate((slice(None, cut), slice(cut, None)))
    ]


def test_many_rows_of_one_message_are_not_even_multiplied(key, encrypt, monkeypatch):
    monkeypatch.setattr(join_module, "accumulate", lambda *_: pytest.fail("it was multiplied"))
    flags = Flags(
        view=VIEW, batch=0, part=0, tags=tag_array([(1, 1)]), ciphertexts=encrypt([(1, 1)])
    )
    crowd = shard_of([(1, 1, cell) for cell in range(4)] * 50)
    joined = join(key.public, 3, crowd, [flags])
    assert joined.left_out.tolist() == [0]
    assert not len(joined.flags) and not len(joined.counts.cells)
    assert not len(bound(key.public, 3, [joined], [flags]).cells)


def test_one_flag_over_the_bound_takes_nothing_from_the_others(key, encrypt):
    parts = flag_parts({(1, 1): (1, 0), (2, 2): (10, 1)}, encrypt, 1)
    shards = [shard_of([(1, 1, 7), (2, 2, 7)]), shard_of([(1, 1, 7), (1, 1, 8), (2, 2, 9)])]
    joined = [join(key.public, 2, shard, parts) for shard in shards]
    assert opened(key, bound(key.public, 2, joined, parts)) == {7: (10, 1), 9: (10, 1)}
    assert opened(key, bound(key.public, 3, joined, parts)) == {7: (12, 1), 8: (1, 0), 9: (10, 1)}


def test_flags_that_are_encrypted_anew_in_between_leave_the_same_counts(key, encrypt):
    flags = {(1, 1): (1, 0), (2, 2): (10, 1)}
    shards = [shard_of([(1, 1, 7), (2, 2, 7)]), shard_of([(1, 1, 7)])]
    joined = [join(key.public, 1, shard, flag_parts(flags, encrypt, 1)) for shard in shards]
    again = flag_parts(flags, encrypt, 1)
    assert opened(key, bound(key.public, 1, joined, again)) == {7: (10, 1)}


def test_a_flag_that_cannot_be_divided_out_is_refused(key):
    ciphertexts = to_rows([key.public.n, mpz(4)], 512).reshape(2, 1, 512)
    flags = Flags(
        view=VIEW, batch=0, part=0, tags=tag_array([(1, 1), (2, 2)]), ciphertexts=ciphertexts
    )
    shards = [shard_of([(1, 1, 0), (2, 2, 0)]), shard_of([(1, 1, 1)])]
    joined = [join(key.public, 1, shard, [flags]) for shard in shards]
    with pytest.raises(ProtocolError, match="not a ciphertext: not coprime"):
        bound(key.public, 1, joined, [flags])


def test_a_batch_is_bounded_with_its_own_flags(key, encrypt):
    parts = flag_parts({(1, 1): (1, 0)}, encrypt, 1)
    other = [replace(part, batch=1) for part in parts]
    rows = shard_of([(1, 1, 0)])
    joined = join(key.public, 1, rows, parts)
    with pytest.raises(ProtocolError, match="not the flags that were joined"):
        bound(key.public, 1, [joined], other)
    with pytest.raises(ProtocolError, match="different batches"):
        bound(key.public, 1, [joined, join(key.public, 1, rows, other)], parts)


partials = st.lists(
    st.dictionaries(st.integers(0, 5), st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=5),
    min_size=1,
    max_size=9,
)


@settings(max_examples=15)
@given(partials)
def test_adding_is_associative_and_commutative_to_the_byte(key, encrypt, contents):
    made = [
        Partial(
            view=VIEW,
            cells=np.array(sorted(content), np.uint32),
            ciphertexts=encrypt([content[c] for c in sorted(content)]),
        )
        for content in contents
    ]
    at_once = add(key.public, made)
    fold = reduce(lambda left, right: add(key.public, [left, right]), made)
    backwards = add(key.public, made[::-1])
    tree = add(key.public, [add(key.public, made[i : i + 2]) for i in range(0, len(made), 2)])
    for other in (fold, backwards, tree):
        assert (other.cells == at_once.cells).all() and (
            other.ciphertexts == at_once.ciphertexts
        ).all()
    expected = defaultdict(lambda: (0, 0))
    for content in contents:
        for cell, (first, second) in content.items():
            expected[cell] = (expected[cell][0] + first, expected[cell][1] + second)
    assert opened(key, at_once) == expected


def test_flags_of_different_batches_or_shapes_are_refused(key):
    def part(batch, blocks):
        return Flags(
            view=VIEW,
            batch=batch,
            part=0,
            tags=tag_array([(batch, 0)]),
            ciphertexts=np.zeros((1, blocks, 4), np.uint8),
        )

    rows = Rows(view=VIEW, shard=0, tags=tag_array([]), cells=np.zeros(0, np.uint32))
    for parts in ([part(0, 1), part(1, 1)], [part(0, 1), part(0, 2)]):
        with pytest.raises(ProtocolError, match="different batches or shapes"):
            join(key.public, 1, rows, parts)


def test_messages_of_different_views_are_refused(key, encrypt):
    """Two views of one table have different tags; put together they would tell more than each."""
    ciphertexts = encrypt([(1, 0)])
    cells = np.zeros(1, np.uint32)
    tags = tag_array([(1, 1)])
    flags = Flags(view=VIEW, batch=0, part=0, tags=tags, ciphertexts=ciphertexts)
    rows = Rows(view=VIEW, shard=0, tags=tags, cells=cells)
    partial = Partial(view=VIEW, cells=cells, ciphertexts=ciphertexts)
    joined = join(key.public, 1, rows, [flags])
    assert joined.counts.view == add(key.public, [partial, partial]).view == VIEW
    assert bound(key.public, 1, [joined], [flags]).view == VIEW
    other = {"view": "f0" * 16}
    with pytest.raises(ProtocolError, match="different views"):
        join(key.public, 1, replace(rows, **other), [flags])
    with pytest.raises(ProtocolError, match="different views"):
        join(key.public, 1, rows, [flags, replace(flags, part=1, **other)])
    with pytest.raises(ProtocolError, match="different views"):
        add(key.public, [partial, replace(partial, **other)])
    with pytest.raises(ProtocolError, match="different views"):
        bound(key.public, 1, [joined], [replace(flags, **other)])


@pytest.mark.parametrize("matching", [True, False])
def test_what_is_refused_is_refused_whether_it_matches_or_not(key, encrypt, matching):
    """A refusal of what matches alone would tell whether somebody is in the other table."""
    tags = tag_array([(1, 1)])
    there = tags if matching else tag_array([(2, 2)])
    good = Flags(view=VIEW, batch=0, part=0, tags=there, ciphertexts=encrypt([(1, 1)]))
    outside = Rows(view=VIEW, shard=0, tags=tags, cells=np.array([7], np.uint32))
    with pytest.raises(ProtocolError, match="outside the domain"):
        Aggregator(key.public, 1, 7).join(outside, good)
    rows = replace(outside, cells=np.zeros(1, np.uint32))
    for byte in (0, 255):
        bad = replace(good, ciphertexts=np.full_like(good.ciphertexts, byte))
        with pytest.raises(ProtocolError, match="not a ciphertext"):
            Aggregator(key.public, 1, 7).join(rows, bad)


@pytest.mark.parametrize("alike", [(1, 1), (1, 2)])
def test_a_tag_that_is_repeated_often_takes_no_room_if_a_flag_has_it(alike):
    """Or time and memory would tell; the second flag shares the first half of its tag alone."""
    rows = np.repeat(tag_array([alike]), 300_000, axis=0)
    tracemalloc.start()
    found = match(rows, tag_array([(1, 1)]), 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.rows) == 0
    assert found.excessive.tolist() == ([0] if alike == (1, 1) else [])
    tracemalloc.start()
    match(rows, tag_array([(9, 9)]), 3)
    _, alone = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < alone + 10_000


def test_a_flag_that_is_not_a_ciphertext_is_refused(key):
    flags = Flags(
        view=VIEW,
        batch=0,
        part=0,
        tags=tag_array([(1, 1), (2, 2)]),
        ciphertexts=np.zeros((2, 1, 512), np.uint8),
    )
    rows = Rows(view=VIEW, shard=0, tags=tag_array([(1, 1), (2, 2)]), cells=np.zeros(2, np.uint32))
    with pytest.raises(ProtocolError, match="not a ciphertext"):
        join(key.public, 1, rows, [flags])


def test_the_layout_fills_untouched_cells_with_an_encryption_of_zero(key, encrypt):
    partial = Partial(
        view=VIEW, cells=np.array([1, 3], np.uint32), ciphertexts=encrypt([(4, 5), (6, 7)])
    )
    table = lay_out(key.public, partial, 5, 2)
    values = key.decrypt(table.reshape(-1, key.public.width))
    assert [int(v) for v in values] == [0, 0, 4, 5, 0, 0, 6, 7, 0, 0]


def test_nothing_matched_anywhere_is_laid_out_as_zeros(key):
    partial = Partial(
        view=VIEW, cells=np.zeros(0, np.uint32), ciphertexts=np.zeros((0, 2, 512), np.uint8)
    )
    table = lay_out(key.public, partial, 3, 2)
    assert table.shape == (3, 2, 512) and not any(key.decrypt(table.reshape(-1, 512)))


@pytest.mark.parametrize(
    ("cell", "shape", "problem"),
    [
        (5, (1, 2, 512), "outside the domain"),
        (4, (1, 1, 512), "number of blocks"),
        (4, (1, 2, 768), "key size"),
    ],
)
def test_a_partial_of_another_table_is_refused(key, cell, shape, problem):
    partial = Partial(
        view=VIEW, cells=np.array([cell], np.uint32), ciphertexts=np.ones(shape, np.uint8)
    )
    with pytest.raises(ProtocolError, match=problem):
        lay_out(key.public, partial, 5, 2)
