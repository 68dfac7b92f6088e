"""Which Ray cluster a job uses and where on it.

Plain values, read from the configuration group `cluster`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xstat_ray.errors import StudyError
from xstat_ray.inputs.section import Section

POOL = "pool"
"""The stateless tasks, beside the parties by the names of their roles."""
GROUPS = ("row", "column", POOL)

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Cluster:
    """Where a job runs."""

    address: str | None = None
    """Ray cluster to join; None starts one on this machine."""
    cpus: int | None = None
    """Cores of a cluster that is started; None takes all."""
    store_bytes: int = 512 << 20
    """Object store of a cluster that is started, in bytes."""
    spill: Path | None = None
    """Where a cluster that is started puts what its object store cannot hold; None: its own
    temporary folder."""
    labels: Mapping[str, Labels] = field(default_factory=dict)
    """Labels of the nodes on which the environments of `row` and `column`, and the tasks of the
    `pool`, may run."""
    wait_seconds: int = 0
    """How long to wait for nodes with these labels, where they are still starting."""
    silence_seconds: int = 120
    """How long the environment of a party may take to answer that it is there before it counts as
    lost."""
    restarts: int = 1
    """Times that a run starts again, or resumes, after the environment of a party was lost."""
    insecure: bool = False
    """Join a cluster on another machine without token authentication and TLS."""
    metrics: bool = False
    """Hand the sizes of the run to Ray's Prometheus endpoints."""
    timeline: Path | None = None
    """File for the timeline of tasks; None writes none."""

    def of(self, group: str) -> Labels:
        """The labels that nodes for a group must have; none where any node will do."""
        return self.labels.get(group, {})


def read_cluster(top: Section) -> Cluster:
    """Check the block `cluster` of a configuration.

    Raises:
        StudyError: an unknown key, or a value of the wrong type; names the key.
    """
    usual = Cluster()
    section = top.child("cluster", tuple(Cluster.__dataclass_fields__))
    return Cluster(
        address=section.optional_text("address"),
        cpus=None if section.get("cpus") is None else section.whole("cpus", 1, least=1),
        store_bytes=section.whole("store_bytes", usual.store_bytes, least=1),
        spill=_path(section, "spill"),
        labels=_labels(section),
        wait_seconds=section.whole("wait_seconds", usual.wait_seconds, least=0),
        silence_seconds=section.whole("silence_seconds", usual.silence_seconds, least=1),
        restarts=section.whole("restarts", usual.restarts, least=0),
        insecure=section.flag("insecure", usual.insecure),
        metrics=section.flag("metrics", usual.metrics),
        timeline=_path(section, "timeline"),
    )


def _path(section: Section, name: str) -> Path | None:
    text = section.optional_text(name)
    return None if text is None else Path(text).absolute()


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
