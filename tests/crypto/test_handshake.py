from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import assume, given
from hypothesis import strategies as st

from xstat_ray.crypto.handshake import Handshake, Hello, SharedSecrets
from xstat_ray.errors import ProtocolError

VECTORS = Path(__file__).parents[1] / "vectors"
STUDY = b"s" * 32
SOFTWARE = b"m" * 32
P = 2**255 - 19
ORDER_8 = 39382357235489614581723060781553021112529911719440698176882885853963445705823
LOW_ORDER = [
    0,
    1,
    ORDER_8,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    P - 1,
    P,
    P + 1,
]
"""u-coordinates of points of order dividing 8 on the curve and its twist, and their forms above the
prime."""


def parties() -> tuple[Handshake, Handshake]:
    return Handshake("row", STUDY, SOFTWARE), Handshake("column", STUDY, SOFTWARE)


def test_x25519_is_that_of_rfc_7748() -> None:
    case = {
        k: bytes.fromhex(v)
        for k, v in json.loads((VECTORS / "rfc7748_x25519.json").read_text()).items()
        if k != "source"
    }
    alice = X25519PrivateKey.from_private_bytes(case["alice_private"])
    bob = X25519PrivateKey.from_private_bytes(case["bob_private"])
    assert alice.public_key().public_bytes_raw() == case["alice_public"]
    assert bob.public_key().public_bytes_raw() == case["bob_public"]
    assert alice.exchange(X25519PublicKey.from_public_bytes(case["bob_public"])) == case["shared"]
    assert bob.exchange(X25519PublicKey.from_public_bytes(case["alice_public"])) == case["shared"]


def test_hkdf_is_that_of_rfc_5869() -> None:
    case = {
        k: bytes.fromhex(v)
        for k, v in json.loads((VECTORS / "rfc5869_hkdf.json").read_text()).items()
        if k != "source"
    }
    hkdf = HKDF(algorithm=SHA256(), length=len(case["okm"]), salt=case["salt"], info=case["info"])
    assert hkdf.derive(case["ikm"]) == case["okm"]


def test_both_sides_agree() -> None:
    row, column = parties()
    ours = row.agree(column.hello)
    theirs = column.agree(row.hello)
    assert ours.export_bytes() == theirs.export_bytes()
    assert (len(ours.salt), len(ours.tag_key)) == (32, 16)
    assert (ours.salt, ours.tag_key) == (theirs.salt, theirs.tag_key)
    theirs.check_confirmation("row", ours.confirm("row"))
    ours.check_confirmation("column", theirs.confirm("column"))


def test_every_handshake_is_fresh() -> None:
    exports = set()
    for _ in range(3):
        row, column = parties()
        exports.add(row.agree(column.hello).export_bytes())
    assert len(exports) == 3


@given(position=st.integers(0, 144), flip=st.integers(1, 255))
def test_a_changed_hello_is_refused_or_gives_other_keys(position: int, flip: int) -> None:
    row, column = parties()
    changed = bytearray(row.hello.encode())
    changed[position] ^= flip
    try:
        theirs = column.agree(Hello.decode(bytes(changed)))
    except ProtocolError:
        return
    ours = row.agree(column.hello)
    assert not {ours.salt, ours.tag_key} & {theirs.salt, theirs.tag_key}
    with pytest.raises(ProtocolError, match="did not confirm"):
        ours.check_confirmation("column", theirs.confirm("column"))


@pytest.mark.parametrize("field", ["public", "nonce"])
def test_the_transcript_binds_the_fields_that_are_not_compared(field: str) -> None:
    row, column = parties()
    changed = bytearray(getattr(row.hello, field))
    changed[31] ^= 0x80  # X25519 ignores this bit of a public key, so only the transcript can tell
    theirs = column.agree(replace(row.hello, **{field: bytes(changed)}))
    ours = row.agree(column.hello)
    assert ours.salt != theirs.salt
    assert ours.tag_key != theirs.tag_key


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"role": "row"}, "both parties play the row party"),
        ({"study_digest": bytes(32)}, "the parties run different studies"),
        ({"measurement": bytes(32)}, "the parties run different software"),
    ],
)
def test_a_peer_that_does_not_fit_is_refused(change: dict[str, object], problem: str) -> None:
    row, column = parties()
    with pytest.raises(ProtocolError, match=problem):
        row.agree(replace(column.hello, **change))


def test_a_reflected_public_key_is_refused() -> None:
    row, column = parties()
    with pytest.raises(ProtocolError, match="own public key"):
        row.agree(replace(column.hello, public=row.hello.public))


@pytest.mark.parametrize("u", LOW_ORDER)
@pytest.mark.parametrize("high_bit", [0, 1])
def test_low_order_keys_are_refused(u: int, high_bit: int) -> None:
    row, column = parties()
    with pytest.raises(ProtocolError, match="low order"):
        row.agree(replace(column.hello, public=(u | high_bit << 255).to_bytes(32, "little")))


def test_the_list_of_low_order_keys_is_of_low_order() -> None:
    # Doubling on a Montgomery curve (RFC 7748, section 5): the denominator is zero, or becomes so
    # within three steps.
    def double(u: int) -> int | None:
        bottom = 4 * u * (u * u + 486662 * u + 1) % P
        return (u * u - 1) ** 2 * pow(bottom, -1, P) % P if bottom else None

    for u in LOW_ORDER:
        point: int | None = u % P
        for _ in range(3):
            point = None if point is None else double(point)
        assert point is None


def test_hello_has_a_fixed_layout() -> None:
    hello = Hello("column", b"p" * 32, STUDY, SOFTWARE, b"n" * 32)
    head = b"xstat-ray hello\x02" + b"\x01" + b"p" * 32 + STUDY + SOFTWARE + b"n" * 32
    assert hello.encode() == head + b"\0\0"
    assert Hello.decode(hello.encode()) == hello
    listed = replace(hello, libraries={"phonenumbers": "9.0", "a b": "1"})
    assert listed.encode() == head + b"\x16\0a b=1\nphonenumbers=9.0"
    assert Hello.decode(listed.encode()) == listed


@given(st.binary(max_size=200))
def test_other_bytes_are_no_hello(data: bytes) -> None:
    assume(not data.startswith(b"xstat-ray hello\x02"))
    with pytest.raises(ProtocolError, match="not a hello"):
        Hello.decode(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b[:-1],
        lambda b: b + b"\0",
        lambda b: b[:16] + b"\x02" + b[17:],
        lambda b: b[:15] + b"\x01" + b[16:],
    ],
)
def test_wrong_length_role_and_version_are_refused(change) -> None:
    with pytest.raises(ProtocolError, match="not a hello"):
        Hello.decode(change(parties()[0].hello.encode()))


@pytest.mark.parametrize(
    "change",
    [{"public": bytes(31)}, {"nonce": b""}, {"study_digest": bytes(33)}, {"role": "aggregator"}],
)
def test_a_hello_with_wrong_fields_cannot_be_made(change: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match="hello"):
        replace(parties()[0].hello, **change)


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ({"phonenumbers": "9.0.1"}, {"phonenumbers": "9.0.2"}, "phonenumbers: 9.0.1 .*9.0.2"),
        ({"a": "1"}, {}, "a: 1 at the row party, none at the column party"),
        ({}, {"a": "1"}, "a: none at the row party, 1 at the column party"),
    ],
)
def test_other_versions_of_what_ids_are_written_with_are_refused(
    ours: dict[str, str], theirs: dict[str, str], told: str
) -> None:
    common = {"unicodedata": "15.0.0"}
    row = Handshake("row", STUDY, SOFTWARE, common | ours)
    column = Handshake("column", STUDY, SOFTWARE, common | theirs)
    peer = Hello.decode(column.hello.encode())
    with pytest.raises(ProtocolError, match=told) as caught:
        row.agree(peer)
    assert "unicodedata" not in str(caught.value)
    Handshake("row", STUDY, SOFTWARE, common | theirs).agree(peer)


@pytest.mark.parametrize(
    "listed", [b"a", b"a=1\nA=1\n", b"b=1\na=1", b"a=1\na=1", b"a=\x1b[2J", b"a=1\xff"]
)
def test_other_lists_of_libraries_are_refused(listed: bytes) -> None:
    head = parties()[0].hello.encode()[:-2]
    with pytest.raises(ProtocolError, match="hello"):
        Hello.decode(head + len(listed).to_bytes(2, "little") + listed)


def test_confirmation_tells_roles_and_handshakes_apart() -> None:
    row, column = parties()
    ours = row.agree(column.hello)
    assert ours.confirm("row") != ours.confirm("column")
    other_row, other_column = parties()
    other = other_row.agree(other_column.hello)
    for mac in (ours.confirm("row"), other.confirm("column"), b"", ours.confirm("column")[:31]):
        with pytest.raises(ProtocolError, match="did not confirm"):
            ours.check_confirmation("column", mac)


def test_secrets_travel_only_by_their_named_export() -> None:
    row, column = parties()
    ours = row.agree(column.hello)
    copy = SharedSecrets.from_bytes(ours.export_bytes())
    assert copy.export_bytes() == ours.export_bytes()
    copy.check_confirmation("row", ours.confirm("row"))
    for secret in (row, ours):
        with pytest.raises(TypeError, match="refuses to travel"):
            pickle.dumps(secret)
        assert "redacted" in repr(secret)
        assert not hasattr(secret, "__dict__")
    for data in (b"", ours.export_bytes()[:-1], ours.export_bytes() + b"\0"):
        with pytest.raises(ValueError, match="112 bytes"):
            SharedSecrets.from_bytes(data)
