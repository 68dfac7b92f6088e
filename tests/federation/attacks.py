"""What tests of attacks share: a noisy study, how a run is refused, and a lie about counts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from gmpy2 import invert

from tests.case import study
from tests.federation.domains import Domains
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.errors import MessageError, ProtocolError
from xstat_ray.federation.identity import Domain
from xstat_ray.model.messages import Flags

NOISY = study(noise="laplace", privacy={"mechanism": "tree"})
DIGEST = NOISY.digest


def log_of(domains: Domains, domain: Domain) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in (domains.state(domain) / "log.jsonl").read_text().splitlines()
    ]


def refused(
    domains: Domains, reason: str, receiver: Domain, error: type[ProtocolError] = MessageError
) -> None:
    """The run ends with the refusal; it is in the receiver's log and nothing is published."""
    with pytest.raises(error, match=reason):
        domains.run()
    assert log_of(domains, receiver)[-1]["event"] == "refused"
    assert not domains.out.exists()


def invert_ciphertexts(payload: bytes, public: PublicKey, digest: bytes = DIGEST) -> bytes:
    """Make each flag count minus one."""
    flags = Flags.decode(payload, digest)
    inverse = [
        invert(number, public.n2)
        for number in from_rows(flags.ciphertexts.reshape(-1, public.width))
    ]
    return replace(
        flags, ciphertexts=to_rows(inverse, public.width).reshape(flags.ciphertexts.shape)
    ).encode(digest)
