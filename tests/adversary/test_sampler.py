"""No role of the joint sampler learns anything of the noise from what it has of the draw.

Each role follows the protocol, sees its messages and everything that it computes, and the published
table, from which an exact count would follow at once if it knew the noise.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.adversary.deployments import played_as_far_as_it_goes
from tests.adversary.people import mixed
from tests.adversary.planted import sampler
from tests.adversary.recorder import RECEIVED, Record, Recorder, Thing
from tests.adversary.transcripts import Told, planes_of, told
from tests.case import study
from tests.sizes import first, slow, thorough
from xstat_ray.noise import triples
from xstat_ray.noise.bits import Attempt, Stream
from xstat_ray.noise.coins import Coins
from xstat_ray.noise.dealing import Dealer
from xstat_ray.noise.messages import Opening
from xstat_ray.noise.plan import NoisePlan, Part
from xstat_ray.noise.sampler import PartSampler, Sampler, rounds

COINS = Coins.of_scale(1.0)
ATTEMPT = Attempt(b"session", 0)
PARTIES = ("row", "column")
EVERYBODY = (*PARTIES, "aggregator")
"""The last deals."""
LAST_OPENING = f"opening {rounds(COINS.bits) - 1}.masked"
SHORT = 32
"""Rows of the quick form."""
SLOTS = 64
"""Of all draws, but for one."""


class Drawing:
    """One draw, with all that each role had."""

    def __init__(self, rows: int, slots: int = SLOTS, sealed: bool = True) -> None:
        """Draw the noise of a table.

        Args:
            rows: of the table.
            slots: of the table.
            sealed: whether the dealer sees no openings, which pass through its hands.
        """
        self.part = Part(0, 0, COINS, range(rows), slots)
        self._plan = NoisePlan((self.part,), Fraction(0))
        self._recorder = Recorder()
        self._sealed = sealed
        row, column = self._begin()
        more = True
        while more:
            openings = self._passed(row.opening), self._passed(column.opening)
            with self._recorder.recording("row"):
                more = row.advance(openings[1])
            with self._recorder.recording("column"):
                column.advance(openings[0])
        shares = []
        for role, party in zip(PARTIES, (row, column), strict=True):
            with self._recorder.recording(role):
                shares.append(party.share)
        low, high = shares[0] + shares[1]
        self.noise: NDArray[np.int64] = (low + (high << 32)).ravel()

    def _begin(self) -> tuple[PartSampler, PartSampler]:
        with self._recorder.recording("aggregator"):
            dealer = Dealer(self._plan, ATTEMPT, os.urandom(32))
            deal = dealer.deal(0)
            seeds = [dealer.export_seed("row"), dealer.export_seed("column")]
        with self._recorder.recording("row"):
            row = Sampler("row", self._plan, ATTEMPT, os.urandom(32), seeds[0]).begin(0)
        with self._recorder.recording("column"):
            column = Sampler("column", self._plan, ATTEMPT, os.urandom(32), seeds[1]).begin(0, deal)
        return row, column

    def _passed(self, opening: Opening) -> Opening:
        if not self._sealed:
            self.record.add("aggregator", RECEIVED, f"opening {opening.round}", opening)
        return opening

    @property
    def record(self) -> Record:
        return self._recorder.record

    def told(self, role: str, digit: int = 0) -> Told:
        """What a role can tell of the noise, by both coins of a digit."""
        things = self.record.of(role)
        coins = (digit, COINS.digits + digit)
        planes = planes_of(things, self.part, coins)
        if role == "aggregator":
            bits = dealt(things, self.part)
            planes |= {f"dealt bit of coin {coin}": bits[coin] for coin in coins}
        return told(planes, self.noise, COINS)


def dealt(things: list[Thing], part: Part) -> NDArray[np.bool_]:
    """(coins, coefficients) bits that the dealer dealt to both parties, by their seeds."""
    seeds = [thing.value for thing in things if thing.name.endswith("Dealer.export_seed()")]
    assert len(seeds) == len(PARTIES)
    streams = [Stream(seed, ATTEMPT, part.number, triples.DEALT_BITS) for seed in seeds]
    return both([stream.words(2 * part.coins.digits, part.words) for stream in streams], part)


def both(shares: Sequence[NDArray[np.uint64]], part: Part) -> NDArray[np.bool_]:
    """(coins, coefficients) bits of both parties' shares of a word for 64 coefficients each."""
    words = (shares[0] ^ shares[1]).reshape(-1, part.words)
    bits = np.unpackbits(words.view(np.uint8), axis=1, count=part.coefficients, bitorder="little")
    return bits.astype(bool)


def test_nobody_tells_anything_of_the_noise():
    drawing = Drawing(SHORT)
    for role in EVERYBODY:
        found = drawing.told(role)
        assert not found.beaten, (role, found)


@slow
@pytest.mark.parametrize("role", first(1, EVERYBODY, slow))
def test_nor_in_a_longer_draw_by_the_coins_of_any_digit(role):
    drawing = Drawing(4 * SHORT)
    for digit in range(COINS.digits):
        found = drawing.told(role, digit)
        assert not found.beaten, found


@pytest.mark.parametrize("role", first(1, PARTIES))
@pytest.mark.parametrize("leak", [sampler.same_dealt_bits, sampler.same_triples])
def test_what_is_dealt_twice_tells_the_noise(leak, role, monkeypatch):
    leak(monkeypatch)
    found = Drawing(SHORT).told(role)
    assert found.beaten, found


def test_openings_that_are_not_sealed_tell_the_dealer_the_noise():
    drawing = Drawing(SHORT, sealed=False)
    found = drawing.told("aggregator")
    assert found.beaten and "dealt bit" in found.what, found
    things = drawing.record.of("aggregator")
    last = [thing.value for thing in things if thing.name == LAST_OPENING]
    noise = sampler.noise_of(both(last, drawing.part), dealt(things, drawing.part))
    assert noise.tolist() == drawing.noise.tolist()


def test_a_dealer_that_also_unmasks_reads_every_count(monkeypatch):
    """Therefore the aggregator deals, and the row party unmasks."""
    sampler.marked(monkeypatch)
    drawing = Drawing(40, 50)
    truth = np.random.default_rng(2).integers(0, 1000, 2000)
    bits = dealt(drawing.record.of("aggregator"), drawing.part)
    assert sampler.counts_of(truth + drawing.noise, bits).tolist() == truth.tolist()


@thorough
def test_what_a_dealer_marks_is_refused_by_the_row_party(tmp_path, monkeypatch):
    sampler.marked(monkeypatch)
    declared = study(noise="laplace")
    _, refused = played_as_far_as_it_goes(declared, mixed(1).tables(), tmp_path, "aggregator")
    assert "decrypted number" in refused
