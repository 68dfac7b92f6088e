"""Plays the three roles of the joint sampler, every message encoded and decoded."""

from __future__ import annotations

from fractions import Fraction

from xstat_ray.noise.bits import Attempt
from xstat_ray.noise.coins import Coins
from xstat_ray.noise.dealing import Dealer
from xstat_ray.noise.messages import Deal, Opening
from xstat_ray.noise.plan import NoisePlan, Part
from xstat_ray.noise.sampler import Sampler

STUDY = bytes(32)
ATTEMPT = Attempt(b"session", 0)
SEEDS = {"aggregator": b"A" * 32, "row": b"R" * 32, "column": b"K" * 32}


def plan_of(*coins: Coins, rows: int = 10, slots: int = 7) -> NoisePlan:
    """Make a plan of one part for each of these coins."""
    starts = range(0, rows * len(coins), rows)
    parts = [
        Part(number, number, of_part, range(start, start + rows), slots)
        for number, (of_part, start) in enumerate(zip(coins, starts, strict=True))
    ]
    return NoisePlan(tuple(parts), Fraction(0))


def integers(limbs):
    """Python's integers of limbs: (2, rows, slots) to (rows, slots) objects."""
    return limbs[0].astype(object) + (limbs[1].astype(object) << 32)


class Drawing:
    """The draw of one part, with all messages that were sent."""

    def __init__(self, plan, number=0, attempt=ATTEMPT, seeds=SEEDS, alter=None):
        alter = alter or (lambda sender, message: message)
        dealer = Dealer(plan, attempt, seeds["aggregator"])
        self.deal = self.sent(alter("aggregator", dealer.deal(number)))
        row, column = (
            Sampler(role, plan, attempt, seeds[role], dealer.export_seed(role))
            for role in ("row", "column")
        )
        self.row = row.begin(number)
        self.column = column.begin(number, self.deal)
        self.openings = []
        more = True
        while more:
            pair = [
                self.sent(alter(role, part.opening))
                for role, part in (("row", self.row), ("column", self.column))
            ]
            self.openings.append(pair)
            more = self.row.advance(pair[1])
            assert self.column.advance(pair[0]) == more

    @staticmethod
    def sent(message: Deal | Opening):
        return type(message).decode(message.encode(STUDY), STUDY)

    @property
    def noise(self):
        """(rows, slots) Python's integers: what nobody knows."""
        return integers(self.row.share + self.column.share)

    @property
    def transcript(self) -> bytes:
        """Every message, one after the other."""
        messages = [self.deal, *(opening for pair in self.openings for opening in pair)]
        return b"".join(message.encode(STUDY) for message in messages)
