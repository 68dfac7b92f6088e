"""Base oblivious transfers: random keys in pairs, of each of which the chooser gets one.

The protocol of Chou and Orlandi ("The simplest protocol for oblivious transfer", LATINCRYPT 2015)
over ristretto255, all transfers of one run at once. The sender offers A = aG. For a bit c the
chooser answers B = cA + bG with a fresh scalar b, and has the key of bA. The sender's two keys are
those of aB and a(B - A), one of which is a(bG) = bA.

Against parties that follow the protocol: B is uniform whatever the bit, so the sender learns
nothing of it; to know both keys, the chooser would need aA as well, the Diffie-Hellman problem for
aG and aG. Keys are hashes of context, number, A, B and the shared element, so that runs in
different contexts have independent keys. Someone who cheats here gains no more than the exchange
allows to a cheat at all (docs/security.md).
"""

from __future__ import annotations

from hashlib import sha512

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto import group, sodium
from xstat_ray.crypto.group import ELEMENT_BYTES
from xstat_ray.errors import ProtocolError
from xstat_ray.util.secrecy import Secret
from xstat_ray.util.threads import in_threads

KEY_BYTES = 16
_KEY_DOMAIN = b"xstat-ray v2 oblivious transfer key"
_SEED_DOMAIN = b"xstat-ray v2 oblivious transfer choices"
_SCALAR_DOMAIN = b"xstat-ray v2 oblivious transfer scalar"


class OtSender(Secret):
    """The side that gets both keys of every pair."""

    def __init__(self, scalar: bytes) -> None:
        """Offer the multiple of the generator.

        Args:
            scalar: a, 32 bytes little-endian, nonzero and below the order of the group; of one
                exchange alone.

        Raises:
            ValueError: the scalar is out of range.
        """
        group.check_scalar(scalar)
        self._scalar = scalar
        self._offer = _base(scalar)

    @property
    def offer(self) -> bytes:
        """A = aG, 32 bytes: what the chooser is sent."""
        return self._offer

    def keys(self, choices: NDArray[np.uint8], context: bytes) -> NDArray[np.uint8]:
        """Both keys of every pair.

        Args:
            choices: (w, 32) what the chooser answered.
            context: what the chooser binds its keys to as well.

        Returns:
            (w, 2, 16) uint8: the keys for the bits 0 and 1.

        Raises:
            ProtocolError: a row, counted from 0, is not the canonical encoding of an element, or is
                the identity or the offer itself.
        """
        group.validate(choices)
        offer = np.frombuffer(self._offer, np.uint8)
        if (choices == offer).all(axis=1).any():
            raise ProtocolError("an answer to an offer of oblivious transfer is the offer itself")
        first = group.multiply(self._scalar, choices)
        # a(B - A) is aB - aA, which saves a multiplication of every answer.
        square = group.multiply(self._scalar, offer.reshape(1, -1)).tobytes()
        second = np.empty_like(first)
        for element, minuend in zip(second, first, strict=True):
            sodium.subtract(element.ctypes.data, minuend.tobytes(), square)
        keys = [_keys(context, self._offer, choices, elements) for elements in (first, second)]
        return np.stack(keys, axis=1)


def choose(
    offer: bytes, bits: NDArray[np.bool_], seed: bytes, context: bytes
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Answer an offer, with the key of the chosen side of every pair.

    Scalars follow from all arguments, so that a repeat gives the same bytes. Were they to follow
    from the seed alone, the answers to two offers, or for two choices, would differ by what gives
    the choices away. Both answers are computed whatever the bit.

    Args:
        offer: what the sender sent.
        bits: (w,) the choices; secret.
        seed: 32 random bytes; secret.
        context: what the sender binds its keys to as well.

    Returns:
        (w, 32) the answers for the sender, and (w, 16) the keys.

    Raises:
        ProtocolError: the offer is not the canonical encoding of an element, or is the identity.
        ValueError: the seed does not have 32 bytes.
    """
    if len(seed) != 32:
        raise ValueError("the seed of the choices has 32 bytes")
    if len(offer) != ELEMENT_BYTES:
        raise ProtocolError(f"an offer of oblivious transfer has {ELEMENT_BYTES} bytes")
    group.validate(np.frombuffer(offer, np.uint8)[None])
    secret = sha512(
        _SEED_DOMAIN + seed + offer + np.packbits(bits, bitorder="little").tobytes() + context
    ).digest()

    def multiples(rows: slice) -> NDArray[np.uint8]:
        """(N, 3, 32): bG, A + bG, bA."""
        made = np.empty((rows.stop - rows.start, 3, ELEMENT_BYTES), np.uint8)
        for row, (zero, one, shared) in enumerate(made, rows.start):
            scalar = _scalar(secret, row)
            zero[:] = np.frombuffer(_base(scalar), np.uint8)
            sodium.add(one.ctypes.data, offer, zero.tobytes())
            sodium.scalarmult(shared.ctypes.data, scalar, offer)
        return made

    zeros, ones, shared = np.moveaxis(in_threads(multiples, len(bits)), 1, 0)
    answers = np.where(bits[:, None], ones, zeros)
    return answers, _keys(context, offer, answers, shared)


def _base(scalar: bytes) -> bytes:
    point = np.empty(ELEMENT_BYTES, np.uint8)
    sodium.scalarmult_base(point.ctypes.data, scalar)
    return point.tobytes()


def _scalar(secret: bytes, number: int) -> bytes:
    """A uniform scalar; zero once in 2^252 times."""
    message = _SCALAR_DOMAIN + secret + number.to_bytes(8, "little")
    scalar = np.empty(ELEMENT_BYTES, np.uint8)
    sodium.reduce_scalar(scalar.ctypes.data, sha512(message).digest())
    return scalar.tobytes()


def _keys(
    context: bytes, offer: bytes, answers: NDArray[np.uint8], shared: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """(w, 16): SHA-512 of domain, context, number, offer, answer and shared element, cut off."""
    prefix = _KEY_DOMAIN + len(context).to_bytes(8, "little") + context
    digests = [
        sha512(
            prefix + number.to_bytes(8, "little") + offer + answer.tobytes() + element.tobytes()
        ).digest()[:KEY_BYTES]
        for number, (answer, element) in enumerate(zip(answers, shared, strict=True))
    ]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, KEY_BYTES)
