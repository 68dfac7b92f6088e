"""Where published figures come from: what a page tells of a release, and whether its signed logs bear it out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xstat_ray.errors import InputError
from xstat_ray.federation.verify import verify
from xstat_ray.release import MANIFEST


def facts(folder: Path, manifest: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    """Of a release: id, digest of the manifest, software, budget, error, threshold, verification.

    Raises:
        InputError: the release is of three domains, and its files or signed logs contradict it.
    """
    spent = manifest.get("spent", {})
    return {
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


def _verification(folder: Path, manifest: Mapping[str, Any]) -> str:
    """`signed`: the logs of all three domains agree with the files. `unsigned`: there are none."""
    if manifest.get("deployment") != "federated":
        return "unsigned"
    if wrong := verify(folder, {}).wrong:
        remedy = f"See what is wrong: python -m jobs.verify {folder}"
        raise InputError(f"the release is not what it says: {wrong[0]}", file=str(folder), remedy=remedy)
    return "signed"
