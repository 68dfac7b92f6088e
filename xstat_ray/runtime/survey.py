"""The survey of ids, which the environments of the row party divide among them."""

from __future__ import annotations

from collections.abc import Sequence

from xstat_ray.roles import RowParty
from xstat_ray.runtime.executor import Instance, Ref


def survey(row: Sequence[Instance[RowParty]]) -> list[Ref[object]]:
    """Have environments survey a stretch of the table each, and tell all of them what was found.

    All calls are made at once; what is handed on is sealed.

    Returns:
        A handle for every call that may fail; once all are there, the intake is over.
    """
    count = len(row)
    sizes = [one.call(RowParty.survey, number, count) for number, one in enumerate(row)]
    room = row[0].call(RowParty.make_room, *sizes)
    merged = list[Ref[None]]()
    left = list(row)
    while len(left) > 1:
        for one, next_one in zip(left[::2], left[1::2], strict=False):
            merged.append(one.call(RowParty.merge, next_one.call(RowParty.hand_in, room)))
        left = left[::2]
    whole = row[0].call(RowParty.hand_in, room)
    taken = [one.call(RowParty.take_survey, whole) for one in row]
    usable = row[0].call(RowParty.check_usable)
    hashes = [
        one.call(RowParty.hash_persons, number, count, room) for number, one in enumerate(row)
    ]
    known = [one.call(RowParty.take_hashes, *hashes) for one in row]
    return [*sizes, *merged, *taken, usable, *known]
