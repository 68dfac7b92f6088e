"""Ids looked for by whoever can list all of them: as they are, hashed, and under every key seen."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Collection, Iterable, Iterator

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.adversary.recorder import Thing

_ALIKE = 12
"""Bytes that decide whether a value is the one looked for."""
_KEYS = range(4, 65)
"""Lengths of what is tried as a key or salt."""
_FEW = 64
"""Values that come together in larger numbers are not tried as keys."""
_HASHES = ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256")
_KEYED: tuple[Callable[[bytes, bytes], bytes], ...] = (
    lambda key, person: hashlib.sha256(key + person).digest(),
    lambda key, person: hashlib.sha512(key + person).digest(),
    lambda key, person: hashlib.sha256(person + key).digest(),
    lambda key, person: hmac.digest(key, person, "sha256"),
    lambda key, person: hmac.digest(key, person, "sha512"),
)


def recognised(things: Iterable[Thing], candidates: Collection[bytes]) -> set[bytes]:
    """The candidates of whom something was found.

    Args:
        things: all that an adversary had.
        candidates: ids, such as some of all that there are.
    """
    things = list(things)
    words = {word for thing in things for word in thing.words} | set(_texts(things))
    starts = {word[:_ALIKE] for word in words}
    keys = {word for thing in things if len(thing.words) <= _FEW for word in thing.words}
    keys = {word for word in keys | set(_texts(things)) if len(word) in _KEYS}
    everything = b"\n".join(words)
    return {
        person
        for person in candidates
        if person in everything or any(value[:_ALIKE] in starts for value in _guesses(person, keys))
    }


def _texts(things: Iterable[Thing]) -> Iterator[bytes]:
    """Short texts, and what texts in hex or base64 stand for."""
    for thing in things:
        if isinstance(thing.value, str):
            yield thing.value.encode()
            for decode in (bytes.fromhex, lambda text: base64.b64decode(text, validate=True)):
                try:
                    yield decode(thing.value)
                except ValueError:
                    continue


def _guesses(person: bytes, keys: Iterable[bytes]) -> Iterator[bytes]:
    for name in _HASHES:
        digest = hashlib.new(name, person).digest()
        yield digest
        yield digest.hex().encode()
        yield base64.b64encode(digest)
    for key in keys:
        for function in _KEYED:
            yield function(key, person)
        if len(key) in (16, 32):
            block = hashlib.sha512(person).digest()[:12] + bytes(4)
            # One block under one key: an attack, not encryption.
            cipher = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
            yield cipher.update(block)
