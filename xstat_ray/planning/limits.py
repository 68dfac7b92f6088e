"""What a plan refuses: key sizes, tables that are too large, Laplace noise without a delta."""

from __future__ import annotations

from xstat_ray.errors import PlanError
from xstat_ray.model.study import Study
from xstat_ray.noise.plan import NoisePlan

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


def check_shards(shards: int) -> None:
    """Refuse fewer than one unit of join work.

    Raises:
        PlanError: `shards` is not positive.
    """
    if shards < 1:
        raise PlanError(
            "there must be at least one shard", key="shards", remedy="Set shards to 1 or more"
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


def check_joint(study: Study, noise: NoisePlan | None) -> None:
    """Refuse a joint draw of Laplace noise that costs more delta than the study declares.

    Args:
        study: what is counted.
        noise: how Laplace noise is drawn; None for other noise.

    Raises:
        PlanError: the study declares a smaller delta, or none.
    """
    if noise is not None and noise.delta > study.privacy.delta:
        declared = f"{float(study.privacy.delta):g}" if study.privacy.delta else "none"
        raise PlanError(
            f"Laplace noise that nobody knows costs a delta of {float(noise.delta):.3g} here, and "
            f"the study declares {declared}",
            key="privacy.delta",
            remedy="Declare one, such as privacy.delta=1e-9; what is debited is computed",
        )
