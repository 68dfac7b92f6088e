"""Work cut into parts."""

from __future__ import annotations

from collections.abc import Iterator


def cut(size: int, most: int) -> Iterator[range]:
    """Cut `range(size)` into ranges of nearly equal size, none longer than `most`.

    Nothing to cut gives one empty range.
    """
    parts = max(1, -(-size // most))
    for number in range(parts):
        yield range(size * number // parts, size * (number + 1) // parts)
