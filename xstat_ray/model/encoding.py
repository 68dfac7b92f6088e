"""The encoding of messages: a JSON header, bound to the digest of the study, and arrays behind it.

Nothing is compressed, so that a hostile message cannot take more memory than it has bytes.
docs/format.md specifies it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from math import prod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from xstat_ray.errors import ProtocolError
from xstat_ray.model.parties import MOST_PARTIES

VERSION = 2
"""Version of the format. Version 1 was Parquet, whose readers trust what they read."""
MAX_HEADER_BYTES = 4096
"""Longest header that is read; a real one has some hundred bytes."""
_MAGIC = b"xstatmsg"
_VERSION_1 = b"PAR1"
_MOST = 1 << 53
"""Numbers of a header are below this, so that every JSON reader has them exact."""
Head = str
"""A field with the head of a budget ledger: 64 hexadecimal digits."""
NO_HEAD = "0" * 64
"""Stands for no head."""
Heads = str
"""A field with several heads, one after the other without anything between them."""
MOST_HEADS = 48
"""Most heads in such a field: a header has room for no more."""
VIEW_DIGITS = 32
"""Hexadecimal digits of the name of a view."""
Views = str
"""A field with the names of views, one behind the other, each of `VIEW_DIGITS` digits."""
Bytes32 = str
"""A field with 32 bytes: 64 hexadecimal digits."""
_SHORT = re.compile("[0-9a-f]{32}")
_LONG = re.compile("[0-9a-f]{64}")
_TEXTS = {
    "str": _SHORT,
    "Views": re.compile(f"({_SHORT.pattern}){{1,{MOST_PARTIES}}}"),
    "Head": _LONG,
    "Heads": re.compile(f"({_LONG.pattern}){{0,{MOST_HEADS}}}"),
    "Bytes32": _LONG,
}
"""What texts of a header look like, by their declared type."""


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
        """Encode the message, bound to the study: a header, then the bytes of every array."""
        arrays = [np.ascontiguousarray(getattr(self, name)) for name in self.ITEMS]
        shapes = [list(array.shape[1:]) for array in arrays]
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in self.ITEMS}
        header = _header_of(type(self), study_digest, len(arrays[0]), shapes, values)
        return b"".join(
            [_head(header), *(array.reshape(-1).view(np.uint8).data for array in arrays)]
        )

    @classmethod
    def decode(cls, data: bytes, study_digest: bytes) -> Self:
        """Read a message back, without trust in whoever made it.

        The arrays of the result are views of `data`: nothing is unpacked, so a message takes no
        memory beyond its own, and exactly what `encode` writes is read.

        Raises:
            ProtocolError: not a message of this kind and version, of another study, or not exactly
                what its header says.
        """
        text, start = _read_head(cls, data)
        try:
            header = dict(json.loads(text))
        except (TypeError, ValueError, RecursionError):
            raise ProtocolError(f"not a {cls.__name__} message: unreadable") from None
        for key, value in (("message", cls.__name__), ("study", study_digest.hex())):
            if header.get(key) != value:
                raise ProtocolError(f"not a {cls.__name__} message of this study: wrong {key}")
        try:
            return cls(**_checked_fields(cls, header), **_arrays(cls, header, data, start, text))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise ProtocolError(f"not a {cls.__name__} message: malformed") from None


def _header_of(
    kind: type[Message],
    study_digest: bytes,
    rows: int,
    shapes: list[list[int]],
    values: dict[str, Any],
) -> bytes:
    """The one JSON form of a header; blanks behind it bring the arrays to a multiple of 8 bytes."""
    header = {
        "message": kind.__name__,
        "study": study_digest.hex(),
        "rows": rows,
        "shapes": dict(zip(kind.ITEMS, shapes, strict=True)),
        "fields": values,
    }
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def _head(header: bytes) -> bytes:
    sizes = VERSION.to_bytes(4, "little") + len(header).to_bytes(4, "little")
    return _MAGIC + sizes + header


def _read_head(kind: type[Message], data: bytes) -> tuple[bytes, int]:
    """The header of a message, and where its arrays begin.

    Raises:
        ProtocolError: another version, or no message at all.
    """
    if data[: len(_VERSION_1)] == _VERSION_1:
        raise ProtocolError(f"not a {kind.__name__} message: wrong version, 1 and not {VERSION}")
    fixed = len(_MAGIC) + 8
    if data[: len(_MAGIC)] != _MAGIC or len(data) < fixed:
        raise ProtocolError(f"not a {kind.__name__} message: unreadable")
    version = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + 4], "little")
    if version != VERSION:
        raise ProtocolError(
            f"not a {kind.__name__} message: wrong version, {version} and not {VERSION}"
        )
    length = int.from_bytes(data[len(_MAGIC) + 4 : fixed], "little")
    if length > MAX_HEADER_BYTES or len(data) < fixed + length:
        raise ProtocolError(f"not a {kind.__name__} message: unreadable")
    return data[fixed : fixed + length], fixed + length


def _checked_fields(kind: type[Message], header: dict[str, Any]) -> dict[str, Any]:
    """The values that belong to the whole message, each of its declared type.

    Raises:
        ValueError, TypeError, KeyError: others, or of another type.
    """
    values = dict(header["fields"])
    types = {f.name: f.type for f in fields(kind) if f.name not in kind.ITEMS}
    if values != header["fields"] or set(values) != set(types):
        raise ValueError
    for name, declared in types.items():
        value = values[name]
        if declared == "int":
            valid = type(value) is int and 0 <= value < _MOST
        else:
            valid = type(value) is str and _TEXTS[str(declared)].fullmatch(value) is not None
        if not valid:
            raise ValueError
    return values


def _arrays(
    kind: type[Message], header: dict[str, Any], data: bytes, start: int, text: bytes
) -> dict[str, NDArray[Any]]:
    """The arrays of a message, which must fill it exactly.

    Raises:
        ValueError, TypeError, KeyError: other shapes, or another size.
    """
    rows = header["rows"]
    shapes = [header["shapes"][name] for name in kind.ITEMS]
    lengths = [rows, *(length for shape in shapes for length in shape)]
    if not all(type(length) is int and 0 <= length < _MOST for length in lengths):
        raise ValueError
    study = bytes.fromhex(header["study"])
    if _header_of(kind, study, rows, shapes, header["fields"]) != text:
        raise ValueError
    found = {}
    for (name, (dtype, axes)), shape in zip(kind.ITEMS.items(), shapes, strict=True):
        if len(shape) != axes - 1:
            raise ValueError
        count = rows * prod(shape)
        size = np.dtype(dtype).itemsize * count
        if start + size > len(data):
            raise ValueError
        flat = np.frombuffer(data, np.dtype(dtype).newbyteorder("<"), count, start)
        found[name] = flat.reshape(rows, *shape)
        start += size
    if start != len(data):
        raise ValueError
    return found
