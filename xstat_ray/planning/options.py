"""Run options, and the check that refuses unsafe ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from xstat_ray.errors import PlanError
from xstat_ray.model.study import Privacy, Role, Study
from xstat_ray.planning.batching import Batch
from xstat_ray.planning.cluster import Cluster
from xstat_ray.planning.plan import Plan, make_plan

NOISE_OFF = (
    "NOISE IS OFF: the output holds exact counts and is NOT differentially private. For tests only."
)
IN_FLIGHT = 8
"""Shards in flight by default."""


@dataclass(frozen=True)
class Options:
    """How to run a study; none of this changes the counts."""

    key_bits: int = 3072
    """Bits of the Paillier modulus: 2048, 3072 or 4096."""
    slot_bits: int | None = None
    """Bits of a slot; None computes them from the bounds."""
    constant_time: bool = False
    """Encrypt and decrypt without memory addresses that depend on secrets. Encryption then has a
    third of its speed with the kernel `ifma`, a tenth with `portable`."""
    shards: int = 4
    """Units of join work to aim for."""
    batch: Batch = "auto"
    """Length of a batch of periods."""
    runtime: Literal["ray", "local"] = "local"
    """`ray` runs parties as actors and joins as tasks; `local` runs everything in this process."""
    replicas: dict[Role, int] = field(default_factory=lambda: {"row": 1, "column": 2})
    """Environments of each party (ray only)."""
    in_flight: int = IN_FLIGHT
    """Most shards that are joined at the same time, which bounds the object store; the key
    `window`."""
    cluster: Cluster = field(default_factory=Cluster)
    """The Ray cluster (ray only)."""
    memory: int | None = None
    """Bytes of memory that the run may take; None leaves it to the machine."""
    allow_no_noise: bool = False
    """Allow a study whose noise is off."""

    def plan(self, study: Study) -> Plan:
        """Plan a study with these options.

        Raises:
            PlanError: the study cannot be run safely, or not within the resources.
        """
        return make_plan(
            study,
            key_bits=self.key_bits,
            shards=self.shards,
            slot_bits=self.slot_bits,
            constant_time=self.constant_time,
            batch=self.batch,
        )


def check_noise(privacy: Privacy, *, allowed: bool) -> list[str]:
    """Refuse a release without noise unless that is allowed.

    Args:
        privacy: how the study protects the release.
        allowed: whether a release without noise is allowed.

    Returns:
        The warnings to show: none for a release with noise.

    Raises:
        PlanError: the study's noise is off and that is not allowed.
    """
    if privacy.noise != "off":
        return []
    if not allowed:
        raise PlanError(
            "privacy.noise=off publishes exact counts",
            key="privacy.noise",
            remedy="It is for tests only, and needs unsafe.allow_no_noise=true beside it",
        )
    return [NOISE_OFF]
