"""Checks a finished release from its files and logs, without any secret.

The report tells what that shows, what it cannot show, and what contradicts the release. Only a
release of several domains has logs; of one that was made in one process or cluster the files are
compared with each other, and with the budget ledgers, where the caller has them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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
from xstat_ray.privacy.places import Place
from xstat_ray.publication import coherence, debited
from xstat_ray.publication.release import MANIFEST

_NEEDED = {"release", "study_digest", "software", "spent", "noise_free", "datasets"}
"""Keys that the manifest of every release of a study has."""
_NEEDED_OF_DOMAINS = {"run", "session", "domains"}
"""Keys that the manifest of a federated release has beside."""
_TABLES = "that the parties' tables are true or complete: each party vouches for its own"
_NEVER = (
    _TABLES,
    "that the aggregator counted what it was sent: its log says so, no proof does",
    "that each role added its share of the noise as it should: no other role knows that share",
)
"""What no release of several domains can show."""
_NEVER_LOCALLY = (
    "who made the release, and that none of its files was made or altered later: it was made in "
    "one process or cluster, and nothing in it is signed",
    "that the parties were kept apart: in one process or cluster that is a simulation",
    "that counts, noise and opening are what the protocol says: no log tells what was done",
    _TABLES,
)
"""What no release of one process or cluster can show."""


@dataclass
class Report:
    """What the checks of a release found, in sentences for people."""

    shown: list[str] = field(default_factory=list)
    """What the files and logs show."""
    not_shown: list[str] = field(default_factory=list)
    """What the files and logs cannot show."""
    wrong: list[str] = field(default_factory=list)
    """What contradicts the release; empty if all is well."""


def verify(
    out: Path,
    pins: Mapping[Domain, bytes],
    aggregator: Pinned | None = None,
    ledgers: Sequence[Place] = (),
) -> Report:
    """Check the release in a folder.

    Args:
        out: the folder.
        pins: public keys that the caller knows; the manifest gives those that are missing.
        aggregator: what the caller knows of the software that the aggregator runs; None is nothing.
        ledgers: budget ledgers that the caller has, of one party or of several.

    Raises:
        InputError: the folder holds no release of a study, or a ledger cannot be used.
    """
    aggregator = aggregator or Pinned()
    manifest = _manifest(out)
    report = Report()
    if _is_of_domains(manifest):
        _check_domains(out, manifest, pins, aggregator, report)
    else:
        if pins or aggregator != Pinned():
            report.wrong.append(
                "the release is of one process or cluster: it has no domains of which you could "
                "know keys or software"
            )
        _check_local(out, manifest, report)
    _check_ledgers(manifest, ledgers, report)
    return report


def _is_of_domains(manifest: Mapping[str, Any]) -> bool:
    return manifest.get("deployment") == "federated"


def _check_domains(
    out: Path,
    manifest: dict[str, Any],
    pins: Mapping[Domain, bytes],
    aggregator: Pinned,
    report: Report,
) -> None:
    """Check a release of several domains by its signed logs, and what its files tell."""
    case = _open(out, manifest, pins, report)
    if case is not None:
        for statement, check in CHECKS:
            _note(report, statement, list(check(case)))
        _check_coherence(out, report)
        report.shown += verify_attestation.rests_on(case.logs)
        report.wrong += verify_attestation.check_pins(case.logs, aggregator)
        report.not_shown += verify_attestation.not_shown(case.logs, case.rows, aggregator)
    report.not_shown = [
        *_missing(manifest),
        *_unknown(manifest, pins, case),
        *report.not_shown,
        *_NEVER,
    ]


def _check_local(out: Path, manifest: dict[str, Any], report: Report) -> None:
    """Check what the files of a release of one process or cluster tell, which has no logs."""
    if (out / AUDIT).exists():
        report.wrong.append(f"the manifest tells of no domains, and {AUDIT}/ holds their logs")
    _check_coherence(out, report)
    report.not_shown += [*_missing(manifest), *_NEVER_LOCALLY]


def _check_coherence(out: Path, report: Report) -> None:
    for statement, problems in coherence.problems(out):
        _note(report, statement, problems)


def _note(report: Report, statement: str, problems: Sequence[str]) -> None:
    """Note what contradicts a statement, or the statement where nothing does."""
    report.wrong += problems
    if not problems:
        report.shown.append(statement)


def _check_ledgers(manifest: Mapping[str, Any], ledgers: Sequence[Place], report: Report) -> None:
    """Compare the debits of the ledgers that the caller has with the manifest."""
    if not ledgers and _is_of_domains(manifest):
        # The signed logs tell of the debits.
        return
    looked = debited.look(manifest, ledgers)
    what = "no debit of this release" if manifest["noise_free"] else "the debit of the manifest"
    report.shown += [f"Of the data set {name} the ledger has {what}." for name in looked.found]
    report.wrong += [
        f"of the data set {name} the ledger does not have just {what}" for name in looked.wrong
    ]
    if looked.unknown and not manifest["noise_free"]:
        names = ", ".join(looked.unknown)
        given = "no ledger that you gave knows them" if ledgers else "you gave no ledger"
        report.not_shown.append(f"that the data sets {names} were debited: {given}")


def _manifest(out: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        known = manifest.keys() >= _NEEDED and "measurement" in manifest["software"]
        of_parties = len(manifest["datasets"]) >= len(DOMAINS) - 1
        if known and of_parties and ("deployment" not in manifest or _is_signed(manifest)):
            return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    remedy = "Name the output folder of xstat-ray crosstab or xstat-ray release"
    raise InputError("the folder holds no release of a study", file=str(out), remedy=remedy)


def _is_signed(manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest that names a deployment is that of a release of several domains."""
    keys = _keys_of(manifest)
    needed = manifest.keys() >= _NEEDED_OF_DOMAINS and _is_of_domains(manifest)
    return needed and all(len(key) == KEY_BYTES for key in keys.values())


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


def _missing(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Tell what this release in particular does not have."""
    if manifest.get("noise_free"):
        yield "any differential privacy: NOISE WAS OFF and the counts are exact"
    if manifest.get("view", {}).get("padding") != "dp":
        yield "that sizes were hidden from the aggregator: padding was off"


def _unknown(
    manifest: Mapping[str, Any], pins: Mapping[Domain, bytes], case: Case | None
) -> Iterator[str]:
    """Tell what is not known of the domains of this release in particular."""
    domains = _keys_of(manifest)
    unknown = [name for name in domains if name not in pins]
    if unknown:
        yield f"who the domains are: the keys of {', '.join(unknown)} were taken from the manifest"
    refused = sum(len(case.of(name, "refused")) for name in domains) if case else 0
    if refused:
        yield f"why {refused} messages were refused on the way; the logs name them"
