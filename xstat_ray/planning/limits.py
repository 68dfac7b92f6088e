"""What a plan refuses: keys, tables that are too large, noise without a delta or a lasting cap."""

from __future__ import annotations

from fractions import Fraction

from xstat_ray.errors import PlanError
from xstat_ray.model.study import Study
from xstat_ray.noise.plan import NoisePlan
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.noise_choice import total_epsilon
from xstat_ray.privacy.rounding import decimal

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


def check_lasts(study: Study, mechanism: Mechanism, delta: Fraction) -> None:
    """Refuse noise of which fewer releases fit under the cap than the study wants to make.

    Args:
        study: what is counted.
        mechanism: the noise of one release.
        delta: what one release is debited with.

    Raises:
        PlanError: the cap, or the study's delta, does not last.
    """
    privacy = study.privacy
    if privacy.releases == 1 or mechanism.noise == "off":
        return
    total = total_epsilon(
        mechanism, delta if mechanism.noise == "laplace" else Fraction(0), privacy
    )
    if total is not None and total <= privacy.cap:
        return
    cost = "more delta than declared" if total is None else f"epsilon {decimal(total)}"
    raise PlanError(
        f"{privacy.releases} releases with this {mechanism.noise} noise cost {cost}, and the cap "
        f"is {decimal(privacy.cap)}",
        key="privacy.releases",
        remedy="Lower it or privacy.epsilon, or raise privacy.cap",
    )
