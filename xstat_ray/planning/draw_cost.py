"""What the draw of the noise costs: time of all roles, and bytes between row and column party.

The work of the joint draw is in its coins: a coefficient has twice as many as its scale has binary
digits, of 48 or 64 bits each, and every role works through all of them. The job `benchmark` with
`suite=noise` measures how fast (docs/performance.md); the rates here are the lowest of its scales.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from xstat_ray.model.study import Study
from xstat_ray.noise import triples
from xstat_ray.noise.plan import NoisePlan, Part
from xstat_ray.util.readable import readable_bytes

DRAWS_PER_SECOND = 40_000
"""Draws of one role's noise a second by OpenDP's sampler, on one core."""
ROW = 1.5e9
"""Bits of coins a second of the row party, on one core, with any kernel."""
COLUMN = 2.1e9
"""Of the column party."""
AGGREGATOR = 4.6e9
"""Of the aggregator, which deals."""
DIGESTED = 1.4e9
"""Bytes of messages a second that are encoded and digested, on one core."""
PACKED = 3_400_000
"""Coefficients a second that a party packs into the numbers that it adds, on one core."""


def seconds(study: Study, noise: NoisePlan | None, coefficients: int, cores: int) -> float:
    """Estimate how long the draw of the noise takes, with the covert check of it.

    The parties work at the same time, the aggregator before each part. In the check each party does
    the work of all roles again, for every set but the kept one.

    Args:
        study: what is counted.
        noise: how Laplace noise is drawn; None for other noise.
        coefficients: that get noise.
        cores: of a server; two are used at most.
    """
    both = 2 if cores == 1 else 1
    if noise is None:
        draws = 1 + both if study.privacy.noise != "off" else 0
        return draws * coefficients / DRAWS_PER_SECOND
    bits = coin_bits(noise)
    parties = bits / ROW + (bits / COLUMN if cores == 1 else 0)
    of_all = bits * (1 / ROW + 1 / COLUMN + 1 / AGGREGATOR)
    sets = study.privacy.checked
    drawn = sets * (bits / AGGREGATOR + parties)
    # Digests are of what is sent and received, and again of what is computed.
    digested = (2 * sets - 1) * _messages_bytes(noise) / DIGESTED if sets > 1 else 0
    return drawn + both * ((sets - 1) * of_all + digested + coefficients / PACKED)


def coin_bits(noise: NoisePlan) -> int:
    """Count the bits of all coins of one set."""
    return sum(2 * p.coins.digits * p.coins.bits * p.coefficients for p in noise.parts)


def opened_bytes(noise: NoisePlan) -> int:
    """Count the bytes of one set's openings that each party sends the other."""
    return sum(map(_opened_bytes, noise.parts))


def _opened_bytes(part: Part) -> int:
    rounds = triples.rounds(part.coins.bits)
    words = 1 + sum(step.pairs * (1 + step.products) for step in rounds)
    return 8 * words * 2 * part.coins.digits * part.words


def _messages_bytes(noise: NoisePlan) -> int:
    """Bytes of all messages of one set: both parties' openings, and what is dealt."""
    dealt = 0
    for part in noise.parts:
        words = triples.products(part.coins.bits) * part.words + part.coefficients
        dealt += 8 * 2 * part.coins.digits * words
    return 2 * opened_bytes(noise) + dealt


def as_dict(study: Study, noise: NoisePlan | None) -> dict[str, Any]:
    """Give it as JSON holds it; nothing where the noise is not drawn jointly."""
    if noise is None:
        return {}
    sets = study.privacy.checked
    return {"noise_sets": sets, "noise_bytes_each_way": sets * opened_bytes(noise)}


def sentence(study: Study, noise: NoisePlan | None, coefficients: int) -> str:
    """Tell people how the noise is drawn, what that costs, and who would notice a departure."""
    if noise is None:
        return "each role draws its share" if study.privacy.noise != "off" else "no noise"
    sets = study.privacy.checked
    sent = readable_bytes(sets * opened_bytes(noise))
    took = seconds(study, noise, coefficients, 2)
    cost = f"{sent} each way between the parties, about {took:.1f} s on 2 cores"
    if sets == 1:
        return f"jointly, {cost}; a role that departs from it is not noticed (privacy.checked)"
    chance = Fraction(sets - 1, sets)
    return (
        f"jointly, {sets} sets of coins of which one is used, {cost}; a role that departs from it "
        f"is found and named with a chance of {chance} at least"
    )
