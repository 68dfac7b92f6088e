"""Checks the composed configurations of the domains' jobs.

The keys are those of conf/deidentify.yaml, conf/aggregate.yaml and conf/release.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from xstat_ray.federation.attestation_settings import (
    AttestationSettings,
    Shown,
    party_attestation,
    read_hex,
    shown_evidence,
)
from xstat_ray.federation.domain_run import DomainSettings
from xstat_ray.federation.envelope import is_run_name
from xstat_ray.federation.identity import DOMAINS, KEY_BYTES, Domain
from xstat_ray.federation.lessons import LANGUAGES, Language
from xstat_ray.federation.roster import domains_of, publisher_of, rows_of
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.planning.options import Options
from xstat_ray.planning.plan import Plan
from xstat_ray.planning.settings import (
    DISPLAYS,
    TOP,
    check_ledger,
    column_data,
    read_ledger,
    read_options,
    read_source,
    read_study,
    row_data,
)
from xstat_ray.privacy.places import Place
from xstat_ray.util.location import Location

STEPS = ("identity", "handshake", "exchange", "emit", "noise", "all")
AGGREGATOR_STEPS = ("identity", "attest", "all")
APPROVE_STEPS = ("show", "sign")
DIGEST_BYTES = 32
RELEASE_STEPS = ("approve", "decrypt", "unblind", "publish", "check", "all")
"""Steps of `xstat-ray release`."""


def release_steps(study: Study, party: Domain) -> tuple[str, ...]:
    """List the steps of `xstat-ray release` that are a party's, in their order."""
    if party == publisher_of(study):
        return ("approve", "unblind", "publish")
    return ("approve", "check") if party in rows_of(study) else ("decrypt", "check")


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
class AggregatorConfig(DomainConfig):
    """What `xstat-ray aggregate` needs."""

    shown: Shown


@dataclass(frozen=True)
class ApproveConfig(DomainConfig):
    """What `xstat-ray approve` needs."""

    language: Language
    digest: str | None
    """Digest of the collaboration that is to be approved, in hex; None approves whatever is
    printed."""


@dataclass(frozen=True)
class ReleaseConfig(DomainConfig):
    """What `xstat-ray release` needs."""

    out: Location | None
    ledger: Place
    """The party's ledger."""


def party_config(raw: Mapping[str, Any], origin: str) -> PartyConfig:
    """Check the configuration of `xstat-ray deidentify`.

    Raises:
        StudyError: an unknown or missing key, or a bad value; names the key.
    """
    top = Section(
        raw, key="", origin=origin, known=(*TOP, "party", "step", "domain", "attestation")
    )
    study = read_study(raw, origin, padding="dp")
    party = top.choice("party", domains_of(study)[:-1])
    step = top.choice("step", STEPS)
    domain = _domain(top, study, party, step)
    ledger = _default_ledger(domain["settings"])
    source = Source(Path())
    if step != "identity":
        source = read_source(_data_of(top, study, party), study.role_of(party), ledger)
    return PartyConfig(**domain, source=source, attestation=party_attestation(top))


def aggregator_config(raw: Mapping[str, Any], origin: str) -> AggregatorConfig:
    """Check the configuration of `xstat-ray aggregate`: no key of it names a secret.

    Raises:
        StudyError: an unknown or missing key, or a bad value; names the key.
    """
    top = Section(raw, key="", origin=origin, known=(*TOP, "step", "domain", "attestation"))
    step = top.choice("step", AGGREGATOR_STEPS)
    shown = shown_evidence(top)
    study = read_study(raw, origin, padding="dp")
    return AggregatorConfig(**_domain(top, study, "aggregator", step), shown=shown)


def release_config(raw: Mapping[str, Any], origin: str) -> ReleaseConfig:
    """Check the configuration of `xstat-ray release`.

    Raises:
        StudyError: an unknown or missing key, or a bad value; names the key.
    """
    top = Section(raw, key="", origin=origin, known=(*TOP, "party", "step", "domain"))
    study = read_study(raw, origin, padding="dp")
    step = top.choice("step", RELEASE_STEPS)
    parties = domains_of(study)[:-1]
    doers = [name for name in parties if step in release_steps(study, name)]
    party = top.choice("party", parties, doers[0] if len(doers) == 1 else None)
    if step != "all" and party not in doers:
        raise top.error(f"step {step} is not {party}'s, but {' and '.join(doers)}'s", "step")
    out = top.location("out") if party == publisher_of(study) else None
    domain = _domain(top, study, party, step)
    data = _data_of(top, study, party)
    in_private = _default_ledger(domain["settings"])
    role = study.role_of(party)
    ledger = check_ledger(read_ledger(data, role, in_private), role, in_private)
    return ReleaseConfig(**domain, out=out, ledger=ledger)


def approve_config(raw: Mapping[str, Any], origin: str) -> ApproveConfig:
    """Check the configuration of `xstat-ray approve`.

    Raises:
        StudyError: an unknown or missing key, or a bad value; names the key.
    """
    known = (*TOP, "party", "step", "domain", "language", "digest")
    top = Section(raw, key="", origin=origin, known=known)
    study = read_study(raw, origin, padding="dp")
    domain = top.choice("party", domains_of(study))
    step = top.choice("step", APPROVE_STEPS)
    digest = None if top.get("digest") is None else read_hex(top, "digest", DIGEST_BYTES).hex()
    language = cast(Language, top.choice("language", LANGUAGES, "en"))
    return ApproveConfig(**_domain(top, study, domain, step), language=language, digest=digest)


def _default_ledger(settings: DomainSettings) -> Path:
    """A party's ledger is for all of its runs, and no other domain can reach it."""
    return settings.private / "ledger.sqlite"


def _data_of(top: Section, study: Study, party: Domain) -> Section:
    """Find what is set of a party's data: a section with its values as `row` or `column`."""
    data = top.child("data", ("row", "column"))
    of_side = row_data if study.role_of(party) == "row" else column_data
    return of_side(data, study)[party]


def _domain(top: Section, study: Study, domain: Domain, step: str) -> dict[str, Any]:
    return {
        "study": study,
        "domain": domain,
        "step": step,
        "settings": _settings(top, study, domain, step),
        "options": read_options(top, constant_time=True),
        "display": top.choice("display", DISPLAYS, "auto"),
    }


def _settings(top: Section, study: Study, domain: Domain, step: str) -> DomainSettings:
    section = top.child("domain", ("run", "exchange", "private", "identity", "peers", "wait"))
    run = section.text("run")
    if not is_run_name(run):
        raise section.error(
            "run is not a name",
            "run",
            remedy="Use up to 64 letters, digits, dots, dashes and underscores, beginning with a "
            "letter or digit",
        )
    private = section.disk_path("private")
    identity = section.optional_disk_path("identity")
    domains = domains_of(study)
    peers = section.child("peers", tuple(dict.fromkeys((*DOMAINS, *domains))))
    others = [] if step == "identity" else [name for name in domains if name != domain]
    for name in DOMAINS:
        if others and name not in domains and peers.get(name) is not None:
            raise peers.error(
                f"the study has no party {name}",
                name,
                remedy=f"Its domains are {', '.join(domains)}",
            )
    return DomainSettings(
        run=run,
        exchange=section.location("exchange").absolute,
        private=private,
        identity=private / "identity.pem" if identity is None else identity,
        peers={name: read_hex(peers, name, KEY_BYTES) for name in others},
        wait=float(section.whole("wait", 3600, least=0)),
    )
