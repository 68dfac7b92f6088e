"""A domain's part in one run: its folder, log, identity and mailbox, for one process at a time."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from xstat_ray.errors import InputError
from xstat_ray.federation.approvals import check_approvals
from xstat_ray.federation.audit import Log
from xstat_ray.federation.collaboration import COLLABORATION, Collaboration
from xstat_ray.federation.envelope import canonical, message_name
from xstat_ray.federation.exchange import Exchange
from xstat_ray.federation.identity import Domain, Identity, Peers, private_folder
from xstat_ray.federation.mailbox import Binding, Mailbox
from xstat_ray.federation.roster import domains_of
from xstat_ray.planning.plan import Plan
from xstat_ray.util.files import write_whole
from xstat_ray.util.location import LocationLike
from xstat_ray.util.software_digest import software_digest, software_version


@dataclass(frozen=True)
class DomainSettings:
    """The places where a domain works, and the keys that it trusts."""

    run: str
    """Name of the run, on which all domains agree; each name is used once."""
    exchange: LocationLike
    """Folder that the domains share, on a disk or in an object store."""
    private: Path
    """Folder of this domain alone."""
    identity: Path
    """File of this domain's signing key."""
    peers: Mapping[Domain, bytes]
    """Public keys of the other domains."""
    wait: float
    """Seconds to wait for a message."""


class DomainRun:
    """Exclusive use of a run's private folder, with its log and mailbox; a context manager."""

    def __init__(self, domain: Domain, settings: DomainSettings, plan: Plan) -> None:
        """Lock the folder, and open the log and the mailbox.

        Args:
            domain: the domain whose part this is.
            settings: where it works and which keys it trusts.
            plan: the plan of the release.

        Raises:
            ApprovalError: not all domains have approved the collaboration; nothing has left.
            InputError: a folder or the identity cannot be used, another process uses the folder, or
                it holds the run of another study or plan.
            MessageError: a domain has approved another collaboration than this one.
        """
        # What a step or a library that it uses writes is readable by this user alone.
        os.umask(0o077)
        self.domain = domain
        self.plan = plan
        self.name = settings.run
        self.folder = private_folder(private_folder(settings.private) / settings.run)
        self.identity = Identity.load(settings.identity)
        self.peers = Peers(settings.peers)
        check_peers(domain, self.identity, self.peers)
        with ExitStack() as undo:
            self._lock = os.open(self.folder, os.O_RDONLY)
            undo.callback(os.close, self._lock)
            self._take_lock()
            exchange = Exchange.at(settings.exchange, settings.run)
            self.log = Log(self.folder / "log.jsonl", domain, self.identity)
            undo.callback(self.log.close)
            binding = Binding(plan.study.digest.hex(), plan_digest(plan), settings.run)
            self._begin(binding, exchange)
            self.mailbox = Mailbox(
                domain,
                exchange=exchange,
                identity=self.identity,
                peers=self.peers,
                binding=binding,
                log=self.log,
                patience=settings.wait,
            )
            undo.pop_all()

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "another step is at work in the run",
                file=str(self.folder),
                remedy="Wait for it",
            ) from None

    def _begin(self, binding: Binding, exchange: Exchange) -> None:
        opened = next(self.log.of("opened"), None)
        if opened is None:
            self._check_unused(exchange)
            agreed = self._agree(binding, exchange)
            software = {"version": software_version(), "measurement": software_digest().hex()}
            keys = {
                name: key.hex()
                for name, key in {**self.peers.keys, self.domain: self.identity.public}.items()
            }
            self.log.add("opened", **asdict(binding), software=software, keys=keys, **agreed)
        elif any(opened.facts[name] != value for name, value in asdict(binding).items()):
            raise InputError(
                "the private folder holds a run of this name with another study or plan",
                file=str(self.folder),
                key="domain.run",
                remedy="Finish that run with its settings, or agree on another name for this one",
            )
        elif opened.facts["software"]["measurement"] != software_digest().hex():
            raise InputError(
                "the run was begun with another software than this",
                file=str(self.folder),
                key="domain.run",
                remedy="Finish it with the software that began it, or agree on another name",
            )

    def _agree(self, binding: Binding, exchange: Exchange) -> dict[str, Any]:
        """Demand that all domains have approved what this one is about to run.

        Returns:
            The collaboration's digest and the signatures, for the log.
        """
        keys = {**self.peers.keys, self.domain: self.identity.public}
        collaboration = Collaboration.of(self.plan, binding.plan, binding.run, keys)
        signatures = check_approvals(exchange, collaboration, Peers(keys))
        write_whole(self.folder / COLLABORATION, collaboration.encode(), mode=0o600)
        return {"collaboration": collaboration.digest, "approvals": signatures}

    def _check_unused(self, exchange: Exchange) -> None:
        """Refuse to begin a log where the exchange holds messages of this domain.

        They are of an earlier run of this name, and would be taken for messages of this one.
        """
        others = [name for name in domains_of(self.plan.study) if name != self.domain]
        if any(exchange.get(message_name(self.domain, other, 0)) is not None for other in others):
            raise InputError(
                "the exchange holds messages of this domain, which its log does not know",
                key="domain.run",
                remedy="Agree on another name for this run, or put the private folder of the "
                "earlier one back",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.log.close()
        os.close(self._lock)


def check_peers(domain: Domain, identity: Identity, peers: Peers) -> None:
    """Check that all domains have different keys, as each is told the others' by a person.

    Raises:
        InputError: one key is given for two domains; names one of them.
    """
    known: dict[bytes, Domain] = {identity.public: domain}
    for name, key in peers.keys.items():
        if (other := known.setdefault(key, name)) != name:
            whose = "this domain's own key" if other == domain else f"the key of {other} too"
            raise InputError(
                f"the key of {name} is {whose}",
                key=f"domain.peers.{name}",
                remedy=f"Put the key there that step=identity prints in the domain of {name}",
            )


def plan_digest(plan: Plan) -> str:
    """SHA-256, in hex, over what the domains must set alike beside the study."""
    packing = asdict(plan.packing)
    if not plan.packing.sums:
        # Without measures it is what it was before there were any.
        del packing["sums"]
    alike = {
        "key_bits": plan.key_bits,
        "packing": packing,
        "levels": [measured.shown for measured in plan.design.levels],
        "regions": [[region.start, region.stop] for region in plan.grid.regions],
        "batches": [[batch.start, batch.stop] for batch in plan.grid.batches],
    }
    return hashlib.sha256(canonical(alike)).hexdigest()
