"""What another table says of a party's people: every reading of all that the party had.

A value for each of some people, in an order that the party can find out, splits them into those
above and those below. The order is one in which the party had ids of them, or, where the party has
keys of its own people, that of any sequence of the same keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tests.adversary.matching import Keys, Naming, keys_of, orders_of
from tests.adversary.recorder import Thing, Value

_COLUMNS = 24
"""Numbers of each person, in a table of several, that are looked at."""


def readings(things: Sequence[Thing], people: Collection[bytes]) -> list[Naming]:
    """All splits of a party's people by values that it had.

    Args:
        things: all that the party had.
        people: the ids of its own people.
    """
    orders = _orders(things, frozenset(people))
    found = dict[tuple[frozenset[bytes], frozenset[bytes]], Naming]()
    for thing in things:
        for column, above in _splits(thing.value):
            for order in orders.get(len(above), ()):
                pairs = zip(order, above.tolist(), strict=True)
                named = frozenset(person for person, there in pairs if there)
                asked = frozenset(order)
                found.setdefault((asked, named), Naming((thing.name, column), asked, named))
    return list(found.values())


def _orders(things: Sequence[Thing], people: frozenset[bytes]) -> dict[int, set[Keys]]:
    """Orders of the party's people: by their ids, and by any keys that it has of them."""
    orders = orders_of(things, people)
    sequences = {keys for thing in things if len(keys := keys_of(thing)) in orders}
    alike: dict[frozenset[bytes], list[Keys]] = defaultdict(list)
    for keys in sequences:
        if len(set(keys)) == len(keys):
            alike[frozenset(keys)].append(keys)
    more: dict[int, set[Keys]] = defaultdict(set)
    for same in alike.values():
        for own in same if len(same) > 1 else ():
            for order in orders[len(own)]:
                person_of = dict(zip(own, order, strict=True))
                more[len(own)] |= {tuple(person_of[key] for key in other) for other in same}
    return {length: known | more[length] for length, known in orders.items()}


def _splits(value: Value) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Which values of a sequence, or of a column of a table, are large or of a kind."""
    if not isinstance(value, np.ndarray) or not value.ndim or len(value) < 2:
        return
    if value.dtype.kind in "SUO":
        numbers = np.unique([str(one) for one in value.ravel()], return_inverse=True)[1]
        columns = numbers.reshape(len(value), -1).astype(float)
    elif value.dtype.kind in "biuf":
        columns = value.reshape(len(value), -1).astype(float)
    else:
        return
    for number, column in enumerate(columns.T[:_COLUMNS]):
        above = column > column.mean()
        if above.any():
            yield f"column {number}", above
