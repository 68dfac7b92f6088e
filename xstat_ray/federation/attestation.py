"""Attestation: the domains show each other what they run, before secrets or tables rest on it.

A provider makes evidence for a claim, and a verifier checks it. The claim binds the evidence to the
verifier's nonce and to the handshake, so that evidence can neither be replayed nor moved to another
key agreement. `party` makes the claims of the parties, and `aggregator_evidence` those of the
aggregator. The evidence of `SoftwareProvider` is a signed statement: it shows what the peer
declares to run, and holds the peer to it. `nitro` rests on hardware.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from xstat_ray.errors import AttestationError, InputError
from xstat_ray.federation import nitro
from xstat_ray.federation.envelope import canonical
from xstat_ray.federation.identity import Domain, Identity, Peers
from xstat_ray.util.software_digest import installed_files, software_digest

_SIGNED_AS = b"xstat-ray attestation\0"
_CLOCK_SKEW = 300
"""Most seconds by which the peer's clock may be ahead."""


@dataclass(frozen=True)
class Claim:
    """What evidence must vouch for."""

    domain: Domain
    """The domain that shows the evidence."""
    nonce: bytes
    """Nonce of the domain that checks the evidence, in its hello or its challenge."""
    binding: bytes
    """SHA-256 over the handshake, the study, the run and the domain; the aggregator's also over its
    key and its measurement."""
    measurement: bytes
    """Software digest that the domain that shows the evidence told beside it: a party in its hello,
    the aggregator with its evidence."""

    @classmethod
    def of(
        cls,
        domain: Domain,
        session: str,
        *,
        study: bytes,
        run: str,
        nonce: bytes,
        measurement: bytes,
    ) -> Claim:
        """Make the claim of a party, `domain`, in one handshake."""
        text = b"\0".join([domain.encode(), run.encode()])
        bound = hashlib.sha256(
            b"xstat-ray binding\0" + bytes.fromhex(session) + study + text
        ).digest()
        return cls(domain, nonce, bound, measurement)


class Provider(ABC):
    """Makes evidence about this environment."""

    @abstractmethod
    def evidence(self, claim: Claim) -> bytes:
        """Make evidence for a claim.

        Raises:
            InputError: the environment gives no evidence.
        """


class Verifier(ABC):
    """Checks a counterpart's evidence."""

    name: str
    pcrs: Mapping[int, bytes] = MappingProxyType({})
    """Registers that the counterpart's image must have, by number."""

    def __init__(self, max_age: int, agreed: bytes | None) -> None:
        """Pin what the counterpart must run.

        Args:
            max_age: seconds after which evidence has expired.
            agreed: software digest that the counterpart must have; None takes that of this process.
        """
        self._max_age = max_age
        self._agreed = agreed or software_digest()

    @abstractmethod
    def verify(self, evidence: bytes, claim: Claim) -> None:
        """Return only if the evidence holds.

        Raises:
            AttestationError: the evidence does not hold; tells why.
        """

    def facts(self, claim: Claim) -> dict[str, Any]:
        """Tell, for the log, what was verified of a claim that holds."""
        return {
            "provider": self.name,
            "measurement": claim.measurement.hex(),
            "pcrs": {str(index): value.hex() for index, value in self.pcrs.items()},
        }

    def _check_measurement(self, shown: bytes) -> None:
        if shown != self._agreed:
            raise AttestationError("the counterpart runs other software than was agreed on")


class SoftwareProvider(Provider):
    """Signs the digests of the installed files with the domain's identity."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def evidence(self, claim: Claim) -> bytes:
        """Make evidence in canonical JSON, with a signature."""
        raw: dict[str, object] = {
            "provider": "software",
            "at": int(time.time()),
            "nonce": claim.nonce.hex(),
            "binding": claim.binding.hex(),
            "measurement": software_digest().hex(),
            "files": installed_files().hex(),
        }
        return canonical(
            raw | {"signature": self._identity.sign(_SIGNED_AS + canonical(raw)).hex()}
        )


class SoftwareVerifier(Verifier):
    """Checks a signed statement against the pinned key and the agreed software digest."""

    name = "software"

    def __init__(
        self, peers: Peers, max_age: int, agreed: bytes | None = None, files: bytes | None = None
    ) -> None:
        """Pin what the peer must run.

        Args:
            peers: the pinned keys.
            max_age: seconds after which evidence has expired.
            agreed: software digest that the peer must have; None takes that of this process.
            files: digest that all installed files of the peer must have, the compiled kernels
                included; None accepts any.
        """
        super().__init__(max_age, agreed)
        self._peers = peers
        self._files = files

    def verify(self, evidence: bytes, claim: Claim) -> None:
        """Check the statement; see `Verifier`."""
        try:
            raw = json.loads(evidence)
            signature = bytes.fromhex(raw.pop("signature"))
            at = raw["at"]
            if type(at) is not int or raw["provider"] != "software":
                raise ValueError
            found = [
                bytes.fromhex(raw[name]) for name in ("nonce", "binding", "measurement", "files")
            ]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise AttestationError("the software evidence is malformed") from None
        if not self._peers.signed(claim.domain, _SIGNED_AS + canonical(raw), signature):
            raise AttestationError(
                f"the evidence is not signed by the {claim.domain} domain's pinned key"
            )
        check_fresh(at, self._max_age)
        nonce, binding, shown, files = found
        if nonce != claim.nonce or binding != claim.binding:
            raise AttestationError("the evidence was made for another handshake")
        self._check_measurement(shown)
        self._check_measurement(claim.measurement)
        if self._files is not None and files != self._files:
            raise AttestationError(
                "the counterpart's installed files are not those that were agreed on"
            )


class CommandProvider(Provider):
    """Asks a command for an attestation document; in an enclave it reads /dev/nsm."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command

    def evidence(self, claim: Claim) -> bytes:
        """Call the command with the nonce and the user data in hexadecimal; returns its output."""
        call = [*self._command, claim.nonce.hex(), claim.binding.hex()]
        try:
            return subprocess.run(call, check=True, capture_output=True, timeout=60).stdout
        except (OSError, subprocess.SubprocessError) as error:
            raise InputError(
                f"the attestation command gave no document ({type(error).__name__})",
                key="attestation.command",
                remedy="It must print an attestation document, given a nonce and user data in "
                "hexadecimal",
            ) from None


class NitroVerifier(Verifier):
    """Checks an attestation document of an AWS Nitro Enclave."""

    name = "nitro"

    def __init__(
        self, root: bytes, pcrs: Mapping[int, bytes], max_age: int, agreed: bytes | None = None
    ) -> None:
        """Pin what the peer must run.

        Args:
            root: SHA-256 of the DER form of the root certificate.
            pcrs: registers that the peer's image must have, by number.
            max_age: seconds after which a document has expired.
            agreed: software digest that the peer must tell; None takes that of this process.
        """
        super().__init__(max_age, agreed)
        self._root = root
        self.pcrs = pcrs

    def verify(self, evidence: bytes, claim: Claim) -> None:
        """Check the document, whose user data is the claim's binding; see `Verifier`."""
        self._check_measurement(claim.measurement)
        document = nitro.verify(evidence, root=self._root, now=time.time())
        check_fresh(document.timestamp_ms // 1000, self._max_age)
        if document.nonce != claim.nonce or document.user_data != claim.binding:
            raise AttestationError("the attestation document was made for another handshake")
        for index, value in self.pcrs.items():
            if document.pcrs.get(index) != value:
                raise AttestationError(
                    f"the counterpart's PCR{index} is not the one that was agreed on"
                )


@dataclass(frozen=True)
class Attestation:
    """The evidence that a party shows, and that it demands."""

    provider: Provider
    verifier: Verifier
    """Checks the other party's evidence."""
    aggregator: Verifier
    """Checks the aggregator's evidence."""


def check_fresh(at: int, max_age: int) -> None:
    """Check that evidence was made neither too long ago nor in the future.

    Args:
        at: when it was made, in seconds since 1970.
        max_age: seconds after which it has expired.

    Raises:
        AttestationError: it has expired, or was made in the future.
    """
    age = time.time() - at
    if age > max_age:
        raise AttestationError(f"the evidence has expired: it is older than {max_age} seconds")
    if age < -_CLOCK_SKEW:
        raise AttestationError("the evidence was made in the future")
