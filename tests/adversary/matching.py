"""Who is in both tables: every way in which a party could find out from all that it had.

Whatever leaks, a match shows in the end as an equality: something that belongs to one of the
party's own people equals something that belongs to the other party's. So everything that came with
a value for each of the party's people is compared with everything else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tests.adversary.criterion import Guesses
from tests.adversary.recorder import Thing

_ALIKE = 12
"""Bytes of which two values must begin with the same to be taken for equal: a key of a person and a
block that begins with it are."""
Keys = tuple[bytes, ...]


class Naming(NamedTuple):
    """People whom one comparison tells apart from others."""

    strategy: tuple[str, str]
    asked: frozenset[bytes]
    """The people about whom it says something."""
    named: frozenset[bytes]
    """Those whose value was found elsewhere."""

    def right(self, truth: Collection[bytes]) -> int:
        """About how many it is right, by the better of the two readings."""
        agree = sum((person in self.named) == (person in truth) for person in self.asked)
        return max(agree, len(self.asked) - agree)


def keys_of(thing: Thing) -> Keys:
    """What the values of a thing are recognised by, in their order."""
    return tuple(word[:_ALIKE] for word in thing.words)


class Compared:
    """All different sequences of at least two values, and where each value stands in others."""

    def __init__(self, things: Iterable[Thing]) -> None:
        found = dict[Keys, str]()
        for thing in things:
            if len(keys := keys_of(thing)) > 1:
                found.setdefault(keys, thing.name)
        self.sequences = list(found.items())
        self._places: dict[bytes, list[int]] = defaultdict(list)
        for number, (keys, _) in enumerate(self.sequences):
            for key in set(keys):
                self._places[key].append(number)

    def partly_in(self, keys: Keys) -> Iterator[tuple[int, list[int]]]:
        """Numbers of the sequences that hold some but not all of these, and which of them."""
        shared: dict[int, list[int]] = defaultdict(list)
        for place, key in enumerate(keys):
            for other in self._places[key]:
                shared[other].append(place)
        return ((other, at) for other, at in shared.items() if len(at) < len(keys))


def namings(things: Sequence[Thing], people: Collection[bytes]) -> list[Naming]:
    """All comparisons that tell some of a party's own people apart from others.

    Args:
        things: all that the party had.
        people: the ids of its own people.
    """
    orders = orders_of(things, frozenset(people))
    compared = Compared(things)
    found = dict[tuple[frozenset[bytes], frozenset[bytes]], Naming]()
    for keys, name in compared.sequences:
        if len(keys) not in orders:
            continue
        for other, at in compared.partly_in(keys):
            for order in orders[len(keys)]:
                asked = frozenset(order)
                named = frozenset(order[place] for place in at)
                strategy = (name, compared.sequences[other][1])
                found.setdefault((asked, named), Naming(strategy, asked, named))
    return list(found.values())


def orders_of(things: Iterable[Thing], people: frozenset[bytes]) -> dict[int, set[Keys]]:
    """All orders in which the party had its own people, or some of them, by their number."""
    found: dict[int, set[Keys]] = defaultdict(set)
    for thing in things:
        value = thing.value
        if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "SUO":
            texts = [one if isinstance(one, bytes) else str(one).encode() for one in value.tolist()]
            if len(texts) > 1 and len(set(texts)) == len(texts) and people.issuperset(texts):
                found[len(texts)].add(tuple(texts))
    return found


def learnt(found: Sequence[Naming], truth: Collection[bytes]) -> tuple[Naming | None, bool]:
    """The comparison that is right about most people, and whether that is more than chance.

    `truth` was drawn by a coin for each of the people. The best of the comparisons, each read in
    two ways, is chosen with hindsight, which is allowed for.
    """
    if not found:
        return None, False
    best = max(found, key=lambda naming: naming.right(truth) - len(naming.asked) / 2)
    guesses = Guesses(best.right(truth), len(best.asked))
    return best, guesses.beat(0.5, searched=2 * len(found))


def in_common(things: Iterable[Thing]) -> dict[str, float]:
    """How many values two sequences of given lengths have in common, at most and at least."""
    compared = Compared(things)
    found = dict[str, float]()
    for keys, _ in compared.sequences:
        for other, at in compared.partly_in(keys):
            lengths = f"{len(keys)} and {len(compared.sequences[other][0])}"
            most = f"at most, of {lengths}"
            least = f"at least, of {lengths}"
            found[most] = max(found.get(most, 0), len(at))
            found[least] = min(found.get(least, len(at)), len(at))
    return found
