"""How fast one core of a server is with each kernel; only the plan's estimate of time uses it.

The suites `kernels`, `scale` and `order` of the job `benchmark` measure these rates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from xstat_ray.crypto.residues import base_count


@dataclass(frozen=True)
class Rates:
    """Items a second on one core of a server from 2022, at one key size."""

    owner_encrypt: float
    public_encrypt: float
    multiply: float
    decrypt: float
    mask_by_power: float
    """Masks without tables; a base of the tables takes twice as long."""
    mask_by_tables: float
    persons: float
    """Persons of either party in the ID exchange: an id is hashed, masked, and both functions are
    evaluated on it."""
    rows: float = 6_000_000
    """Rows of the row party surveyed, read, bounded, tagged, sorted and joined, from Parquet files
    that are sorted by id."""
    unsorted_rows: float = 3_400_000
    """Rows of the row party from Parquet files in another order, as far as to the join."""

    def mask_seconds(self, ciphertexts: int, key_bits: int) -> float:
        """Estimate the time of the row party's masks on one core, bases and tables included."""
        by_power = min(ciphertexts, 2 * base_count(key_bits))
        return by_power / self.mask_by_power + (ciphertexts - by_power) / self.mask_by_tables


_PERSONS = {
    "phe": 100_000.0,
    "portable": 100_000.0,
    "aesni": 250_000.0,
    "avx2": 250_000.0,
    "ifma": 250_000.0,
}
_RATES = {
    "phe": {
        2048: (1_300, 300, 75_000, 300, 85, 85),
        3072: (750, 150, 55_000, 95, 26, 26),
        4096: (400, 100, 35_000, 40, 17, 17),
    },
    "portable": {
        2048: (8_500, 3_200, 150_000, 330, 92, 520),
        3072: (4_500, 1_600, 80_000, 105, 28, 220),
        4096: (2_500, 750, 45_000, 44, 19, 125),
    },
    "avx2": {
        2048: (34_000, 3_200, 150_000, 330, 92, 520),
        3072: (15_000, 1_600, 80_000, 105, 28, 220),
        4096: (7_500, 750, 45_000, 44, 19, 125),
    },
    "ifma": {
        2048: (80_000, 22_000, 1_000_000, 1_900, 630, 3_900),
        3072: (34_000, 9_000, 430_000, 600, 190, 1_370),
        4096: (18_000, 5_000, 220_000, 270, 100, 800),
    },
}
_RATES["aesni"] = _RATES["portable"]
_CONSTANT_TIME = {
    "portable": (1 / 10, 1 / 10),
    "aesni": (1 / 10, 1 / 10),
    "avx2": (2 / 5, 1 / 10),
    "ifma": (1 / 3, 1 / 3),
}
"""Share of the rates of encryption by the owner and by anyone else that constant time leaves; `phe`
has no constant time."""


def rates(kernel: str, key_bits: int, constant_time: bool) -> Rates:
    """Look up the rates of a kernel, by its name, at a key size."""
    fast = Rates(*_RATES[kernel][key_bits], persons=_PERSONS[kernel])
    if not constant_time:
        return fast
    owner, public = _CONSTANT_TIME[kernel]
    return replace(
        fast,
        owner_encrypt=fast.owner_encrypt * owner,
        public_encrypt=fast.public_encrypt * public,
        mask_by_tables=fast.mask_by_power,
    )
