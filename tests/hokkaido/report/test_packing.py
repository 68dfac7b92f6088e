"""Numbers survive the way into the page."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from xstat_ray.hokkaido.report.packing import columns, pack


def unpack(packed: dict[str, Any]) -> NDArray[np.int64]:
    """Unpack numbers in the way of page/data.js."""
    if "constant" in packed:
        return np.full(packed["length"], packed["constant"])
    planes = np.frombuffer(zlib.decompress(base64.b64decode(packed["zlib"])), np.uint8)
    whole = planes.reshape(packed["bits"] // 8, -1).T
    return np.ascontiguousarray(whole).view(f"<i{packed['bits'] // 8}").ravel()


@given(
    st.lists(st.integers(-(2**31), 2**31 - 1), max_size=50),
    st.sampled_from([1, 100, 30_000, 2**31 - 1]),
)
def test_any_whole_numbers_come_back(values, reach):
    array = np.clip(np.array(values, np.int64), -reach, reach)
    packed = pack(array)
    assert unpack(packed).tolist() == array.tolist()
    assert packed == pack(array.copy())


@pytest.mark.parametrize(("most", "bits"), [(127, 8), (128, 16), (32_767, 16), (32_768, 32)])
def test_the_smallest_type_that_holds_them_is_used(most, bits):
    assert pack(np.array([0, most]))["bits"] == bits


def test_tables_are_given_by_column_and_rounded():
    table = pa.table({"a": [1.23456789, None], "b": ["x", "y"], "c": [True, None]})
    assert columns(table, ("a", "b", "c", "missing")) == {
        "a": [1.2346, None],
        "b": ["x", "y"],
        "c": [True, None],
    }
