from __future__ import annotations

import json
import tracemalloc
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xstat_ray.errors import ProtocolError
from xstat_ray.model.encoding import Message
from xstat_ray.model.messages import (
    Approval,
    Choices,
    Coefficients,
    Debited,
    Flags,
    JointApproval,
    MaskedTable,
    Masks,
    MaskSeed,
    Matrix,
    Offer,
    OpenedTable,
    Partial,
    RerandomisedTable,
    Residues,
    Rows,
    Tree,
)
from xstat_ray.noise.messages import Commitment, Deal, OpenedSets, Opening, Toss

STUDY = bytes(32)
OTHER = bytes([1]) + bytes(31)
KINDS = [
    Offer,
    Choices,
    Matrix,
    Tree,
    Rows,
    Flags,
    Partial,
    RerandomisedTable,
    Masks,
    MaskedTable,
    Approval,
    OpenedTable,
    Coefficients,
    MaskSeed,
    JointApproval,
    Residues,
    Debited,
    Deal,
    Opening,
    Commitment,
    Toss,
    OpenedSets,
]
numbers = st.integers(0, 2**31)
TRAILING = {
    "tags": (16,),
    "point": (32,),
    "points": (32,),
    "columns": (4,),
    "starts": (),
    "cells": (),
    "ciphertexts": (2, 5),
    "values": (3,),
    "corrections": (2, 3),
    "shares": (3,),
    "masked": (3, 2, 1),
    "numbers": (2, 5),
    "digest": (32,),
    "commitment": (32,),
    "sessions": (32,),
    "tables": (32,),
    "seed": (32,),
    "leaves": (32,),
    "seeds": (32,),
    "digests": (3, 32),
}


@st.composite
def messages(draw, kind=None):
    kind = kind or draw(st.sampled_from(KINDS))
    items = draw(st.integers(0, 7))
    values = {
        "release": "00ff" * 8,
        "view": "0ff0" * 8,
        "head": "01ef" * 16,
        "witnessed": "23cd" * 16,
        **dict.fromkeys(("nonce", "aggregator", "row", "column", "commitment"), "45ab" * 16),
        **{
            f.name: draw(numbers)
            for f in fields(kind)
            if f.name not in kind.ITEMS and f.type == "int"
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
        "view": "0ff0" * 8,
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


def parts(encoded: bytes) -> tuple[dict[str, object], bytes]:
    """Header and columns of a message."""
    length = int.from_bytes(encoded[12:16], "little")
    return json.loads(encoded[16 : 16 + length]), encoded[16 + length :]


def framed(text: bytes, columns: bytes = b"", version: int = 2) -> bytes:
    """A message with this text as its header, whatever it is."""
    text += b" " * (-len(text) % 8)
    sizes = version.to_bytes(4, "little") + len(text).to_bytes(4, "little")
    return b"xstatmsg" + sizes + text + columns


def rewritten(message: Message, columns: bytes | None = None, **changes: object) -> bytes:
    """The encoded message with another header, or other columns."""
    header, content = parts(message.encode(STUDY))
    text = json.dumps(header | changes, sort_keys=True, separators=(",", ":")).encode()
    return framed(text, content if columns is None else columns)


def test_rewriting_itself_changes_nothing() -> None:
    assert rewritten(rows()) == rows().encode(STUDY)


@pytest.mark.parametrize("version", [0, 1, 3, 2**32 - 1])
def test_another_version_is_refused(version: int) -> None:
    header, content = parts(rows().encode(STUDY))
    with pytest.raises(ProtocolError, match=f"wrong version, {version} and not 2"):
        Rows.decode(framed(json.dumps(header).encode(), content, version), STUDY)


def test_version_1_is_refused_by_name() -> None:
    with pytest.raises(ProtocolError, match="wrong version, 1 and not 2"):
        Rows.decode(b"PAR1" + bytes(100) + b"PAR1", STUDY)


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": {}},
        {"fields": {"shard": 1, "more": 2}},
        {"fields": 7},
        {"fields": []},
        {"fields": [["shard", 3]]},
        {"fields": {"shard": 3, "tags": 1}},
        {"shapes": {"tags": {"16": 1}, "cells": []}},
        {"fields": None},
        {"shapes": {}},
        {"shapes": None},
        {"shapes": {"tags": [17], "cells": []}},
        {"shapes": {"tags": ["x"], "cells": []}},
        {"shapes": {"tags": [-16], "cells": []}},
        {"shapes": {"tags": [16.0], "cells": []}},
        {"shapes": {"tags": [[16]], "cells": []}},
        {"shapes": {"tags": "16", "cells": []}},
        {"shapes": {"tags": [10**30], "cells": []}},
        {"shapes": {"tags": [4, 4], "cells": []}},
        {"shapes": {"tags": [16], "cells": [1]}},
        {"shapes": {"tags": [16], "cells": [], "more": []}},
        {"rows": 1},
        {"rows": 3},
        {"rows": -2},
        {"rows": 2.0},
        {"rows": True},
        {"rows": 10**30},
        {"rows": None},
        {"more": 1},
    ],
)
def test_a_malformed_header_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match="malformed"):
        Rows.decode(rewritten(rows(), **changes), STUDY)


@pytest.mark.parametrize("shard", [0.0, False, True, "0", None, [0], -1, 1 << 60])
def test_a_number_of_the_header_is_a_whole_number(shard: object) -> None:
    with pytest.raises(ProtocolError, match="malformed"):
        Rows.decode(rewritten(rows(), fields={"shard": shard}), STUDY)


@pytest.mark.parametrize(
    "release",
    [None, 7, ["a"], {}, "", "00ff", "x" * 900, "a\0b", "\ud800", "a\nb", "../../x", "0" * 33],
)
def test_a_release_is_32_hexadecimal_digits(release: object) -> None:
    table = OpenedTable(release="0" * 32, first=0, numbers=np.zeros((1, 2, 5), np.uint8))
    with pytest.raises(ProtocolError, match="malformed"):
        OpenedTable.decode(rewritten(table, fields={"release": release}), STUDY)


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"3",
        b"null",
        b'"text"',
        b"",
        b"{",
        b"\xff",
        b"[" * 2000,
        b"[" * 2000 + b"]" * 2000,
        b"{}" + b" " * 5000,
    ],
)
def test_a_header_that_is_no_mapping_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolError):
        Rows.decode(framed(text), STUDY)


def test_a_header_in_another_form_is_refused() -> None:
    header, content = parts(rows().encode(STUDY))
    with pytest.raises(ProtocolError, match="malformed"):
        Rows.decode(framed(json.dumps(header).encode(), content), STUDY)


@pytest.mark.parametrize("columns", [b"", bytes(39), bytes(41), bytes(400)])
def test_columns_of_another_size_are_refused(columns: bytes) -> None:
    with pytest.raises(ProtocolError, match="malformed"):
        Rows.decode(rewritten(rows(), columns), STUDY)


def test_a_small_message_never_becomes_a_large_one() -> None:
    """Whatever a header claims, memory is taken for what is there alone."""
    claims = {"rows": 1 << 40, "shapes": {"points": [32]}}
    data = rewritten(Choices(np.zeros((1, 32), np.uint8)), **claims)
    tracemalloc.start()
    with pytest.raises(ProtocolError, match="malformed"):
        Choices.decode(data, STUDY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 18


def test_a_decoded_message_is_a_view_of_what_came() -> None:
    data = Choices(np.ones((1000, 32), np.uint8)).encode(STUDY)
    assert np.shares_memory(Choices.decode(data, STUDY).points, np.frombuffer(data, np.uint8))


@pytest.mark.parametrize("data", [b"", b"xstatmsg", b"not a message at all", bytes(1000)])
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="unreadable"):
        Rows.decode(data, STUDY)


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
