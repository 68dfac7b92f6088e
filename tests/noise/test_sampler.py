"""The joint sampler: its comparisons against integers, its replays, and what it refuses.

Its distribution is tested in tests/statistical/test_joint_noise.py.
"""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest

from tests.noise.drawing import ATTEMPT, SEEDS, Drawing, integers, plan_of
from tests.sizes import first
from xstat_ray.errors import ProtocolError
from xstat_ray.noise import triples
from xstat_ray.noise.bits import Attempt, Stream
from xstat_ray.noise.coins import Coins
from xstat_ray.noise.dealing import Dealer
from xstat_ray.noise.sampler import PartSampler, Sampler, rounds


class Given:
    """Stands for the row party's stream, and gives the words that a test chose."""

    def __init__(self, words):
        self.given = words

    def words(self, *shape):
        return self.given.copy().reshape(shape)


def bit_slices(numbers, bits):
    """(bits, words) of (N,) numbers, the highest bit first."""
    rows = [np.packbits(numbers >> place & 1, bitorder="little") for place in reversed(range(bits))]
    padded = [np.pad(row, (0, -len(row) % 8)).view(np.uint64) for row in rows]
    return np.stack(padded)


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_a_coin_is_the_comparison_with_the_threshold_for_all_numbers_and_thresholds(bits):
    thresholds = tuple(range(2**bits))
    numbers = np.arange(2**bits)
    # Digit 0 alone is not zero: its coin is the noise, if the other coin of the digit is zero.
    for start in range(0, len(thresholds), 16):
        some = thresholds[start : start + 16]
        coins = Coins(1.0, bits, some)
        plan = plan_of(coins, rows=1, slots=len(numbers))
        part = plan.parts[0]
        column_words = Stream(SEEDS["column"], ATTEMPT, 0, "coins").words(
            2 * len(some), bits, part.words
        )
        numbers_of_coins = [numbers] * len(some) + [np.full_like(numbers, 2**bits - 1)] * len(some)
        wanted = np.stack([bit_slices(column, bits) for column in numbers_of_coins])
        row_words = wanted ^ column_words
        dealer = Dealer(plan, ATTEMPT, SEEDS["aggregator"])
        seeds = {role: dealer.export_seed(role) for role in ("row", "column")}
        row = PartSampler("row", part, ATTEMPT, own=Given(row_words), dealt=seeds["row"], deal=None)
        column = Sampler("column", plan, ATTEMPT, SEEDS["column"], seeds["column"]).begin(
            0, dealer.deal(0)
        )
        more = True
        while more:
            pair = row.opening, column.opening
            more = row.advance(pair[1])
            assert column.advance(pair[0]) == more
        # The largest number is below no threshold, so that the second half of coins is zero.
        want = sum((numbers < c).astype(int) << place for place, c in enumerate(some))
        found = integers(row.share + column.share).astype(int)[0]
        assert (found == want).all()


@pytest.mark.parametrize(
    ("scale", "bits"), first(2, [(2.0, 48), (24.0, 64), (24.0, 48), (3e6, 64)])
)
def test_noise_is_the_sum_of_coins_that_integers_give(scale, bits):
    coins = Coins.of_scale(scale, bits)
    plan = plan_of(coins, rows=7, slots=19)
    drawing = Drawing(plan)
    words = plan.parts[0].words
    shape = (2 * coins.digits, bits, words)
    random = [Stream(SEEDS[role], ATTEMPT, 0, "coins").words(*shape) for role in ("row", "column")]
    want = []
    for coefficient in range(7 * 19):
        word, bit = divmod(coefficient, 64)
        noise = 0
        for coin in range(2 * coins.digits):
            number = 0
            for place in range(bits):
                both = int(random[0][coin, place, word]) ^ int(random[1][coin, place, word])
                number = number << 1 | both >> bit & 1
            sign, digit = (1, coin) if coin < coins.digits else (-1, coin - coins.digits)
            noise += (number < coins.thresholds[digit]) * sign << digit
        want.append(noise)
    assert drawing.noise.ravel().tolist() == want
    assert drawing.row.share.shape == (2, 7, 19) and drawing.row.share.dtype == np.int64
    assert len(drawing.openings) == rounds(bits) == 7
    if scale == 24.0:
        assert len(set(want)) > 20


def test_parts_are_drawn_apart_and_a_replay_gives_the_same_bytes():
    plan = plan_of(Coins.of_scale(24.0), Coins.of_scale(24.0))
    first_part, again, second = (Drawing(plan, number) for number in (0, 0, 1))
    assert first_part.transcript == again.transcript
    assert (first_part.row.share == again.row.share).all()
    assert (first_part.column.share == again.column.share).all()
    assert (first_part.noise != second.noise).any()


@pytest.mark.parametrize("role", SEEDS)
def test_other_seeds_give_other_bytes(role):
    plan = plan_of(Coins.of_scale(24.0))
    changed = Drawing(plan, seeds={**SEEDS, role: b"x" * 32})
    assert changed.transcript != Drawing(plan).transcript
    # The noise is the parties'; the dealer has no part in it.
    assert (changed.noise != Drawing(plan).noise).any() == (role != "aggregator")


@pytest.mark.parametrize(
    "attempt", [Attempt(b"other", 0), replace(ATTEMPT, number=1), replace(ATTEMPT, set=1)]
)
def test_other_attempts_have_other_noise_and_other_masks(attempt):
    plan = plan_of(Coins.of_scale(24.0))
    other = Drawing(plan, attempt=attempt)
    usual = Drawing(plan)
    assert (other.noise != usual.noise).any()
    assert (other.deal.corrections != usual.deal.corrections).mean() > 0.99


VECTOR = "dbd1bde9174b5b173e7177de1b85958b1ce69092da971e3bea8c696181c9483f"


def test_the_bytes_are_those_of_the_test_vector():
    """A change of any stream, message or order of bits is a change of the format."""
    plan = plan_of(Coins.of_scale(24.0), rows=2, slots=3)
    drawing = Drawing(plan)
    assert hashlib.sha256(drawing.transcript).hexdigest() == VECTOR
    assert drawing.noise.tolist() == [[-12, -5, 40], [63, 14, -13]]
    assert integers(drawing.row.share)[0, 0] == -383904055804572771519


@pytest.mark.parametrize("turn", range(7))
@pytest.mark.parametrize("sender", first(1, ["row", "column"]))
def test_a_flipped_bit_of_an_opening_changes_the_noise(sender, turn):
    plan = plan_of(Coins.of_scale(24.0), rows=8, slots=8)

    def alter(role, message):
        if role != sender or message.round != turn:
            return message
        # Of all coefficients of one word of a coin: a single one matters only now and then.
        masked = message.masked.copy()
        masked[0, 0, 0, 0] ^= ~np.uint64(0)
        return replace(message, masked=masked)

    assert (Drawing(plan, alter=alter).noise != Drawing(plan).noise).any()


@pytest.mark.parametrize("field", ["corrections", "shares"])
def test_a_flipped_bit_of_a_deal_changes_the_noise(field):
    plan = plan_of(Coins.of_scale(24.0), rows=8, slots=8)

    def alter(role, message):
        if role != "aggregator":
            return message
        array = getattr(message, field).copy()
        array[0] ^= array.dtype.type(1) if field == "shares" else ~np.uint64(0)
        return replace(message, **{field: array})

    assert (Drawing(plan, alter=alter).noise != Drawing(plan).noise).any()


@pytest.mark.parametrize("change", ["attempt", "set", "part", "round"])
def test_an_opening_for_another_place_is_refused(change):
    plan = plan_of(Coins.of_scale(2.0))

    def alter(role, message):
        if role == "aggregator":
            return message
        return replace(message, **{change: getattr(message, change) + 1})

    with pytest.raises(ProtocolError, match="another attempt, set, part or round"):
        Drawing(plan, alter=alter)


def test_an_opening_of_another_size_is_refused():
    def alter(role, message):
        return message if role == "aggregator" else replace(message, masked=message.masked[:-1])

    with pytest.raises(ProtocolError, match="another size than its part"):
        Drawing(plan_of(Coins.of_scale(2.0)), alter=alter)


@pytest.mark.parametrize("change", ["attempt", "set", "part"])
def test_corrections_for_another_place_are_refused(change):
    def alter(role, message):
        if role != "aggregator":
            return message
        return replace(message, **{change: getattr(message, change) + 1})

    with pytest.raises(ProtocolError, match="of another attempt, set or part"):
        Drawing(plan_of(Coins.of_scale(2.0)), alter=alter)


@pytest.mark.parametrize("field", ["corrections", "shares"])
def test_corrections_of_another_size_are_refused(field):
    def alter(role, message):
        return (
            replace(message, **{field: getattr(message, field)[:, :-1]})
            if role == "aggregator"
            else message
        )

    with pytest.raises(ProtocolError, match="another size than their part"):
        Drawing(plan_of(Coins.of_scale(2.0)), alter=alter)


def test_corrections_are_the_column_partys():
    plan = plan_of(Coins.of_scale(2.0))
    deal = Dealer(plan, ATTEMPT, SEEDS["aggregator"]).deal(0)
    for role, given in (("row", deal), ("column", None)):
        sampler = Sampler(role, plan, ATTEMPT, SEEDS[role], bytes(32))
        with pytest.raises(ProtocolError, match="corrections are for the column party"):
            sampler.begin(0, given)


def test_a_share_is_there_after_the_last_opening_and_not_before():
    plan = plan_of(Coins.of_scale(2.0))
    part = Sampler("row", plan, ATTEMPT, SEEDS["row"], bytes(32)).begin(0)
    with pytest.raises(ProtocolError, match="still missing"):
        _ = part.share
    drawing = Drawing(plan)
    with pytest.raises(ProtocolError, match="have been made"):
        drawing.row.advance(drawing.openings[-1][1])


def test_seeds_have_32_bytes_and_nobody_travels():
    plan = plan_of(Coins.of_scale(2.0))
    for seeds in ((bytes(31), bytes(32)), (bytes(32), bytes(31))):
        with pytest.raises(ValueError, match="32 bytes"):
            Sampler("row", plan, ATTEMPT, *seeds)
    with pytest.raises(ValueError, match="32 bytes"):
        Dealer(plan, ATTEMPT, bytes(31))
    sampler = Sampler("row", plan, ATTEMPT, bytes(32), bytes(32))
    for secret in (sampler, sampler.begin(0), Dealer(plan, ATTEMPT, bytes(32))):
        with pytest.raises(TypeError, match="refuses to travel"):
            pickle.dumps(secret)
        assert repr(secret).endswith("redacted>")


def test_the_dealers_seeds_differ_by_party_and_attempt():
    plan = plan_of(Coins.of_scale(2.0))
    seeds = {
        Dealer(plan, attempt, SEEDS["aggregator"]).export_seed(role)
        for attempt in (ATTEMPT, replace(ATTEMPT, number=1), replace(ATTEMPT, set=1))
        for role in ("row", "column")
    }
    assert len(seeds) == 6


def test_integer_shares_add_up_to_the_dealt_bits():
    plan = plan_of(Coins.of_scale(24.0))
    part = plan.parts[0]
    dealer = Dealer(plan, ATTEMPT, SEEDS["aggregator"])
    deal = dealer.deal(0)
    streams = {
        role: Stream(dealer.export_seed(role), ATTEMPT, 0, triples.DEALT_BITS)
        for role in ("row", "column")
    }
    masks = Stream(dealer.export_seed("row"), ATTEMPT, 0, triples.INTEGER_SHARES)
    for shares in deal.shares:
        words = streams["row"].words(part.words) ^ streams["column"].words(part.words)
        bits = np.unpackbits(words.view(np.uint8), bitorder="little")[: part.coefficients]
        mask = triples.integer_shares(masks, part.coefficients)
        assert (mask.astype(object) + shares.astype(object) == bits).all()
        assert mask.min() >= 0 and int(mask.max()).bit_length() == triples.MASK_BITS
