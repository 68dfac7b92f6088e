"""Masks under the keys of several column parties, of which nobody is told more than their sum.

A table for each key holds what one column party contributed. The row party masks ciphertext i of
the table under key j with M_j(i), and the parties add up what they decrypt modulo B, a power of two
that all plaintexts are well below. M_j(i) has to be uniform modulo B too, although decryption
reduces modulo n_j: it is uniform below the largest multiple of B up to n_j. What is decrypted is
then uniform modulo B, and equals the plaintext plus M_j(i) modulo B unless that sum wraps around
n_j. What is under a mask is less than 4 B in size, so it wraps only where the mask is among the 8 B
numbers next to 0 or to n_j: with `WRAP_BITS` bits of n_j above B that has a chance of 2^-96, and of
2^-64 over a release, which has fewer than 2^32 ciphertexts.

Two seeds give all masks. From the first follows S(i), uniform modulo B; it is committed to, and
shown in the end. From the second, which is never shown, follow M_2(i), ..., M_n(i) and the part of
M_1(i) that B divides; modulo B, M_1(i) = S(i) - M_2(i) - ... - M_n(i). All M_j(i) are independent,
as they are if each is drawn for itself, and S(i) is their sum modulo B: whoever is shown the first
seed learns the sums and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import shake_256

from gmpy2 import mpz

from xstat_ray.crypto.derive import EXCESS_BYTES
from xstat_ray.crypto.masking import SEED_BYTES, mask_numbers
from xstat_ray.crypto.packing import WRAP_BITS

_NUMBERS = b"xstat-ray v1 numbers of masks under several keys\0"


def mask_limit(n: mpz, modulus: mpz) -> mpz:
    """The largest multiple of B up to n: masks are below it.

    Args:
        n: modulus of the key.
        modulus: B.

    Raises:
        ValueError: n has too few bits more than B.
    """
    if n >> WRAP_BITS < modulus:
        raise ValueError(f"a key needs {WRAP_BITS} bits more than the sums of residues")
    return n // modulus * modulus


def sum_mask_numbers(
    sum_seed: bytes, seed: bytes, moduli: Sequence[mpz], modulus: mpz, rows: range
) -> list[list[mpz]]:
    """The masks of consecutive ciphertexts under every key.

    Args:
        sum_seed: `SEED_BYTES` bytes, from which the sums of masks follow: `mask_numbers` of this
            seed below B.
        seed: as many bytes, from which all else follows; to be kept secret for good.
        moduli: n of every key, in the order of the study.
        modulus: B, to which all masks of one ciphertext are summed.
        rows: rows of the tables of ciphertexts, counted over all blocks.

    Returns:
        For every key the masks of these rows, each below `mask_limit`.

    Raises:
        ValueError: a seed has another size, or a modulus is too small.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a mask seed has {SEED_BYTES} bytes")
    limits = [mask_limit(n, modulus) for n in moduli]
    others = [_numbers(seed, key, limit, rows) for key, limit in enumerate(limits[1:], start=1)]
    sums = mask_numbers(sum_seed, modulus, rows)
    residues = [(total - sum(masks)) % modulus for total, *masks in zip(sums, *others, strict=True)]
    multiples = _numbers(seed, 0, limits[0] // modulus, rows)
    first = [
        multiple * modulus + residue for multiple, residue in zip(multiples, residues, strict=True)
    ]
    return [first, *others]


def _numbers(seed: bytes, key: int, limit: mpz, rows: range) -> list[mpz]:
    """Numbers of rows, each uniform below a limit: SHAKE-256(label, seed, key, row)."""
    size = -(-limit.bit_length() // 8) + EXCESS_BYTES
    prefix = shake_256(_NUMBERS + seed + key.to_bytes(1, "little"))
    numbers = []
    for row in rows:
        stream = prefix.copy()
        stream.update(row.to_bytes(8, "little"))
        numbers.append(mpz.from_bytes(stream.digest(size), "little") % limit)
    return numbers
