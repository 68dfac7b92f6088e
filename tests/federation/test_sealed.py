"""What is sealed to a domain opens for it and for nobody else.

Above all, no party reads the other's tags.
"""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.case import Case, study
from tests.federation.domains import RUN, Domains
from xstat_ray.errors import ProtocolError
from xstat_ray.federation.envelope import open_message
from xstat_ray.federation.identity import Domain, Identity, Peers
from xstat_ray.federation.sealed import SEALED, agreement_key, seal, unseal
from xstat_ray.model.messages import Flags, Rows


def identity() -> Identity:
    return Identity(Ed25519PrivateKey.generate())


def test_both_halves_of_a_key_lead_to_the_same_agreement_key():
    for _ in range(20):
        domain = identity()
        assert domain.agreement_key().public_key().public_bytes_raw() == agreement_key(
            domain.public
        )


def test_only_its_receiver_opens_it_and_only_as_what_it_is():
    receiver = identity()
    sealed = seal(receiver.public, "rows", b"tags and cells")
    assert len(sealed) == 48 + 14 and sealed != seal(receiver.public, "rows", b"tags and cells")
    assert unseal(receiver, "rows", sealed) == b"tags and cells"
    for who, kind, what in [
        (identity(), "rows", sealed),
        (receiver, "flags", sealed),
        (receiver, "rows", sealed[:-1]),
        (receiver, "rows", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (receiver, "rows", bytes(48)),
        (receiver, "rows", b""),
    ]:
        with pytest.raises(ProtocolError, match="not sealed to this domain"):
            unseal(who, kind, what)


@pytest.mark.parametrize(
    "y", [0, 1, 2**255, 2**255 - 20], ids=["order 4", "neutral", "order 4, signed", "order 2"]
)
def test_a_key_that_nothing_can_be_sealed_to(y):
    """Points of low order, with which everybody would agree on the same secret."""
    with pytest.raises(ProtocolError, match="cannot be sealed to the receiver's pinned key"):
        seal(y.to_bytes(32, "little"), "rows", b"x")


def tags_seen(domains: Domains, reader: Domain) -> set[bytes]:
    """List the tags that a domain can read in the exchange with its identity and secrets."""
    peers = Peers({name: identity.public for name, identity in domains.identities.items()})
    tags = set()
    for path in domains.messages():
        opened = open_message(path.read_bytes(), "/".join(path.parts[-2:]), peers)
        kind = opened.header.kind
        payload = opened.payload
        if kind in SEALED:
            try:
                payload = unseal(domains.identities[reader], kind, payload)
            except ProtocolError:
                continue
        if kind in ("rows", "flags"):
            table = (Rows if kind == "rows" else Flags).decode(payload, domains.study.digest)
            tags |= {tag.tobytes() for tag in table.tags}
    return tags


def test_no_party_sees_the_others_tags_in_the_exchange(quick_key, tmp_path):
    """A party has the tag key: among the other's tags it would find who is in both tables."""
    domains = Domains(tmp_path, study(), Case(tmp_path).tables)
    domains.run(until=("row", "publish"))
    assert tags_seen(domains, "row") == tags_seen(domains, "column") == set()
    # Four people each, three of them the same.
    assert len(tags_seen(domains, "aggregator")) == 5
    stored = b"".join(
        path.read_bytes() for path in (domains.exchange / RUN).rglob("*") if path.is_file()
    )
    assert not any(tag in stored for tag in tags_seen(domains, "aggregator"))
