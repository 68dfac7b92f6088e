"""What a party tells of its part in a run: facts for the manifest, and what it has debited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.federation.collaboration import dataset_of
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.party import FACTS
from xstat_ray.planning.plan import Plan


def note_debit(run: DomainRun, party: Domain, release: str) -> None:
    """Note in the log, once, what the party has debited for a release."""
    debit = debit_of(run.plan, party, release)
    if debit is not None and not any(run.log.of("debited")):
        run.log.add("debited", **debit)


def debit_of(plan: Plan, party: Domain, release: str) -> dict[str, Any] | None:
    """Work out what a party must debit for a release; None where noise is off."""
    study = plan.study
    mechanism = plan.mechanism
    if mechanism.noise == "off":
        return None
    amounts = {
        "epsilon": str(mechanism.epsilon),
        "delta": str(plan.delta),
        "rho": str(mechanism.rho),
    }
    dataset = dataset_of(study, party)
    return {"release": release, "study": study.digest.hex(), "dataset": dataset, **amounts}


def read_facts(folder: Path) -> dict[str, Any]:
    """Read what the step emit tells of a party for the manifest.

    Raises:
        InputError: the step emit is not over.
    """
    path = folder / FACTS
    if not path.exists():
        raise InputError(
            "the party's rows or flags are not out yet",
            key="step",
            remedy="Run xstat-ray deidentify first",
        )
    return dict(json.loads(path.read_text()))


def object_of(payload: bytes, *names: str) -> dict[str, Any]:
    """Read the JSON object of a payload, which has exactly these names.

    Raises:
        ProtocolError: the payload is malformed.
    """
    try:
        value = json.loads(payload)
        if set(value) == set(names):
            return dict(value)
    except (ValueError, TypeError, RecursionError):
        pass
    raise ProtocolError("its payload is malformed")
