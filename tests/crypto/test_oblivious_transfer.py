from __future__ import annotations

import json
import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstat_ray.crypto import group, sodium
from xstat_ray.crypto import oblivious_transfer as module
from xstat_ray.crypto.oblivious_transfer import OtSender, choose
from xstat_ray.errors import ProtocolError

VECTORS = Path(__file__).parents[1] / "vectors"
RISTRETTO = json.loads((VECTORS / "rfc9496_ristretto255.json").read_text())
TRANSFERS = json.loads((VECTORS / "oblivious_transfer.json").read_text())
MAKER = runpy.run_path(str(VECTORS / "make_oblivious_transfer.py"))
IDENTITY, GENERATOR, *_ = map(bytes.fromhex, RISTRETTO["multiples"])
INVALID = [
    bytes.fromhex(encoding) for encodings in RISTRETTO["invalid"].values() for encoding in encodings
]
SEED = b"s" * 32
SENDER = OtSender((7).to_bytes(32, "little"))


def octets(texts: list[str]) -> np.ndarray:
    return np.array([list(bytes.fromhex(text)) for text in texts], np.uint8)


def flags(*bits: int) -> np.ndarray:
    return np.array(bits, bool)


def combined(function: object, a: np.ndarray | bytes, b: np.ndarray | bytes) -> bytes:
    result = np.empty(32, np.uint8)
    function(result.ctypes.data, bytes(a), bytes(b))
    return result.tobytes()


def test_vectors_are_those_of_their_maker() -> None:
    assert MAKER["vectors"]() == TRANSFERS
    assert sum(len(case["bits"]) for case in TRANSFERS["vectors"]) == 7
    generator = MAKER["decode"](GENERATOR)
    for factor, expected in enumerate(RISTRETTO["multiples"]):
        assert MAKER["encode"](MAKER["times"](factor, generator)).hex() == expected


@pytest.mark.parametrize("case", TRANSFERS["vectors"])
def test_transfers_are_those_of_the_vectors(case: dict[str, object]) -> None:
    context = bytes.fromhex(case["context"])
    sender = OtSender(bytes.fromhex(case["scalar"]))
    assert sender.offer.hex() == case["offer"]
    answers, chosen = choose(
        sender.offer, flags(*case["bits"]), bytes.fromhex(case["seed"]), context
    )
    assert np.array_equal(answers, octets(case["answers"]))
    assert np.array_equal(chosen, octets(case["chosen"]))
    assert np.array_equal(
        sender.keys(answers, context), np.stack([octets(pair) for pair in case["keys"]])
    )


@given(st.integers(1, group.ORDER - 1), st.lists(st.booleans(), max_size=20), st.binary())
@settings(max_examples=20, deadline=None)
def test_the_chooser_has_the_key_of_its_bit_and_no_other(
    scalar: int, bits: list[bool], context: bytes
) -> None:
    sender = OtSender(scalar.to_bytes(32, "little"))
    answers, chosen = choose(sender.offer, flags(*bits), SEED, context)
    assert answers.shape == (len(bits), 32)
    assert chosen.shape == (len(bits), 16)
    keys = sender.keys(answers, context)
    assert keys.shape == (len(bits), 2, 16)
    assert keys.dtype == chosen.dtype == answers.dtype == np.uint8
    for pair, key, bit in zip(keys, chosen, bits, strict=True):
        assert np.array_equal(pair[int(bit)], key)
        assert not np.array_equal(pair[1 - int(bit)], key)


def test_all_keys_differ_over_numbers_choices_contexts_and_senders() -> None:
    answers, _ = choose(SENDER.offer, flags(0, 1, 0, 1), SEED, b"a")
    other = OtSender((8).to_bytes(32, "little"))
    made = [
        SENDER.keys(answers, b"a"),
        SENDER.keys(answers, b"b"),
        SENDER.keys(answers[[1, 2, 3, 0]], b"a"),
        other.keys(answers, b"a"),
    ]
    assert len(np.unique(np.concatenate(made).reshape(-1, 16), axis=0)) == 4 * 8


def test_a_repeat_gives_the_same_bytes() -> None:
    first = choose(SENDER.offer, flags(0, 1, 1), SEED, b"c")
    again = choose(SENDER.offer, flags(0, 1, 1), SEED, b"c")
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    for offer, bits, seed, context in (
        (GENERATOR, (0, 1, 1), SEED, b"c"),
        (SENDER.offer, (0, 1, 0), SEED, b"c"),
        (SENDER.offer, (0, 1, 1), b"t" * 32, b"c"),
        (SENDER.offer, (0, 1, 1), SEED, b"d"),
    ):
        others, keys = choose(offer, flags(*bits), seed, context)
        assert not (others == first[0]).all(axis=1).any()
        assert not (keys == first[1]).all(axis=1).any()


def guesses(first: np.ndarray, offer: bytes, second: np.ndarray, other: bytes) -> list[int]:
    """What a sender reads from the answers to two of its offers: 1 where they differ as the offers do."""
    differ = combined(sodium.subtract, offer, other)
    return [int(combined(sodium.subtract, a, b) == differ) for a, b in zip(first, second)]


def test_answers_to_two_offers_do_not_give_the_choices_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bits = np.random.default_rng(1).integers(0, 2, 40).astype(bool)

    def read() -> list[int]:
        first, _ = choose(SENDER.offer, bits, SEED, b"")
        second, _ = choose(GENERATOR, bits, SEED, b"")
        return guesses(first, SENDER.offer, second, GENERATOR)

    assert read() == [0] * 40
    # Scalars that follow from the seed alone are the leak.
    right = module._scalar
    monkeypatch.setattr(module, "_scalar", lambda secret, number: right(SEED, number))
    assert read() == bits.astype(int).tolist()


@pytest.mark.parametrize("encoding", INVALID)
def test_invalid_encodings_are_refused(encoding: bytes) -> None:
    answers, _ = choose(SENDER.offer, flags(0, 1, 0), SEED, b"")
    answers[1] = np.frombuffer(encoding, np.uint8)
    with pytest.raises(ProtocolError, match=r"^row 1 is not the canonical encoding"):
        SENDER.keys(answers, b"")
    with pytest.raises(ProtocolError, match=r"^row 0 is not the canonical encoding"):
        choose(encoding, flags(0), SEED, b"")


def test_bit_255_is_refused_although_libsodium_ignores_it() -> None:
    answers, _ = choose(SENDER.offer, flags(0), SEED, b"")
    answers[0, 31] |= 0x80
    with pytest.raises(ProtocolError, match="not the canonical encoding"):
        SENDER.keys(answers, b"")
    with pytest.raises(ProtocolError, match="not the canonical encoding"):
        choose(SENDER.offer[:31] + bytes([SENDER.offer[31] | 0x80]), flags(0), SEED, b"")


def test_elements_that_give_the_identity_are_refused() -> None:
    answers, _ = choose(SENDER.offer, flags(0, 1), SEED, b"")
    answers[1] = 0
    with pytest.raises(ProtocolError, match="row 1 is the identity"):
        SENDER.keys(answers, b"")
    with pytest.raises(ProtocolError, match="is the identity"):
        choose(IDENTITY, flags(0), SEED, b"")
    answers[1] = np.frombuffer(SENDER.offer, np.uint8)
    with pytest.raises(ProtocolError, match="the offer itself"):
        SENDER.keys(answers, b"")


def test_other_sizes_are_refused() -> None:
    for wrong in (np.zeros((2, 31), np.uint8), np.zeros(32, np.uint8), np.zeros((2, 32), np.int8)):
        with pytest.raises(ProtocolError, match="array of bytes"):
            SENDER.keys(wrong, b"")
    with pytest.raises(ProtocolError, match="32 bytes"):
        choose(SENDER.offer + b"\0", flags(0), SEED, b"")
    with pytest.raises(ValueError, match="seed"):
        choose(SENDER.offer, flags(0), SEED[1:], b"")
    for scalar in (bytes(32), group.ORDER.to_bytes(32, "little"), b"\1"):
        with pytest.raises(ValueError, match="scalar"):
            OtSender(scalar)


def test_a_sender_refuses_to_travel() -> None:
    with pytest.raises(TypeError, match="refuses to travel"):
        pickle.dumps(SENDER)
    assert repr(SENDER) == "<OtSender redacted>"
