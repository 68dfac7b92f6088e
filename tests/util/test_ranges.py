"""Work cut into ranges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.util.ranges import cut


@given(st.integers(0, 1000), st.integers(1, 100))
def test_ranges_are_consecutive_nearly_equal_and_none_is_too_long(size: int, most: int) -> None:
    parts = list(cut(size, most))
    assert [number for part in parts for number in part] == list(range(size))
    lengths = [len(part) for part in parts]
    assert max(lengths) <= most and max(lengths) - min(lengths) <= 1
    # One range fewer would be too long.
    assert (len(parts) - 1) * most < size or len(parts) == 1


def test_nothing_to_cut_gives_one_empty_range() -> None:
    assert list(cut(0, 5)) == [range(0)]
