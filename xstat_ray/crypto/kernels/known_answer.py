"""The self-test of a kernel: a digest of what its functions give on fixed input.

Decryption is tried at the smallest key alone: it is `powers`, which is tried at all sizes, and
Chinese remainders.
"""

from __future__ import annotations

from hashlib import sha256, shake_256

import numpy as np
from gmpy2 import gcd, mpz
from numpy.typing import NDArray

from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.kernels.interface import Half, Kernel, Workload

ANSWER = "cd741b7c877c8dffe44d6371536fb30d34cabfc600a0a4561ca9ee766fa772c4"
"""What the portable kernel answers; the tests compute it anew."""
_KEY_BITS = (2048, 3072, 4096)
_ROWS = 9
"""One group of eight and a tail."""


def answer(kernel: Kernel) -> str:
    """SHA-256 of all results, in hexadecimal. Takes a few hundredths of a second."""
    digest = sha256()
    for key_bits in _KEY_BITS:
        for result in _paillier(kernel, key_bits):
            digest.update(result.tobytes())
    digest.update(_oprf(kernel))
    digest.update(_sha512(kernel))
    return digest.hexdigest()


def _oprf(kernel: Kernel) -> bytes:
    """Two groups of sixteen and a tail; words and columns with a tail too."""
    key = bytes(range(16))
    items = _bytes("items", 35, 16)
    matrix = _bytes("matrix", 24, 8 * 11).view("<u8")
    marked = kernel.oprf_mark(key, items, 650, range(8, 24))
    rows = kernel.oprf_rows(key, items, matrix, 650)
    padded = kernel.oprf_pad(matrix.copy(), items[:24], 1 << 31)
    return b"".join(result.tobytes() for result in (marked, rows, padded))


def _sha512(kernel: Kernel) -> bytes:
    """One group of eight and a tail; texts that end just before, at and behind a block's end."""
    rows = _bytes("texts", 13, 300)
    lengths = np.array([0, 1, 13, 104, 105, 106, 107, 121, 122, 123, 233, 234, 300])
    return kernel.sha512(b"prefix", rows, lengths, 20).tobytes()


def _paillier(kernel: Kernel, key_bits: int) -> list[NDArray[np.uint8]]:
    """Numbers in place of a key: a kernel needs p and q odd and without common factor, no more."""
    p = _odd("p", key_bits // 2)
    q = _odd("q", key_bits // 2)
    while gcd(p, q) != 1:
        q -= 2
    n = p * q
    bits = 32
    index = np.arange(_ROWS) % 3
    messages = _bytes("messages", 3, key_bits // 8)
    messages[:, -1] = 0
    by_p = _bytes("by p", _ROWS, bits // 8)
    by_q = _bytes("by q", _ROWS, bits // 8)
    by_p[0] = 0
    by_q[1] = 0xFF
    results = []
    careful = kernel.constant_time
    for workload in (Workload(planned=1), Workload(planned=1, constant_time=careful)):
        half_p, half_q = (Half(prime, prime + 3, bits) for prime in (p, q))
        results.append(kernel.owner(half_p, half_q, workload).encrypt(messages, index, by_p, by_q))
        results.append(kernel.public(n, n // 3, bits, workload).encrypt(messages, index, by_p))
    ciphertexts = np.concatenate(results)
    bases = from_rows(ciphertexts[: bits // 8])
    results.append(kernel.products(n, bases).encrypt(messages, index, by_p))
    segments = np.array([0, 1, 3, 6, 10, 36])
    results.append(kernel.accumulate(ciphertexts, np.arange(36)[::-1].copy(), segments, n * n))
    results.append(kernel.powers(ciphertexts[:_ROWS], p, q * q, careful))
    if key_bits == _KEY_BITS[0]:
        # As p and q are no primes, only a ciphertext without randomness has the order it must have.
        bare = to_rows([1 + message * n for message in from_rows(messages)], 2 * messages.shape[1])
        results.append(kernel.decrypt(bare, p, q, careful))
    return results


def _odd(name: str, bits: int) -> mpz:
    """A fixed odd number of so many bits, with the two highest set as in the primes of a key."""
    return (
        mpz.from_bytes(shake_256(name.encode()).digest(bits // 8), "little") | 3 << (bits - 2) | 1
    )


def _bytes(name: str, rows: int, width: int) -> NDArray[np.uint8]:
    return (
        np.frombuffer(shake_256(name.encode()).digest(rows * width), np.uint8)
        .reshape(rows, width)
        .copy()
    )
