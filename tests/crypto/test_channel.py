from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.crypto.channel import Channel, HandOver, hand_over, pack_fields, unpack_fields
from xstat_ray.errors import ProtocolError

SHARED = b"shared by two" * 2
SECRETS = {"salt": b"s" * 32, "nothing": b"", "key": bytes(range(256))}


@given(st.binary(max_size=300), st.text(max_size=20))
def test_what_was_sealed_opens_at_the_other_end(message: bytes, purpose: str) -> None:
    sealed = Channel(SHARED, "row").seal(message, purpose)
    assert len(sealed) == 12 + len(message) + 16
    assert Channel(SHARED, "row").open(sealed, purpose) == message


def test_sealing_hides_the_message_and_is_fresh_every_time() -> None:
    channel = Channel(SHARED, "row")
    sealed = [channel.seal(b"in the clear" * 3, "tags") for _ in range(50)]
    assert len({data[:12] for data in sealed}) == 50
    assert not any(b"clear" in data for data in sealed)


@given(st.data())
def test_a_change_anywhere_is_refused(data: st.DataObject) -> None:
    message = data.draw(st.binary(max_size=60))
    sealed = bytearray(Channel(SHARED, "row").seal(message, "tags"))
    parts = {"nonce": (0, 11), "tag": (len(sealed) - 16, len(sealed) - 1)}
    if message:
        parts["body"] = (12, len(sealed) - 17)
    for low, high in parts.values():
        changed = bytearray(sealed)
        changed[data.draw(st.integers(low, high))] ^= data.draw(st.integers(1, 255))
        with pytest.raises(ProtocolError, match=r"a sealed message \(tags\) was altered"):
            Channel(SHARED, "row").open(bytes(changed), "tags")


def test_a_truncated_or_extended_message_is_refused() -> None:
    channel = Channel(SHARED, "row")
    sealed = channel.seal(b"message", "tags")
    for data in (*(sealed[:size] for size in range(len(sealed))), sealed + b"\0", sealed[1:]):
        with pytest.raises(ProtocolError, match="altered"):
            channel.open(data, "tags")


@pytest.mark.parametrize(
    ("shared", "sender", "purpose"),
    [
        (SHARED, "row", "cells"),
        (SHARED, "row", ""),
        (SHARED, "column", "tags"),
        (SHARED[:-1], "row", "tags"),
    ],
    ids=["purpose", "no purpose", "direction", "secret"],
)
def test_a_message_opens_only_where_it_belongs(shared: bytes, sender: str, purpose: str) -> None:
    sealed = Channel(SHARED, "row").seal(b"message", "tags")
    with pytest.raises(ProtocolError, match="not from the counterpart"):
        Channel(shared, sender).open(sealed, purpose)


def test_a_refusal_says_nothing_of_the_message() -> None:
    sealed = Channel(SHARED, "row").seal(b"message", "tags")
    with pytest.raises(ProtocolError) as caught:
        Channel(SHARED, "column").open(sealed, "tags")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "message'" not in str(caught.value)
    assert sealed.hex() not in str(caught.value)


def test_secrets_are_handed_over_to_the_offer_alone() -> None:
    replica = HandOver()
    other = HandOver()
    assert len(replica.offer) == 32
    assert replica.offer != other.offer
    sealed = hand_over(replica.offer, SECRETS)
    assert replica.open(sealed) == SECRETS
    assert SECRETS["salt"] not in sealed
    assert hand_over(replica.offer, SECRETS) != sealed
    with pytest.raises(ProtocolError, match="not sealed to this replica"):
        other.open(sealed)


def test_an_altered_hand_over_is_refused() -> None:
    replica = HandOver()
    sealed = hand_over(replica.offer, SECRETS)
    for position in (0, 31, 32, 100, len(sealed) - 16, len(sealed) - 1):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(ProtocolError, match="not sealed to this replica"):
            replica.open(bytes(changed))
    for data in (b"", sealed[:31], sealed[:40], sealed[:-1], sealed + b"\0", bytes(len(sealed))):
        with pytest.raises(ProtocolError, match="not sealed to this replica"):
            replica.open(data)


@pytest.mark.parametrize(
    "secret", [Channel(SHARED, "row"), HandOver()], ids=["channel", "hand-over"]
)
def test_keys_refuse_to_travel(secret: Channel | HandOver) -> None:
    for travel in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="refuses to travel"):
            travel(secret)
    assert repr(secret) == str(secret) == f"{secret}" == f"<{type(secret).__name__} redacted>"


@given(st.dictionaries(st.text(max_size=10), st.binary(max_size=40), max_size=6))
def test_fields_come_back_in_order(fields: dict[str, bytes]) -> None:
    assert list(unpack_fields(pack_fields(fields)).items()) == list(fields.items())


def test_fields_have_a_fixed_layout() -> None:
    size = "{}" + "00" * 7
    expected = (
        size.format("02")
        + "c3a9"
        + size.format("03")
        + "010203"
        + size.format("01")
        + "62"
        + size.format("00")
    )
    assert pack_fields({"é": b"\1\2\3", "b": b""}).hex() == expected
