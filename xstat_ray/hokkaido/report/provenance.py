"""Where published figures come from: what a page tells of a release, and whether its signed logs bear it out."""

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
    """Of a release: first and last day, id, digest of the manifest, software, budget, error, threshold, verification.

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
        "stderr": plan.get("stderr", {}),
        "suppress_below": plan.get("suppress_below"),
        "person_counts": plan.get("l1_sensitivity"),
    }


def _period(plan: Mapping[str, Any]) -> dict[str, str] | None:
    """First and last day that the data cover, both included; None where the study names none."""
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
    """`signed`: the logs of all three domains agree with the files. `unsigned`: there are none."""
    if manifest.get("deployment") != "federated":
        return "unsigned"
    if wrong := verify(folder, {}).wrong:
        remedy = f"See what is wrong: python -m jobs.verify {folder}"
        raise InputError(
            f"the release is not what it says: {wrong[0]}", file=str(folder), remedy=remedy
        )
    return "signed"
