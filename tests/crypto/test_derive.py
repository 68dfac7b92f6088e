from __future__ import annotations

import hmac
from hashlib import sha256

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from xstat_ray.crypto.derive import (
    derive,
    halves,
    keyed_text_words,
    keyed_words,
    uniform_words,
)


def hkdf(secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, sections 2.2 and 2.3, with the salt of zeros that stands for none."""
    key = hmac.digest(bytes(32), secret, sha256)
    block = b""
    out = b""
    for i in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([i]), sha256)
        out += block
    return out[:length]


@given(st.binary(min_size=1, max_size=80), st.text(max_size=30), st.integers(1, 100))
def test_keys_are_those_of_rfc_5869(secret: bytes, purpose: str, length: int) -> None:
    assert derive(secret, purpose, length) == hkdf(
        secret, b"xstat-ray v1 " + purpose.encode(), length
    )


def test_keys_are_of_16_bytes_and_differ_by_secret_and_purpose() -> None:
    keys = {
        derive(secret, purpose)
        for secret in (b"s", b"t" * 32)
        for purpose in ("", "a", "b", "ab", "a ")
    }
    assert len(keys) == 10
    assert {len(key) for key in keys} == {16}


@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000])
def test_words_are_the_aes_counter_stream(count: int) -> None:
    # One block of the counter after the other: AES of the big-endian number of the block.
    cipher = Cipher(
        algorithms.AES(hkdf(b"secret", b"xstat-ray v1 order", 16)), modes.ECB()
    ).encryptor()
    stream = b"".join(cipher.update(block.to_bytes(16, "big")) for block in range(-(-count // 2)))
    expected = [int.from_bytes(stream[at : at + 8], "little") for at in range(0, 8 * count, 8)]
    words = uniform_words(b"secret", "order", count)
    assert words.dtype == np.uint64
    assert words.tolist() == expected


def test_the_same_secret_and_purpose_give_the_same_words() -> None:
    words = uniform_words(b"secret", "order", 100)
    assert np.array_equal(words, uniform_words(b"secret", "order", 100))
    assert np.array_equal(words[:7], uniform_words(b"secret", "order", 7))


def test_other_secrets_and_purposes_give_other_words() -> None:
    words = [
        uniform_words(*case, 100)
        for case in ((b"secret", "order"), (b"secret", "cells"), (b"secres", "order"))
    ]
    assert len(np.unique(np.concatenate(words))) == 300


def test_words_are_uniform() -> None:
    words = uniform_words(b"secret", "order", 1 << 17)
    assert chisquare(np.bincount(words.view(np.uint8), minlength=256)).pvalue > 1e-6
    for place in range(8):
        octets = (words >> np.uint64(8 * place)).astype(np.uint8)
        assert chisquare(np.bincount(octets, minlength=256)).pvalue > 1e-6


def test_keyed_words_are_halves_of_aes_blocks_of_the_row() -> None:
    secret = b"s" * 32
    columns = [np.array([1, 2**32 - 1, 1]), np.array([0, 7, 0], np.uint32)]
    cipher = Cipher(algorithms.AES(derive(secret, "draw")), modes.ECB()).encryptor()
    block = cipher.update((2**32 - 1).to_bytes(4, "little") + (7).to_bytes(4, "little") + bytes(8))
    words = keyed_words(secret, "draw", *columns)
    assert words.dtype == np.uint64 and words[1] == int.from_bytes(block[:8], "little")
    # Equal rows have equal words, and a word does not depend on the rows around it.
    assert (
        words[0] == words[2]
        and keyed_words(secret, "draw", *(c[1:] for c in columns))[0] == words[1]
    )
    assert words[0] != keyed_words(secret, "another", *columns)[0]


def test_keyed_words_of_neighbouring_rows_are_uniform() -> None:
    words = keyed_words(b"s", "draw", np.arange(64_000), np.zeros(64_000, np.int64))
    assert chisquare(np.bincount(words >> np.uint64(58), minlength=64)).pvalue > 1e-4
    assert chisquare(np.bincount(words & np.uint64(63), minlength=64)).pvalue > 1e-4


def cbc_mac(key: bytes, message: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return cipher.update(message + bytes(-len(message) % 16))[-16:]


@given(
    st.integers(1, 9).flatmap(
        lambda columns: st.lists(
            st.lists(st.integers(0, 2**32 - 1), min_size=columns, max_size=columns), min_size=1
        )
    )
)
def test_keyed_words_of_any_number_of_columns_are_halves_of_the_cbc_mac(
    rows: list[list[int]],
) -> None:
    words = keyed_words(b"s", "draw", *np.array(rows, np.int64).T)
    key = derive(b"s", "draw")
    messages = [b"".join(number.to_bytes(4, "little") for number in row) for row in rows]
    macs = [cbc_mac(key, message)[:8] for message in messages]
    assert words.tolist() == [int.from_bytes(mac, "little") for mac in macs]


@given(st.lists(st.text(max_size=50), min_size=1))
def test_words_of_texts_are_halves_of_the_cbc_mac_of_length_and_text(texts: list[str]) -> None:
    encoded = [text.encode() for text in texts]
    array = np.array(encoded, f"S{max(1, *map(len, encoded))}")
    lengths = np.array([len(text) for text in encoded])
    words = keyed_text_words(b"s", "persons", array, lengths)
    key = derive(b"s", "persons")
    macs = [cbc_mac(key, len(text).to_bytes(16, "little") + text)[:8] for text in encoded]
    assert words.tolist() == [int.from_bytes(mac, "little") for mac in macs]
    if not any("\0" in text for text in texts):
        assert words.tolist() == keyed_text_words(b"s", "persons", array).tolist()
        # The width of the array, which the longest text gives, does not matter.
        assert words.tolist() == keyed_text_words(b"s", "persons", array.astype("S300")).tolist()


def test_no_rows_have_no_words() -> None:
    nobody = np.zeros(0, "S1")
    assert len(keyed_text_words(b"s", "persons", nobody)) == 0
    assert len(keyed_words(b"s", "draw", *[np.zeros(0, np.int64)] * 6)) == 0


@given(st.lists(st.integers(0, 2**64 - 1)))
def test_halves_hold_the_whole_word(words: list[int]) -> None:
    low, high = halves(np.array(words, np.uint64))
    assert [a + (b << 32) for a, b in zip(low.tolist(), high.tolist(), strict=True)] == words
