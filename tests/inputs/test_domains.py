"""Raw values of any type find their position in the public table, and positions their labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.errors import InputError
from xstat_ray.inputs.domains import Encoder, decode
from xstat_ray.model.dimension import Dimension

HOUR = Dimension("hour", "hour", ("5", "6", "7"), (("5",), ("6",), ("7",)))
MAKER = Dimension(
    "maker", "made_by", ("Boeing", "Airbus", "Other"), (("BOEING",), ("AIRBUS", "AI"), ()), "Other"
)
NEAR_ZERO = Dimension("n", "n", ("-1", "0", "1"), (("-1",), ("0",), ("1",)))
CODES = Dimension("c", "c", ("1", "3"), (("1",), ("3",)))
"""No range: these are texts."""
RENAMED = Dimension("r", "r", ("five", "6"), (("5",), ("6",)))
EVENING = Dimension("e", "e", ("22", "23", "later"), (("22",), ("23",), ()), "later")


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
        (HOUR, pa.array(["5", "05", "", None]), [0, 0, -1, -1]),
        (
            HOUR,
            pa.array([" 06 ", "+7", "-5", "5x", "0", "005"]).dictionary_encode(),
            [1, 2, -1, -1, -1, 0],
        ),
        (
            NEAR_ZERO,
            pa.array(["-01", "-0", "00", "01", "+1", "1.0", "--1"]),
            [0, 1, 1, 2, 2, 2, -1],
        ),
        (CODES, pa.array(["01", "1", "03"]), [-1, 0, -1]),
        (RENAMED, pa.array(["05", "5"]), [-1, 0]),
        (EVENING, pa.array(["022", "23", "24", "", " ", "\u200b"]), [0, 1, 2, -1, -1, -1]),
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
        (MAKER, pa.array(["AIRBUS", "AI", "Airbus", "Other", "", None]), [1, 1, 2, 2, -1, -1]),
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


CODES = Dimension("code", "code", ("31001", "2 ", "1E+03"), (("31001",), ("2 ",), ("1E+03",)))
WITH_OTHER = Dimension(
    "code", "code", ("31001", "2", "else", "none"), (("31001",), ("2",), (), ()), "else", (), "none"
)


@pytest.mark.parametrize(
    ("dimension", "value", "label"),
    [
        (CODES, "31001", 0),
        (CODES, "31001.0", 0),
        (CODES, "3.1001E+04", 0),
        (CODES, "31001\u200b", 0),
        (CODES, " \uff13\uff11\uff10\uff10\uff11", 0),
        (CODES, "2", 1),
        (CODES, "3", None),
        (CODES, "2.0", 1),
        (CODES, "2 ", 1),
        (CODES, "1E+03", 2),
        (CODES, "3.1E+04", None),
        (CODES, "nan", None),
        (WITH_OTHER, "31001.00", 0),
        (WITH_OTHER, "3.1E+04", None),
        (WITH_OTHER, "31002.0", 2),
        (WITH_OTHER, "NA", 2),
        (WITH_OTHER, "nan", 3),
        (WITH_OTHER, "NULL", 3),
        (WITH_OTHER, None, 3),
        (WITH_OTHER, "", 3),
        (WITH_OTHER, " \u3000", 3),
        (WITH_OTHER, "NULL\u200b", 3),
        (WITH_OTHER, "'31001", 0),
        (WITH_OTHER, "3.1001E4", 0),
    ],
)
@pytest.mark.parametrize("coded", [True, False])
def test_codes_as_tools_write_them(dimension, value, label, coded):
    values = pa.array([value, "31001"], pa.string())
    column = values.dictionary_encode() if coded else values
    assert Encoder([dimension]).encode({"code": column}).tolist() == [
        -1 if label is None else label,
        0,
    ]


def test_codes_of_one_width_get_back_the_zeros_that_numbers_have_lost():
    town = Dimension("town", "t", ("01206", "13101", "o"), (("01206",), ("13101",), ()), "o")
    values = pa.array(["1206", "01206", "1206.0", "13101", "001206", "206"])
    assert Encoder([town]).encode({"t": values}).tolist() == [0, 0, 0, 1, 2, 2]
    mixed = Dimension("town", "t", ("01206", "7"), (("01206",), ("7",)))
    assert Encoder([mixed]).encode({"t": pa.array(["1206"])}).tolist() == [-1]


@pytest.mark.parametrize("listed", [("true", "false"), ("True", "False")])
def test_truth_values_are_read_in_any_letters(listed):
    truth = Dimension("t", "t", listed, tuple((word,) for word in listed))
    values = pa.array(["true", "TRUE", "True", "False", "FALSE", "false", "truex"])
    assert Encoder([truth]).encode({"t": values}).tolist() == [0, 0, 0, 1, 1, 1, -1]


def test_a_listed_value_wins_over_what_it_might_mean():
    version = Dimension("v", "v", ("1.0", "1", "nan"), (("1.0",), ("1",), ("nan",)), "other")
    version = replace(version, labels=(*version.labels, "other"), members=(*version.members, ()))
    encoder = Encoder([version])
    assert encoder.encode({"v": pa.array(["1.0", "1", "nan"])}).tolist() == [0, 1, 2]
    # What may mean either is neither of them.
    assert encoder.encode({"v": pa.array(["1.00", " 1"])}).tolist() == [3, 3]


def test_values_outside_are_told_by_dimension_with_their_numbers():
    columns = {
        "hour": pa.array(["5", "x", "x", None, "9"]).dictionary_encode(),
        "made_by": pa.array(["AI", "AI", None, "AI", "Q"]).dictionary_encode(),
    }
    rows = np.array([True, True, True, True, False])
    found = [
        (column, dict(zip(texts.to_pylist(), number.tolist(), strict=True)))
        for column, texts, number in Encoder([HOUR, MAKER]).outside(columns, rows)
    ]
    assert found == [("hour", {"x": 2, None: 1}), ("made_by", {None: 1})]
