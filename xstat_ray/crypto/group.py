"""The group ristretto255 (RFC 9496) over arrays of encodings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto import sodium
from xstat_ray.errors import ProtocolError
from xstat_ray.util.threads import in_threads

ORDER = 2**252 + 27742317777372353535851937790883648493
ELEMENT_BYTES = 32


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

    def products(rows: slice) -> NDArray[np.uint8]:
        made = np.empty((rows.stop - rows.start, ELEMENT_BYTES), np.uint8)
        source = points.ctypes.data
        target = made.ctypes.data - rows.start * ELEMENT_BYTES
        for row in range(rows.start, rows.stop):
            at = row * ELEMENT_BYTES
            # libsodium 1.0.18 does not look at bit 255 of an encoding, which RFC 9496 (section
            # 4.3.1) refuses: every element would have a second name.
            if points[row, -1] >= 0x80 or sodium.scalarmult(target + at, scalar, source + at):
                raise _refusal(points, row)
        return made

    return in_threads(products, len(points))


def validate(points: NDArray[np.uint8]) -> None:
    """Check that every row is the canonical encoding of an element and none the identity.

    Raises:
        ProtocolError: one is not; names the row, counted from 0, and the reason.
    """
    points = _elements(points)
    address = points.ctypes.data
    candidate = points.any(axis=1) & (points[:, -1] < 0x80)  # as in `multiply`
    for row in range(len(points)):
        if not (candidate[row] and sodium.is_valid_point(address + row * ELEMENT_BYTES)):
            raise _refusal(points, row)


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
