"""What the logs of a release tell of the attestation: who verified whom, when, and by what.

A domain may sign any facts, so each is taken for what it is worth, whatever its type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from xstat_ray.federation.audit import Entry
from xstat_ray.federation.identity import DOMAINS, Domain


@dataclass(frozen=True)
class Pinned:
    """What all parties must have verified of the aggregator, as the caller knows it."""

    expect: str | None = None
    """By which evidence; None takes any."""
    measurement: bytes | None = None
    """Digest of its software; None takes any."""
    pcrs: Mapping[int, bytes] = field(default_factory=dict)
    """Registers of its image, by number; those that are missing may have any value."""


Logs = Mapping[Domain, Sequence[Entry]]
"""Logs of all domains, whole and signed, in the order of the study."""
_SHARED = ("offer", "residues", "sums", "order", "sessions")
"""Kinds of messages that rest on the keys of a handshake; the first of each pair of parties."""


def check_parties(logs: Logs, rows: Sequence[Domain], measurement: object) -> Iterator[str]:
    """Yield which party did not verify the other before it used a shared key.

    Args:
        logs: the domains' logs.
        rows: the row parties.
        measurement: that of the manifest, which both must have verified.
    """
    for name, other in _pairs(logs, rows):
        attested = _attested(logs[name], other)
        offered = [e.number for e in logs[name] if _is_sent(e) and _rests_on_keys(e, other)]
        if [e.facts.get("measurement") for e in attested] != [measurement] or any(
            number < attested[0].number for number in offered
        ):
            told = "the other party" if len(logs) == len(DOMAINS) else other
            yield f"the {name} domain did not verify {told} first"


def check_aggregator(logs: Logs) -> Iterator[str]:
    """Yield which party sent the aggregator anything but its challenge before verifying it."""
    ran = _measurement(logs["aggregator"])
    for name in _parties(logs):
        attested = _attested(logs[name], "aggregator")
        if ran is None or [e.facts.get("measurement") for e in attested] != [ran]:
            yield f"the {name} domain did not verify the software that the aggregator ran"
        elif any(e.number < attested[0].number for e in _to_aggregator(logs[name])):
            yield f"the {name} domain did not verify the aggregator first"


def check_pins(logs: Logs, pinned: Pinned) -> Iterator[str]:
    """Yield which party verified something else of the aggregator than the caller knows."""
    for name in _parties(logs):
        for entry in _attested(logs[name], "aggregator"):
            told = entry.facts.get("pcrs")
            registers = told if isinstance(told, dict) else {}
            if pinned.expect not in (None, entry.facts.get("provider")):
                yield f"the {name} party did not verify the aggregator by {pinned.expect} evidence"
            if pinned.measurement and entry.facts.get("measurement") != pinned.measurement.hex():
                yield f"the {name} party verified another measurement of the aggregator than yours"
            for index, value in pinned.pcrs.items():
                if registers.get(str(index)) != value.hex():
                    yield f"the {name} party did not verify that the aggregator has your PCR{index}"


def rests_on(logs: Logs) -> Iterator[str]:
    """Yield, for each party, by what evidence it verified the aggregator, if all did."""
    if any(check_aggregator(logs)):
        return
    for name in _parties(logs):
        for entry in _attested(logs[name], "aggregator"):
            facts = entry.facts
            told = [f"measurement {facts.get('measurement')}", *_registers(facts.get("pcrs"))]
            yield (
                f"The {name} party verified the aggregator by {facts.get('provider')} evidence: "
                f"{', '.join(told)}."
            )


def not_shown(logs: Logs, rows: Sequence[Domain], pinned: Pinned) -> Iterator[str]:
    """Yield what the evidence of this release leaves open."""
    if pinned.measurement is None and not pinned.pcrs:
        yield (
            "that the aggregator ran the software that you know: its measurement and registers are "
            "those that the parties say they verified"
        )
    pairs = _pairs(logs, rows)
    parties = {_provider(e) for name, other in pairs for e in _attested(logs[name], other)}
    if parties != {"nitro"}:
        yield (
            "that each party ran the software that it signed for: the attestation was a "
            "statement, not hardware"
        )
    aggregator = {
        _provider(e) for name in _parties(logs) for e in _attested(logs[name], "aggregator")
    }
    if aggregator == {"nitro"}:
        yield (
            "that the aggregator kept nothing that it saw and colluded with no party, beyond its "
            "evidence: it rests on the maker of the hardware and on what the image with these "
            "registers does"
        )
    else:
        yield (
            "that the aggregator ran the software that it signed for, kept nothing that it saw and "
            "colluded with no party: its evidence was a statement, not hardware"
        )


def _parties(logs: Logs) -> list[Domain]:
    """Row party and column parties."""
    return [name for name in logs if name != "aggregator"]


def _pairs(logs: Logs, rows: Sequence[Domain]) -> list[tuple[Domain, Domain]]:
    """List both ends of each handshake.

    Each row party has one with each column party, the first of each side with each other one of it.
    """
    columns = [name for name in _parties(logs) if name not in rows]
    pairs = [(row, column) for row in rows for column in columns]
    for leader, *others in (rows, columns):
        pairs += [(leader, name) for name in others]
    return [ends for one, other in pairs for ends in ((one, other), (other, one))]


def _rests_on_keys(entry: Entry, peer: Domain) -> bool:
    """Whether a message to a party is one that rests on the keys shared with it."""
    return entry.facts.get("peer") == peer and entry.facts.get("kind") in _SHARED


def _attested(log: Sequence[Entry], peer: Domain) -> list[Entry]:
    return [e for e in log if e.event == "attested" and e.facts.get("peer") == peer]


def _is_sent(entry: Entry) -> bool:
    return entry.event == "sent"


def _to_aggregator(log: Sequence[Entry]) -> Iterator[Entry]:
    """Yield what a party sent to the aggregator beside its challenge."""
    for entry in log:
        to_aggregator = _is_sent(entry) and entry.facts.get("peer") == "aggregator"
        if to_aggregator and entry.facts.get("kind") != "challenge":
            yield entry


def _measurement(log: Sequence[Entry]) -> object:
    """Measurement of the software with which a domain began its log."""
    software = next((e.facts.get("software") for e in log if e.event == "opened"), None)
    return software.get("measurement") if isinstance(software, dict) else None


def _provider(entry: Entry) -> str:
    return str(entry.facts.get("provider"))


def _registers(pcrs: object) -> list[str]:
    known = pcrs if isinstance(pcrs, dict) else {}
    return [f"PCR{index} {value}" for index, value in sorted(known.items())]
