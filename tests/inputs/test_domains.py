"""Raw values of any type find their position in the public table, and positions their labels."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.errors import InputError
from xstat_ray.inputs.domains import Encoder, decode
from xstat_ray.model.study import Dimension

HOUR = Dimension("hour", "hour", ("5", "6", "7"), (("5",), ("6",), ("7",)))
MAKER = Dimension(
    "maker", "made_by", ("Boeing", "Airbus", "Other"), (("BOEING",), ("AIRBUS", "AI"), ()), "Other"
)


def test_the_last_dimension_varies_fastest():
    columns = {"hour": pa.array(["5", "6", "7"]), "made_by": pa.array(["AI", "BOEING", "CESSNA"])}
    positions = Encoder([HOUR, MAKER]).encode(columns)
    assert positions.dtype == np.int32
    assert positions.tolist() == [1, 3, 8]


@pytest.mark.parametrize(
    ("dimension", "values", "expected"),
    [
        (HOUR, pa.array([5, 8, None, 7], pa.int8()), [0, -1, -1, 2]),
        (HOUR, pa.array([5, 8, None, 7], pa.uint64()), [0, -1, -1, 2]),
        (HOUR, pa.array(["5", "05", "", None]), [0, -1, -1, -1]),
        (HOUR, pa.array(["6"], pa.large_string()), [1]),
        (HOUR, pa.array(["6", None, "x", "6"]).dictionary_encode(), [1, -1, -1, 1]),
        (
            HOUR,
            pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array([7, None], pa.int64())),
            [2, -1],
        ),
        (
            HOUR,
            pa.DictionaryArray.from_arrays(pa.array([0, None], pa.uint8()), pa.array(["7"])),
            [2, -1],
        ),
        (HOUR, pa.nulls(2), [-1, -1]),
        (HOUR, pa.array([], pa.string()), []),
        (MAKER, pa.array(["AIRBUS", "AI", "Airbus", "Other", "", None]), [1, 1, 2, 2, 2, -1]),
        (MAKER, pa.array(["X", None]).dictionary_encode(), [2, -1]),
    ],
)
def test_positions(dimension, values, expected):
    assert Encoder([dimension]).encode({dimension.column: values}).tolist() == expected


def test_without_dimensions_every_row_is_at_position_zero():
    assert Encoder([]).encode({"id": pa.array(["a", None])}).tolist() == [0, 0]


def test_other_label_may_stand_anywhere():
    maker = Dimension("maker", "m", ("Other", "Airbus"), ((), ("AI",)), "Other")
    assert Encoder([maker]).encode({"m": pa.array(["AI", "X"])}).tolist() == [1, 0]


@pytest.mark.parametrize("values", [[5.0], [True], [b"5"]])
def test_types_without_one_text_are_refused(values):
    with pytest.raises(InputError, match=r"cannot be matched .*column hour"):
        Encoder([HOUR]).encode({"hour": pa.array(values)})


sizes = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@given(sizes=sizes, data=st.data())
def test_decode_inverts_encode(sizes, data):
    dimensions = [
        Dimension(
            f"d{i}",
            f"c{i}",
            tuple(f"label {v}" for v in range(n)),
            tuple((str(v),) for v in range(n)),
        )
        for i, n in enumerate(sizes)
    ]
    rows = data.draw(st.lists(st.tuples(*(st.integers(0, n - 1) for n in sizes)), max_size=10))
    columns = {
        d.column: pa.array([row[i] for row in rows], pa.int64()) for i, d in enumerate(dimensions)
    }
    positions = Encoder(dimensions).encode(columns)
    expected = np.ravel_multi_index(np.array(rows, int).reshape(-1, len(sizes)).T, sizes)
    assert positions.tolist() == expected.tolist()
    labels = decode([(d.name, d.labels) for d in dimensions], positions)
    assert list(labels) == [d.name for d in dimensions]
    for i, d in enumerate(dimensions):
        assert labels[d.name].to_pylist() == [f"label {row[i]}" for row in rows]
