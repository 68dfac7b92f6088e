"""libsodium's ristretto255 (RFC 9496) as C functions over memory addresses.

Addresses are integers (`array.ctypes.data`) or bytes objects, so that a loop over the rows of a
contiguous numpy buffer makes one C call a row and copies nothing. ctypes lets go of the interpreter
lock during each call.
"""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Callable
from pathlib import Path

from rbcl.rbcl import _sodium


def _typed(name: str, arguments: int) -> Callable[..., int]:
    function = getattr(_sodium, name)
    function.argtypes = [ctypes.c_void_p] * arguments
    function.restype = ctypes.c_int
    typed: Callable[..., int] = function
    return typed


def _remove_temporary_copy(library: ctypes.CDLL) -> None:
    """Delete the file that importing `rbcl` wrote; the loaded library stays mapped.

    `rbcl` carries libsodium as text and writes 2.8 MB to the temporary folder at every import,
    which every Ray worker would leave behind. A library loaded from anywhere else is not ours to
    delete.
    """
    path = Path(library._name)
    if path.parent == Path(tempfile.gettempdir()):
        path.unlink(missing_ok=True)


_remove_temporary_copy(_sodium)

add = _typed("crypto_core_ristretto255_add", 3)
"""add(sum, point, point): 0, or -1 where one is no encoding; bit 255 is not looked at."""

subtract = _typed("crypto_core_ristretto255_sub", 3)
"""subtract(difference, point, point): as `add`."""

reduce_scalar = _typed("crypto_core_ristretto255_scalar_reduce", 2)
"""reduce_scalar(scalar, digest): 64 bytes, little-endian, modulo the order of the group."""

is_valid_point = _typed("crypto_core_ristretto255_is_valid_point", 1)
"""is_valid_point(point): 1 for the encoding of an element, the identity included; bit 255 is not
looked at."""

scalarmult_base = _typed("crypto_scalarmult_ristretto255_base", 2)
"""scalarmult_base(product, scalar): 0, or -1 where the product is the identity."""

scalarmult = _typed("crypto_scalarmult_ristretto255", 3)
"""scalarmult(product, scalar, point): 0, or -1 where `point` is no encoding or the product is the
identity."""
