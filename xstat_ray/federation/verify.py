"""Checks a finished release from its files and logs, without any secret.

The report tells what that shows, what it cannot show, and what contradicts the release.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.federation.audit import Entry, read_log
from xstat_ray.federation.identity import DOMAINS, KEY_BYTES, Domain, Peers
from xstat_ray.federation.release import AUDIT, published_files
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
    "that the aggregator added the noise that it says, or counted what it was sent: "
    "its log says so, no proof does",
    "that the aggregator did not keep what it saw, or collude with a party: "
    "it knows the noise that it drew",
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


@dataclass(frozen=True)
class _Case:
    """A release and the checked logs of its domains."""

    out: Path
    manifest: dict[str, Any]
    logs: dict[Domain, list[Entry]]

    def of(self, domain: Domain, event: str, **facts: Any) -> list[Entry]:
        """Entries of an event in a domain's log that have these facts."""
        return [
            entry
            for entry in self.logs[domain]
            if entry.event == event
            and all(entry.facts.get(key) == value for key, value in facts.items())
        ]


def verify(out: Path, pins: Mapping[Domain, bytes]) -> Report:
    """Check the release in a folder.

    Args:
        out: the folder.
        pins: public keys that the caller knows; the manifest gives those that are missing.

    Raises:
        InputError: the folder holds no federated release.
    """
    manifest = _manifest(out)
    report = Report()
    case = _open(out, manifest, pins, report)
    if case is not None:
        for statement, check in _CHECKS:
            problems = list(check(case))
            report.wrong += problems
            if not problems:
                report.shown.append(statement)
    report.not_shown += [*_missing(manifest, pins, case), *_NEVER]
    return report


def _manifest(out: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        keys = {name: bytes.fromhex(manifest["domains"][name]) for name in DOMAINS}
        known = manifest.keys() >= _NEEDED and "measurement" in manifest["software"]
        if (
            known
            and manifest["deployment"] == "federated"
            and all(len(key) == KEY_BYTES for key in keys.values())
        ):
            return dict(manifest)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    remedy = "Only a release of three domains (deployment=federated) has signed logs"
    raise InputError("the folder holds no release of three domains", file=str(out), remedy=remedy)


def _open(
    out: Path, manifest: dict[str, Any], pins: Mapping[Domain, bytes], report: Report
) -> _Case | None:
    """Read the logs; None unless all of them are whole and signed."""
    manifest_keys = {name: bytes.fromhex(manifest["domains"][name]) for name in DOMAINS}
    report.wrong += [
        f"the manifest names another key of the {name} domain than you do"
        for name in pins
        if pins[name] != manifest_keys[name]
    ]
    logs: dict[Domain, list[Entry]] = {}
    for name in DOMAINS:
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
        "The logs of all three domains are whole: no line was altered, left out, added or moved."
    )
    return _Case(out, manifest, logs)


def _check_run(case: _Case) -> Iterator[str]:
    sessions = {
        entry.facts.get("session") for name in DOMAINS for entry in case.of(name, "session")
    }
    if sessions != {case.manifest.get("session")}:
        yield "the domains' logs are of different handshakes"
    expected = {"study": case.manifest.get("study_digest"), "run": case.manifest.get("run")}
    plans = {entry.facts.get("plan") for name in DOMAINS for entry in case.of(name, "opened")}
    for name in DOMAINS:
        if (
            len(case.of(name, "opened", **expected, keys=case.manifest["domains"])) != 1
            or len(plans) != 1
        ):
            yield f"the {name} domain's log is of another study, plan, run or set of keys"
        if len(case.of(name, "finished")) != 1:
            yield f"the {name} domain did not finish"


def _check_messages(case: _Case) -> Iterator[str]:
    fields = ("sequence", "kind", "part", "parts", "message")
    sent, received = (
        {
            (
                *((name, e.facts["peer"]) if event == "sent" else (e.facts["peer"], name)),
                *(e.facts[f] for f in fields),
            )
            for name in DOMAINS
            for e in case.of(name, event)
            if {"peer", *fields} <= e.facts.keys()
        }
        for event in ("sent", "received")
    )
    for sender, receiver, sequence, kind, *_ in sorted(sent ^ received, key=str):
        yield f"message {sender}-{receiver}/{sequence:06d} ({kind}) is not in both logs"
    if not sent:
        yield "the logs name no message"


def _check_attestation(case: _Case) -> Iterator[str]:
    measurement = case.manifest["software"]["measurement"]
    for name, peer in (("row", "column"), ("column", "row")):
        log = case.logs["row" if name == "row" else "column"]
        attested = [e.number for e in log if e.event == "attested" and e.facts.get("peer") == peer]
        offered = [e.number for e in log if e.event == "sent" and e.facts.get("kind") == "offer"]
        same = [
            e for e in log if e.event == "attested" and e.facts.get("measurement") == measurement
        ]
        if len(attested) != 1 or len(same) != 1 or any(number < attested[0] for number in offered):
            yield f"the {name} domain did not verify the other party first"


def _check_view(case: _Case) -> Iterator[str]:
    view = case.manifest.get("view", {})
    padded = view.get("padding") == "dp"
    expected = [{"epsilon": view.get("epsilon"), "delta": view.get("delta")}] if padded else []
    tables: dict[Domain, str] = {"row": "rows", "column": "flags"}
    for name, kind in tables.items():
        shown = case.of(name, "shown")
        sent = case.of(name, "sent", kind=kind)
        if [entry.facts for entry in shown] != expected:
            yield (
                f"the {name} domain's log does not show what the manifest tells of the "
                "aggregator's view"
            )
        elif padded and (not sent or min(entry.number for entry in sent) < shown[0].number):
            yield f"the {name} domain's {kind} were handed out before it counted what they show"


def _check_noise(case: _Case) -> Iterator[str]:
    drawn = case.of("aggregator", "noise")
    handed = case.of("aggregator", "sent", kind="noisy")
    if [entry.facts.get("release") for entry in drawn] != [case.manifest["release"]]:
        yield "the aggregator's log does not show one draw of noise for this release"
    elif len(handed) != 1 or handed[0].number < drawn[0].number:
        yield "the noisy table was not handed out once, after the noise"


def _check_debit(case: _Case) -> Iterator[str]:
    spent = case.manifest["spent"]
    debits = case.of("column", "debited")
    if case.manifest["noise_free"]:
        if debits:
            yield "something was debited for a release without noise"
        return
    expected = {
        "release": case.manifest["release"],
        "study": case.manifest["study_digest"],
        "datasets": [case.manifest["datasets"][name] for name in ("row", "column")],
        "epsilon": spent["epsilon"],
        "delta": spent["delta"],
        "rho": spent.get("rho", "0"),
    }
    handed = case.of("column", "sent", kind="coefficients")
    if [entry.facts for entry in debits] != [expected]:
        yield "the key holder's log does not show the debit that the manifest tells of"
    elif not handed or min(entry.number for entry in handed) < debits[0].number:
        yield "coefficients were handed out before the debit"


def _check_files(case: _Case) -> Iterator[str]:
    published = case.of("row", "published", release=case.manifest["release"])
    if len(published) != 1:
        yield "the row party's log does not show that it published this release once"
        return
    files = published[0].facts.get("files")
    for path in published_files(case.out):
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
        if not isinstance(files, dict) or files.get(path.name) != found:
            yield f"{path.name} is not the file that was published"


_CHECKS: tuple[tuple[str, Callable[[_Case], Iterator[str]]], ...] = (
    (
        "The domains ran one study and plan, in one run and one handshake, and all came to their "
        "end.",
        _check_run,
    ),
    (
        "Every message that a domain sent was accepted by the one it was for, unaltered, and "
        "nothing else was accepted.",
        _check_messages,
    ),
    (
        "Each party verified what the other runs before it used a shared key; "
        "both ran the software of the manifest.",
        _check_attestation,
    ),
    (
        "Each party counted what padded tables show the aggregator, where they are padded, before "
        "it sent them.",
        _check_view,
    ),
    (
        "The aggregator drew the noise once, before it handed out the table.",
        _check_noise,
    ),
    (
        "The key holder debited what the manifest says, once, before it handed out any "
        "coefficient.",
        _check_debit,
    ),
    (
        "The files of the release are those that the row party published.",
        _check_files,
    ),
)
"""What holds if a check finds nothing wrong, and the check: it yields what contradicts that."""


def _missing(
    manifest: dict[str, Any], pins: Mapping[Domain, bytes], case: _Case | None
) -> Iterator[str]:
    """Tell what this release in particular does not show."""
    if manifest.get("noise_free"):
        yield "any differential privacy: NOISE WAS OFF and the counts are exact"
    if manifest.get("view", {}).get("padding") != "dp":
        yield "that sizes were hidden from the aggregator: padding was off"
    unknown = [name for name in DOMAINS if name not in pins]
    if unknown:
        yield f"who the domains are: the keys of {', '.join(unknown)} were taken from the manifest"
    providers = {
        e.facts.get("provider")
        for log in (case.logs.values() if case else ())
        for e in log
        if e.event == "attested"
    }
    if "software" in providers:
        yield (
            "that each party ran the software that it signed for: the attestation was a "
            "statement, not hardware"
        )
    refused = sum(len(case.of(name, "refused")) for name in DOMAINS) if case else 0
    if refused:
        yield f"why {refused} messages were refused on the way; the logs name them"
