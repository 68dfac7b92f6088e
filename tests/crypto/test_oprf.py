from __future__ import annotations

import json
import math
import runpy
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from xstat_ray.crypto import oprf
from xstat_ray.crypto.kernels.portable import Portable
from xstat_ray.errors import ProtocolError

VECTORS = Path(__file__).parents[1] / "vectors"
OPRF = json.loads((VECTORS / "oprf.json").read_text())
POSITION_KEY = b"position key 16B"
SALT = b"salt" * 8


def octets(texts: list[str], width: int) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(texts)), np.uint8).reshape(-1, width)


def items_of(*numbers: int) -> np.ndarray:
    return oprf.item_hashes(SALT, np.array([b"+8190%08d" % n for n in numbers], "S13"))


class Transfers(NamedTuple):
    """What base transfers give to both sides, here from a seed."""

    pairs: np.ndarray
    bits: np.ndarray
    chosen: np.ndarray


def transfers(seed: int, width: int = 624) -> Transfers:
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, 256, (width, 2, 16), dtype=np.uint8)
    bits = rng.integers(0, 2, width).astype(bool)
    return Transfers(pairs, bits, pairs[np.arange(width), bits.astype(int)])


def run(
    seed: int, receiver: np.ndarray, sender: np.ndarray, number: int = 3, capacity: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """The values that the receiver and the sender get."""
    keys = transfers(seed)
    matrix = oprf.hidden(POSITION_KEY, receiver, keys.pairs, number, capacity)
    mine = oprf.learned(POSITION_KEY, receiver, keys.pairs, number, capacity)
    theirs = oprf.evaluated(POSITION_KEY, sender, matrix, keys.bits, keys.chosen, number, capacity)
    return mine, theirs


def whole(values: np.ndarray) -> list[bytes]:
    return [value.tobytes() for value in values]


# Vectors


def test_vectors_are_those_of_their_maker() -> None:
    assert runpy.run_path(str(VECTORS / "make_oprf.py"))["vectors"]() == OPRF
    assert len(OPRF["vectors"]) == 4


@pytest.mark.parametrize("case", OPRF["vectors"])
def test_every_step_is_that_of_the_vectors(case: dict[str, object]) -> None:
    ids = case["receiver"] + case["sender"]
    hashed = oprf.item_hashes(bytes.fromhex(case["salt"]), np.array(ids, "S"))
    assert [row.tobytes().hex() for row in hashed] == [case["items"][id_] for id_ in ids]
    assert oprf.bins_of(hashed, 1000).tolist() == [case["bins_of_1000"][id_] for id_ in ids]
    receiver, sender = np.split(hashed, [len(case["receiver"])])
    pairs = np.stack([octets(pair, 16) for pair in case["keys"]])
    bits = np.array(case["choices"], bool)
    key = bytes.fromhex(case["position_key"])
    where = case["bin"], case["capacity"]
    matrix = oprf.hidden(key, receiver, pairs, *where)
    assert [row.tobytes().hex() for row in matrix] == case["matrix"]
    mine = oprf.learned(key, receiver, pairs, *where)
    assert np.array_equal(mine, octets(case["learned"], 2))
    chosen = pairs[np.arange(16), bits.astype(int)]
    theirs = oprf.evaluated(key, sender, matrix, bits, chosen, *where)
    assert np.array_equal(theirs, octets(case["evaluated"], 2))
    keys = oprf.person_keys(case["bin"], mine, mine[:, ::-1])
    assert np.array_equal(keys, octets(case["person_keys"], 12))


# What both sides get


@given(
    st.sets(st.integers(0, 120), max_size=64),
    st.sets(st.integers(0, 120), max_size=64),
    st.integers(0, 2**64 - 1),
    st.integers(64, 200),
)
@settings(max_examples=30, deadline=None)
def test_values_are_equal_exactly_for_common_ids(
    receiver: set[int], sender: set[int], number: int, capacity: int
) -> None:
    theirs_of = {}
    mine, theirs = run(1, items_of(*receiver), items_of(*sender), number, capacity)
    theirs_of = dict(zip(sender, whole(theirs), strict=True))
    mine_of = dict(zip(receiver, whole(mine), strict=True))
    for person in receiver & sender:
        assert mine_of[person] == theirs_of[person]
    for person in sender - receiver:
        assert theirs_of[person] not in mine_of.values()
    assert len({*mine_of.values(), *theirs_of.values()}) == len(receiver | sender)


@given(st.permutations(range(40)))
@settings(max_examples=10, deadline=None)
def test_the_order_of_items_changes_nothing(order: list[int]) -> None:
    items = items_of(*range(40))
    keys = transfers(2)
    assert np.array_equal(
        oprf.hidden(POSITION_KEY, items, keys.pairs, 1, 64),
        oprf.hidden(POSITION_KEY, items[order], keys.pairs, 1, 64),
    )
    mine, theirs = run(2, items, items[order])
    assert np.array_equal(mine[order], theirs)


@pytest.mark.parametrize("threads", [1, 2, 3, 64])
def test_threads_and_layout_do_not_change_a_bit(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = items_of(*range(300))
    expected = run(3, items, items[100:], capacity=300)
    monkeypatch.setattr("xstat_ray.util.threads.thread_count", lambda: threads)
    monkeypatch.setattr(oprf, "thread_count", lambda: threads)
    strided = np.repeat(items, 2, axis=0)[::2]
    strided.flags.writeable = False
    found = run(3, strided, np.asfortranarray(items[100:]), capacity=300)
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def test_a_party_alone_does_not_have_the_key_of_the_others_people() -> None:
    """Both directions: a key needs the value of both functions on the id."""
    people = items_of(*range(64))
    row = people[:40]
    column = people[30:]
    row_learned, column_evaluated = run(4, row, column)
    column_learned, row_evaluated = run(5, column, row)
    # The column party's function is learned by the row party (run 4), and the reverse.
    row_keys = whole(oprf.person_keys(3, row_evaluated, row_learned))
    column_keys = whole(oprf.person_keys(3, column_learned, column_evaluated))
    assert row_keys[30:] == column_keys[:10]
    assert len({*row_keys, *column_keys}) == 64
    # Keys hang on the bin and on which function is whose.
    for other in (
        oprf.person_keys(4, row_evaluated, row_learned),
        oprf.person_keys(3, row_learned, row_evaluated),
    ):
        assert not {*row_keys} & {*whole(other)}


def test_a_key_is_a_hash_of_values_of_any_width() -> None:
    empty = np.empty((0, 78), np.uint8)
    assert oprf.person_keys(0, empty, empty).shape == (0, 12)
    narrow = np.zeros((1, 8), np.uint8)
    wide = np.zeros((1, 16), np.uint8)
    assert not np.array_equal(oprf.person_keys(0, narrow, wide), oprf.person_keys(0, wide, narrow))


def test_the_value_of_another_id_hangs_on_128_bits_that_the_receiver_lacks() -> None:
    receiver = items_of(*range(64))
    sender = items_of(*range(100, 164))
    keys = transfers(6)
    matrix = oprf.hidden(POSITION_KEY, receiver, keys.pairs, 3, 64)
    bits = np.zeros((2, 624), bool)
    bits[1] = True
    with_zeros, with_ones = (
        oprf.evaluated(
            POSITION_KEY,
            sender,
            matrix,
            chosen,
            keys.pairs[np.arange(624), chosen.astype(int)],
            3,
            64,
        )
        for chosen in bits
    )
    secret_bits = np.unpackbits(with_zeros ^ with_ones, axis=1).sum(axis=1)
    assert secret_bits.min() >= oprf.SECRET_BITS
    assert abs(secret_bits.mean() - 624 * (1 - 1 / 64) ** 64) < 10


# What a matrix tells


def distances(
    difference: np.ndarray, items: np.ndarray, capacity: int, key: bytes = POSITION_KEY
) -> np.ndarray:
    """Ones of the difference of two matrices at the positions of items: what a sender can count."""
    rows = Portable().oprf_rows(key, items, difference, capacity)
    return np.unpackbits(rows, axis=1).sum(axis=1, dtype=np.int64)


def dropped_found(first: np.ndarray, second: np.ndarray, capacity: int) -> list[bool]:
    """Which of the persons 0 to 199 a sender finds dropped between two matrices that it was sent.

    Between a person that was dropped and a stranger lies a wide gap: a dropped person's positions are
    ones wherever nobody else's zero is.
    """
    candidates = items_of(*range(200))
    scores = distances(first ^ second, candidates, capacity)
    return (scores > 120).tolist()


def test_a_stream_used_for_two_sets_shows_who_was_dropped() -> None:
    """The leak for which streams are used once, planted."""
    capacity = 200
    pairs = transfers(7).pairs
    before = oprf.hidden(POSITION_KEY, items_of(*range(200)), pairs, 3, capacity)
    after = oprf.hidden(
        POSITION_KEY, items_of(*range(20, 200), *range(900, 920)), pairs, 3, capacity
    )
    found = dropped_found(before, after, capacity)
    assert found == [person < 20 for person in range(200)]


def test_a_stream_used_for_two_position_keys_shows_who_is_in_the_set() -> None:
    """A repeat under another position key is no repeat; planted too."""
    capacity = 200
    pairs = transfers(7).pairs
    members = items_of(*range(200))
    keys = (POSITION_KEY, b"another key 16 B")
    first, second = (oprf.hidden(key, members, pairs, 3, capacity) for key in keys)
    scores = [
        sum(distances(first ^ second, items, capacity, key) for key in keys)
        for items in (members, items_of(*range(1000, 1200)))
    ]
    # A member's positions have a zero under one key, and about 1/e ones under the other.
    assert scores[0].mean() < scores[1].mean() - 50


@pytest.mark.parametrize("differs", ["bin", "transfers"])
def test_streams_of_other_bins_and_transfers_show_nobody(differs: str) -> None:
    """Two matrices then differ by a uniform pad: every candidate scores half of all columns."""
    capacity = 200
    second = (transfers(7), 4) if differs == "bin" else (transfers(8), 3)
    before = oprf.hidden(POSITION_KEY, items_of(*range(200)), transfers(7).pairs, 3, capacity)
    changed = items_of(*range(20, 200), *range(900, 920))
    after = oprf.hidden(POSITION_KEY, changed, second[0].pairs, second[1], capacity)
    scores = distances(before ^ after, items_of(*range(200)), capacity)
    dropped = scores[:20]
    kept = scores[20:]
    # Binomial(624, 1/2), of deviation 12.5: all within 6 deviations, and the means of both within 6 too.
    assert np.abs(scores - 312).max() < 6 * 12.5
    assert abs(dropped.mean() - kept.mean()) < 6 * 12.5 * math.sqrt(1 / 20 + 1 / 180)


def test_a_matrix_tells_a_sender_that_lacks_the_keys_nothing() -> None:
    """Columns of the bits 0 and 1 under the chosen key: what is left is the other key's stream."""
    keys = transfers(9)
    members = items_of(*range(200))
    strangers = items_of(*range(1000, 1200))
    matrix = oprf.hidden(POSITION_KEY, members, keys.pairs, 3, 200)
    known = matrix.copy()
    oprf._pad(known, keys.chosen, 3)
    scores = [distances(known, items, 200) for items in (members, strangers)]
    assert abs(scores[0].mean() - scores[1].mean()) < 6 * 12.5 * math.sqrt(2 / 200)
    # With both keys, which is the leak, each member is seen.
    planted = matrix.copy()
    oprf._pad(planted, keys.pairs[:, 0], 3)
    oprf._pad(planted, keys.pairs[:, 1], 3)
    assert not distances(planted, members, 200).any()
    assert distances(planted, strangers, 200).min() > 120


def test_the_size_of_a_matrix_hides_the_load() -> None:
    pairs = transfers(10).pairs
    shapes = {
        oprf.hidden(POSITION_KEY, items_of(*range(n)), pairs, 0, 100).shape for n in (0, 1, 100)
    }
    assert shapes == {(624, 2)}


# Refusals


def test_a_bin_with_too_many_ids_ends_the_run() -> None:
    keys = transfers(11)
    items = items_of(*range(65))
    for refuse in (
        lambda: oprf.hidden(POSITION_KEY, items, keys.pairs, 0, 64),
        lambda: oprf.learned(POSITION_KEY, items, keys.pairs, 0, 64),
    ):
        with pytest.raises(ProtocolError, match="more ids than") as caught:
            refuse()
        assert not any(character.isdigit() for character in str(caught.value))


def test_a_bin_of_the_sender_may_be_fuller_than_one_of_the_receiver() -> None:
    keys = transfers(11)
    items = items_of(*range(200))
    matrix = oprf.hidden(POSITION_KEY, items[:64], keys.pairs, 0, 64)
    of_sender = oprf.evaluated(POSITION_KEY, items, matrix, keys.bits, keys.chosen, 0, 64)
    of_receiver = oprf.learned(POSITION_KEY, items[:64], keys.pairs, 0, 64)
    assert (of_sender[:64] == of_receiver).all()
    assert len({row.tobytes() for row in of_sender}) == 200


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((624, 2), np.uint64),
        np.zeros((616, 1), np.uint64),
        np.zeros(624, np.uint64),
        np.zeros((624, 1), np.int64),
        np.zeros((624, 8), np.uint8),
        np.zeros((624, 1), ">u8"),
    ],
)
def test_a_matrix_of_another_shape_or_type_is_refused(wrong: np.ndarray) -> None:
    keys = transfers(12)
    with pytest.raises(ProtocolError, match="matrix"):
        oprf.evaluated(POSITION_KEY, items_of(1), wrong, keys.bits, keys.chosen, 0, 64)


def test_arguments_out_of_range_are_refused() -> None:
    items = items_of(1, 2)
    for key, width, capacity in (
        (POSITION_KEY[1:], 8, 64),
        (POSITION_KEY, 12, 64),
        (POSITION_KEY, 0, 64),
        (POSITION_KEY, 8, 63),
        (POSITION_KEY, 8, oprf.MAX_CAPACITY + 1),
    ):
        with pytest.raises(ValueError, match=r"position key|room for"):
            oprf.hidden(key, items, transfers(1, width).pairs, 0, capacity)
    for bins in (0, -1, 2**32 + 1):
        with pytest.raises(ValueError, match="bins"):
            oprf.bins_of(items, bins)


# Items and bins


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=30), st.integers(1, 2**32))
def test_a_bin_is_the_first_word_times_the_bins(drawn: list[bytes], bins: int) -> None:
    items = np.frombuffer(b"".join(drawn), np.uint8).reshape(-1, 16)
    found = oprf.bins_of(items, bins)
    assert found.dtype == np.int64
    assert found.tolist() == [int.from_bytes(item[:8], "little") * bins >> 64 for item in drawn]


@pytest.mark.parametrize("word", [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1])
@pytest.mark.parametrize("bins", [1, 2, 3, 128, 2**31, 2**32 - 1, 2**32])
def test_bins_at_the_edges(word: int, bins: int) -> None:
    item = np.frombuffer(word.to_bytes(16, "little"), np.uint8).reshape(1, 16)
    assert oprf.bins_of(item, bins).tolist() == [word * bins >> 64]


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(0, 2**32))
def test_bins_nest(coarse: int, factor: int, seed: int) -> None:
    items = np.random.default_rng(seed).integers(0, 256, (50, 16), dtype=np.uint8)
    bins = coarse * factor
    fine = oprf.bins_of(items, bins)
    assert np.array_equal(fine * coarse // bins, oprf.bins_of(items, coarse))


def test_items_hang_on_salt_and_id_and_fill_bins_evenly() -> None:
    ids = np.array([b"%d" % n for n in range(20_000)])
    items = oprf.item_hashes(SALT, ids)
    assert items.shape == (20_000, 16)
    assert len(np.unique(items, axis=0)) == 20_000
    assert not (items == oprf.item_hashes(b"pepper__" * 4, ids)).all(axis=1).any()
    loads = np.bincount(oprf.bins_of(items, 100), minlength=100)
    assert loads.min() > 200 - 6 * math.sqrt(200)
    assert loads.max() < 200 + 6 * math.sqrt(200)
    assert oprf.item_hashes(SALT, ids[:0]).shape == (0, 16)


# Parameters


def exact_above(trials: int, bins: int, bound: int) -> Fraction:
    below = sum(math.comb(trials, k) * (bins - 1) ** (trials - k) for k in range(bound + 1))
    return 1 - Fraction(below, bins**trials)


@pytest.mark.parametrize(("items", "bins"), [(300, 2), (1000, 3), (700, 5), (2000, 20), (150, 2)])
def test_a_capacity_is_the_least_that_does(items: int, bins: int) -> None:
    m = oprf.capacity(items, bins)
    limit = Fraction(1, 2**40)
    assert bins * exact_above(items, bins, m) <= limit
    assert m == 64 or bins * exact_above(items, bins, m - 1) > limit


@pytest.mark.parametrize(
    ("items", "bins"), [(2**20, 16), (2**23, 128), (2**27, 2048), (10**8, 7), (10**6, 10**5)]
)
def test_a_capacity_is_that_of_scipy(items: int, bins: int) -> None:
    m = oprf.capacity(items, bins)
    above = bins * binom.sf(np.array([m - 1, m]), items, 1 / bins)
    assert above[1] <= 2.0**-40 * (1 + 1e-6)
    assert m == 64 or above[0] > 2.0**-40 * (1 - 1e-6)


def test_capacities_at_the_ends() -> None:
    # Bernstein's inequality asks for 67,614 here; the least that does is a little below.
    assert oprf.capacity(2**23, 128) == 67_508
    t = 47 * math.log(2)
    bernstein = 2**16 + t / 3 + math.sqrt(t * t / 9 + 2 * t * 2**16)
    assert math.ceil(bernstein) == 67_614
    assert oprf.capacity(10**6, 1) == 10**6
    assert [oprf.capacity(items, 1) for items in (0, 1, 64, 65)] == [64, 64, 64, 65]
    assert oprf.capacity(10, 1000) == 64


def exact_below(columns: int, untouched: Fraction, wanted: int) -> float:
    numerator = untouched.numerator
    denominator = untouched.denominator
    total = sum(
        math.comb(columns, k) * numerator**k * (denominator - numerator) ** (columns - k)
        for k in range(wanted)
    )
    return float(Fraction(total, denominator**columns))


@pytest.mark.parametrize(("logarithm", "columns"), [(20, 621), (23, 630), (26, 639), (28, 645)])
def test_widths_are_those_of_exact_sums(logarithm: int, columns: int) -> None:
    m = 1 << 16
    untouched = Fraction(round((1 - 1 / m) ** m * 2**60), 2**60)
    limit = 2.0 ** -(40 + logarithm)
    assert exact_below(columns, untouched, 128) <= limit < exact_below(columns - 1, untouched, 128)
    assert oprf.width(2**logarithm, m) == -(-columns // 8) * 8


def test_a_width_of_624_is_not_enough_for_a_nation() -> None:
    below = binom.cdf(127, 624, (1 - 2.0**-16) ** 2**16)
    assert math.log2(2**20 * below) < -40
    assert -39 < math.log2(2**23 * below) < -38
    assert -34 < math.log2(2**28 * below) < -33
    assert oprf.width(2**28, 2**16) >= 645


@pytest.mark.parametrize("capacity", [64, 1000, 67_508, 2**24])
def test_smaller_bins_need_a_little_more_width(capacity: int) -> None:
    for evaluated in (1, 128, 10**6, 2**33):
        width = oprf.width(evaluated, capacity)
        assert width % 8 == 0
        failure = evaluated * binom.cdf(127, [width - 8, width], (1 - 1 / capacity) ** capacity)
        assert failure[1] <= 2.0**-40 < failure[0]
