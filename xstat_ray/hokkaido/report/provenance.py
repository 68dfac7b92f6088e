"""Provenance of published numbers: facts of a release, and whether signed logs bear it out."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xstat_ray.errors import InputError
from xstat_ray.federation.verify import verify
from xstat_ray.publication.release import MANIFEST


def facts(folder: Path, manifest: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    """Collect the facts of a release that a page tells.

    They are its first and last day, its id, the digest of the manifest, the software, the budget,
    what holds towards the roles, the error, the threshold, and whether signed logs were verified.

    Raises:
        InputError: the release is of three domains, and its files or signed logs contradict it.
    """
    spent = manifest.get("spent", {})
    return {
        "period": _period(plan),
        "release": manifest.get("release"),
        "manifest_sha256": hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest(),
        "verification": _verification(folder, manifest),
        "software": manifest.get("software", {}),
        "epsilon": spent.get("epsilon"),
        "delta": spent.get("delta"),
        "noise": plan.get("noise"),
        "insiders": plan.get("insiders"),
        "stderr": plan.get("stderr", {}),
        "suppress_below": plan.get("suppress_below"),
        "person_counts": plan.get("l1_sensitivity"),
    }


def _period(plan: Mapping[str, Any]) -> dict[str, str] | None:
    """Find the first and the last day that the data cover; None where the study names none."""
    if "first_day" in plan:
        first = dt.date.fromisoformat(plan["first_day"])
        last = first + dt.timedelta(days=plan["days"] - 1)
    elif period := plan.get("period"):
        first, end = (dt.datetime.fromisoformat(period[name]) for name in ("start", "end"))
        last = end - dt.timedelta(microseconds=1)
        first = first.date()
        last = last.date()
    else:
        return None
    return {"first": first.isoformat(), "last": last.isoformat()}


def _verification(folder: Path, manifest: Mapping[str, Any]) -> str:
    """Tell whether the logs of all three domains agree with the files, or whether there are none.

    Returns:
        `signed` or `unsigned`.
    """
    if manifest.get("deployment") != "federated":
        return "unsigned"
    if wrong := verify(folder, {}).wrong:
        remedy = f"See what is wrong: xstat-ray verify release={folder}"
        raise InputError(
            f"the release is not what it says: {wrong[0]}", file=str(folder), remedy=remedy
        )
    return "signed"
