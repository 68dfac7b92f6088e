"""What budget ledgers tell of a release: whether each party's data set was debited with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from xstat_ray.privacy.history import Entry
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.privacy.places import Place


@dataclass
class Debited:
    """Data sets of a release, by what the ledgers tell of them."""

    found: list[str] = field(default_factory=list)
    """Those that were debited as the manifest tells; of a release without noise, not at all."""
    wrong: list[str] = field(default_factory=list)
    """Those that were debited otherwise."""
    unknown: list[str] = field(default_factory=list)
    """Those of which no ledger tells anything."""


def look(manifest: Mapping[str, Any], ledgers: Sequence[Place]) -> Debited:
    """Look up the debits of a release.

    Args:
        manifest: of the release.
        ledgers: budget ledgers, of one party or of several.

    Raises:
        InputError: a ledger cannot be used, or its entries do not follow from each other.
    """
    debited = Debited()
    for dataset in dict.fromkeys(str(name) for name in manifest["datasets"].values()):
        entries = [entry for place in ledgers for entry in Ledger(place).history(dataset)]
        own = [entry for entry in entries if entry.kind != "witness"]
        if not own:
            debited.unknown.append(dataset)
        elif _as_told(manifest, own):
            debited.found.append(dataset)
        else:
            debited.wrong.append(dataset)
    return debited


def _as_told(manifest: Mapping[str, Any], entries: Sequence[Entry]) -> bool:
    """Whether entries of a data set hold the debit of the manifest; without noise, none."""
    spent = manifest["spent"]
    amounts = [Fraction(str(spent.get(name, "0"))) for name in ("epsilon", "delta", "rho")]
    told = {
        (entry.study, entry.epsilon, entry.delta, entry.rho)
        for entry in entries
        if entry.kind == "debit" and entry.release == manifest["release"]
    }
    return told == (set() if manifest["noise_free"] else {(manifest["study_digest"], *amounts)})
