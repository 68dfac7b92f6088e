"""Which Ray cluster a job uses, and on which of its nodes: the configuration group `cluster`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xstat_ray.errors import StudyError
from xstat_ray.inputs.section import Section

POOL = "pool"
"""Name of the group of stateless tasks: the compute pool."""
GROUPS = ("row", "column", POOL)
"""Groups of processes that can be bound to nodes: the environments of each party, and the pool."""

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Cluster:
    """The Ray cluster that a job uses, or the one that it starts."""

    address: str | None = None
    """Address of a Ray cluster to join; None starts a cluster on this machine."""
    cpus: int | None = None
    """Cores of a cluster that is started; None takes all."""
    store_bytes: int = 512 << 20
    """Bytes of the object store of a cluster that is started."""
    spill: Path | None = None
    """Folder for what the object store of a cluster that is started cannot hold; None takes the
    cluster's temporary folder."""
    labels: Mapping[str, Labels] = field(default_factory=dict)
    """Labels of the nodes on which the environments of `row` and `column`, and the tasks of the
    `pool`, may run."""
    wait_seconds: int = 0
    """Seconds to wait for nodes with these labels, which may still be starting."""
    silence_seconds: int = 120
    """Seconds after which the environment of a party that does not answer counts as lost."""
    restarts: int = 1
    """Times that a run starts again, or resumes, after the environment of a party was lost."""
    insecure: bool = False
    """Join a cluster on another machine without token authentication and TLS."""
    metrics: bool = False
    """Hand the sizes of the run to Ray's Prometheus endpoints."""
    timeline: Path | None = None
    """File for the timeline of tasks; None writes none."""

    def of(self, group: str) -> Labels:
        """Labels that the nodes of a group must have; empty where any node will do."""
        return self.labels.get(group, {})


def read_cluster(top: Section) -> Cluster:
    """Check the block `cluster` of a configuration.

    Raises:
        StudyError: an unknown key, or a value of the wrong type; names the key.
    """
    defaults = Cluster()
    section = top.child("cluster", tuple(Cluster.__dataclass_fields__))
    return Cluster(
        address=section.optional_text("address"),
        cpus=None if section.get("cpus") is None else section.whole("cpus", 1, least=1),
        store_bytes=section.whole("store_bytes", defaults.store_bytes, least=1),
        spill=_path(section, "spill"),
        labels=_labels(section),
        wait_seconds=section.whole("wait_seconds", defaults.wait_seconds, least=0),
        silence_seconds=section.whole("silence_seconds", defaults.silence_seconds, least=1),
        restarts=section.whole("restarts", defaults.restarts, least=0),
        insecure=section.flag("insecure", defaults.insecure),
        metrics=section.flag("metrics", defaults.metrics),
        timeline=_path(section, "timeline"),
    )


def _path(section: Section, name: str) -> Path | None:
    path = section.optional_disk_path(name)
    return None if path is None else path.absolute()


def _labels(section: Section) -> dict[str, Labels]:
    if section.get("labels") is None:
        return {}
    groups = section.child("labels", GROUPS)
    return {name: _pairs(groups, name) for name in GROUPS if groups.get(name) is not None}


def _pairs(groups: Section, name: str) -> Labels:
    raw = groups.get(name)
    if not isinstance(raw, Mapping):
        raise groups.error(f"{name} is not a mapping of labels", name, remedy="Write {party: row}")
    pairs = {}
    for key, value in raw.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise _not_text(groups, f"{name}.{key}")
        pairs[key] = value
    return pairs


def _not_text(groups: Section, name: str) -> StudyError:
    return groups.error("a label is not a text", name, remedy='Put it in quotes: {party: "none"}')
