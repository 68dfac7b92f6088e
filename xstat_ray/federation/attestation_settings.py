"""The settings `attestation`: the evidence that a domain shows, and that a party demands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xstat_ray.federation import nitro
from xstat_ray.federation.attestation import (
    Attestation,
    CommandProvider,
    NitroVerifier,
    Provider,
    SoftwareProvider,
    SoftwareVerifier,
    Verifier,
)
from xstat_ray.federation.identity import Identity, Peers
from xstat_ray.federation.verify_attestation import Pinned
from xstat_ray.inputs.section import Section

PROVIDERS = ("software", "nitro")
_SHOWN = ("show", "command")
_PINNED = ("expect", "measurement", "pcrs")
_DEMANDED = ("expect", "max_age", "measurement", "files", "root", "pcrs")


@dataclass(frozen=True)
class Shown:
    """The evidence that a domain shows of its environment."""

    show: str = "software"
    command: tuple[str, ...] = ()

    def provider(self, identity: Identity) -> Provider:
        """Make the provider of a domain with this identity."""
        if self.show == "software":
            return SoftwareProvider(identity)
        return CommandProvider(self.command)


@dataclass(frozen=True)
class Demanded:
    """The evidence that a party demands of another domain."""

    expect: str = "software"
    max_age: int = 86_400
    measurement: bytes | None = None
    files: bytes | None = None
    root: bytes = nitro.AWS_ROOT
    pcrs: Mapping[int, bytes] = field(default_factory=dict)

    def verifier(self, peers: Peers) -> Verifier:
        """Make the verifier of a party that pins these keys."""
        if self.expect == "software":
            return SoftwareVerifier(peers, self.max_age, self.measurement, self.files)
        return NitroVerifier(self.root, self.pcrs, self.max_age, self.measurement)


@dataclass(frozen=True)
class AttestationSettings:
    """The evidence that a party shows, and that it demands of the two other domains."""

    shown: Shown = Shown()
    other: Demanded = Demanded()
    aggregator: Demanded = Demanded()

    def make(self, identity: Identity, peers: Peers) -> Attestation:
        """Make the provider and the verifiers of a party."""
        return Attestation(
            self.shown.provider(identity),
            self.other.verifier(peers),
            self.aggregator.verifier(peers),
        )


def party_attestation(top: Section) -> AttestationSettings:
    """Read the settings `attestation` of a party's job.

    Raises:
        StudyError: an unknown or missing key, or a bad value; names the key.
    """
    section = top.child("attestation", (*_SHOWN, *_DEMANDED, "aggregator"))
    aggregator = section.child("aggregator", _DEMANDED)
    return AttestationSettings(_shown(section), _demanded(section), _demanded(aggregator))


def shown_evidence(top: Section) -> Shown:
    """Read the settings `attestation` of the aggregator's job, which demands no evidence.

    Raises:
        StudyError: an unknown or missing key, or a bad value; names the key.
    """
    return _shown(top.child("attestation", _SHOWN))


def pinned_aggregator(top: Section) -> Pinned:
    """Read what the job `verify` is told of the aggregator, below `attestation.aggregator`.

    Raises:
        StudyError: an unknown key, or a bad value; names the key.
    """
    if top.get("attestation") is None:
        return Pinned()
    section = top.child("attestation", ("aggregator",)).child("aggregator", _PINNED)
    return Pinned(
        expect=None if section.get("expect") is None else section.choice("expect", PROVIDERS),
        measurement=_optional_hex(section, "measurement"),
        pcrs=_registers(section),
    )


def read_hex(section: Section, name: str, size: int) -> bytes:
    """Read `size` bytes that are written in hexadecimal.

    Raises:
        StudyError: absent, or anything else.
    """
    remedy = f"It is {2 * size} hexadecimal digits, in quotes"
    try:
        value = bytes.fromhex(section.text(name))
    except ValueError:
        raise section.error(f"{name} is not hexadecimal", name, remedy=remedy) from None
    if len(value) != size:
        raise section.error(f"{name} has another length", name, remedy=remedy)
    return value


def _shown(section: Section) -> Shown:
    show = section.choice("show", PROVIDERS, "software")
    command = section.texts("command")
    if show == "nitro" and not command:
        raise section.error(
            "command is missing", "command", remedy="Name the program that reads /dev/nsm"
        )
    return Shown(show, command)


def _demanded(section: Section) -> Demanded:
    expect = section.choice("expect", PROVIDERS, "software")
    pcrs = _registers(section)
    if expect == "nitro" and 0 not in pcrs:
        raise section.error(
            "PCR 0 is not pinned", "pcrs", remedy="Give the digest that the image's build prints"
        )
    return Demanded(
        expect=expect,
        max_age=section.whole("max_age", 86_400, least=1),
        measurement=_optional_hex(section, "measurement"),
        files=_optional_hex(section, "files"),
        root=_optional_hex(section, "root") or nitro.AWS_ROOT,
        pcrs=pcrs,
    )


def _registers(section: Section) -> dict[int, bytes]:
    """Read registers by number, which YAML gives as a number and as text alike."""
    raw = section.get("pcrs") or {}
    if isinstance(raw, Mapping):
        raw = {str(number): value for number, value in raw.items()}
    pcrs = section.at(raw, "pcrs", [str(number) for number in range(32)])
    return {int(str(number)): read_hex(pcrs, str(number), 48) for number in pcrs.raw}


def _optional_hex(section: Section, name: str) -> bytes | None:
    return None if section.get(name) is None else read_hex(section, name, 32)
