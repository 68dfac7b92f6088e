"""What a plan refuses: key sizes, tables that are too large, Laplace noise without a delta."""

from __future__ import annotations

from xstat_ray.errors import PlanError
from xstat_ray.model.study import Study

MAX_COEFFICIENTS = 100_000_000
"""Most counts of a table."""
KEY_BITS = (2048, 3072, 4096)
"""Sizes of the Paillier modulus that are supported."""


def check_key_bits(key_bits: int) -> None:
    """Refuse sizes of the Paillier modulus that are too small or not supported.

    Raises:
        PlanError: another size than those of `KEY_BITS`.
    """
    if key_bits not in KEY_BITS:
        wrong = "too small" if key_bits < KEY_BITS[0] else "not supported"
        raise PlanError(
            f"a key of {key_bits} bits is {wrong}",
            key="crypto.key_bits",
            remedy=f"Use one of {', '.join(map(str, KEY_BITS))}; 2048 is the least that is safe, "
            "3072 the default",
        )


def check_size(entries: int, remedy: str) -> None:
    """Refuse tables with more than `MAX_COEFFICIENTS` entries.

    Raises:
        PlanError: the table is too large; with this remedy.
    """
    if entries > MAX_COEFFICIENTS:
        raise PlanError(
            f"the table has {entries:,} entries, more than {MAX_COEFFICIENTS:,}",
            key="study",
            remedy=remedy,
        )


def check_delta(study: Study) -> None:
    """Refuse Laplace noise that may cost no delta, since several roles draw it together.

    Raises:
        PlanError: the study declares delta 0.
    """
    if study.privacy.noise == "laplace" and not study.privacy.delta:
        raise PlanError(
            "Laplace noise that nobody knows costs a small delta, and the study declares none",
            key="privacy.delta",
            remedy="Declare one, such as privacy.delta=1e-9; what is debited is computed",
        )
