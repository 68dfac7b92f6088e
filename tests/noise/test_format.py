"""What docs/format.md says of the joint noise is enough to compute every message and share.

This is a second implementation, on Python's integers, by that page and the protocol in words. It
takes from the package what it is compared with, and nothing else.
"""

from __future__ import annotations

import itertools

import gmpy2
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.noise.drawing import ATTEMPT, SEEDS, Drawing, integers, plan_of
from xstat_ray.noise.coins import Coins

ONES = 2**64 - 1
COEFFICIENTS = 6


def hkdf(secret: bytes, info: str, length: int) -> bytes:
    return HKDF(SHA256(), length, None, info.encode()).derive(secret)


def stream(seed: bytes, part: int, use: str):
    """Yield the words of a stream."""
    key = hkdf(seed, f"xstat-ray v1 noise {b'session'.hex()} 0 0 {part} {use}", 16)
    keystream = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    while True:
        yield int.from_bytes(keystream.update(bytes(8)), "little")


def take(words, count):
    return list(itertools.islice(words, count))


def thresholds_of(scale: float, bits: int) -> list[int]:
    with gmpy2.context(precision=300):
        ln2 = gmpy2.log(gmpy2.mpfr(2))
        digits = 1
        while gmpy2.mpfr(2) ** digits < gmpy2.mpfr(scale) * (bits + 5) * ln2:
            digits += 1
        powers = [gmpy2.exp(gmpy2.mpfr(2) ** i / gmpy2.mpfr(scale)) for i in range(digits)]
        return [int(gmpy2.rint(gmpy2.mpfr(2) ** bits / (1 + power))) for power in powers]


class Party:
    """One party's side of a part with one word a bit."""

    def __init__(self, role: str, part: int, bits: int, thresholds: list[int]) -> None:
        self.is_row = role == "row"
        self.part = part
        self.bits = bits
        self.thresholds = 2 * thresholds
        dealt = hkdf(
            SEEDS["aggregator"],
            f"xstat-ray v1 noise {b'session'.hex()} 0 0 0 dealt to {role}",
            32,
        )
        self.dealt = dealt
        words = stream(SEEDS[role], part, "coins")
        self.coins = [take(words, bits) for _ in self.thresholds]

    def flip(self, word: int) -> int:
        """The complement of a shared bit: one party takes it."""
        return word ^ ONES if self.is_row else word

    def leaves(self, coin: int) -> list[tuple[int, int]]:
        """Shares of (lt, eq) of every bit of a coin, the highest first."""
        found = []
        for place, word in enumerate(self.coins[coin]):
            threshold = self.thresholds[coin] >> (self.bits - 1 - place) & 1
            eq = word if threshold else self.flip(word)
            found.append((self.flip(eq) if threshold else 0, eq))
        return found

    def triples(self, turn: int, pairs: int, products: int):
        """Yield, coin by coin and pair by pair, a, each b, and the row party's each c."""
        words = stream(self.dealt, self.part, f"triples {turn}")
        for _ in self.thresholds:
            yield [take(words, 1 + (1 + self.is_row) * products) for _ in range(pairs)]


def sizes_of(bits: int) -> list[tuple[int, int]]:
    """Pairs and products of every round."""
    found = []
    nodes = bits
    while nodes > 1:
        found.append((nodes // 2, 2 if found else 1))
        nodes -= nodes // 2
    return found


@pytest.mark.parametrize(("scale", "bits"), [(1.0, 48), (2.5, 64)])
def test_a_second_implementation_has_the_same_messages_and_shares(scale, bits):
    plan = plan_of(Coins.of_scale(scale, bits), Coins.of_scale(scale, bits), rows=2, slots=3)
    drawing = Drawing(plan, 1, ATTEMPT)
    thresholds = thresholds_of(scale, bits)
    row, column = (Party(role, 1, bits, thresholds) for role in ("row", "column"))
    coins = range(2 * len(thresholds))
    nodes = {party: [party.leaves(coin) for coin in coins] for party in (row, column)}

    corrections = [[] for _ in coins]
    for turn, (pairs, products) in enumerate(sizes_of(bits)):
        dealt = {p: list(p.triples(turn, pairs, products)) for p in (row, column)}
        sent = {row: [], column: []}
        for coin in coins:
            for pair in range(pairs):
                ours = dealt[row][coin][pair]
                theirs = dealt[column][coin][pair]
                a = ours[0] ^ theirs[0]
                for product in range(1, 1 + products):
                    b = ours[product] ^ theirs[product]
                    corrections[coin].append(a & b ^ ours[product + products])
                for party in (row, column):
                    (lt_hi, eq_hi), (lt_lo, eq_lo) = nodes[party][coin][2 * pair : 2 * pair + 2]
                    operands = [eq_hi, eq_lo] if turn == 0 else [eq_hi, lt_lo, eq_lo]
                    masks = dealt[party][coin][pair]
                    sent[party] += [x ^ m for x, m in zip(operands, masks, strict=False)]
        for place, party in enumerate((row, column)):
            assert drawing.openings[turn][place].masked.ravel().tolist() == sent[party]
        opened = iter([x ^ y for x, y in zip(sent[row], sent[column], strict=True)])
        for coin in coins:
            merged = {row: [], column: []}
            for pair in range(pairs):
                d, *es = take(opened, 1 + products)
                for party in (row, column):
                    a, *rest = dealt[party][coin][pair]
                    shares = []
                    for product, e in enumerate(es):
                        first = sum(n * m for n, m in sizes_of(bits)[:turn])
                        c = (
                            rest[products + product]
                            if party.is_row
                            else corrections[coin][first + pair * products + product]
                        )
                        own = d & e if party.is_row else 0
                        shares.append(c ^ d & rest[product] ^ e & a ^ own)
                    (lt_hi, eq_hi), (lt_lo, _) = nodes[party][coin][2 * pair : 2 * pair + 2]
                    if turn == 0:
                        low = thresholds[coin % len(thresholds)] >> (bits - 2 - 2 * pair) & 1
                        merged[party].append((lt_hi ^ (eq_hi ^ shares[0]) * low, shares[0]))
                    else:
                        merged[party].append((lt_hi ^ shares[0], shares[1]))
            for party in (row, column):
                nodes[party][coin] = merged[party] + nodes[party][coin][2 * pairs :]
    assert drawing.deal.corrections[:, :, 0].tolist() == corrections

    bit_streams = [stream(party.dealt, 1, "dealt bits") for party in (row, column)]
    bits_dealt = [[next(words) for words in bit_streams] for _ in coins]
    sent = [
        [nodes[party][coin][0][0] ^ bits_dealt[coin][place] for coin in coins]
        for place, party in enumerate((row, column))
    ]
    for place in range(2):
        assert drawing.openings[-1][place].masked.ravel().tolist() == sent[place]
    masks = stream(row.dealt, 1, "integer shares")
    shares = np.zeros((2, COEFFICIENTS), object)
    for coin in coins:
        weight = 1 << coin if coin < len(thresholds) else -(1 << coin - len(thresholds))
        e = sent[0][coin] ^ sent[1][coin]
        t = bits_dealt[coin][0] ^ bits_dealt[coin][1]
        s = [word >> 1 for word in take(masks, COEFFICIENTS)]
        theirs = [(t >> j & 1) - s[j] for j in range(COEFFICIENTS)]
        assert drawing.deal.shares[coin].tolist() == theirs
        for j in range(COEFFICIENTS):
            bit = e >> j & 1
            shares[0, j] += weight * (bit + (1 - 2 * bit) * s[j])
            shares[1, j] += weight * (1 - 2 * bit) * theirs[j]
    assert integers(drawing.row.share).ravel().tolist() == shares[0].tolist()
    assert integers(drawing.column.share).ravel().tolist() == shares[1].tolist()
    assert drawing.noise.ravel().tolist() == shares.sum(axis=0).tolist()
