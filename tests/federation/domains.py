"""All domains of a run below one temporary folder; their jobs are called here, in turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.case import study as case_study
from xstat_ray import Options
from xstat_ray.errors import PendingError
from xstat_ray.federation.aggregate import aggregate
from xstat_ray.federation.approve import approve_run
from xstat_ray.federation.attestation_settings import AttestationSettings, Shown
from xstat_ray.federation.config import (
    RELEASE_STEPS,
    AggregatorConfig,
    ApproveConfig,
    DomainConfig,
    PartyConfig,
    ReleaseConfig,
    release_steps,
)
from xstat_ray.federation.domain_run import DomainSettings
from xstat_ray.federation.identity import Domain, Identity
from xstat_ray.federation.jobs import deidentify, release
from xstat_ray.federation.party import STEPS as PARTY_STEPS
from xstat_ray.federation.roster import columns_of, domains_of, publisher_of, rows_of
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.runtime.progress import Progress


def steps_of(study: Study) -> list[tuple[Domain, str]]:
    """List all steps of all domains."""
    parties = (*rows_of(study), *columns_of(study))
    releases = {name: release_steps(study, name) for name in parties}
    order = ("approve", "decrypt", "unblind", "publish", "check")
    return [
        *((party, step) for party in parties for step in PARTY_STEPS),
        ("aggregator", "attest"),
        ("aggregator", "all"),
        *((name, step) for step in order for name in parties if step in releases[name]),
    ]


STEPS = steps_of(case_study())
"""Those where there is one column party."""
RUN = "test"


class Domains:
    """Folders, identities and settings; every step is a fresh start from what is on disk."""

    def __init__(
        self,
        folder: Path,
        study: Study,
        sources: Mapping[str, Path | Source],
        ledgers: Mapping[str, Path] | None = None,
        **options: Any,
    ) -> None:
        self.folder = folder
        self.study = study
        self.exchange = folder / "exchange"
        self.out = folder / "out"
        self.location = str(self.exchange)
        self.sources = {
            role: s if isinstance(s, Source) else Source(s) for role, s in sources.items()
        }
        self.names = domains_of(study)
        self.steps = steps_of(study)
        self.ledgers = {name: folder / f"{name}.sqlite" for name in self.names[:-1]}
        self.ledgers |= ledgers or {}
        defaults = Options(key_bits=2048, shards=2, allow_no_noise=True)
        self.options = replace(defaults, **options)
        self.identities = {
            name: Identity.create(self.private(name) / "identity.pem") for name in self.names
        }
        self.attestation = AttestationSettings()
        self.shown = Shown()
        """What the aggregator shows."""
        self.approved = False

    def private(self, domain: Domain) -> Path:
        """A domain's private folder, for all runs."""
        return self.folder / domain

    def state(self, domain: Domain) -> Path:
        """A domain's private folder of this run."""
        return self.private(domain) / RUN

    def spent(self) -> dict[str, Fraction]:
        """Epsilon that each party's ledger has of its data set."""
        return {role: Ledger(path).spent(f"small/{role}") for role, path in self.ledgers.items()}

    def settings(self, domain: Domain, wait: float = 0.0) -> DomainSettings:
        """Who and where a domain is; it waits no longer than `wait` seconds for others."""
        peers = {
            name: identity.public for name, identity in self.identities.items() if name != domain
        }
        private = self.private(domain)
        return DomainSettings(RUN, self.location, private, private / "identity.pem", peers, wait)

    def config(self, domain: Domain, step: str, **changes: Any) -> DomainConfig:
        """The configuration of the job that does a step."""
        common = (self.study, domain, step, self.settings(domain), self.options, "quiet")
        if domain == "aggregator":
            config = AggregatorConfig(*common, self.shown)
        elif step in RELEASE_STEPS and step != "all":
            out = self.out if domain == publisher_of(self.study) else None
            config = ReleaseConfig(*common, out, self.ledgers[domain])
        else:
            source = replace(self.sources[domain], ledger=self.ledgers[domain])
            config = PartyConfig(*common, source, self.attestation)
        return replace(config, **changes)

    def approve(self) -> None:
        """Approve the run for all domains, as they do before anything leaves them."""
        for domain in self.names:
            self.approve_as(domain)
        self.approved = True

    def approve_as(self, domain: Domain) -> None:
        """Approve the run for one domain."""
        settings = self.settings(domain)
        common = (self.study, domain, "sign", settings, self.options, "quiet")
        approve_run(ApproveConfig(*common, "en", None))

    def step(self, domain: Domain, step: str, **changes: Any) -> None:
        """Do a step; raises PendingError where it must wait."""
        if not self.approved:
            self.approve()
        config = self.config(domain, step, **changes)
        job = {AggregatorConfig: aggregate, PartyConfig: deidentify, ReleaseConfig: release}[
            type(config)
        ]
        job(config, Progress())

    def run(self, until: tuple[str, str] | None = None) -> list[tuple[str, str]]:
        """All steps, each domain's in order; without `until` and what follows from it."""
        left = list(self.steps)
        done = []
        before = None
        while left and before != (len(self.messages()), len(left)):
            before = len(self.messages()), len(left)
            for domain in self.names:
                for step in [step for step in left if step[0] == domain]:
                    if step == until:
                        break
                    try:
                        self.step(*step)
                    except PendingError:
                        break
                    left.remove(step)
                    done.append(step)
        assert until in left if until else not left, f"all of {left} wait"
        return done

    def messages(self) -> list[Path]:
        """Files of all messages of this run."""
        return sorted((self.exchange / RUN).glob("*/*.msg"))

    def contents(self) -> dict[Path, bytes]:
        """All messages, by their places in the exchange."""
        return {path.relative_to(self.exchange): path.read_bytes() for path in self.messages()}
