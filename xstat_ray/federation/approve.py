"""The job with which a domain reads and approves the collaboration of a run."""

from __future__ import annotations

from collections.abc import Mapping

from xstat_ray.errors import InputError
from xstat_ray.federation.approvals import approve, approvers
from xstat_ray.federation.collaboration import Collaboration
from xstat_ray.federation.collaboration_page import page
from xstat_ray.federation.config import ApproveConfig
from xstat_ray.federation.domain_run import check_peers, plan_digest
from xstat_ray.federation.exchange import Exchange
from xstat_ray.federation.identity import Domain, Identity, Peers
from xstat_ray.planning.plan import Plan
from xstat_ray.util.location import LocationLike


def approve_run(config: ApproveConfig) -> str:
    """Approve what a domain's settings say, and write it for people.

    Returns:
        The collaboration, with who has approved it so far.

    Raises:
        InputError: the identity or the exchange cannot be used, or the collaboration has another
            digest than it should.
    """
    settings = config.settings
    identity = Identity.load(settings.identity)
    peers = Peers({**settings.peers, config.domain: identity.public})
    check_peers(config.domain, identity, Peers(settings.peers))
    collaboration = collaboration_of(config.plan(), settings.run, peers.keys)
    if config.digest not in (None, collaboration.digest):
        raise InputError(
            f"what these settings say does not have that digest, but {collaboration.digest}",
            key="digest",
            remedy="Compare study, privacy, crypto, scale, run and keys with the others; "
            "step=show prints them",
        )
    exchange = Exchange.at(settings.exchange, settings.run)
    if config.step == "sign":
        approve(exchange, collaboration, config.domain, identity)
    return page(collaboration, approvers(exchange, collaboration, peers), config.language)


def approve_for_all(
    plan: Plan, run: str, exchange: LocationLike, identities: Mapping[Domain, Identity]
) -> str:
    """Approve a run for all domains, where one machine holds all their keys.

    Returns:
        The digest of the collaboration.

    Raises:
        InputError: the exchange cannot be written to.
    """
    keys = {name: identity.public for name, identity in identities.items()}
    collaboration = collaboration_of(plan, run, keys)
    place = Exchange.at(exchange, run)
    for name, identity in identities.items():
        approve(place, collaboration, name, identity)
    return collaboration.digest


def collaboration_of(plan: Plan, run: str, keys: Mapping[Domain, bytes]) -> Collaboration:
    """Make the collaboration of a run of a plan."""
    return Collaboration.of(plan, plan_digest(plan), run, keys)
