"""The C extension (native/module.c). Arrays are C-contiguous buffers."""

from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]

def available() -> bool: ...
def avx2_available() -> bool: ...
def aes_available() -> bool: ...
def make_table(
    limbs: int, digit_bits: int, table: _Array, base: _Array, modulus: _Array
) -> None: ...
def encrypt_public(
    limbs: int,
    digit_bits: int,
    constant_time: bool,
    out: _Array,
    messages: _Array,
    index: _Array,
    modulus: _Array,
    table: _Array,
    exponents: _Array,
) -> None: ...
def encrypt_owner(
    limbs: int,
    digit_bits: int,
    constant_time: bool,
    out: _Array,
    messages: _Array,
    index: _Array,
    p_modulus: _Array,
    p_table: _Array,
    p_exponents: _Array,
    q_modulus: _Array,
    q_table: _Array,
    q_exponents: _Array,
    p2_inverse: _Array,
) -> None: ...
def accumulate(
    limbs: int,
    out: _Array,
    rows: _Array,
    index: _Array,
    edges: _Array,
    order: _Array,
    modulus: _Array,
    r_powers: _Array,
) -> None: ...
def power(limbs: int, out: _Array, rows: _Array, exponent: bytes, modulus: _Array) -> None: ...
def four_table(
    limbs: int, digit_bits: int, table: _Array, base: _Array, constants: _Array
) -> None: ...
def four_encrypt(
    limbs: int,
    digit_bits: int,
    constant_time: bool,
    out: _Array,
    messages: _Array,
    index: _Array,
    p_constants: _Array,
    p_table: _Array,
    p_exponents: _Array,
    q_constants: _Array,
    q_table: _Array,
    q_exponents: _Array,
    joint: _Array,
) -> None: ...
def oprf_mark(out: _Array, key: bytes, items: _Array, capacity: int, first: int) -> None: ...
def oprf_rows(out: _Array, key: bytes, items: _Array, matrix: _Array, capacity: int) -> None: ...
def sha512(lanes: int, out: _Array, prefix: bytes, rows: _Array, lengths: _Array) -> None: ...
def oprf_pad(matrix: _Array, keys: _Array, bin: int) -> None: ...
