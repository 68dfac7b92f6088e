"""What is checked of a finished release: each check, and what holds if it finds nothing wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

from xstat_ray.federation import verify_approvals, verify_attestation, verify_sessions
from xstat_ray.federation.audit import Entry
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.release import AUDIT, published_files
from xstat_ray.federation.verify_case import Case
from xstat_ray.publication.release import AREAS, PLAN, STATISTICS
from xstat_ray.roles.opening import release_id


def _check_run(case: Case) -> Iterator[str]:
    if not verify_sessions.is_one_handshake(case):
        yield "the domains' logs are of different handshakes"
    expected = {"study": case.manifest.get("study_digest"), "run": case.manifest.get("run")}
    plans = {entry.facts.get("plan") for name in case.logs for entry in case.of(name, "opened")}
    for name in case.logs:
        if (
            len(case.of(name, "opened", **expected, keys=case.manifest["domains"])) != 1
            or len(plans) != 1
        ):
            yield f"the {name} domain's log is of another study, plan, run or set of keys"
        if len(case.of(name, "finished")) != 1:
            yield f"the {name} domain did not finish"


def _check_approvals(case: Case) -> Iterator[str]:
    folder = case.out / AUDIT
    return verify_approvals.check_approvals(folder, case.manifest, case.logs, case.rows)


def _check_messages(case: Case) -> Iterator[str]:
    fields = ("sequence", "kind", "part", "parts", "message")
    sent, received = (
        {
            (
                *((name, e.facts["peer"]) if event == "sent" else (e.facts["peer"], name)),
                *(e.facts[f] for f in fields),
            )
            for name in case.logs
            for e in case.of(name, event)
            if {"peer", *fields} <= e.facts.keys()
        }
        for event in ("sent", "received")
    )
    for sender, receiver, sequence, kind, *_ in sorted(sent ^ received, key=str):
        yield f"message {sender}-{receiver}/{sequence:06d} ({kind}) is not in both logs"
    if not sent:
        yield "the logs name no message"


def _check_parties(case: Case) -> Iterator[str]:
    measurement = case.manifest["software"]["measurement"]
    return verify_attestation.check_parties(case.logs, case.rows, measurement)


def _check_aggregator(case: Case) -> Iterator[str]:
    return verify_attestation.check_aggregator(case.logs)


def _check_view(case: Case) -> Iterator[str]:
    view = case.manifest.get("view", {})
    padded = view.get("padding") == "dp"
    expected = [{"epsilon": view.get("epsilon"), "delta": view.get("delta")}] if padded else []
    tables = {**dict.fromkeys(case.rows, "rows"), **dict.fromkeys(case.columns, "flags")}
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


def _check_drawn(case: Case) -> Iterator[str]:
    promised = dict(case.manifest.get("insiders") or {}).get("departure_noticed")
    expected = [] if promised in (None, "0") else [promised]
    what_follows = [(case.publisher, "masks"), (case.columns[0], "opened")]
    for name, kind in what_follows:
        drawn = case.of(name, "drawn")
        handed = case.of(name, "sent", kind=kind)
        if [_chance(entry) for entry in drawn] != expected:
            yield f"the {name} party's log does not show the check of the noise that was promised"
        elif drawn and (not handed or min(e.number for e in handed) < drawn[0].number):
            yield f"the {name} party sent {kind} before it had checked the noise"


def _chance(drawn: Entry) -> str | None:
    """The chance at which a departure is noticed with so many sets; None if there are none."""
    sets = drawn.facts.get("sets")
    return str(1 - Fraction(1, sets)) if type(sets) is int and sets > 0 else None


def _check_table(case: Case) -> Iterator[str]:
    first, *others = case.columns
    events = [
        *(("aggregator", "noise", name, "masked") for name in case.columns),
        *((row, "approved", name, "approval") for row in case.rows for name in case.columns),
        (first, "admitted", case.publisher, "opened"),
        *((name, "admitted", first, "residues") for name in others),
    ]
    release = case.manifest["release"]
    digests = set()
    for name, event, receiver, kind in events:
        entries = case.of(name, event)
        handed = case.of(name, "sent", peer=receiver, kind=kind)
        if [entry.facts.get("release") for entry in entries] != [release]:
            yield f"the {name} domain's log does not show one table ({event}) for this release"
            continue
        digests.add(str(entries[0].facts.get("digest")))
        if not handed or min(entry.number for entry in handed) < entries[0].number:
            yield f"the {name} domain sent {kind} before its log names the table ({event})"
    if len(digests) > 1 or any(_release_of(case, digest) != release for digest in digests):
        yield "the domains' logs name different tables, or another than the release's id"
    for name, kind in _opened(case).items():
        opened = case.of(name, "sent", kind=kind)
        for row in case.rows:
            approved = case.of(name, "received", peer=row, kind="approval")
            if not approved or any(entry.number < approved[0].number for entry in opened):
                whose = "the row party" if len(case.rows) == 1 else f"the row party {row}"
                yield f"{_key_holder(case, name)} opened the table before {whose} approved it"


def _opened(case: Case) -> dict[Domain, str]:
    """The kind in which each column party hands out what it has decrypted."""
    first, *others = case.columns
    return {first: "opened", **dict.fromkeys(others, "residues")}


def _key_holder(case: Case, name: Domain) -> str:
    return "the key holder" if len(case.columns) == 1 else f"the key holder {name}"


def _release_of(case: Case, digest: str) -> str | None:
    try:
        return release_id(str(case.manifest["session"]), bytes.fromhex(digest))
    except ValueError:
        return None


def _check_debit(case: Case) -> Iterator[str]:
    spent = case.manifest["spent"]
    for name, kind in {**dict.fromkeys(case.rows, "approval"), **_opened(case)}.items():
        debits = case.of(name, "debited")
        if case.manifest["noise_free"]:
            if debits:
                yield f"the {name} party debited a release without noise"
            continue
        expected = {
            "release": case.manifest["release"],
            "study": case.manifest["study_digest"],
            "dataset": case.manifest["datasets"].get(name),
            "epsilon": spent["epsilon"],
            "delta": spent["delta"],
            "rho": spent.get("rho", "0"),
        }
        handed = case.of(name, "sent", kind=kind)
        if [entry.facts for entry in debits] != [expected]:
            yield f"the {name} party's log does not show the debit that the manifest tells of"
        elif not handed or min(entry.number for entry in handed) < debits[0].number:
            yield f"the {name} party sent {kind} before the debit"


def _check_files(case: Case) -> Iterator[str]:
    published = case.of(case.publisher, "published", release=case.manifest["release"])
    if len(published) != 1:
        yield "the row party's log does not show that it published this release once"
        return
    files = published[0].facts.get("files")
    for path in published_files(case.out):
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
        if not isinstance(files, dict) or files.get(path.name) != found:
            yield f"{path.name} is not the file that was published"
        elif path.name == PLAN and _insiders(path) != case.manifest.get("insiders"):
            yield "the manifest says something else of what insiders learn than the plan"


def _insiders(plan: Path) -> object:
    return json.loads(plan.read_bytes()).get("insiders")


def _check_checked(case: Case) -> Iterator[str]:
    for name in case.columns:
        yield from _check_checked_by(case, name)


def _check_checked_by(case: Case, party: Domain) -> Iterator[str]:
    checked = case.of(party, "checked", release=case.manifest["release"])
    files = checked[0].facts.get("files") if len(checked) == 1 else None
    if not isinstance(files, dict) or not files.keys() >= {STATISTICS, AREAS}:
        yield f"{_key_holder(case, party)}'s log does not show that it checked what was published"
        return
    for name, digest in files.items():
        path = case.out / name
        found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
        if path not in published_files(case.out) or digest != found:
            yield f"{name} is not the file that {_key_holder(case, party)} checked"


CHECKS: tuple[tuple[str, Callable[[Case], Iterator[str]]], ...] = (
    (
        "The domains ran one study and plan, in one run and one handshake, and all came to their "
        "end.",
        _check_run,
    ),
    (
        "Each domain had approved what was run, with its budgets and what each would learn, and "
        "none began before it had the approvals of all.",
        _check_approvals,
    ),
    (
        "Every message that a domain sent was accepted by the one it was for, unaltered, and "
        "nothing else was accepted.",
        _check_messages,
    ),
    (
        "Each party verified what the other runs before it used a shared key; "
        "all ran the software of the manifest.",
        _check_parties,
    ),
    (
        "Each party verified what the aggregator runs before it sent it anything but the challenge "
        "for that.",
        _check_aggregator,
    ),
    (
        "Each party counted what padded tables show the aggregator, where they are padded, before "
        "it sent them.",
        _check_view,
    ),
    (
        "Where the study has the draw of the noise checked, each party checked it before anything "
        "depended on it.",
        _check_drawn,
    ),
    (
        "One table was opened, after the row party had approved it; the id of the release follows "
        "from it and from the handshake.",
        _check_table,
    ),
    (
        "Each party debited its data set with what the manifest says, once: the row party before "
        "it approved the table, a key holder before it handed out anything that it had opened.",
        _check_debit,
    ),
    (
        "Each key holder checked that the published tables follow from what was opened.",
        _check_checked,
    ),
    (
        "The files of the release are those that the row party published; the manifest says of "
        "insiders what the plan computes.",
        _check_files,
    ),
)
"""What holds if a check finds nothing wrong, and the check: it yields what contradicts that."""
