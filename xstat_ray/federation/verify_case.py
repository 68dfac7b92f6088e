"""A finished release that is checked, with its domains and their logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstat_ray.federation.audit import Entry
from xstat_ray.federation.identity import DOMAINS, Domain


@dataclass(frozen=True)
class Case:
    """A release and the checked logs of its domains."""

    out: Path
    manifest: dict[str, Any]
    logs: dict[Domain, list[Entry]]
    """By domain, in the order of the study."""
    rows: Sequence[Domain]
    """Row parties, in the order of the study."""

    @property
    def columns(self) -> list[Domain]:
        """Column parties, in the order of the study."""
        return [name for name in self.logs if name not in (*self.rows, "aggregator")]

    @property
    def publisher(self) -> Domain:
        """The row party that publishes."""
        return self.rows[0]

    @property
    def opens_jointly(self) -> bool:
        """Whether the study names its row parties or its column parties."""
        return (*self.rows, *self.columns) != DOMAINS[:-1]

    def of(self, domain: Domain, event: str, **facts: Any) -> list[Entry]:
        """Entries of an event in a domain's log that have these facts."""
        return [
            entry
            for entry in self.logs[domain]
            if entry.event == event
            and all(entry.facts.get(key) == value for key, value in facts.items())
        ]
