"""Products of bits that two parties hold as XOR shares, with multiplication triples from a dealer.

The technique of Beaver ("Efficient multiparty protocols using circuit randomization", CRYPTO 1991)
over single bits, 64 coefficients to a word. The row party holds x_R and y_R, the column party x_K
and y_K with x = x_R ^ x_K and y = y_R ^ y_K; the dealer gave each uniform shares of a, b and
c = a & b. Each opens its shares of d = x ^ a and e = y ^ b, which are uniform whatever x and y are,
and then has a share of

    x & y = c ^ (d & b) ^ (e & a) ^ (d & e),

the last term being the row party's. Where one x meets several y, one a serves them all.

Shares of a, b and c are streams of words (`noise.bits`) from the seeds that the dealer gave to the
parties; only the column party's share of c is no stream, but the correction that makes c = a & b.

Comparisons are made in rounds: `rounds` says how many products are made in each, `Round.material`
how a stream is divided. At the end bits become integers, by dealt bits of which the parties have
both XOR shares and integer shares (`integer_shares`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.study import Role
from xstat_ray.noise.bits import Stream

Words = NDArray[np.uint64]

DEALT_BITS = "dealt bits"
"""Use of the streams of both parties' XOR shares of the dealt bits."""
INTEGER_SHARES = "integer shares"
"""Use of the stream of the row party's integer shares of them."""
MASK_BITS = 63
"""Uniform bits of the row party's integer share of a dealt bit; the column party's is the bit minus
it, so that both are int64."""


@dataclass(frozen=True)
class Round:
    """One round of the comparison: neighbours among the nodes of a binary tree become one."""

    number: int
    pairs: int
    products: int
    """y that each x meets."""
    odd: bool
    """Whether a last node has no neighbour, and passes on as it is."""
    first: int
    """Products of the rounds before."""

    @property
    def corrections(self) -> slice:
        """Where the products of this round lie among those of a coin."""
        return slice(self.first, self.first + self.pairs * self.products)

    @property
    def use(self) -> str:
        """What the streams of the triples of this round are for."""
        return f"triples {self.number}"

    def material(self, role: Role, stream: Stream, coins: int, words: int) -> Words:
        """A party's part of the triples of the next coins.

        Args:
            role: whose.
            stream: for this round, from the seed that the dealer gave to the party.
            coins: how many.
            words: of each bit.

        Returns:
            (coins, pairs, 1 + products, words): a, then each b; behind them, for the row party,
            its share of each c.
        """
        kinds = 2 if role == "row" else 1
        return stream.words(coins, self.pairs, 1 + kinds * self.products, words)


@cache
def rounds(bits: int) -> tuple[Round, ...]:
    """The rounds in which bits are compared with a public number, leaves first.

    Leaves need one product a pair, the nodes above two (`noise.sampler`, step 3).
    """
    found: list[Round] = []
    nodes = bits
    first = 0
    while nodes > 1:
        pairs, odd = divmod(nodes, 2)
        step = Round(len(found), pairs, 2 if found else 1, bool(odd), first)
        found.append(step)
        first = step.corrections.stop
        nodes = pairs + odd
    return tuple(found)


def products(bits: int) -> int:
    """Products of one coin over all rounds."""
    last = rounds(bits)[-1]
    return last.first + last.pairs * last.products


def corrections(row: Words, column: Words, count: int) -> Words:
    """The column party's shares of c.

    Args:
        row: (pairs, 1 + 2 * count, words) what the row party has of one coin's round.
        column: (pairs, 1 + count, words) what the column party has.
        count: products of a pair.

    Returns:
        (pairs, count, words)
    """
    both: Words = row[:, : 1 + count] ^ column
    share: Words = (both[:, :1] & both[:, 1:]) ^ row[:, 1 + count :]
    return share


def multiply(opened: Words, material: Words, correction: Words | None) -> Words:
    """A party's shares of the products of one coin's round.

    Args:
        opened: (pairs, 1 + products, words) d, then each e.
        material: what the party has of the triples (`Round.material`).
        correction: (pairs, products, words) the column party's shares of c; None for the row party,
            whose shares are in its material.

    Returns:
        (pairs, products, words)
    """
    count = opened.shape[1] - 1
    d = opened[:, :1]
    e = opened[:, 1:]
    a = material[:, :1]
    b = material[:, 1 : 1 + count]
    product: Words = e & a
    if correction is None:
        product ^= material[:, 1 + count :]
        product ^= d & (b ^ e)
    else:
        product ^= correction
        product ^= d & b
    return product


def integer_shares(stream: Stream, count: int) -> NDArray[np.int64]:
    """The row party's integer shares of `count` dealt bits of one coin, uniform in [0, 2^63)."""
    return (stream.words(count) >> np.uint64(64 - MASK_BITS)).view(np.int64)
