"""How to run a study, as opposed to what it computes, and the settings that weaken its protection."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from xstat_ray.errors import PlanError
from xstat_ray.model.study import Privacy, Role, Study
from xstat_ray.planning.batching import Batch
from xstat_ray.planning.cluster import Cluster
from xstat_ray.planning.plan import Plan, make_plan

DEFAULT_LEDGER = Path(".xstat-ray/ledger.sqlite")
NOISE_OFF = (
    "NOISE IS OFF: the output holds exact counts and is NOT differentially private. For tests only."
)
WINDOW = 8
"""Shards in flight: bounds the memory of the object store."""


@dataclass(frozen=True)
class Options:
    """How to run; none of this changes the counts."""

    key_bits: int = 3072
    """Size of the Paillier modulus: 2048, 3072 or 4096."""
    slot_bits: int | None = None
    """Bits of a slot; None computes them from the bounds."""
    constant_time: bool = False
    """Encrypt and decrypt without memory addresses that depend on secrets, at a third of the
    speed."""
    shards: int = 4
    """Units of join work to aim for."""
    batch: Batch = "auto"
    """Length of a batch of periods."""
    runtime: Literal["ray", "local"] = "local"
    """`ray` runs parties as actors and joins as tasks; `local` runs everything in this process."""
    replicas: dict[Role, int] = field(default_factory=lambda: {"row": 1, "column": 2})
    """Instances of each party (ray only)."""
    window: int = WINDOW
    """Shards in flight."""
    cluster: Cluster = field(default_factory=Cluster)
    """The Ray cluster (ray only)."""
    ledger: Path = DEFAULT_LEDGER
    """The budget file."""
    allow_no_noise: bool = False
    """Must be set for a study whose noise is off."""

    def plan(self, study: Study) -> Plan:
        """The plan of a study that is run so.

        Raises:
            PlanError: it cannot be run safely, or within the resources.
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
    """Refuse a release without noise unless it was allowed.

    Returns:
        The warnings to show: none for a release with noise.

    Raises:
        PlanError: the study's noise is off, and nobody allowed that.
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
