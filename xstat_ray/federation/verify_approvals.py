"""Checks of a finished release that all domains had approved what was run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from xstat_ray.federation.approvals import signed_text
from xstat_ray.federation.audit import Entry
from xstat_ray.federation.collaboration import (
    AGGREGATOR,
    COLLABORATION,
    COLUMN,
    ROW,
    Collaboration,
)
from xstat_ray.federation.identity import Domain, Peers


def check_approvals(
    folder: Path,
    manifest: Mapping[str, Any],
    logs: Mapping[Domain, list[Entry]],
    rows: Sequence[Domain],
) -> Iterator[str]:
    """Tell what contradicts that all domains approved what the manifest tells of.

    Args:
        folder: the folder with the collaboration, among the logs of the release.
        manifest: the manifest of the release.
        logs: the checked logs.
        rows: the row parties, as far as the manifest tells them.
    """
    content = _read(folder / COLLABORATION)
    if content is None:
        yield f"{COLLABORATION}, which all domains approved, is missing or malformed"
        return
    for place, value in _told(manifest, rows):
        if _at(content, place) != value:
            yield f"what the domains approved differs from the manifest in {place}"
    digest = Collaboration(content).digest
    peers = Peers({name: bytes.fromhex(manifest["domains"][name]) for name in logs})
    for name in logs:
        facts = next((entry.facts for entry in logs[name] if entry.event == "opened"), {})
        if facts.get("collaboration") != digest:
            yield f"the {name} domain's log is of another collaboration than {COLLABORATION}"
            continue
        given = facts.get("approvals")
        for other in logs:
            if not _signed(given, other, digest, peers):
                yield f"the {name} domain began without the approval of {other}"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
        if isinstance(content, dict) and Collaboration(content).encode() == path.read_bytes():
            return content
    except (OSError, ValueError, TypeError, RecursionError):
        pass
    return None


def _told(manifest: Mapping[str, Any], rows: Sequence[Domain]) -> Iterator[tuple[str, Any]]:
    """List what the manifest tells of what was approved, by the place where that stands."""
    yield "run", manifest.get("run")
    yield "study.digest", manifest.get("study_digest")
    yield "privacy.padding", manifest.get("view", {}).get("padding")
    spent = manifest.get("spent", {})
    for name in manifest["domains"]:
        yield f"domains.{name}.key", manifest["domains"][name]
        role = AGGREGATOR if name == "aggregator" else ROW if name in rows else COLUMN
        yield f"domains.{name}.role", role
        if name != "aggregator":
            yield f"domains.{name}.dataset", manifest.get("datasets", {}).get(name)
            yield f"domains.{name}.budget.release", {"rho": "0", **spent}


def _at(content: Any, place: str) -> Any:
    for part in place.split("."):
        content = content.get(part) if isinstance(content, Mapping) else None
    return content


def _signed(given: object, domain: Domain, digest: str, peers: Peers) -> bool:
    signature = given.get(domain) if isinstance(given, Mapping) else None
    try:
        return peers.signed(domain, signed_text(domain, digest), bytes.fromhex(str(signature)))
    except ValueError:
        return False
