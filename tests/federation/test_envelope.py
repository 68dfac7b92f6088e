"""The signed envelope of messages: whatever is changed, cut, swapped or malformed is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.errors import MessageError
from xstat_ray.federation.envelope import (
    MAGIC,
    MAX_HEADER_BYTES,
    Header,
    canonical,
    is_run_name,
    open_message,
    seal,
)
from xstat_ray.federation.identity import DOMAINS, Identity, Peers

KEYS = {name: Identity(Ed25519PrivateKey.generate()) for name in DOMAINS}
PEERS = Peers({name: identity.public for name, identity in KEYS.items()})
HEADER = Header(
    study="1" * 64,
    plan="2" * 64,
    run="first",
    session="3" * 64,
    sender="row",
    receiver="column",
    sequence=7,
    kind="offer",
    part=1,
    parts=3,
    first=10,
    rows=5,
)
NAME = "row-column/000007.msg"


def sealed(payload: bytes = b"payload", identity: Identity = KEYS["row"], **changes: Any) -> bytes:
    return seal(replace(HEADER, **changes), payload, identity)


def forged(
    raw: object,
    payload: bytes = b"payload",
    identity: Identity = KEYS["row"],
    version: int = 2,
    magic: bytes = MAGIC,
) -> bytes:
    """A message with any header at all, properly signed."""
    text = raw if isinstance(raw, bytes) else canonical(raw)
    head = magic + version.to_bytes(4, "little") + len(text).to_bytes(4, "little") + text
    return head + identity.sign(b"xstat-ray envelope\0" + head) + payload


def raw(**changes: object) -> dict[str, Any]:
    full = replace(HEADER, size=7, sha256=hashlib.sha256(b"payload").hexdigest())
    return asdict(full) | changes


def refused(data: bytes, reason: str, name: str = NAME) -> None:
    with pytest.raises(MessageError, match=reason) as caught:
        open_message(data, name, PEERS)
    assert caught.value.message == name and name in str(caught.value)


@given(st.binary(max_size=100))
def test_opening_gives_back_what_was_sealed(payload):
    opened = open_message(sealed(payload), NAME, PEERS)
    assert opened.payload == payload
    assert opened.header == replace(
        HEADER, size=len(payload), sha256=hashlib.sha256(payload).hexdigest()
    )


def test_the_same_content_gives_the_same_file_and_digest():
    first, second = (open_message(sealed(), NAME, PEERS).digest for _ in range(2))
    assert first == second != open_message(sealed(b"other"), NAME, PEERS).digest


def test_a_header_signed_as_it_should_be_is_accepted():
    assert open_message(forged(raw()), NAME, PEERS).header.part == 1


@given(st.integers(0, len(sealed()) - 1), st.integers(1, 255))
def test_any_changed_byte_is_refused(place, difference):
    data = bytearray(sealed())
    data[place] ^= difference
    refused(bytes(data), ".")


@given(st.integers(0, len(sealed()) - 1))
def test_any_truncation_is_refused(size):
    refused(sealed()[:size], ".")


@given(st.binary(min_size=1, max_size=50))
def test_anything_behind_the_end_is_refused(more):
    refused(sealed() + more, "payload has")


@given(st.binary(max_size=300))
def test_noise_is_refused(data):
    refused(data, ".")
    refused(MAGIC + data, ".")


@pytest.mark.parametrize("version", [0, 1, 3, 2**32 - 1])
def test_an_unknown_version_is_refused(version):
    refused(forged(raw(), version=version), f"version is {version}")


OTHERS = {
    "study": "4" * 64,
    "plan": "4" * 64,
    "run": "second",
    "session": "",
    "sender": "aggregator",
    "receiver": "aggregator",
    "sequence": 8,
    "kind": "choices",
    "part": 0,
    "parts": 4,
    "first": 0,
    "rows": 6,
    "size": 8,
    "sha256": "5" * 64,
}


def test_there_is_another_value_for_every_field():
    assert OTHERS.keys() == raw().keys() and all(
        raw()[key] != value for key, value in OTHERS.items()
    )


@pytest.mark.parametrize("field", OTHERS)
def test_a_field_that_was_changed_without_the_key_is_refused(field):
    head = sealed()[: -64 - 7]
    signature = sealed()[-64 - 7 : -7]
    text = canonical(raw() | {field: OTHERS[field]})
    changed = head[:12] + len(text).to_bytes(4, "little") + text + signature + b"payload"
    refused(changed, "not signed")


BAD = [
    *(
        {field: value}
        for field in ("study", "plan", "sha256")
        for value in ("", "1" * 63, "A" * 64, "g" * 64, 1, None)
    ),
    *({"session": value} for value in ("1", "A" * 64, None)),
    *(
        {field: value}
        for field in ("sender", "receiver")
        for value in ("", "someone", None, ["row"])
    ),
    {"sender": "column"},
    *({"run": value} for value in ("", "..", "a/b", "-a", "a" * 65, "é", None)),
    *(
        {field: value}
        for field in ("sequence", "part", "parts", "first", "rows", "size")
        for value in (-1, 1.0, "1", True, None, 2**53)
    ),
    {"part": 3},
    {"parts": 0, "part": 0},
    {"parts": 2**24 + 1},
    *({"kind": value} for value in ("", "Rows", "a" * 21, "a\n", 3)),
]


@pytest.mark.parametrize("changes", BAD, ids=str)
def test_a_malformed_field_is_refused_though_it_is_signed(changes):
    refused(forged(raw(**changes)), "header is malformed")


def test_a_header_that_is_not_canonical_is_refused_though_it_is_signed():
    more = {**raw(), "more": 1}
    less = {key: value for key, value in raw().items() if key != "sha256"}
    loose = json.dumps(raw()).encode()
    twice = canonical(raw())[:-1] + b',"study":"' + b"1" * 64 + b'"}'
    for header in (more, less, loose, twice, b"", b"[]", b"null", b"{", b"[" * 5000, b"1" * 4096):
        refused(forged(header), "malformed|too long")


def test_a_header_that_is_too_long_is_refused():
    refused(forged(canonical(raw()) + b" " * MAX_HEADER_BYTES), "too long")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=5,
    ),
    st.sampled_from(sorted(OTHERS)),
)
def test_any_json_in_any_field_gives_the_typed_error_or_another_good_header(value, field):
    try:
        opened = open_message(forged(raw(**{field: value})), NAME, PEERS)
    except MessageError:
        return
    assert type(getattr(opened.header, field)) is type(value)


def test_another_domains_signature_is_refused():
    refused(sealed(identity=KEYS["column"]), "not signed by the row domain")
    refused(sealed(identity=Identity(Ed25519PrivateKey.generate())), "not signed")
    with pytest.raises(MessageError, match="not signed"):
        open_message(sealed(), NAME, Peers({"column": KEYS["column"].public}))


@pytest.mark.parametrize(
    "name",
    [
        "row-column/000006.msg",
        "row-column/000008.msg",
        "row-aggregator/000007.msg",
        "column-row/000007.msg",
    ],
)
def test_a_message_in_anothers_place_is_refused(name):
    refused(sealed(), "in another's place", name)


def test_swapped_payloads_are_refused():
    first = sealed(b"one")
    second = sealed(b"two", sequence=8)
    refused(first[:-3] + second[-3:], "payload was altered")


@pytest.mark.parametrize(
    ("name", "good"),
    [("2024-05", True), ("A_b.c", True), ("", False), (".", False), ("a b", False), ("a\n", False)],
)
def test_names_of_runs(name, good):
    assert is_run_name(name) is good
