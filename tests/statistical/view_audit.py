"""An audit of what the aggregator sees: numbers that it counts of two inputs that differ.

An adversary who knows both inputs, and all parameters, guesses from many views of each which of the
two it was. The events were chosen beforehand, so that Clopper-Pearson bounds hold for all of them
together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta

from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Study
from xstat_ray.privacy import padding as module
from xstat_ray.privacy.mechanism import draw_laplace
from xstat_ray.privacy.padding import Padding

EPSILON = 2
DELTA = Fraction(1, 1000)
CONFIDENCE = 1e-4
"""Chance that a sound padding fails one audit, or that an audit passes for one that it should
catch, per event."""
STOCK = 1 << 14
_HELD: dict[float, NDArray[np.int64]] = {}
Event = Callable[[NDArray[np.int64]], NDArray[np.bool_]]


class Viewed(Protocol):
    """An input that all parties have taken in."""

    @property
    def shift(self) -> NDArray[np.int64]:
        """(K,) expected dummies in each number that the aggregator counts."""
        ...

    @property
    def base(self) -> NDArray[np.int64]:
        """(K,) what is in it in any case."""
        ...

    def counts(self) -> tuple[int, ...]:
        """Count K real numbers, which the adversary knows."""
        ...

    def views(self, number: int) -> NDArray[np.int64]:
        """(number, K) simulated views."""
        ...


@contextmanager
def stocked() -> Iterator[None]:
    """Draw by OpenDP in large lots, since a call of it takes as long as the rest of a view."""

    def take(scale: float, count: int) -> NDArray[np.int64]:
        if len(_HELD.get(scale, ())) < count:
            _HELD[scale] = draw_laplace(scale, max(STOCK, count))
        taken = _HELD[scale][:count].copy()
        _HELD[scale] = _HELD[scale][count:]
        return taken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "draw_laplace", take)
        yield


def events(inputs: Sequence[Viewed]) -> list[Event]:
    """Make the events that the adversary looks for: functions of (N, K) views to (N,) truth.

    They know the counts of both inputs, and all shifts.
    """
    shift = inputs[0].shift
    more, less = (np.array(given.counts()) + inputs[0].base for given in inputs)
    high = np.maximum(more, less)
    low = np.minimum(more, less)
    # Where somebody moves from one number to another, one grows as the other falls.
    moved = more != less
    up = np.where(more > less, 1, -1)
    kinds = range(len(shift))
    return [
        lambda v: (up * v >= up * (more + shift))[:, moved].all(axis=1),
        lambda v: (up * v <= up * (less + shift))[:, moved].all(axis=1),
        *(lambda v, i=i: v[:, i] >= high[i] + shift[i] for i in kinds),
        *(lambda v, i=i: v[:, i] <= low[i] + shift[i] for i in kinds),
        lambda v: (v > low + 2 * shift).any(axis=1),
        lambda v: (v < high).any(axis=1),
        *(lambda v, i=i: v[:, i] == high[i] for i in kinds),
        *(lambda v, i=i: v[:, i] == low[i] for i in kinds),
    ]


def audit(inputs: Sequence[Viewed], number: int) -> float:
    """Find the largest epsilon that views prove beside delta: no smaller one can be true."""
    with_person, without = (given.views(number) for given in inputs)
    found = events(inputs)
    level = CONFIDENCE / (4 * len(found))
    proven = -math.inf
    for event in found:
        hits = int(event(with_person).sum()), int(event(without).sum())
        for here, there in (hits, hits[::-1]):
            low = beta.ppf(level, here, number - here + 1) if here else 0.0
            high = beta.ppf(1 - level, there + 1, number - there) if there < number else 1.0
            if low > DELTA:
                proven = max(proven, math.log((low - float(DELTA)) / high))
    return proven


def half_the_scale(patch: pytest.MonkeyPatch) -> None:
    """Draw dummies with half of the declared scale."""
    honest = Padding.of_study

    def halved(study: Study, grid: ShardGrid) -> Padding:
        padding = honest(study, grid)
        names = ("matched", "unmatched", "flags")
        return replace(
            padding,
            **{n: replace(getattr(padding, n), scale=getattr(padding, n).scale / 2) for n in names},
        )

    patch.setattr(Padding, "of_study", staticmethod(halved))
