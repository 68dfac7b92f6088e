"""The layout of ciphertexts that follows from a study and its noise."""

from __future__ import annotations

from xstat_ray.crypto.packing import FREE_BITS, SUM_FREE_BITS, Packing, SumExtent, plan_packing
from xstat_ray.model.study import Study
from xstat_ray.noise.plan import NoisePlan
from xstat_ray.privacy.design import Design


def packing_of(
    study: Study, design: Design, noise: NoisePlan | None, key_bits: int, slot_bits: int | None
) -> Packing:
    """Choose the layout.

    Args:
        study: what is counted.
        design: what is measured.
        noise: how Laplace noise is drawn jointly; None for other noise.
        key_bits: bits of the Paillier modulus.
        slot_bits: bits of a count; None computes them.

    Raises:
        PlanError: counts or sums could overflow, or cannot be made to fit.
    """
    tails = design.tails(study.slots) if noise is None else noise.largest_by_quantity
    sums = zip(study.column.measures, tails[1:], strict=True)
    return plan_packing(
        slots=study.slots,
        max_value=study.max_count,
        noise_tail=tails[0],
        key_bits=key_bits,
        slot_bits=slot_bits,
        free_bits=SUM_FREE_BITS if study.opens_jointly else FREE_BITS,
        sums=[SumExtent(m.name, study.max_count * m.reach, tail) for m, tail in sums],
    )
