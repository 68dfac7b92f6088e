"""When an attack has told an adversary more than it may learn.

There are two ways to say no. What must not depend on a secret at all is compared exactly. Where
chance has a part, an adversary guesses which of several worlds it is in, in enough draws, and has
learnt something if so many right guesses are too unlikely for one that has no better than chance,
or, where only differential privacy is promised, no better than that allows. A sound role fails in
at most one of a million runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from scipy.stats import binom

FALSE_ALARM = 1e-6
"""Probability, at most, with which a test fails although nothing leaks."""
LEARN = 5
"""Draws of each world in which an adversary learns to tell them apart."""
DRAWS = 22
"""Guesses that are all right by a coin in one of four million tries."""

Features = Mapping[str, float]
"""Numbers that an adversary takes from what it saw, by name."""


@dataclass(frozen=True)
class Guesses:
    """How often an adversary guessed right, of how many independent times."""

    right: int
    draws: int

    def beat(self, chance: float, searched: int = 1) -> bool:
        """Whether this is too good for an adversary whose guesses are right with `chance` at most.

        The tail of the binomial distribution is exact.

        Args:
            chance: probability of a right guess.
            searched: number of ways to guess of which the best was chosen with hindsight.
        """
        return float(binom.sf(self.right - 1, self.draws, chance)) * searched < FALSE_ALARM


def chance(epsilon: float = 0.0, delta: float = 0.0) -> float:
    """The most with which a guess between two equally likely worlds can be right.

    With (epsilon, delta)-differential privacy the advantage over a coin is at most
    (e^epsilon - 1) / (e^epsilon + 1) + delta (Kairouz, Oh and Viswanath 2015).
    """
    advantage = (exp(epsilon) - 1) / (exp(epsilon) + 1) + delta
    return (1 + min(advantage, 1)) / 2


def guess_worlds(
    worlds: Sequence[Callable[[], Features]], learn: int, draws: int, seed: int = 17
) -> Guesses:
    """Let an adversary learn from `learn` draws of each of two worlds, then guess in `draws`.

    It sees each world's features as often as it likes beforehand and picks the feature, and the
    threshold, that tell them apart best. The draws that count are fresh, and the world of each is
    chosen by a coin, so the guesses are independent and no correction for its search is due. It
    learns from the worlds by turns, lest it takes for a difference what only grows with time.
    """
    rounds = [[world() for world in worlds] for _ in range(learn)]
    seen = list(zip(*rounds, strict=True))
    coin = np.random.default_rng(seed).integers(0, 2, draws)
    return _guessed(seen, ((worlds[world](), world) for world in coin.tolist()))


def guess_drawn(drawn: Sequence[tuple[Features, int]], learn: int) -> Guesses:
    """Let an adversary learn from `learn` draws of each of two worlds, then guess in the others.

    Args:
        drawn: the features of every draw and its world, for which a coin was thrown.
        learn: number of draws of each world of which it is told which they are.
    """
    numbers = [[n for n, (_, world) in enumerate(drawn) if world == w][:learn] for w in (0, 1)]
    told = {number for of_world in numbers for number in of_world}
    seen = [[drawn[number][0] for number in of_world] for of_world in numbers]
    return _guessed(seen, (draw for number, draw in enumerate(drawn) if number not in told))


def _guessed(seen: Sequence[Sequence[Features]], asked: Iterable[tuple[Features, int]]) -> Guesses:
    """Guess by the rule that tells best apart what was seen of each world."""
    name, threshold, above = _best_rule(seen)
    right = [
        (above if found.get(name, 0.0) > threshold else 1 - above) == world
        for found, world in asked
    ]
    return Guesses(sum(right), len(right))


def _best_rule(seen: Sequence[Sequence[Features]]) -> tuple[str, float, int]:
    """The feature, the threshold, and the world that lies above it, which are right most often.

    Of several the one whose worlds lie farthest apart, by how much its values vary.
    """
    best = ("", 0.0, 1)
    reached = (-1, 0.0)
    for name in sorted({name for draws in seen for features in draws for name in features}):
        values = [np.array([features.get(name, 0.0) for features in draws]) for draws in seen]
        apart = abs(values[0].mean() - values[1].mean())
        apart /= values[0].std() + values[1].std() + 1e-9
        for threshold in np.unique(np.concatenate(values)).tolist():
            above = [int((found > threshold).sum()) for found in values]
            for world in (0, 1):
                right = above[world] + len(values[1 - world]) - above[1 - world]
                if (right, apart) > reached:
                    best = (name, threshold, world)
                    reached = (right, apart)
    return best
