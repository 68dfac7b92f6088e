"""How fast one core of a server is with each kernel, for the plan's estimate of time only.

The rates are those that `jobs.benchmark` measures with suites kernels, scale and order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Rates:
    """Items a second on one core of a server from 2022, at one key size."""

    owner_encrypt: float
    public_encrypt: float
    multiply: float
    decrypt: float
    persons: float
    """Persons of either party exchanged: an id is hashed to the group, and both parties multiply
    what comes of it."""
    rows: float = 4_000_000
    """Location rows surveyed, read, bounded, tagged, sorted and joined, from Parquet files that are
    sorted by id."""
    unsorted_rows: float = 2_000_000
    """The same from Parquet files in another order."""


_PERSONS = {"portable": 8_500.0, "ifma": 30_000.0}
_RATES = {
    "portable": {
        2048: (8_500, 3_200, 150_000, 1_400),
        3072: (4_500, 1_600, 80_000, 600),
        4096: (2_500, 750, 45_000, 300),
    },
    "ifma": {
        2048: (80_000, 22_000, 1_000_000, 7_500),
        3072: (34_000, 9_000, 430_000, 3_200),
        4096: (18_000, 5_000, 220_000, 1_700),
    },
}
_CONSTANT_TIME = {"portable": 1 / 10, "ifma": 1 / 3}
"""What is left of the rates of encryption."""


def rates(kernel: str, key_bits: int, constant_time: bool) -> Rates:
    """The rates with a kernel, by its name."""
    usual = Rates(*_RATES[kernel][key_bits], persons=_PERSONS[kernel])
    if not constant_time:
        return usual
    share = _CONSTANT_TIME[kernel]
    return replace(
        usual,
        owner_encrypt=usual.owner_encrypt * share,
        public_encrypt=usual.public_encrypt * share,
    )
