"""The messages that cross between roles, and their encoding.

A message is a frozen dataclass of public header fields and numpy arrays with one row per item.
Encoded, it is a Parquet file: one column per array, the header as JSON in the schema's metadata,
with the digest of the study it belongs to.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from xstat_ray.errors import ProtocolError

VERSION = 1
_HEADER = b"xstat-ray"


@dataclass(frozen=True)
class Message:
    """Base: `encode` and `decode` work from the fields of the subclass."""

    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {}
    """Array fields: numpy dtype and number of axes."""

    def __post_init__(self) -> None:
        sizes = set()
        for name, (dtype, axes) in self.ITEMS.items():
            array = getattr(self, name)
            if array.dtype != np.dtype(dtype) or array.ndim != axes:
                raise ProtocolError(
                    f"{type(self).__name__}.{name} is not a {dtype} array of {axes} axes"
                )
            sizes.add(len(array))
        if len(sizes) > 1:
            raise ProtocolError(f"{type(self).__name__} has columns of different lengths")

    def encode(self, study_digest: bytes) -> bytes:
        """The message as a Parquet file, bound to the study."""
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in self.ITEMS}
        header = {
            "message": type(self).__name__,
            "version": VERSION,
            "study": study_digest.hex(),
            "shapes": {name: list(array.shape[1:]) for name, array in arrays.items()},
            "fields": {
                f.name: getattr(self, f.name) for f in fields(self) if f.name not in self.ITEMS
            },
        }
        table = pa.table({name: _to_arrow(array) for name, array in arrays.items()})
        table = table.replace_schema_metadata({_HEADER: json.dumps(header).encode()})
        sink = io.BytesIO()
        pq.write_table(
            table, sink, compression="none", use_dictionary=False, write_statistics=False
        )
        return sink.getvalue()

    @classmethod
    def decode(cls, data: bytes, study_digest: bytes) -> Self:
        """Read a message back.

        Raises:
            ProtocolError: not a message of this kind and version, of another study, or with
                malformed columns.
        """
        try:
            table = pq.read_table(io.BytesIO(data))
            header = dict(json.loads(table.schema.metadata[_HEADER]))
        except (pa.ArrowException, KeyError, TypeError, ValueError, OSError):
            raise ProtocolError(f"not a {cls.__name__} message: unreadable") from None
        expected = {"message": cls.__name__, "version": VERSION, "study": study_digest.hex()}
        for key, value in expected.items():
            if header.get(key) != value:
                raise ProtocolError(f"not a {cls.__name__} message of this study: wrong {key}")
        try:
            arrays = {
                name: _from_arrow(table[name], dtype, header["shapes"][name])
                for name, (dtype, _) in cls.ITEMS.items()
            }
            return cls(**header["fields"], **arrays)
        except (KeyError, TypeError, ValueError, pa.ArrowException):
            raise ProtocolError(
                f"not a {cls.__name__} message: malformed columns or header"
            ) from None


def _to_arrow(array: NDArray[Any]) -> pa.Array:
    if array.ndim == 1:
        return pa.array(array)
    width = array.dtype.itemsize * int(np.prod(array.shape[1:]))
    return pa.Array.from_buffers(pa.binary(width), len(array), [None, pa.py_buffer(array)])


def _from_arrow(column: pa.ChunkedArray, dtype: str, shape: list[int]) -> NDArray[Any]:
    if not shape:
        return np.asarray(column.to_numpy()).astype(dtype, casting="safe")
    array = column.combine_chunks()
    width = np.dtype(dtype).itemsize * int(np.prod(shape))
    if array.type != pa.binary(width) or array.null_count:
        raise ValueError
    flat = np.frombuffer(
        array.buffers()[1], np.uint8, count=len(array) * width, offset=array.offset * width
    )
    return flat.view(dtype).reshape(len(array), *shape)


@dataclass(frozen=True)
class Points(Message):
    """Group elements of persons, in the sender's shuffled order."""

    points: NDArray[np.uint8]
    """(P, 32)"""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"points": ("uint8", 2)}


@dataclass(frozen=True)
class Tree(Message):
    """The sizes of one measured level of the row tree, in blinded order: sizes without names."""

    starts: NDArray[np.int64]
    """(nodes,) where the descendants of each node begin on the measured level below, ascending from
    0."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"starts": ("int64", 1)}


@dataclass(frozen=True)
class Rows(Message):
    """The row party's de-identified rows of one shard, in the order of `crypto.tags.sort_order`."""

    shard: int
    tags: NDArray[np.uint8]
    """(N, 16)"""
    cells: NDArray[np.uint32]
    """(N,) blinded cell numbers."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"tags": ("uint8", 2), "cells": ("uint32", 1)}


@dataclass(frozen=True)
class Flags(Message):
    """A part of the column party's flags of one batch, sorted by tag.

    The parts of a batch are consecutive.
    """

    batch: int
    part: int
    tags: NDArray[np.uint8]
    """(M, 16)"""
    ciphertexts: NDArray[np.uint8]
    """(M, blocks, width): in one block an encryption of 2^(b*slot), in the others of zero."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {
        "tags": ("uint8", 2),
        "ciphertexts": ("uint8", 3),
    }


@dataclass(frozen=True)
class Partial(Message):
    """Encrypted counts of some cells."""

    cells: NDArray[np.uint32]
    """(C,) blinded cell numbers, strictly ascending."""
    ciphertexts: NDArray[np.uint8]
    """(C, blocks, width)"""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {
        "cells": ("uint32", 1),
        "ciphertexts": ("uint8", 3),
    }


@dataclass(frozen=True)
class NoisyTable(Message):
    """All measured levels with their noise, in blinded order: the only thing that is decrypted."""

    release: str
    """Release id, 32 hexadecimal digits."""
    ciphertexts: NDArray[np.uint8]
    """(nodes, blocks, width): the cells, then each measured level above them."""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"ciphertexts": ("uint8", 3)}


@dataclass(frozen=True)
class Coefficients(Message):
    """Decrypted noisy coefficients in blinded order, from the key holder to the row party."""

    release: str
    first: int
    """Row of the noisy table that comes first: a table may come in consecutive parts."""
    values: NDArray[np.int64]
    """(C, slots)"""
    ITEMS: ClassVar[dict[str, tuple[str, int]]] = {"values": ("int64", 2)}
