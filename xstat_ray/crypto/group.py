"""The group ristretto255 (RFC 9496) over arrays of encodings, and hashing to it (RFC 9380, B)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha512

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto import sodium
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.kernels.interface import RowError
from xstat_ray.errors import ProtocolError
from xstat_ray.util.threads import in_threads

ORDER = 2**252 + 27742317777372353535851937790883648493
ELEMENT_BYTES = 32
PERSON_KEY_BYTES = 12
PERSON_DST = b"xstat-ray-v1-person-ristretto255_XMD:SHA-512_R255MAP_RO_"
"""Domain separation tag under which persons are hashed to the group."""

_PERSON_KEY_DOMAIN = b"xstat-ray v1 person key"


def expand_message_xmd(message: bytes, dst: bytes, length: int) -> bytes:
    """Expand a message to `length` bytes: expand_message_xmd (RFC 9380, 5.3.1) with SHA-512.

    Raises:
        ValueError: a tag not of 1 to 255 bytes, or a length not of 1 to 255 digests.
    """
    digests = -(-length // 64)
    if not (1 <= len(dst) <= 255 and 1 <= digests <= 255):
        raise ValueError(
            "expand_message_xmd takes a tag of 1 to 255 bytes and gives 1 to 16320 bytes"
        )
    suffix = dst + bytes([len(dst)])
    seed = sha512(bytes(128) + message + length.to_bytes(2, "big") + b"\0" + suffix).digest()
    digest = bytes(64)
    uniform = b""
    for i in range(1, digests + 1):
        chained = int.from_bytes(seed) ^ int.from_bytes(digest)
        digest = sha512(chained.to_bytes(64) + bytes([i]) + suffix).digest()
        uniform += digest
    return uniform[:length]


def hash_to_group(messages: Sequence[bytes], dst: bytes) -> NDArray[np.uint8]:
    """hash_to_ristretto255 (RFC 9380, appendix B) of each message: (N, 32) uint8.

    Raises:
        ValueError: a tag not of 1 to 255 bytes.
    """
    uniform = b"".join([expand_message_xmd(message, dst, 64) for message in messages])
    digests = np.frombuffer(uniform, np.uint8).reshape(-1, 64)
    return in_threads(lambda part: kernel().group_hash(digests[part]), len(digests))


def random_scalar() -> bytes:
    """A uniform nonzero scalar, 32 bytes little-endian, from the operating system's generator."""
    return (1 + secrets.randbelow(ORDER - 1)).to_bytes(32, "little")


def check_scalar(scalar: bytes) -> None:
    """Check the range of a scalar.

    Raises:
        ValueError: it is not 32 bytes, little-endian, nonzero and below the order of the group.
    """
    if len(scalar) != 32 or not 0 < int.from_bytes(scalar, "little") < ORDER:
        raise ValueError("a scalar is 32 bytes, nonzero and below the order of the group")


def multiply(scalar: bytes, points: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`scalar` times each element: (N, 32) uint8 to (N, 32) uint8, rows in the same order.

    Args:
        scalar: 32 bytes little-endian, nonzero and below the order of the group.
        points: encoded elements; may be read-only.

    Raises:
        ProtocolError: a row, counted from 0, is not the canonical encoding of an element or is the
            identity.
        ValueError: the scalar is out of range.
    """
    check_scalar(scalar)
    points = _elements(points)

    def multiply_rows(part: slice) -> NDArray[np.uint8]:
        try:
            return kernel().group_multiply(scalar, points[part])
        except RowError as error:
            raise _refusal(points, part.start + error.row) from None

    return in_threads(multiply_rows, len(points))


def validate(points: NDArray[np.uint8]) -> None:
    """Check that every row is the canonical encoding of an element and none the identity.

    Raises:
        ProtocolError: one is not; names the row, counted from 0, and the reason.
    """
    points = _elements(points)
    address = points.ctypes.data
    candidate = points.any(axis=1) & (points[:, -1] < 0x80)  # libsodium does not look at bit 255
    for row in range(len(points)):
        if not (candidate[row] and sodium.is_valid_point(address + row * ELEMENT_BYTES)):
            raise _refusal(points, row)


def person_keys(points: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The key u of each person: the first 12 bytes of SHA-512(domain || encoding).

    Returns:
        (N, 12) uint8 for (N, 32) encodings.

    Raises:
        ProtocolError: `points` is not an (N, 32) array of bytes.
    """
    encoded = _elements(points).tobytes()
    keys = bytearray()
    for offset in range(0, len(encoded), ELEMENT_BYTES):
        keys += sha512(_PERSON_KEY_DOMAIN + encoded[offset : offset + ELEMENT_BYTES]).digest()[
            :PERSON_KEY_BYTES
        ]
    return np.frombuffer(keys, dtype=np.uint8).reshape(-1, PERSON_KEY_BYTES)


def _elements(points: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`points` in one contiguous buffer."""
    if points.dtype != np.uint8 or points.ndim != 2 or points.shape[1] != ELEMENT_BYTES:
        raise ProtocolError(f"group elements come as an (N, {ELEMENT_BYTES}) array of bytes")
    return np.ascontiguousarray(points)


def _refusal(points: NDArray[np.uint8], row: int) -> ProtocolError:
    reason = (
        "is not the canonical encoding of a group element"
        if points[row].any()
        else "is the identity"
    )
    return ProtocolError(f"row {row} {reason}")
