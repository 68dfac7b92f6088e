"""Checks the composed configurations of the domains' jobs.

The keys are those of conf/deidentify.yaml, conf/aggregate.yaml and conf/release.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from xstat_ray.federation import nitro
from xstat_ray.federation.attestation import (
    Attestation,
    CommandProvider,
    NitroVerifier,
    SoftwareProvider,
    SoftwareVerifier,
)
from xstat_ray.federation.domain_run import DomainSettings
from xstat_ray.federation.envelope import is_run_name
from xstat_ray.federation.identity import DOMAINS, KEY_BYTES, Domain, Identity, Peers
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Role, Study
from xstat_ray.planning.options import Options
from xstat_ray.planning.plan import Plan
from xstat_ray.planning.settings import DISPLAYS, TOP, read_options, read_source, read_study

STEPS = ("identity", "handshake", "exchange", "emit", "noise", "all")
RELEASE_STEPS: Mapping[str, Role | None] = {
    "approve": "row",
    "decrypt": "column",
    "unblind": "row",
    "publish": "row",
    "check": "column",
    "all": None,
}
"""Steps of `xstat-ray release`, and whose they are."""
PROVIDERS = ("software", "nitro")


@dataclass(frozen=True)
class AttestationSettings:
    """The evidence that a party shows of its environment, and that it demands of the other's."""

    show: str
    expect: str
    max_age: int
    measurement: bytes | None
    files: bytes | None
    command: tuple[str, ...]
    root: bytes
    pcrs: Mapping[int, bytes]

    def make(self, identity: Identity, peers: Peers) -> Attestation:
        """Make the provider and the verifier of a party."""
        provider = (
            SoftwareProvider(identity) if self.show == "software" else CommandProvider(self.command)
        )
        if self.expect == "software":
            return Attestation(
                provider, SoftwareVerifier(peers, self.max_age, self.measurement, self.files)
            )
        return Attestation(provider, NitroVerifier(self.root, self.pcrs, self.max_age))


@dataclass(frozen=True)
class DomainConfig:
    """What the job of any domain needs."""

    study: Study
    domain: Domain
    step: str
    settings: DomainSettings
    options: Options
    display: str

    def plan(self) -> Plan:
        """Make the plan, which comes out alike in all domains."""
        return self.options.plan(self.study)


@dataclass(frozen=True)
class PartyConfig(DomainConfig):
    """What `xstat-ray deidentify` needs."""

    source: Source
    attestation: AttestationSettings


@dataclass(frozen=True)
class ReleaseConfig(DomainConfig):
    """What `xstat-ray release` needs."""

    out: Path | None


def party_config(raw: Mapping[str, Any], origin: str) -> PartyConfig:
    """Check the configuration of `xstat-ray deidentify`.

    Raises:
        StudyError: an unknown or missing key, or a bad value; names the key.
    """
    top = Section(
        raw, key="", origin=origin, known=(*TOP, "party", "step", "domain", "attestation")
    )
    party = cast(Role, top.choice("party", ("row", "column")))
    step = top.choice("step", STEPS)
    data = top.child("data", ("row", "column"))
    source = Source(Path()) if step == "identity" else read_source(data, party)
    return PartyConfig(
        **_domain(top, raw, origin, party, step), source=source, attestation=_attestation(top)
    )


def aggregator_config(raw: Mapping[str, Any], origin: str) -> DomainConfig:
    """Check the configuration of `xstat-ray aggregate`: no key of it names a secret.

    Raises:
        StudyError: an unknown or missing key, or a bad value; names the key.
    """
    top = Section(raw, key="", origin=origin, known=(*TOP, "step", "domain"))
    step = top.choice("step", ("identity", "all"))
    return DomainConfig(**_domain(top, raw, origin, "aggregator", step))


def release_config(raw: Mapping[str, Any], origin: str) -> ReleaseConfig:
    """Check the configuration of `xstat-ray release`.

    Raises:
        StudyError: an unknown or missing key, or a bad value; names the key.
    """
    top = Section(raw, key="", origin=origin, known=(*TOP, "party", "step", "domain"))
    step = top.choice("step", tuple(RELEASE_STEPS))
    default = RELEASE_STEPS[step]
    party = cast(Role, top.choice("party", ("row", "column"), default))
    if default not in (None, party):
        raise top.error(f"step {step} is the {default} party's", "step")
    out = None if party == "column" else Path(top.text("out"))
    return ReleaseConfig(**_domain(top, raw, origin, party, step), out=out)


def _domain(
    top: Section, raw: Mapping[str, Any], origin: str, domain: Domain, step: str
) -> dict[str, Any]:
    return {
        "study": read_study(raw, origin, padding="dp"),
        "domain": domain,
        "step": step,
        "settings": _settings(top, domain, step),
        "options": read_options(top, constant_time=True),
        "display": top.choice("display", DISPLAYS, "auto"),
    }


def _settings(top: Section, domain: Domain, step: str) -> DomainSettings:
    section = top.child("domain", ("run", "exchange", "private", "identity", "peers", "wait"))
    run = section.text("run")
    if not is_run_name(run):
        raise section.error(
            "run is not a name",
            "run",
            remedy="Use up to 64 letters, digits, dots, dashes and underscores, beginning with a "
            "letter or digit",
        )
    private = Path(section.text("private"))
    identity = section.optional_text("identity")
    peers = section.child("peers", DOMAINS)
    others = [] if step == "identity" else [name for name in DOMAINS if name != domain]
    return DomainSettings(
        run=run,
        exchange=section.text("exchange"),
        private=private,
        identity=private / "identity.pem" if identity is None else Path(identity),
        peers={name: _hex(peers, name, KEY_BYTES) for name in others},
        wait=float(section.whole("wait", 3600, least=0)),
    )


def _attestation(top: Section) -> AttestationSettings:
    known = ("show", "expect", "max_age", "measurement", "files", "command", "root", "pcrs")
    section = top.child("attestation", known)
    show, expect = (section.choice(name, PROVIDERS, "software") for name in ("show", "expect"))
    command = section.texts("command")
    if show == "nitro" and not command:
        raise section.error(
            "command is missing", "command", remedy="Name the program that reads /dev/nsm"
        )
    registers = section.get("pcrs") or {}
    pcrs = section.at(registers, "pcrs", [str(number) for number in range(32)])
    if expect == "nitro" and "0" not in pcrs.raw:
        raise section.error(
            "PCR 0 is not pinned", "pcrs", remedy="Give the digest that the image's build prints"
        )
    return AttestationSettings(
        show=show,
        expect=expect,
        max_age=section.whole("max_age", 86_400, least=1),
        measurement=_optional_hex(section, "measurement"),
        files=_optional_hex(section, "files"),
        command=command,
        root=_optional_hex(section, "root") or nitro.AWS_ROOT,
        pcrs={int(str(number)): _hex(pcrs, str(number), 48) for number in pcrs.raw},
    )


def _optional_hex(section: Section, name: str) -> bytes | None:
    return None if section.get(name) is None else _hex(section, name, 32)


def _hex(section: Section, name: str, size: int) -> bytes:
    remedy = f"It is {2 * size} hexadecimal digits, in quotes"
    try:
        value = bytes.fromhex(section.text(name))
    except ValueError:
        raise section.error(f"{name} is not hexadecimal", name, remedy=remedy) from None
    if len(value) != size:
        raise section.error(f"{name} has another length", name, remedy=remedy)
    return value
