"""Attacks by whoever may write to the exchange: each is refused, and nothing is published."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.case import Case, study
from tests.federation.attacks import DIGEST, NOISY, invert_ciphertexts, refused
from tests.federation.domains import RUN, Domains
from tests.sizes import every_other, first
from xstat_ray.crypto.paillier import PrivateKey, PublicKey
from xstat_ray.errors import MessageError
from xstat_ray.federation import sealed
from xstat_ray.federation.envelope import Header, Opened, canonical, open_message, seal
from xstat_ray.federation.identity import Domain, Identity, Peers
from xstat_ray.federation.sealed import SEALED, unseal
from xstat_ray.model.messages import Flags

EXACT = study(privacy={"mechanism": "tree"})


@pytest.fixture
def domains(quick_key: PrivateKey, tmp_path: Path) -> Domains:
    return Domains(tmp_path, NOISY, Case(tmp_path).tables)


@pytest.fixture(scope="module")
def whole(finished: Domains) -> tuple[dict[str, bytes], Peers]:
    """All messages of a run by name, and the pinned keys."""
    messages = {"/".join(path.parts[-2:]): path.read_bytes() for path in finished.messages()}
    return messages, Peers(
        {name: identity.public for name, identity in finished.identities.items()}
    )


OTHER = {str: st.text(max_size=70), int: st.integers(-1, 2**60)}
FIELDS = sorted(asdict(Header(*[""] * 4, "row", "column", 0, "", 0, 1, 0, 0)))


@pytest.mark.parametrize("field", FIELDS)
@given(data=st.data())
@settings(max_examples=25)
def test_any_other_value_of_any_field_of_any_message_is_refused(whole, field, data):
    messages, peers = whole
    name = data.draw(st.sampled_from(sorted(messages)))
    content = messages[name]
    length = int.from_bytes(content[12:16], "little")
    header = json.loads(content[16 : 16 + length])
    header[field] = data.draw(
        OTHER[type(header[field])].filter(lambda value: value != header[field])
    )
    text = canonical(header)
    changed = content[:12] + len(text).to_bytes(4, "little") + text + content[16 + length :]
    with pytest.raises(MessageError):
        open_message(changed, name, peers)


@given(data=st.data())
@settings(max_examples=60)
def test_any_other_payload_of_any_message_is_refused(whole, data):
    messages, peers = whole
    name = data.draw(st.sampled_from(sorted(messages)))
    content = bytearray(messages[name])
    start = 80 + int.from_bytes(content[12:16], "little")
    content[data.draw(st.integers(start, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MessageError, match="payload was altered"):
        open_message(bytes(content), name, peers)


def message_of(
    domains: Domains, sender: Domain, receiver: Domain, kind: str
) -> tuple[Path, Opened]:
    peers = Peers({name: identity.public for name, identity in domains.identities.items()})
    for path in domains.messages():
        name = "/".join(path.parts[-2:])
        if name.startswith(f"{sender}-{receiver}/"):
            opened = open_message(path.read_bytes(), name, peers)
            if opened.header.kind == kind:
                return path, opened
    raise AssertionError(f"no {kind} message")


def swap_ciphertexts(payload: bytes, public: PublicKey) -> bytes:
    flags = Flags.decode(payload, DIGEST)
    return replace(flags, ciphertexts=flags.ciphertexts[::-1].copy()).encode(DIGEST)


@pytest.mark.parametrize(
    ("sender", "receiver", "kind", "change", "until"),
    every_other(
        2,
        [
            ("column", "aggregator", "flags", swap_ciphertexts, ("aggregator", "all")),
            ("column", "aggregator", "flags", invert_ciphertexts, ("aggregator", "all")),
            (
                "row",
                "aggregator",
                "rows",
                lambda payload, public: payload[:-1],
                ("aggregator", "all"),
            ),
            (
                "aggregator",
                "column",
                "masked",
                lambda payload, public: payload + b"\0",
                ("column", "decrypt"),
            ),
            (
                "column",
                "row",
                "opened",
                lambda payload, public: bytes(len(payload)),
                ("row", "unblind"),
            ),
            (
                "row",
                "column",
                "approval",
                lambda payload, public: bytes(len(payload)),
                ("column", "decrypt"),
            ),
            (
                "row",
                "aggregator",
                "masks",
                lambda payload, public: payload[:-1],
                ("aggregator", "all"),
            ),
            (
                "aggregator",
                "row",
                "rerandomised",
                lambda payload, public: payload[:-1],
                ("row", "approve"),
            ),
            ("row", "column", "mask", lambda payload, public: payload[:-1], ("column", "check")),
            (
                "column",
                "row",
                "facts",
                lambda payload, public: payload.replace(b'"1"', b'"2"'),
                ("row", "publish"),
            ),
        ],
    ),
)
@pytest.mark.parametrize(
    "signed", first(1, [True, False]), ids=["signed by a stranger", "unsigned"]
)
def test_a_payload_exchanged_in_the_exchange(
    domains, quick_key, sender, receiver, kind, change, until, signed, tmp_path
):
    if kind == "masks":
        # Without Laplace noise they wait for nothing that the aggregator does.
        domains = Domains(tmp_path / "exact", EXACT, domains.sources)
    domains.run(until=until)
    path, opened = message_of(domains, sender, receiver, kind)
    stranger = Identity.create(tmp_path / "stranger.pem")
    content = path.read_bytes()
    payload = opened.payload
    if kind in SEALED:
        # Not even somebody who knows what is in it gets another content accepted.
        known = unseal(domains.identities[receiver], kind, payload)
        payload = sealed.seal(
            domains.identities[receiver].public, kind, change(known, quick_key.public)
        )
    else:
        payload = change(payload, quick_key.public)
    path.write_bytes(
        seal(opened.header, payload, stranger)
        if signed
        else content[: -len(opened.payload)] + payload
    )
    reason = "not signed by" if signed else "payload"
    if kind == "mask":
        # The release is there by then; it is never said to be checked.
        with pytest.raises(MessageError, match=reason):
            domains.run()
        assert not (domains.out / "audit" / "column.jsonl").exists()
        return
    refused(domains, reason, receiver)


@pytest.mark.parametrize(
    ("sender", "receiver", "kind"),
    first(
        2,
        [
            ("row", "aggregator", "tree"),
            ("row", "aggregator", "rows"),
            ("column", "aggregator", "flags"),
            ("row", "aggregator", "masks"),
            ("aggregator", "row", "rerandomised"),
        ],
    ),
)
def test_what_a_party_must_not_read_is_accepted_only_sealed(
    domains, monkeypatch, sender, receiver, kind
):
    seal_to = sealed.seal
    monkeypatch.setattr(
        sealed,
        "seal",
        lambda to, what, payload: payload if what == kind else seal_to(to, what, payload),
    )
    refused(domains, rf"message {sender}-{receiver}/.* not sealed to this domain", receiver)


def test_a_message_of_an_earlier_run_is_refused(domains, tmp_path):
    earlier = Domains(tmp_path / "earlier", NOISY, domains.sources)
    earlier.identities = domains.identities
    for name in domains.identities:
        (earlier.private(name) / "identity.pem").write_bytes(
            (domains.private(name) / "identity.pem").read_bytes()
        )
    earlier.run()
    domains.run(until=("aggregator", "all"))
    path, _ = message_of(domains, "row", "aggregator", "rows")
    path.write_bytes((earlier.exchange / RUN / "row-aggregator" / path.name).read_bytes())
    refused(domains, "belongs to another handshake", "aggregator")


def test_a_replayed_message_of_rows_is_refused(domains):
    domains.run(until=("aggregator", "all"))
    first, second = sorted((domains.exchange / RUN / "row-aggregator").glob("*"))[1:3]
    second.write_bytes(first.read_bytes())
    refused(domains, "in another's place", "aggregator")
