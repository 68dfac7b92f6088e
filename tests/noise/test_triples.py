from __future__ import annotations

import numpy as np
import pytest

from xstat_ray.noise import triples
from xstat_ray.noise.bits import Attempt, Stream

ATTEMPT = Attempt(b"session", 0)


@pytest.mark.parametrize(
    ("bits", "pairs", "total"),
    [
        (2, [1], 1),
        (6, [3, 1, 1], 7),
        (48, [24, 12, 6, 3, 1, 1], 70),
        (64, [32, 16, 8, 4, 2, 1], 94),
    ],
)
def test_rounds_halve_the_nodes(bits, pairs, total):
    steps = triples.rounds(bits)
    assert [step.pairs for step in steps] == pairs
    assert [step.products for step in steps] == [1] + [2] * (len(pairs) - 1)
    assert triples.products(bits) == total
    numbers = [n for step in steps for n in range(total)[step.corrections]]
    assert numbers == list(range(total))


@pytest.mark.parametrize("step", triples.rounds(8), ids=lambda step: f"round {step.number}")
def test_shares_of_products_are_those_of_the_operands(step):
    random = np.random.default_rng(1)
    words = 3
    row, column = (
        step.material(role, Stream(seed, ATTEMPT, 0, step.use), 1, words)[0]
        for role, seed in (("row", b"r" * 32), ("column", b"k" * 32))
    )
    correction = triples.corrections(row, column, step.products)
    shape = (2, step.pairs, 1 + step.products, words)
    operands = random.integers(0, 2**64, shape, dtype=np.uint64)
    masks = (row[:, : 1 + step.products], column)
    opened = operands[0] ^ masks[0] ^ operands[1] ^ masks[1]
    shares = (
        triples.multiply(opened, row, None),
        triples.multiply(opened, column, correction),
    )
    plain = operands[0] ^ operands[1]
    assert ((shares[0] ^ shares[1]) == (plain[:, :1] & plain[:, 1:])).all()
    # A share alone is not the product, and a wrong correction is not harmless.
    assert (shares[0] != (plain[:, :1] & plain[:, 1:])).all()
    wrong = triples.multiply(opened, column, correction ^ np.uint64(1))
    assert ((shares[0] ^ wrong) != (plain[:, :1] & plain[:, 1:])).all()
