"""A role that departs from the joint draw, or leaves its share out: what comes of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gmpy2 import mpz

from tests.noise.drawing import ATTEMPT, SEEDS, Drawing, integers, plan_of
from xstat_ray.crypto.packing import plan_packing
from xstat_ray.errors import ProtocolError
from xstat_ray.noise.coins import Coins
from xstat_ray.noise.dealing import Dealer
from xstat_ray.noise.sampler import Sampler
from xstat_ray.noise.shares import pack_shares

COINS = Coins.of_scale(8.0)
N = (mpz(1) << 2048) - 1942289


@pytest.mark.parametrize("departs", ["row", "column"])
def test_another_threshold_gives_another_noise_and_nobody_sees_it(departs):
    """This is why a draw can be checked (`privacy.checked`)."""
    plan = plan_of(COINS, rows=100, slots=50)
    forged = plan_of(replace(COINS, thresholds=(0,) * COINS.digits), rows=100, slots=50)
    dealer = Dealer(plan, ATTEMPT, SEEDS["aggregator"])
    row, column = (
        Sampler(
            role,
            forged if role == departs else plan,
            ATTEMPT,
            SEEDS[role],
            dealer.export_seed(role),
        )
        for role in ("row", "column")
    )
    ours = row.begin(0)
    theirs = column.begin(0, dealer.deal(0))
    more = True
    while more:
        pair = (ours.opening, theirs.opening)
        more = ours.advance(pair[1])
        theirs.advance(pair[0])
    honest = Drawing(plan).noise.astype(float).std()
    assert honest == pytest.approx(8 * 2**0.5, rel=0.08)
    departed = integers(ours.share + theirs.share).astype(float).std()
    assert abs(departed / honest - 1) > 0.05


@pytest.mark.parametrize("left_out", ["row", "column", "none"])
def test_a_table_without_a_share_is_out_of_its_slots(left_out):
    plan = plan_of(COINS, rows=4, slots=7)
    packing = plan_packing(slots=7, max_value=1000, noise_tail=plan.largest, key_bits=2048)
    drawing = Drawing(plan)
    counts = np.full((4, 7), 3)
    numbers = pack_shares(np.stack([counts, np.zeros_like(counts)]), packing)
    for role, part in (("row", drawing.row), ("column", drawing.column)):
        if role != left_out:
            numbers = [
                a + b for a, b in zip(numbers, pack_shares(part.share, packing), strict=True)
            ]
    numbers = [number % N for number in numbers]
    if left_out == "none":
        assert (packing.unpack_signed(numbers, N) == counts + drawing.noise.astype(int)).all()
        return
    with pytest.raises(ProtocolError):
        packing.unpack_signed(numbers, N)
