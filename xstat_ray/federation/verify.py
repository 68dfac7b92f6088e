"""Checks a finished release from its files and logs, without any secret.

The report tells what that shows, what it cannot show, and what contradicts the release.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.federation import verify_attestation
from xstat_ray.federation.audit import Entry, read_log
from xstat_ray.federation.checks import CHECKS
from xstat_ray.federation.identity import DOMAINS, KEY_BYTES, Domain, Peers
from xstat_ray.federation.release import AUDIT
from xstat_ray.federation.verify_attestation import Pinned
from xstat_ray.federation.verify_case import Case
from xstat_ray.publication.release import MANIFEST

_NEEDED = {
    "release",
    "study_digest",
    "run",
    "session",
    "software",
    "spent",
    "noise_free",
    "datasets",
    "deployment",
}
"""Keys that the manifest of a federated release has."""
_NEVER = (
    "that the parties' tables are true or complete: each party vouches for its own",
    "that the aggregator counted what it was sent: its log says so, no proof does",
    "that each role added its share of the noise as it should: no other role knows that share",
)
"""What no release can show."""


@dataclass
class Report:
    """What the checks of a release found, in sentences for people."""

    shown: list[str] = field(default_factory=list)
    """What the files and logs show."""
    not_shown: list[str] = field(default_factory=list)
    """What the files and logs cannot show."""
    wrong: list[str] = field(default_factory=list)
    """What contradicts the release; empty if all is well."""


def verify(out: Path, pins: Mapping[Domain, bytes], aggregator: Pinned | None = None) -> Report:
    """Check the release in a folder.

    Args:
        out: the folder.
        pins: public keys that the caller knows; the manifest gives those that are missing.
        aggregator: what the caller knows of the software that the aggregator runs; None is nothing.

    Raises:
        InputError: the folder holds no federated release.
    """
    aggregator = aggregator or Pinned()
    manifest = _manifest(out)
    report = Report()
    case = _open(out, manifest, pins, report)
    if case is not None:
        for statement, check in CHECKS:
            problems = list(check(case))
            report.wrong += problems
            if not problems:
                report.shown.append(statement)
        report.shown += verify_attestation.rests_on(case.logs)
        report.wrong += verify_attestation.check_pins(case.logs, aggregator)
        report.not_shown += verify_attestation.not_shown(case.logs, case.rows, aggregator)
    report.not_shown = [*_missing(manifest, pins, case), *report.not_shown, *_NEVER]
    return report


def _manifest(out: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        keys = _keys_of(manifest)
        known = manifest.keys() >= _NEEDED and "measurement" in manifest["software"]
        if (
            known
            and manifest["deployment"] == "federated"
            and all(len(key) == KEY_BYTES for key in keys.values())
        ):
            return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    remedy = "Only a release of several domains (deployment=federated) has signed logs"
    raise InputError("the folder holds no release of several domains", file=str(out), remedy=remedy)


def _keys_of(manifest: Mapping[str, Any]) -> dict[Domain, bytes]:
    """Read the keys of all domains, in the order of the study.

    Raises:
        KeyError, ValueError, TypeError: the manifest is malformed.
    """
    domains = (*manifest["datasets"], "aggregator")
    if {*domains} != {*manifest["domains"]} or len(domains) < len(DOMAINS):
        raise ValueError
    return {name: bytes.fromhex(manifest["domains"][name]) for name in domains}


def _rows_of(manifest: Mapping[str, Any]) -> tuple[Domain, ...]:
    """List the row parties: the first of the data sets, or as many as have sessions of their own.

    What a manifest says wrongly of them contradicts the logs.
    """
    told = manifest.get("sessions")
    sessions = told if isinstance(told, Mapping) else {}
    named = any(isinstance(of_row, Mapping) for of_row in sessions.values())
    parties = tuple(manifest["datasets"])
    return parties[: min(len(sessions), len(parties) - 1) if named else 1]


def _open(
    out: Path, manifest: dict[str, Any], pins: Mapping[Domain, bytes], report: Report
) -> Case | None:
    """Read the logs; None unless all of them are whole and signed."""
    manifest_keys = _keys_of(manifest)
    report.wrong += [
        f"the manifest names another key of the {name} domain than you do"
        for name in pins
        if pins[name] != manifest_keys.get(name)
    ]
    logs: dict[Domain, list[Entry]] = {}
    for name in manifest_keys:
        try:
            content = (out / AUDIT / f"{name}.jsonl").read_bytes()
            logs[name] = read_log(content, name, Peers({**manifest_keys, **pins}))
        except OSError:
            report.wrong.append(f"the log of the {name} domain is missing")
        except ProtocolError as error:
            report.wrong.append(str(error))
    if report.wrong:
        return None
    report.shown.append(
        "The logs of all domains are whole: no line was altered, left out, added or moved."
    )
    return Case(out, manifest, logs, _rows_of(manifest))


def _missing(
    manifest: dict[str, Any], pins: Mapping[Domain, bytes], case: Case | None
) -> Iterator[str]:
    """Tell what this release in particular does not show."""
    if manifest.get("noise_free"):
        yield "any differential privacy: NOISE WAS OFF and the counts are exact"
    if manifest.get("view", {}).get("padding") != "dp":
        yield "that sizes were hidden from the aggregator: padding was off"
    domains = _keys_of(manifest)
    unknown = [name for name in domains if name not in pins]
    if unknown:
        yield f"who the domains are: the keys of {', '.join(unknown)} were taken from the manifest"
    refused = sum(len(case.of(name, "refused")) for name in domains) if case else 0
    if refused:
        yield f"why {refused} messages were refused on the way; the logs name them"
