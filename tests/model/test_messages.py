from __future__ import annotations

import io
import json
from dataclasses import fields

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Coefficients, Flags, Message, NoisyTable, Partial, Points, Rows

STUDY = bytes(32)
OTHER = bytes([1]) + bytes(31)
KINDS = [Points, Rows, Flags, Partial, NoisyTable, Coefficients]
numbers = st.integers(0, 2**31)
TRAILING = {"tags": (16,), "points": (32,), "cells": (), "ciphertexts": (2, 5), "values": (3,)}


@st.composite
def messages(draw, kind=None):
    kind = kind or draw(st.sampled_from(KINDS))
    items = draw(st.integers(0, 7))
    values = {
        "release": "00ff",
        **{
            f.name: draw(numbers)
            for f in fields(kind)
            if f.name in ("shard", "batch", "part", "first")
        },
    }
    values = {f.name: values[f.name] for f in fields(kind) if f.name not in kind.ITEMS}
    arrays = {
        name: draw(
            hnp.arrays(dtype, (items, *TRAILING[name]), elements=hnp.from_dtype(np.dtype(dtype)))
        )
        for name, (dtype, _) in kind.ITEMS.items()
    }
    return kind(**values, **arrays)


@given(messages())
def test_decoding_gives_back_what_was_encoded(message):
    back = type(message).decode(message.encode(STUDY), STUDY)
    for field in fields(message):
        ours = getattr(message, field.name)
        theirs = getattr(back, field.name)
        if field.name in message.ITEMS:
            assert (
                ours.dtype == theirs.dtype and ours.shape == theirs.shape and (ours == theirs).all()
            )
        else:
            assert ours == theirs and type(ours) is type(theirs)


@given(messages())
def test_a_view_with_gaps_is_encoded_like_a_copy(message):
    apart = type(message)(**{f.name: spread(getattr(message, f.name)) for f in fields(message)})
    assert apart.encode(STUDY) == message.encode(STUDY)


def spread(value):
    return np.repeat(value, 2, axis=0)[::2] if isinstance(value, np.ndarray) else value


def rows(**changes):
    values = {
        "shard": 3,
        "tags": np.zeros((2, 16), np.uint8),
        "cells": np.arange(2, dtype=np.uint32),
    } | changes
    return Rows(**values)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not Rows])
def test_another_kind_is_refused(kind):
    with pytest.raises(
        ProtocolError, match=f"not a {kind.__name__} message of this study: wrong message"
    ):
        kind.decode(rows().encode(STUDY), STUDY)


def test_another_study_is_refused():
    with pytest.raises(ProtocolError, match="wrong study"):
        Rows.decode(rows().encode(OTHER), STUDY)


def rewritten(message: Message, change=lambda table: table, **header) -> bytes:
    """The encoded message with another header, or other columns."""
    table = pq.read_table(io.BytesIO(message.encode(STUDY)))
    changed = json.loads(table.schema.metadata[b"xstat-ray"]) | header
    sink = io.BytesIO()
    pq.write_table(
        change(table).replace_schema_metadata({b"xstat-ray": json.dumps(changed).encode()}), sink
    )
    return sink.getvalue()


def replaced(name, column):
    return lambda table: table.set_column(table.column_names.index(name), name, column)


def test_rewriting_itself_does_no_harm():
    assert Rows.decode(rewritten(rows()), STUDY).shard == 3


@pytest.mark.parametrize("header", [{"version": 2}, {"version": "1"}, {"version": None}])
def test_another_version_is_refused(header):
    with pytest.raises(ProtocolError, match="wrong version"):
        Rows.decode(rewritten(rows(), **header), STUDY)


@pytest.mark.parametrize(
    "header",
    [
        {"fields": {}},
        {"fields": {"shard": 1, "more": 2}},
        {"fields": 7},
        {"shapes": {}},
        {"shapes": None},
        {"shapes": {"tags": [17], "cells": []}},
        {"shapes": {"tags": ["x"], "cells": []}},
        {"shapes": {"tags": [-16], "cells": []}},
        {"shapes": {"tags": [4, 4], "cells": []}},
        {"shapes": {"tags": [16], "cells": [1]}},
    ],
)
def test_a_malformed_header_is_refused(header):
    with pytest.raises(ProtocolError):
        Rows.decode(rewritten(rows(), **header), STUDY)


@pytest.mark.parametrize("header", [[], 3, None, "text"])
def test_a_header_that_is_no_mapping_is_refused(header):
    table = pq.read_table(io.BytesIO(rows().encode(STUDY)))
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({b"xstat-ray": json.dumps(header).encode()}), sink)
    with pytest.raises(ProtocolError):
        Rows.decode(sink.getvalue(), STUDY)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("cells", pa.array([0.5, 1.5])),
        ("cells", pa.array([1, -1])),
        ("cells", pa.array([1, None], pa.uint32())),
        ("cells", pa.array(["1", "2"])),
        ("tags", pa.array([bytes(15)] * 2, pa.binary(15))),
        ("tags", pa.array([bytes(16), None], pa.binary(16))),
        ("tags", pa.array([bytes(16)] * 2, pa.binary())),
        ("tags", pa.array([1, 2])),
    ],
)
def test_columns_of_another_type_are_refused(name, column):
    with pytest.raises(ProtocolError):
        Rows.decode(rewritten(rows(), replaced(name, column)), STUDY)


def test_a_missing_column_is_refused():
    with pytest.raises(ProtocolError):
        Rows.decode(rewritten(rows(), lambda table: table.drop_columns(["cells"])), STUDY)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"not a message at all", bytes(1000)])
def test_what_is_not_parquet_is_refused(data):
    with pytest.raises(ProtocolError, match="unreadable"):
        Rows.decode(data, STUDY)


def test_parquet_of_someone_else_is_refused():
    sink = io.BytesIO()
    pq.write_table(pa.table({"tags": [1]}), sink)
    with pytest.raises(ProtocolError, match="unreadable"):
        Rows.decode(sink.getvalue(), STUDY)


@given(st.data())
def test_a_truncated_message_is_refused(data):
    whole = rows().encode(STUDY)
    with pytest.raises(ProtocolError):
        Rows.decode(whole[: data.draw(st.integers(0, len(whole) - 1))], STUDY)


@pytest.mark.parametrize(
    "changes",
    [
        {"cells": np.arange(2, dtype=np.int64)},
        {"cells": np.zeros((2, 1), np.uint32)},
        {"tags": np.zeros(2, np.uint8)},
        {"cells": np.arange(3, dtype=np.uint32)},
    ],
)
def test_a_message_cannot_be_made_of_the_wrong_arrays(changes):
    with pytest.raises(ProtocolError):
        rows(**changes)
