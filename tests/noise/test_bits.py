from __future__ import annotations

import pickle

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from xstat_ray.noise.bits import Attempt, Stream, bits_of

SEED = bytes(range(32))
ATTEMPT = Attempt(b"\x01\xff", 2, 3)


def test_a_stream_is_the_documented_one():
    info = b"xstat-ray v1 noise 01ff 2 3 7 coins"
    key = HKDF(algorithm=SHA256(), length=16, salt=None, info=info).derive(SEED)
    encryptor = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
    want = np.frombuffer(encryptor.update(bytes(8 * 30)), "<u8")
    stream = Stream(SEED, ATTEMPT, 7, "coins")
    found = [stream.words(3), stream.words(3, 1, 5), stream.words(4, 3)]
    assert [words.shape for words in found] == [(3,), (3, 1, 5), (4, 3)]
    assert (np.concatenate([words.ravel() for words in found]) == want).all()


def test_every_use_has_words_of_its_own():
    uses = [
        (SEED, ATTEMPT, 7, "coins"),
        (SEED[::-1], ATTEMPT, 7, "coins"),
        (SEED, Attempt(b"\x01\xfe", 2, 3), 7, "coins"),
        (SEED, Attempt(b"\x01\xff", 1, 3), 7, "coins"),
        (SEED, Attempt(b"\x01\xff", 2, 4), 7, "coins"),
        (SEED, ATTEMPT, 8, "coins"),
        (SEED, ATTEMPT, 7, "dealt bits"),
    ]
    words = [Stream(*use).words(4).tobytes() for use in uses]
    assert len(set(words)) == len(uses)


def test_a_seed_of_another_size_is_refused():
    with pytest.raises(ValueError, match="has 32 bytes"):
        Stream(bytes(16), ATTEMPT, 0, "coins")


def test_a_stream_does_not_travel():
    with pytest.raises(TypeError, match="refuses to travel"):
        pickle.dumps(Stream(SEED, ATTEMPT, 0, "coins"))


def test_bits_are_those_of_the_words_lowest_first():
    words = np.array([1 | 1 << 63, 6], np.uint64)
    assert np.flatnonzero(bits_of(words, 67)).tolist() == [0, 63, 65, 66]
    assert len(bits_of(words, 67)) == 67
