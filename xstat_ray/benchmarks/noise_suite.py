"""Joint noise: how fast each role draws its share on one core, beside OpenDP's sampler, and bytes.

Roles are timed by themselves, with what the others send prepared: computation alone, in seconds of
the core's processor time, without encryption and transport of messages. OpenDP draws the same noise
for one role that knows it, which is less; there is no public library for the joint draw.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from xstat_ray.benchmarks.timing import Record, Work, one_core, timing_record
from xstat_ray.crypto.packing import Packing
from xstat_ray.noise.bits import Attempt
from xstat_ray.noise.coins import Coins
from xstat_ray.noise.dealing import Dealer
from xstat_ray.noise.messages import Opening
from xstat_ray.noise.plan import NoisePlan, Part
from xstat_ray.noise.sampler import PartSampler, Sampler
from xstat_ray.noise.shares import pack_shares
from xstat_ray.privacy.mechanism import draw_laplace
from xstat_ray.runtime.progress import Progress

SLOTS = 128
_SLOT_BITS = 21


@dataclass(frozen=True)
class Sizes:
    """What is drawn in a round."""

    rounds: int
    scales: tuple[int, ...]
    coin_bits: tuple[int, ...]
    rows: int
    """Of a part, of 128 coefficients each."""
    baseline_part: int
    """Factor by which OpenDP draws fewer coefficients."""


def run(sizes: Sizes, progress: Progress) -> list[Record]:
    """Time all roles at all scales."""
    with one_core():
        return [
            record
            for scale in sizes.scales
            for bits in sizes.coin_bits
            for record in _Bench(sizes, progress, Coins.of_scale(scale, bits)).records()
        ]


class _Bench:
    """One part of noise, drawn once by all roles to have their messages."""

    def __init__(self, sizes: Sizes, progress: Progress, coins: Coins) -> None:
        self.sizes = sizes
        self.progress = progress
        self.coins = coins
        self.part = Part(0, 0, coins, range(sizes.rows), SLOTS)
        plan = NoisePlan((self.part,), Fraction(0))
        attempt = Attempt(os.urandom(32), 0)
        self.dealer = Dealer(plan, attempt, os.urandom(32))
        self.row, self.column = (
            Sampler(role, plan, attempt, os.urandom(32), self.dealer.export_seed(role))
            for role in ("row", "column")
        )
        self.deal = self.dealer.deal(0)
        row = self.row.begin(0)
        column = self.column.begin(0, self.deal)
        self.openings: list[tuple[Opening, Opening]] = []
        more = True
        while more:
            self.openings.append((row.opening, column.opening))
            more = row.advance(self.openings[-1][1])
            column.advance(self.openings[-1][0])
        self.share: NDArray[np.int64] = row.share

    def records(self) -> list[Record]:
        name = f"scale_{self.coins.scale:g}.bits_{self.coins.bits}"
        fewer = self.part.coefficients // self.sizes.baseline_part
        alone = Work(partial(draw_laplace, self.coins.scale, fewer), fewer)
        packing = Packing(SLOTS, _SLOT_BITS, SLOTS, 1, 0)
        works: dict[str, tuple[Callable[[], object], Work | None]] = {
            "row": (lambda: self.play(self.row.begin(0), 1), alone),
            "column": (lambda: self.play(self.column.begin(0, self.deal), 0), alone),
            "aggregator": (lambda: self.dealer.deal(0), alone),
            "pack": (lambda: pack_shares(self.share, packing), None),
        }
        rates = [
            timing_record(
                f"noise.{role}.{name}",
                "1/s",
                Work(work, self.part.coefficients),
                baseline,
                rounds=self.sizes.rounds,
                progress=self.progress,
                clock=time.process_time,
            )
            for role, (work, baseline) in works.items()
        ]
        return [*rates, *self.traffic(name)]

    def play(self, part: PartSampler, other: int) -> NDArray[np.int64]:
        """One party's whole part, with the other's openings."""
        for pair in self.openings:
            part.advance(pair[other])
        return part.share

    def traffic(self, name: str) -> list[Record]:
        """Bytes of a coefficient: between row and column party each way, and dealt."""
        digest = bytes(32)
        opened = sum(len(pair[0].encode(digest)) for pair in self.openings)
        sent = {"opened": opened, "dealt": len(self.deal.encode(digest))}
        return [
            Record(f"noise.{kind}.{name}", size / self.part.coefficients, "B")
            for kind, size in sent.items()
        ]
